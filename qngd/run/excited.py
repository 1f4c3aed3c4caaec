"""Excited states by deflation: each state is the lowest that is orthogonal to those found before (arXiv:1805.08138)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from qngd._system.interrupts import Terminated
from qngd._system.keywords import hinted
from qngd._system.progress import part_of_call
from qngd._system.seeds import derived
from qngd.errors import (
    BackendError,
    SettingError,
    StorageError,
    checked_seed,
    is_number,
    joined,
    shown,
    unboxed,
    whole_number,
)
from qngd.evaluators.arguments import BackendLike, Shots, Whole
from qngd.evaluators.deflated import OF_OBJECTIVES, require_overlaps, require_room
from qngd.evaluators.objectives.objective import Objective
from qngd.evaluators.setup import Setup
from qngd.interop import in_order
from qngd.interop.arguments import Bounds, CircuitLike, Frozen, ObservableLike, Theta
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.problem import Problem
from qngd.run.budget import Budget
from qngd.run.deflation import Found, Search
from qngd.run.directory.paths import as_folder
from qngd.run.reading import RunArguments
from qngd.run.restarts import ends_all
from qngd.run.result import Result, by_run_dir
from qngd.run.stop import StopRule
from qngd.solve.state import Optimizer, StepInfo

_SAME = 0.1  # an overlap from which on two states are not told apart


@dataclass(frozen=True, eq=False)
class ExcitedState(Result):
    """One of several states; what a `Result` has, and its overlaps with the others.

    `energy` and `stderr` are those of the observable; `history` and `infos` tell of what was minimized, which has the
    penalties added.

    Attributes:
        overlaps: |⟨ψ_j|ψ⟩|² (count,) with every state of the list in its order, itself included.
        overlaps_stderr: their standard errors.
        spread: √(⟨H²⟩ − ⟨H⟩²): no further from `energy` lies an eigenvalue. NaN where it is not known: with shots, or
            where the observable flips qubits that the circuit leaves in |0⟩.
        weight: what the later states were lifted off this one by.
    """

    overlaps: np.ndarray = field(default_factory=lambda: np.ones(1))
    overlaps_stderr: np.ndarray = field(default_factory=lambda: np.zeros(1))
    spread: float = float("nan")
    weight: float = 0.0

    __repr__ = Result.__repr__


@hinted
def excited_states(
    problem_or_circuit: Problem | CircuitLike,
    count: Whole,
    observable: ObservableLike | Theta | None = None,
    theta0: Theta | None = None,
    *,
    weights: float | Sequence[float] | None = None,
    restarts: Whole = 3,
    optimizer: Optimizer | str | None = None,
    backend: BackendLike | None = None,
    shots: Shots | None = None,
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
    max_steps: Whole | None = None,
    tol: float = 1e-8,
    gtol: float = 0.0,
    seed: Whole | None = None,
    callback: Callable[[StepInfo], Any] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    budget: Budget | None = None,
    final_shots: Whole | None = None,
    frozen: Frozen | None = None,
    bounds: Bounds | None = None,
) -> list[ExcitedState]:
    """The lowest `count` states of an observable, by variational deflation (arXiv:1805.08138).

    The first is what `minimize` finds. Each further one minimizes ⟨H⟩ + Σ_i w_i·|⟨ψ_i|ψ(θ)⟩|² over the states ψ_i found
    before. That is the lowest state orthogonal to them, if each w_i exceeds the gap from ψ_i to it. A state that the
    circuit cannot reach is not found, and one that was found only roughly spoils those above it.

    Exact backends compute the overlaps from statevectors. Others measure an overlap as the frequency of all zeros after
    the circuit of one state and then the inverse of the other's, which is twice as deep. In every step that takes, for
    each state found before, as many circuits as a gradient, in the same submission.

    Args:
        problem_or_circuit, observable, theta0: as for `minimize`.
        count: the number of states, at most 2ⁿ of n qubits.
        weights: w_i, one number or one for each state but the last, in the order in which they are found. None takes
            1.5 times the distance from ψ_i's energy to a bound of the highest one (the mean eigenvalue plus Σ|c| over
            all strings but the identity), which is always enough. Smaller weights make the landscape less steep.
        restarts: starts for every state: theta0 and random parameters, of which the best is kept.
        optimizer, backend, shots, grouping, cross, max_steps, tol, gtol, seed, callback, budget, frozen, bounds: as for
            `minimize`, for every run; the budget is for all together. Rules for `shots` look at the energy with its
            penalties. Frozen parameters keep the value of theta0 in every state and from every start.
        final_shots: shots per circuit of the measurement that gives every state its energy and overlaps when its run
            has ended; None takes `shots`.
        run_dir: a folder in which state number k is kept in state-k, to be resumed.

    Returns:
        The states in the order of their energies, each a `Result` with overlaps. Fewer where the budget ends, a backend
        fails, or the run is interrupted or stopped: the `status` of the last one found says so. The energy and overlaps
        of one that broke off are NaN where they would have to be measured.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> states = qngd.excited_states(circuit, 2, {"Z": 1.0}, [0.3])
    >>> [round(state.energy, 6) for state in states]
    [-1.0, 1.0]
    """
    arguments = RunArguments(
        problem_or_circuit, *in_order(observable, theta0), optimizer=optimizer,
        setup=Setup(backend, shots, grouping, cross), limits=StopRule.read(max_steps, tol, gtol, None, budget),
        callback=callback, frozen=frozen, bounds=bounds, final_shots=final_shots,
    )  # fmt: skip
    number = _count(count)
    if isinstance(problem_or_circuit, Objective):
        raise SettingError(OF_OBJECTIVES)
    lifts, tries = _weights(weights, number), whole_number(restarts, "restarts", 1)
    return _listed(_found(arguments, number, lifts, tries, checked_seed(seed), run_dir))


def _found(
    arguments: RunArguments, count: int, weights: list[float] | None, tries: int, seed: int | None, run_dir: Any
) -> list[Found]:
    """The states one after the other, until there are `count` or something ends the search, which the last one's note
    says."""
    found: list[Found] = []
    for k in range(count):
        search = Search(arguments.task, tuple(found), _seed_of(seed, k), _folder(run_dir, k), arguments.final_shots)
        if k == 0 and count > 1:  # before the first state is paid for
            require_room(count, search.task.given.circuit, "count")
            require_overlaps(search.task.evaluators[0])
        if k > 0 and not search.task.can_begin(int(search.task.shares_budget)):
            found[-1] = replace(found[-1], note=f"the budget allowed {k} of {count} states")
            break
        try:
            with part_of_call(_name(k)):
                found.append(search.done(tries, count - k - 1, None if weights is None else weights[k]))
        except Terminated as error:
            error.result = _listed(found)
            raise
        except (KeyboardInterrupt, BackendError, StorageError) as error:
            if not found:
                raise
            found[-1] = replace(found[-1], note=f"state {k} was lost: {str(error) or type(error).__name__}")
            break
        if ends_all(found[-1].result, search.task):
            break
    return found


def _count(count: Any) -> int:
    """How many states; raises SettingError for what is no such number, and says where it belongs."""
    if not is_number(unboxed(count)):
        raise SettingError(
            "count: the number of states comes second, as in excited_states(circuit, 3, observable, theta0) or "
            f"excited_states(problem, 3); got {shown(count)}"
        )
    return whole_number(unboxed(count), "count", 1)


def _weights(weights: Any, count: int) -> list[float] | None:
    if weights is None:
        return None
    values = [weights] * (count - 1) if is_number(weights) else weights
    fits = isinstance(values, (list, tuple, np.ndarray)) and len(values) == count - 1
    if not fits or not all(is_number(w) and 0 < w < np.inf for w in values):
        raise SettingError(
            f"weights must be a positive number, or one for each of the first {count - 1} states; got {shown(weights)}"
        )
    return [*map(float, values), 0.0]


def _listed(found: Sequence[Found]) -> list[ExcitedState]:
    """The states by energy, with all overlaps."""
    count = len(found)
    overlaps, errors = np.eye(count), np.zeros((count, count))
    for k, each in enumerate(found):
        overlaps[k, :k] = overlaps[:k, k] = each.overlaps.value
        errors[k, :k] = errors[:k, k] = each.overlaps.stderr
    order = sorted(range(count), key=lambda k: float(np.nan_to_num(found[k].energy.value, nan=np.inf)))
    return [_state(found[k], overlaps[k, order], errors[k, order], place) for place, k in enumerate(order)]


def _state(found: Found, overlaps: np.ndarray, errors: np.ndarray, place: int) -> ExcitedState:
    same = [j for j in np.flatnonzero(overlaps - 3 * errors > _SAME) if j != place]
    notes = [found.result.note, found.note]
    if np.isnan(found.energy.value):
        notes.append("it broke off, and its energy without the penalties was not measured")
    if same:
        notes.append(
            f"it overlaps with state {', '.join(map(str, same))} of the list by {overlaps[same].max():.2g}, so one of "
            "them is no state of the observable: give more steps or restarts, larger weights, or a circuit that "
            "reaches more states"
        )
    known = {each.name: getattr(found.result, each.name) for each in fields(Result)}
    energy, stderr = float(found.energy.value), float(found.energy.stderr)
    known |= {"energy": energy, "stderr": stderr, "mean": energy, "mean_stderr": stderr}
    known["note"], known["message"] = joined(*notes), by_run_dir(found.result.message)
    return ExcitedState(**known, overlaps=overlaps, overlaps_stderr=errors, spread=found.spread, weight=found.weight)


def _seed_of(seed: int | None, k: int) -> int | None:
    """The first state has the seed itself, as `minimize` would."""
    return derived(seed, k, 0) if k else seed


def _folder(run_dir: Any, k: int) -> Any:
    return None if run_dir is None else as_folder(run_dir) / _name(k)


def _name(k: int) -> str:
    return f"state-{k}"
