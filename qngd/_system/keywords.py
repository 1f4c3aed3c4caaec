"""Keywords by the names that they have elsewhere: an error that shows what to write here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any, TypeVar

from qngd.errors import did_you_mean

_Callable = TypeVar("_Callable", bound=Callable[..., Any])

_ELSEWHERE: Mapping[str, str] = {  # ours: as others call it (SciPy, PennyLane, Qiskit, Optax, Braket, Divi)
    "max_steps": "maxiter max_iter max_iters maxiters max_iterations iterations n_iter niter num_iterations n_steps "
    "nsteps num_steps steps epochs num_epochs n_epochs maxsteps",
    "steps": "max_steps maxiter iterations n_steps num_steps",
    "learning_rate": "lr rate stepsize step_size eta alpha learningrate init_learning_rate",
    "damping": "lam lambda_ reg regularization regularisation tikhonov shift epsilon",
    "approx": "metric metric_tensor approximation metric_type metric_estimator",
    "step": "line_search linesearch step_rule stepper momentum",
    "gradient": "grad jac diff_method grad_method gradient_method grad_fn",
    "method": "gradient grad diff_method approx",
    "optimizer": "method solver minimizer opt algorithm",
    "budget": "maxfun maxfev maxfeval max_evals max_evaluations max_shots max_circuits max_jobs",
    "theta0": "x0 init_params initial_params initial_parameters initial_point initial_theta start theta params "
    "parameters init starting_point",
    "theta": "x params parameters theta0 weights args point parameter_values",
    "observable": "hamiltonian operator H obs op observables cost_operator cost_hamiltonian",
    "observables": "observable hamiltonian operator operators",
    "circuit": "ansatz qnode node program qc problem",
    "problem_or_circuit": "circuit ansatz problem qnode node program qc objective",
    "circuits": "circuit ansatz",
    "shots": "nshots n_shots num_shots default_shots shot precision",
    "seed": "random_state random_seed rng key prng_key",
    "backend": "device dev simulator estimator sampler quantum_instance executor",
    "tol": "ftol tolerance conv_tol convergence_threshold abs_tol rtol atol xtol eps threshold",
    "callback": "callbacks callback_fn on_step hook",
    "run_dir": "checkpoint checkpoint_dir output out outdir folder directory path dir save_to",
    "out": "run_dir folder output directory",
    "target": "target_energy goal stop_at",
    "state": "initial_state resume optimizer_state",
    "restarts": "n_restarts num_restarts trials starts n_starts",
    "progress": "verbose disp progress_bar show_progress",
    "bounds": "limits constraints",
    "frozen": "fixed fix static freeze",
    "workers": "n_jobs num_workers processes n_workers",
    "approximation": "approx",
    "alpha": "confidence level quantile aggregation",
    "loss": "cost cost_fn loss_fn loss_function",
    "batch_size": "batch minibatch batchsize",
    "per_task": "per_job per_submission",
    "per_circuit": "per_pub",
    "seconds_per_task": "seconds_per_job",
    "data": "X x_train features samples",
    "targets": "y y_train labels target",
    "count": "k num_states n_states nstates states",
    "weights": "betas beta penalties penalty",
}
_OF_QNG = ("learning_rate", "approx", "damping", "step", "refresh", "gradient")
_OF_BUDGET = ("jobs", "circuits", "shots", "seconds", "money", "wall")
_LIMITS = {"max_shots": "shots", "max_jobs": "jobs"}  # and of other numbers of evaluations: circuits


def hinted(thing: _Callable) -> _Callable:
    """For a function, or a class outside `@dataclass`: a keyword that it does not take, or an argument by place that it
    has no place for, is told with what to write.

    Raises:
        TypeError: as Python itself, of such an argument.

    >>> @hinted
    ... def minimize(circuit, *, max_steps=200, optimizer=None): ...
    >>> minimize(None, maxiter=3)
    Traceback (most recent call last):
    TypeError: minimize() got an unexpected keyword argument 'maxiter': write max_steps=…
    """
    name = thing.__name__
    kind: Any = thing
    made: Any = kind.__init__ if isinstance(thing, type) else thing
    code = getattr(made, "__code__", None)
    places = 0 if code is None else code.co_argcount  # with fewer arguments no signature need be read

    @wraps(made)
    def call(*args: Any, **given: Any) -> Any:
        if given:
            _check(made, name, given)
        if len(args) > places:
            _check_places(made, name, args)
        return made(*args, **given)

    if not isinstance(thing, type):
        return call  # type: ignore[return-value]
    kind.__init__ = call
    return thing


def _check(made: Callable[..., Any], name: str, given: Mapping[str, Any]) -> None:
    parameters = _parameters(made)
    if given.keys() <= parameters.keys() or any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    takes = [each for each in parameters if each != "self" and not each.startswith("_")]
    unknown = next(each for each in given if each not in parameters)
    raise TypeError(f"{name}() got an unexpected keyword argument {unknown!r}{suggested(unknown, takes)}")


@cache
def _parameters(made: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """What it takes; Python finds that anew at every call, which rules are made with at every step."""
    return inspect.signature(made).parameters


def _check_places(made: Callable[..., Any], name: str, args: tuple[Any, ...]) -> None:
    parameters = _parameters(made).values()
    placed = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if len(args) <= len(placed) or any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return
    own = placed[1:] if placed[:1] == ["self"] else placed
    more = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name[0] != "_"]
    raise TypeError(
        f"{name}() takes {', '.join(own) or 'nothing'} by place, and got {len(args) - len(placed) + len(own)} values; "
        + (f"write the others by name: {', '.join(more)}" if more else "leave out the others")
    )


def suggested(unknown: str, takes: list[str]) -> str:
    """The end of a message about an unknown keyword: what to write where these are taken, or else what is taken.

    >>> suggested("lr", ["circuit", "optimizer"]), suggested("sed", ["seed"]), suggested("colour", ["seed", "shots"])
    (': write optimizer=qngd.QNG(learning_rate=…)', ': write seed=…', '; it takes seed, shots')
    """
    meant = [ours for ours, theirs in _ELSEWHERE.items() if unknown.lower() in theirs.lower().split()]
    own = [each for each in meant if each in takes]
    if own == ["budget"]:
        return f": write budget=qngd.Budget({_LIMITS.get(unknown, 'circuits')}=…)"
    if own:
        return f": write {own[0]}=…"
    if "optimizer" in takes:
        for each in (unknown, *meant):
            if each in _OF_QNG:
                return f": write optimizer=qngd.QNG({each}=…)"
    if "budget" in takes and unknown in _OF_BUDGET:
        return f": write budget=qngd.Budget({unknown}=…)"
    close = did_you_mean(unknown, takes)
    return f": write {close.split(chr(39))[1]}=…" if close else f"; it takes {', '.join(takes) or 'nothing'}"
