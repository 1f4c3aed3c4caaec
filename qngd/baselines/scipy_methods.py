"""SciPy's minimizers, one evaluation a step.

SciPy calls the function that it minimizes; a run's loop asks for one step at a time. So SciPy runs in a thread of its
own that halts wherever it asks for an energy. The state remembers every point with its answer: a state that has no
halted SciPy, because it was loaded or is stepped from for the second time, starts one anew and answers from the
record until a point is asked for that is not there. SciPy's methods are deterministic, so this leads to where the
first one stood.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any

import numpy as np
from scipy.optimize import Bounds, minimize

from qngd._system.keywords import hinted
from qngd.baselines.live import Live
from qngd.errors import SettingError, check_word, shown
from qngd.estimates.estimate import rounding
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.evaluators.bounded import held, without_bounds
from qngd.solve.state import State, StepInfo, Submissions, described, require_state, start_at

WITH_GRADIENT = ("L-BFGS-B", "BFGS", "CG", "SLSQP", "TNC")
ENERGY_ONLY = ("COBYLA", "COBYQA", "Nelder-Mead", "Powell")
METHODS = (*WITH_GRADIENT, *ENERGY_ONLY)
_WITHOUT_BOUNDS = ("BFGS", "CG")
_NO_LIMIT = 10**9  # iterations or evaluations: a run has limits of its own
# the options that limit a method, and the statuses by which SciPy (1.13 to 1.17) says that one of them was reached
_LIMITS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "L-BFGS-B": (("maxiter", "maxfun"), (1,)),
    "BFGS": (("maxiter",), (1,)),
    "CG": (("maxiter",), (1,)),
    "SLSQP": (("maxiter",), (9,)),
    "TNC": (("maxfun",), (3,)),
    "COBYLA": (("maxiter",), (2, 3)),
    "COBYQA": (("maxfev", "maxiter"), (5, 6)),
    "Nelder-Mead": (("maxfev", "maxiter"), (1, 2)),
    "Powell": (("maxfev", "maxiter"), (1, 2)),
}


@hinted
@dataclass(frozen=True)
class SciPy:
    """scipy.optimize.minimize, a step being one evaluation: of energy and gradient, or of the energy alone.

    The run stands at the lowest energy met: every other point is a rejected trial, whose `decrease` is unknown (NaN),
    so that the run's `tol` does not take trials for convergence. SciPy's own rule stops the run, with SciPy's message
    and the status "converged", or "stalled" where SciPy says that it failed. The run's `max_steps` limits it, not
    SciPy's own defaults; an option that limits its iterations ends it as "max_steps". With shots the lowest of many
    noisy energies looks lower than it is: evaluate the final θ once more to know its energy. The run's bounds are
    SciPy's, too.

    Args:
        method: "L-BFGS-B", "BFGS", "CG", "SLSQP" or "TNC", which use the gradient; or "COBYLA", "COBYQA",
            "Nelder-Mead" or "Powell", which use energies alone.
        options: SciPy's for this method, such as {"ftol": 1e-12} or, for COBYLA, {"rhobeg": 0.2, "tol": 1e-6}.

    Raises:
        SettingError: SciPy has no such method, or refuses the options.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> round(qngd.minimize(circuit, {"Z": 1.0}, [2.0], optimizer=SciPy("COBYLA", {"rhobeg": 0.3})).energy, 6)
    -1.0
    """

    method: str = "L-BFGS-B"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_word(self.method, METHODS, "method")
        if not isinstance(self.options, Mapping) or not all(isinstance(name, str) for name in self.options):
            raise SettingError(f"options must be a mapping of SciPy's options; got {shown(self.options)}")
        self._try_options()

    @property
    def uses_gradient(self) -> bool:
        """Whether the method asks for gradients."""
        return self.method in WITH_GRADIENT

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there.

        Raises:
            SettingError: the function changes from step to step, as a loss over mini-batches does; or there are bounds,
                and the method keeps to none.
        """
        theta = start_at(evaluator, theta)
        if evaluator.epoch > 1:
            raise SettingError(
                f"batch_size: {self.method} needs the same function at every step; leave batch_size out, or take "
                "qngd.QNG or qngd.baselines.Adam"
            )
        box = _box_of(evaluator)
        if box is not None and self.method in _WITHOUT_BOUNDS:
            raise SettingError(f"bounds: {self.method} keeps to none; take L-BFGS-B, or qngd.QNG")
        theta = _within(theta, box)
        # which wants the whole gradient: parameters are held in the state alone
        asked = Submissions(without_bounds(evaluator), seed, 0)
        first = asked.evaluate(theta, gradient=self.uses_gradient, metric=None)
        record = _Evaluated(theta[None], np.array([float(first.energy.value)]), _slopes(first))
        state = State(0, held(first, evaluator.box), record.memory, asked.count, asked.cost, seed)
        return self._kept(state, _Halted(self, record, box)) if first.is_finite else state

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend."""
        return evaluator.preview(theta, gradient=self.uses_gradient, metric=None, spread=spread)

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """The state after one evaluation, where SciPy asks for it."""
        require_state(state)
        if state.finished:
            raise SettingError(f"state: {self.method} has finished: {state.finished}")
        here, record = state.evaluation, _Evaluated.of(state.memory)
        asked, box = Submissions.after(without_bounds(evaluator), state), _box_of(evaluator)
        halted = self._resumed(state, record, box)
        if halted.message:  # another release of SciPy may need no more than is known
            new = state.moved(asked, here, state.memory, halted.message, halted.ended_as)
            return new, described(new, here, here, asked, accepted=False, decrease=np.nan)
        assert halted.at is not None
        # some methods ask a little outside of their bounds
        there = asked.evaluate(_within(halted.at, box), gradient=self.uses_gradient, metric=None)
        if not there.is_finite:
            new = state.moved(asked, there, state.memory)
            return new, described(new, here, there, asked)
        record, there = record.with_one(halted.at, there), held(there, evaluator.box)
        decrease = float(here.energy.value) - float(there.energy.value)
        accepted = decrease > 0
        halted.advance(record)
        new = self._kept(state.moved(asked, there if accepted else here, record.memory), halted)
        is_real = decrease > rounding(here.energy)
        info = described(
            new, here, there, asked, accepted=accepted, decrease=decrease if is_real else np.nan,
            gradient_norm=np.nan if here.gradient is None else float(np.linalg.norm(here.gradient.value)),
        )  # fmt: skip
        return new, info

    def _resumed(self, state: State, record: _Evaluated, box: Bounds | None) -> _Halted:
        """The SciPy that halted at this state, or a new one brought to where that stood."""
        halted = _LIVE.take(state.memory["points"])
        if halted is None or halted.optimizer != self or not halted.is_alive:
            halted = _Halted(self, record, box)
        return halted

    def _kept(self, state: State, halted: _Halted) -> State:
        """The state with its SciPy to go on with, or with its message."""
        if halted.message:
            return replace(state, finished=halted.message, finished_as=halted.ended_as)
        _LIVE.keep(state.memory["points"], halted)
        return state

    def _try_options(self) -> None:
        """Run the method on a parabola: SciPy says only when it runs that it does not know an option."""

        def parabola(x: np.ndarray) -> Any:
            return (float(x @ x), 2 * x) if self.uses_gradient else float(x @ x)

        _LIVE.clear()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # OptimizeWarning is one, COBYLA's are
                self.run(parabola, np.ones(2))
        except (UserWarning, TypeError, ValueError, ArithmeticError) as error:
            raise SettingError(f"options: {self.method} refuses {dict(self.options)}: {error}") from None

    def run(self, function: Any, start: np.ndarray, box: Bounds | None = None) -> Any:
        """SciPy's result for a function that gives the energy, and the gradient if it is used."""
        jac = True if self.uses_gradient else None
        options = {**self._no_limits(), **self.options}
        return minimize(function, start.copy(), jac=jac, method=self.method, bounds=box, options=options)

    def _no_limits(self) -> dict[str, int]:
        """Options that lift SciPy's own limits on iterations, unless the user has set one."""
        names = _LIMITS[self.method][0]
        return {} if any(name in self.options for name in names) else dict.fromkeys(names, _NO_LIMIT)

    def ended_as(self, outcome: Any) -> str:
        """The status of a run that SciPy ended with this result."""
        if outcome.success:
            return "converged"
        return "max_steps" if outcome.status in _LIMITS[self.method][1] else "stalled"


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """The points (n, P) evaluated so far, their energies (n,) and gradients (n, P) or (n, 0)."""

    points: np.ndarray
    energies: np.ndarray
    gradients: np.ndarray

    @classmethod
    def of(cls, memory: Mapping[str, np.ndarray]) -> _Evaluated:
        """The record that a state's memory holds."""
        return cls(memory["points"], memory["energies"], memory["gradients"])

    @property
    def memory(self) -> dict[str, np.ndarray]:
        """The record as a state's memory."""
        return {"points": self.points, "energies": self.energies, "gradients": self.gradients}

    def with_one(self, at: np.ndarray, found: Evaluation) -> _Evaluated:
        """The record with what was found for one point more (P,)."""
        return _Evaluated(
            np.vstack([self.points, at]),
            np.append(self.energies, float(found.energy.value)),
            np.vstack([self.gradients, _slopes(found)]),
        )

    def answer(self, theta: np.ndarray) -> Any:
        """What is known of θ, as SciPy wants it; None if nothing is."""
        rows = np.flatnonzero((self.points == theta).all(axis=1))
        if not len(rows):
            return None
        energy, slope = float(self.energies[rows[-1]]), self.gradients[rows[-1]]
        return (energy, slope.copy()) if len(slope) else energy


class _Stop(Exception):
    """Ends a SciPy that nobody waits for any more."""


class _Halted:
    """SciPy in a thread of its own, halted where it asks for the unknown point `at` (P,), or done with a `message`.

    There is one at a time: the Fortran COBYLA of SciPy before 1.16 waits for the other to return.
    """

    at: np.ndarray | None = None

    def __init__(self, optimizer: SciPy, record: _Evaluated, box: Bounds | None) -> None:
        _LIVE.clear()
        self.optimizer = optimizer
        self._questions: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self.message = ""
        self.ended_as = ""
        work = (optimizer, record.points[0], box, self._questions, self._answers)
        self._thread = threading.Thread(target=_work, args=work, daemon=True, name="qngd-scipy")
        self._thread.start()
        # the thread holds the queues alone, so it ends once this object is gone
        weakref.finalize(self, self._answers.put, None)
        self.advance(record)

    @property
    def is_alive(self) -> bool:
        """Whether the thread of SciPy still runs; it does not in a process that was forked off."""
        return self._thread.is_alive()

    def advance(self, record: _Evaluated) -> None:
        """Answer from the record up to the next unknown point, or until SciPy returns."""
        if self.at is not None:
            self._answers.put(record.answer(self.at))
        while True:
            asked = self._questions.get()
            if isinstance(asked, tuple):
                self.message, self.ended_as = asked
                return
            if isinstance(asked, BaseException):
                raise asked
            answer = record.answer(asked)
            if answer is None:
                self.at = asked
                return
            self._answers.put(answer)


def _slopes(found: Evaluation) -> np.ndarray:
    """The gradient of an evaluation as a row of the record: (1, P), or (1, 0) without one."""
    return np.zeros((1, 0)) if found.gradient is None else np.asarray(found.gradient.value)[None]


def _box_of(evaluator: Evaluator) -> Bounds | None:
    return None if evaluator.box is None else Bounds(*evaluator.box)


def _within(theta: np.ndarray, box: Bounds | None) -> np.ndarray:
    return theta if box is None else np.clip(theta, box.lb, box.ub)


def _work(
    optimizer: SciPy,
    start: np.ndarray,
    box: Bounds | None,
    questions: SimpleQueue[Any],
    answers: SimpleQueue[Any],
) -> None:
    """What the thread does: SciPy's questions out, answers in; at the end its message and status, or its error."""

    def function(theta: np.ndarray) -> Any:
        questions.put(np.array(theta, dtype=float))
        answer = answers.get()
        if answer is None:
            raise _Stop
        return answer

    try:
        outcome = optimizer.run(function, start, box)
        ended = str(outcome.message) or f"{optimizer.method} has returned", optimizer.ended_as(outcome)
    except _Stop:
        return
    except Exception as error:  # whatever it is, the thread that waits for an answer must get it
        questions.put(error)
        return
    questions.put(ended)


_LIVE: Live[_Halted] = Live()
