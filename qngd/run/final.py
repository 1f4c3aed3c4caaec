"""The end of a run, measured again with shots of its own, after nothing depends on what they show.

Energies that a run has met are no fair guess of where it ended: the lowest is low by luck too, and the last one was
compared with others before it was kept. One more measurement of the point that is given back is unbiased.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from qngd._system.seeds import derived
from qngd.errors import SettingError, whole_number
from qngd.estimates.evaluation import Cost, Evaluation
from qngd.evaluators.base import Evaluator
from qngd.evaluators.given import AnyGiven, evaluators_of
from qngd.evaluators.objectives.given import GivenObjective
from qngd.evaluators.setup import Setup
from qngd.run.measured_once import evaluated_once, kept_evaluation
from qngd.run.store import Nowhere, Store
from qngd.solve.state import State

_OF_ENDS = 2**21  # the number of a submission that no run comes to


@dataclass(frozen=True, eq=False)
class Final:
    """What measures ends with `shots` a circuit: the `evaluators` of a run's stages, and the store that keeps
    what they measure."""

    shots: int
    evaluators: tuple[Evaluator, ...]
    store: Store = field(default_factory=Nowhere)

    def cost(self, theta: np.ndarray) -> Cost:
        """What a measurement takes."""
        return self.evaluators[-1].preview(theta, gradient=False, metric=None, spread=None)

    @cached_property
    def paid(self) -> Cost:
        """What the ends of a stored run have taken before this call."""
        kept = kept_evaluation(self.store)
        return Cost() if kept is None else kept.cost

    def measured(self, state: State, theta: np.ndarray, problem: str, seed: int | None) -> Evaluation:
        """The energy at θ (P,), where the run in this state is said to have ended. Its cost is that of all ends of the
        run; one that the store holds is not measured again.

        Raises:
            BackendError, StorageError: it failed, or cannot be kept.
        """
        evaluator = self.evaluators[min(state.stage, len(self.evaluators) - 1)]

        def measure() -> Evaluation:
            found = evaluator.evaluate(
                theta,
                gradient=False,
                metric=None,
                seed=derived(seed, _OF_ENDS + state.evaluations),
            )
            return replace(found, cost=self.paid + found.cost)

        key = f"{problem} {self.shots} {state.stage} {state.evaluations} {theta.tobytes().hex()}"
        return evaluated_once(self.store, key, state, measure)


def read_final(given: AnyGiven, first: Evaluator, setup: Setup, final_shots: Any, store: Store) -> Final | None:
    """What `final_shots` of `minimize` asks for; `first` answers the run's steps by this setup.

    Raises:
        SettingError: it is no whole number, or energies are exact.
    """
    if final_shots is None:
        return None
    shots = whole_number(final_shots, "final_shots", 1)
    if first.is_exact:
        raise SettingError(
            f"final_shots: the energies of {first.name} are exact, so there is nothing to measure again; give shots=… "
            "too, or leave final_shots out"
        )
    evaluators: tuple[Evaluator, ...]
    setup = replace(setup, shots=shots)
    if isinstance(given, GivenObjective):
        evaluators = (given.evaluator(setup, store.jobs).of_all(),)
    else:
        evaluators = evaluators_of(given, setup, store.jobs)
    return Final(shots, evaluators, store)
