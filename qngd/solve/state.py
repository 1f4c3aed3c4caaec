"""An optimization as explicit state: `new_state, info = optimizer.step(evaluator, state)`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from qngd._system.brief import brief_fields
from qngd._system.seeds import derived
from qngd.errors import SettingError, shown
from qngd.estimates.estimate import Estimate, format_with_error
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.gradients.base import Asked
from qngd.metrics.base import Metric
from qngd.solve.direction import Spectrum


@dataclass(frozen=True, eq=False)
class State:
    """Everything a run goes on from: where it stands, and what its optimizer remembers.

    `evaluations` counts submissions; with the run's `seed` it determines the random numbers of the next. `best` is the
    lowest of the energies met where they are exact, and the last one otherwise: (θ, energy). `finished` is what an
    optimizer with a stopping rule of its own says when it stops, empty until then, and `finished_as` the status that
    this amounts to: "converged", "max_steps" or "stalled".

    `looked` says that the surroundings of this point were looked at and nothing lower was seen; of a sampled run, that
    they were looked at once. `trail` (≤ 10, 4) holds decrease, significance, natural norm and promised decrease
    of the last steps, by which a run that goes on from here knows when to stop, and `made_by` the kind of optimizer
    that can go on, of `problem`, a hash of the circuit and the observable. `stage` numbers the part of a schedule that
    it is in. `used` is the part of its budget, from 0 to 1, that a run has used before its next step, by which
    `qngd.step.AlignedMomentum` plans; None where its end is not known. `ends_at` is the part at which a run that saw
    noise alone is to end, None for all of it.
    """

    step: int
    evaluation: Evaluation
    memory: Mapping[str, np.ndarray]
    evaluations: int
    cost: Cost
    seed: int | None = None
    best: tuple[np.ndarray, float] | None = None
    finished: str = ""
    finished_as: str = "converged"
    looked: bool = False
    trail: np.ndarray | None = None
    made_by: str = ""
    problem: str = ""
    stage: int = 0
    used: float | None = None
    ends_at: float | None = None

    __repr__ = brief_fields

    @property
    def theta(self) -> np.ndarray:
        """The flat parameter vector (P,) where the run stands."""
        return self.evaluation.theta

    @property
    def energy(self) -> float:
        """The energy there."""
        return float(self.evaluation.energy.value)

    @property
    def lowest(self) -> tuple[np.ndarray, float]:
        """The lowest energy met, with its θ: `best`, or where the run stands."""
        return (self.theta, self.energy) if self.best is None else self.best

    def moved(
        self,
        asked: Submissions,
        to: Evaluation,
        memory: Mapping[str, np.ndarray],
        finished: str = "",
        finished_as: str = "converged",
    ) -> State:
        """The state after one more step that spent what `asked` counted and ended at `to`."""
        return replace(
            self.spent(asked),
            step=self.step + 1,
            evaluation=to,
            memory=memory,
            best=self._best_with(asked, float(to.energy.value)),
            finished=finished,
            finished_as=finished_as,
            looked=self.looked and not asked.evaluator.is_exact,
        )

    def continued(self, asked: Submissions, fresh: State) -> State:
        """The state after one more step that spent what `asked` counted and then began anew, as `fresh` did."""
        return replace(
            fresh,
            step=self.step + 1,
            stage=self.stage,
            evaluations=self.evaluations + asked.count + fresh.evaluations,
            cost=self.cost + asked.cost + fresh.cost,
            best=self._best_with(asked, fresh.energy),
        )

    def _best_with(self, asked: Submissions, energy: float) -> tuple[np.ndarray, float] | None:
        """`best` after a step to this energy; None where the lowest is the one that the run stands at."""
        return self.lowest if asked.evaluator.is_exact and not energy < self.lowest[1] else None

    def spent(self, asked: Submissions) -> State:
        """The same state after submissions that led nowhere."""
        return replace(self, evaluations=self.evaluations + asked.count, cost=self.cost + asked.cost)


@dataclass(frozen=True, eq=False)
class StepInfo:
    """What a step saw and did; only for looking.

    `energy` and `stderr` are those after the step, `gradient_norm`, its `significance` (in standard deviations,
    infinite where exact, NaN where the gradient is of circuits chosen by chance), `natural_norm` √(dᵀgd) and `spectrum`
    those it was taken from; `rate` is the learning rate it took, `length` is √(δᵀgδ) and `radius` what bounded it;
    `predicted_decrease` what the rule's model promised and `decrease` what came; `lost` says that the trial had no
    finite energy; `cost` is that of the run so far and `step_cost` its own. What an optimizer without a metric does not
    know is NaN, its spectrum None. `theta` are the parameters after the step, in the structure of theta0; `note` says
    what was unusual about it. Where `energy` is a CVaR, `mean` is that of all energies. `shots_for` says what the
    step's shots were for, as in `Evaluation`; None where there were none, or it is not known.
    """

    step: int
    energy: float
    stderr: float
    decrease: float
    accepted: bool
    cost: Cost
    step_cost: Cost
    gradient_norm: float = np.nan
    significance: float = np.inf
    natural_norm: float = np.nan
    spectrum: Spectrum | None = None
    rate: float = np.nan
    length: float = np.nan
    radius: float = np.inf
    predicted_decrease: float = np.nan
    theta: Any = None
    note: str = ""
    mean: float = np.nan
    lost: bool = False
    shots_for: Mapping[str, int] | None = None

    __repr__ = brief_fields

    def __str__(self) -> str:
        mean = f", mean {self.mean:.6g}" if np.isfinite(self.mean) else ""
        gradient = f", gradient norm {self.gradient_norm:.2g}" if np.isfinite(self.gradient_norm) else ""
        energy = f"energy {format_with_error(self.energy, self.stderr)}"
        return f"step {self.step}: {energy}{mean}{gradient}{'' if self.accepted else ', rejected'}"


def described(
    new: State, here: Evaluation, there: Evaluation, asked: Submissions, *, accepted: bool = True, **known: Any
) -> StepInfo:
    """The info of the step to `new` that tried to go from `here` to `there`, and spent what `asked` counted; `known` is
    what else is known of it."""
    return StepInfo(
        **{
            "step": new.step,
            "energy": new.energy,
            "stderr": float(new.evaluation.energy.stderr),
            "decrease": float(here.energy.value) - float(there.arrived.value),
            "accepted": accepted,
            "lost": not np.isfinite(there.arrived.value),
            "mean": np.nan if new.evaluation.mean is None else float(new.evaluation.mean.value),
            "cost": new.cost,
            "step_cost": asked.cost,
            "shots_for": asked.shots_for,
            "theta": asked.shaped(new.theta),
            **known,
        }
    )


class Optimizer(Protocol):
    """What `minimize` steps. Its settings are frozen; what changes is in the state."""

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there."""

    def preview(self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None, first: bool = False) -> Cost:
        """What a step from θ would spend at most; or, if `first`, the evaluation that `init` makes."""

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """The state after one step, and what the step saw and did."""


def require_state(state: object) -> None:
    """Raise SettingError unless it is a `State`."""
    if not isinstance(state, State):
        raise SettingError(
            f"state: got {shown(state)}; write state = optimizer.init(evaluator), then in the loop "
            "state, info = optimizer.step(evaluator, state)"
        )


def start_at(evaluator: Evaluator, theta: Any) -> np.ndarray:
    """The flat parameter vector (P,) to start from: `theta`, flat or in the user's structure, or the start that the
    evaluator was made with.

    Raises:
        SettingError: it is no evaluator, or there is no start.
        ParameterError: θ does not fit the circuit.
    """
    if not isinstance(evaluator, Evaluator):
        raise SettingError(
            f"evaluator: {type(evaluator).__name__} is none; write evaluator = qngd.evaluator(problem), then "
            "state = optimizer.init(evaluator)"
        )
    theta = evaluator.circuit.example if theta is None else theta
    if theta is None:
        raise SettingError(
            "theta is missing, and the evaluator brings no start; write optimizer.init(evaluator, theta0)"
        )
    return evaluator.circuit.flatten(theta)


def batch_of(state: State) -> int | None:
    """The mini-batch that the step from this state begins with; None where there are none."""
    here = state.evaluation
    # a step without a gradient is tied to no batch: the next begins with the next
    return here.batch if here.batch is None or here.gradient is not None else here.batch + 1


class Submissions:
    """Asks an evaluator on behalf of one step: counts submissions and their cost, and gives each a seed of its own."""

    def __init__(
        self,
        evaluator: Evaluator,
        seed: int | None,
        done: int,
        spread: Spread | None = None,
        batch: int | None = None,
    ) -> None:
        self.evaluator = evaluator.on_batch(batch, seed)
        self.count = 0
        self.cost = Cost()
        self._shots_for: Counter[str] = Counter()
        self._seed = seed
        self._done = done
        self._spread = spread

    @classmethod
    def after(cls, evaluator: Evaluator, state: State) -> Submissions:
        """The submissions of the step from this state; raises SettingError where it is none."""
        require_state(state)
        return cls(evaluator, state.seed, state.evaluations, state.evaluation.spread, batch_of(state))

    def evaluate(self, theta: np.ndarray, *, gradient: Asked, metric: Metric | None) -> Evaluation:
        """The evaluation at θ, with gradient and metric if asked for; NaN, without asking, where θ is not finite."""
        if not np.all(np.isfinite(theta)):
            return Evaluation(theta, Estimate.exact(np.float64(np.nan)), None, None, Cost())
        found = self.evaluator.evaluate(
            theta, gradient=gradient, metric=metric, seed=self.next_seed(), spread=self._spread
        )
        self._count(found.cost, found.shots_for)
        return found

    def _count(self, cost: Cost, shots_for: Mapping[str, int] | None) -> None:
        self.count += 1
        self.cost += cost
        self._shots_for.update(shots_for or {})

    @property
    def shots_for(self) -> dict[str, int] | None:
        """What the shots were for; None where there were none, or that is not known of all of them."""
        known = {name: count for name, count in self._shots_for.items() if count}
        return known if known and sum(known.values()) == self.cost.shots else None

    def energies(self, points: Sequence[np.ndarray]) -> list[Estimate]:
        """The energies at several points, in one submission; NaN, without asking, where one is not finite."""
        if not np.all(np.isfinite(points)):
            return [Estimate.exact(np.float64(np.nan)) for _ in points]
        found, cost = self.evaluator.energies(points, self.next_seed(), self._spread)
        self._count(cost, {"energy": cost.shots})
        return found

    def shaped(self, theta: np.ndarray) -> Any:
        """Flat parameter values (P,) as the user writes them; flat where the circuit does not tell, or cannot."""
        circuit = self.evaluator.circuit
        if circuit.example is None:
            return theta
        try:
            return circuit.unflatten(theta, circuit.example)
        except Exception:  # of other people's arrays: the step is not lost for that
            return theta

    def next_seed(self) -> int | None:
        """A fresh seed for every submission, reproducible as a whole."""
        return derived(self._seed, self._done + self.count)
