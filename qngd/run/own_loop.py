"""What a loop of one's own asks: the evaluator that optimizers step with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qngd._system.keywords import hinted
from qngd.cvar import CVaR
from qngd.errors import SettingError
from qngd.evaluators.base import Evaluator
from qngd.evaluators.given import evaluator_of, read_any
from qngd.evaluators.objectives.given import GivenObjective
from qngd.evaluators.setup import Setup
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping


@hinted
def evaluator(
    problem_or_circuit: Any,
    observable: Any = None,
    theta0: Any = None,
    *,
    backend: Any = None,
    shots: Any = None,
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
) -> Evaluator:
    """What optimizers ask in a loop of one's own: energy, gradient and metric of a problem on a backend.

    `state = optimizer.init(evaluator, theta0=None, seed=None)` evaluates the start, and `state, info =
    optimizer.step(evaluator, state)` is a step of any optimizer; `info.theta` is in the structure of theta0, as in a
    callback of `minimize`. The evaluator keeps no state of the loop: one serves several optimizers and runs.

    Args:
        problem_or_circuit, observable, theta0, backend, shots, grouping, cross: as in `minimize`.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError, BackendError: an argument does not fit, or it is a
            CVaR with a schedule.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> asked, optimizer = qngd.evaluator(circuit, {"Z": 1.0}, [0.3]), qngd.QNG()
    >>> state = optimizer.init(asked)
    >>> for _ in range(20):
    ...     state, info = optimizer.step(asked, state)
    >>> round(info.energy, 6)
    -1.0
    """
    setup = Setup(backend, shots, grouping, cross)
    given = read_any(problem_or_circuit, observable, theta0)
    if not isinstance(given, GivenObjective):  # whose circuit has it already
        _check_no_schedule(given.target)
        # by which infos have θ in the user's structure
        given = replace(given, circuit=replace(given.circuit, example=given.like))
    return evaluator_of(given, setup)


def _check_no_schedule(target: Any) -> None:
    """Raise SettingError where a CVaR goes from one α to the next: when, only `minimize` knows."""
    if isinstance(target, CVaR) and len(target.stages) > 1:
        raise SettingError(
            f"observable: a loop of your own goes through no schedule, and this CVaR has alpha={target.alpha}; make an "
            "evaluator of each number, and go on with optimizer.init(evaluator, state.theta)"
        )
