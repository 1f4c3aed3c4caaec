"""A run that lowers somebody else's function with the metric of a circuit, as SciPy's `minimize` is called."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from qngd.circuit.chosen import sides_of
from qngd.circuit.circuit import Circuit
from qngd.circuit.theta import as_flat
from qngd.errors import ParameterError, QngdWarning, SettingError, checked_seed, did_you_mean, require_range, shown
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.differences import common_divisor, turns_of
from qngd.evaluators.function import FunctionEvaluator, check_same_parameters
from qngd.evaluators.given_function import Function
from qngd.evaluators.noise import look_at
from qngd.evaluators.setup import Setup
from qngd.interop import wrap, wrap_for
from qngd.interop.given import Given
from qngd.run.identity import RunIdentity
from qngd.run.loop import carry_out
from qngd.run.optimizers import as_optimizer
from qngd.run.result import Result, Status
from qngd.run.stop import StopRule
from qngd.run.store import Nowhere
from qngd.run.task import Task
from qngd.solve.state import StepInfo

_SUCCESS = (Status.CONVERGED, Status.TARGET, Status.NOISE)
_CODES = {Status.MAX_STEPS: 1, Status.STOPPED: 99}  # SciPy's own; 0 for success, 2 for the rest
_OPTIONS = {"maxiter": "max_steps", "tol": "tol", "gtol": "gtol", "seed": "seed"}
_FULL_TURN = 2 * np.pi
_FROZEN = (
    "fun is rough, and yet the same when it is asked again: it has a fixed seed and returns the same noise on every "
    "call, so that the run adapts to this noise and ends with a value that is too low; leave the seed out of the "
    "sampler, or give it a generator: seed=np.random.default_rng(1). If fun is exact, say so: stderr=0"
)


@dataclass(frozen=True)
class Settings:
    """How such a run goes; see `qngd.scipy.method`."""

    optimizer: Any = None
    backend: Any = None
    shots: Any = None
    stderr: float | None = None
    max_steps: int = 200
    tol: float = 1e-8
    gtol: float = 0.0
    target: float | None = None
    seed: int | None = None
    callback: Callable[[StepInfo], Any] | None = None

    def __post_init__(self) -> None:
        as_optimizer(self.optimizer)
        self.limits()
        checked_seed(self.seed)
        if self.stderr is not None:
            require_range(self.stderr, "stderr", "a number of at least 0", lambda value: 0 <= value < np.inf)
        if self.callback is not None and not callable(self.callback):
            raise SettingError(f"callback must be a function of a step's StepInfo; got {shown(self.callback)}")

    def limits(self) -> StopRule:
        return StopRule.read(self.max_steps, self.tol, self.gtol, self.target, None)

    def with_options(self, options: Mapping[str, Any]) -> Settings:
        """With SciPy's options for one call in place of what was set.

        Raises:
            SettingError: there is no such option.
        """
        options = {name: value for name, value in options.items() if name not in ("disp", "return_all")}
        for name in options:
            if name not in _OPTIONS:
                close = did_you_mean(name, _OPTIONS)
                raise SettingError(f"options: {name!r} is none of {', '.join(_OPTIONS)}.{close}")
        return replace(self, **{_OPTIONS[name]: value for name, value in options.items() if value is not None})


def wrapped(circuit: Any) -> list[Any]:
    """The circuit, or those of a list, in neutral form as far as that needs no parameter values."""
    natives = list(circuit) if isinstance(circuit, (list, tuple)) else [circuit]
    return [native if callable(native) else wrap(native) for native in natives]


def minimize_function(
    circuits: Sequence[Any],
    fun: Callable[..., Any],
    x0: Any,
    jac: Callable[..., Any] | None,
    bounds: Any,
    settings: Settings,
    callback: Callable[..., Any] | None = None,
) -> OptimizeResult:
    """SciPy's result of lowering `fun`.

    Raises:
        ParameterError, SettingError: an argument does not fit.
    """
    _check_functions(fun, jac, len(circuits))
    start = as_flat(np.atleast_1d(np.asarray(x0)), np.size(x0))
    natives = [wrap_for(native, start) for native in circuits]
    check_same_parameters(natives, len(start))
    function = Function(fun, jac, box_of(natives[0], bounds))
    look = look_at(function, natives[0], start, settings.stderr)
    if look.is_frozen:
        warnings.warn(_FROZEN, QngdWarning, stacklevel=2)
    setup = Setup(settings.backend, settings.shots)
    metrics = [evaluator_for(one, None, setup) for one in natives]
    optimizer, seed = as_optimizer(settings.optimizer), checked_seed(settings.seed)
    # the energy is the function's: the observable stands in for it where a run's state says which problem it is of
    given = Given("function", natives[0], {"I" * natives[0].num_qubits: 1.0}, start, start)
    task = Task(
        given=given,
        optimizer=optimizer,
        evaluators=(FunctionEvaluator(function, metrics, look),),
        limits=settings.limits(),
        seed=seed,
        callback=_told(settings.callback, callback, function.within),
        store=Nowhere(),
        before=None,
        identity=RunIdentity(given, optimizer, {"seed": seed}),
    )
    return _as_scipys(carry_out(task), function)


def _check_functions(fun: Any, jac: Any, num_circuits: int) -> None:
    """Raise SettingError where they are no functions, or a gradient is missing that must be given."""
    if not callable(fun):
        raise SettingError(f"fun must be a function of the parameters; got {shown(fun)}")
    if jac is not None and not callable(jac):
        raise SettingError(f"jac must be a function of the parameters, True or None; got {shown(jac)}")
    if num_circuits > 1 and jac is None:
        raise SettingError("jac is missing: the gradient of a function of several circuits must be given")


def box_of(circuit: Circuit, bounds: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The map of parameters (P,) into their bounds, by whole periods, which change nothing.

    Raises:
        ParameterError: bounds are narrower than the period, or not those of P parameters.
    """
    count = circuit.num_parameters
    low, high = _limits(bounds, count)
    bounded = np.isfinite(low) | np.isfinite(high)
    if not bounded.any():
        return lambda theta: np.array(theta)
    periods = _periods(circuit)
    for j in np.flatnonzero(bounded & (high - low < periods * (1 - 1e-9))):
        period = f"{periods[j]:.6g}" if np.isfinite(periods[j]) else "none that is known"
        raise ParameterError(
            f"bounds: those of {circuit.parameters[j]}, {low[j]:.6g} to {high[j]:.6g}, are narrower than its period "
            f"({period}), and the natural gradient keeps to none; leave bounds out, or give (None, None) there"
        )
    edge = np.where(np.isfinite(low), low, high - periods)

    def within(theta: np.ndarray) -> np.ndarray:
        outside = bounded & ((theta < low) | (theta > high))
        turned = theta - np.where(outside, periods * np.floor((theta - edge) / np.where(outside, periods, 1.0)), 0.0)
        return np.where(outside, np.clip(turned, low, high), theta)  # rounding may lead past an edge

    return within


def _limits(bounds: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """SciPy's `Bounds`, or pairs in which None is no bound, as two arrays (P,)."""
    if bounds is None:
        return np.full(count, -np.inf), np.full(count, np.inf)
    try:
        if hasattr(bounds, "lb"):
            pairs = np.broadcast_arrays(np.asarray(bounds.lb, dtype=float), bounds.ub, np.zeros(count))
            low, high = pairs[0], np.asarray(pairs[1], dtype=float)
        else:
            low, high = (np.array(side, dtype=float) for side in sides_of(bounds))
    except (TypeError, ValueError, IndexError):
        raise ParameterError(f"bounds must be pairs (low, high), one a parameter; got {shown(bounds)}") from None
    if low.shape != (count,) or not np.all(low <= high):
        raise ParameterError(f"bounds must be {count} pairs with low <= high, one a parameter; got {shown(bounds)}")
    return low, high


def _periods(circuit: Circuit) -> np.ndarray:
    """By what each parameter can be moved without changing an energy, (P,): 2π/ω where all its rotations turn by
    multiples of ωθ, infinite where nothing is known."""
    if not circuit.angle_map.is_affine:
        return np.full(circuit.num_parameters, np.inf)
    bases = map(common_divisor, turns_of(circuit, np.zeros(circuit.num_parameters)))
    return np.array([_FULL_TURN / base if base else np.inf for base in bases])


def _told(
    ours: Callable[[StepInfo], Any] | None, scipys: Callable[..., Any] | None, within: Callable[..., np.ndarray]
) -> Callable[[StepInfo], Any] | None:
    """Both callbacks as one of ours; SciPy's stops the run by StopIteration or a true value."""
    if scipys is None:
        return ours
    named = _wants_a_result(scipys)

    def told(info: StepInfo) -> Any:
        stop = False if ours is None else ours(info)
        at = within(info.theta)
        try:
            answer = scipys(intermediate_result=OptimizeResult(x=at, fun=info.energy)) if named else scipys(at)
        except StopIteration:
            return True
        return stop or answer

    return told


def _wants_a_result(callback: Callable[..., Any]) -> bool:
    """SciPy's rule: the one parameter is called intermediate_result."""
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):  # of a function that is not Python's
        return False


def _as_scipys(result: Result, function: Function) -> OptimizeResult:
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt  # the loop around this one must end too
    slope = result.state.evaluation.gradient
    return OptimizeResult(
        x=function.within(np.asarray(result.theta)),
        fun=result.energy,
        jac=None if slope is None else np.asarray(slope.value),
        nit=result.steps,
        nfev=function.num_energies,
        njev=function.num_gradients,
        success=result.status in _SUCCESS,
        status=0 if result.status in _SUCCESS else _CODES.get(result.status, 2),
        message=result.message,
        stderr=result.stderr,
        result=result,
    )
