"""From an objective and a start to its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qngd.circuit.chosen import PartOfTheta, chosen
from qngd.circuit.circuit import Circuit
from qngd.circuit.outputs import Outputs
from qngd.circuit.theta import FlatTheta
from qngd.cvar import CVaR
from qngd.errors import CircuitError, ObservableError, SettingError
from qngd.evaluators.objectives.model import DataCircuit, Model
from qngd.evaluators.objectives.objective import Objective
from qngd.evaluators.tail import check_commuting
from qngd.interop import as_observable, is_function
from qngd.interop.losses.loss import Loss
from qngd.interop.samples import Read, read_data, read_samples


def model_of(objective: Objective, theta0: Any, frozen: Any = None) -> Model:
    """An objective at a start.

    Raises:
        CircuitError, ObservableError, SettingError: a part does not fit.
    """
    several = isinstance(objective.circuit, (list, tuple)) and len(objective.circuit) != 1
    natives = list(objective.circuit) if isinstance(objective.circuit, (list, tuple)) else [objective.circuit]
    if not natives:
        raise CircuitError("circuit: the list is empty; give at least one")
    data = read_data(objective.data, objective.inputs)
    are_own = objective.observables is None
    reads = read_samples(natives, theta0, data, are_own)
    names = tuple(dict.fromkeys(name for read in reads for name in read.circuit.parameters))
    structure = reads[0].circuit.structure if reads[0].circuit.parameters == names else FlatTheta(names)
    if isinstance(structure, FlatTheta) and any(map(is_function, natives)):
        _check_arguments(natives, reads, names)
    if theta0 is None:  # as an example
        theta0 = np.zeros(len(names))
    start = structure.flatten(theta0)
    free = ~chosen(objective.frozen if frozen is None else frozen, names, "frozen")
    outputs = _outputs([read.circuit for read in reads], objective.observables, several)
    parts = _parts(reads, names, free, start, outputs, are_own)
    count = None if data is None else data.count
    targets = _targets(objective.targets, count)
    return Model(
        objective=objective,
        parts=tuple(parts),
        num_samples=count,
        num_outputs=sum(map(len, outputs)),
        is_list=several or outputs[0].is_list,
        names=tuple(name for name, is_free in zip(names, free, strict=True) if is_free),
        structure=structure if free.all() else PartOfTheta(structure, free, start, names),
        start=start[free],
        loss=Loss(objective.loss, objective.grad),  # type: ignore[arg-type]  # it was checked
        targets=targets,
        like=theta0,
    )


def _check_arguments(natives: Sequence[Any], reads: Sequence[Read], names: Sequence[str]) -> None:
    """Raise CircuitError where a function has other parameters than the circuits beside it: θ is what it is called
    with."""
    for place, (native, read) in enumerate(zip(natives, reads, strict=True)):
        missing = [name for name in names if name not in read.circuit.parameters]
        if is_function(native) and (missing or list(read.circuit.parameters) != list(names)):
            wrong = f"has no parameter {missing[0]}, which another one has" if missing else "has them in other order"
            raise CircuitError(
                f"circuit: number {place} of the list {wrong}; give functions that take all of θ in the same order, "
                "as in [lambda a, b, x: first(a, x), lambda a, b, x: second(b, x)]"
            )


def can_start_anywhere(objective: Objective) -> bool:
    """Whether its circuits can be read without a start: they are no functions of it."""
    natives = objective.circuit if isinstance(objective.circuit, (list, tuple)) else [objective.circuit]
    return not any(map(is_function, natives))


def _parts(
    reads: Sequence[Read],
    names: Sequence[str],
    free: np.ndarray,
    start: np.ndarray,
    outputs: Sequence[Outputs],
    are_own: bool,
) -> list[DataCircuit]:
    """Every circuit with its samples; where observables `are_own`, a circuit may measure what its sample says."""
    place = {name: i for i, name in enumerate(names)}
    number = np.cumsum(free) - 1  # of the free parameters
    parts, column = [], 0
    for read, own in zip(reads, outputs, strict=True):
        columns = slice(column, column + len(own))
        column = columns.stop
        where = np.array([place[name] for name in read.circuit.parameters], dtype=np.int64)
        kept = where[free[where]]
        for bound, samples in read.at(free[where], start[where]):
            found = bound.circuit.outputs if are_own else own
            if found is None or len(found) != len(own):
                raise ObservableError(
                    f"observables: sample {samples[0]} has another number of outputs than sample 0; give them in the "
                    "Objective, or return as many for every sample"
                )
            parts.append(DataCircuit(bound, samples, columns, found.observables, number[kept], found.shares))
    return parts


def _targets(targets: Any, count: int | None) -> Any:
    if hasattr(targets, "to_numpy"):  # a table's rows are samples by their place, whatever its index calls them
        targets = targets.to_numpy()
    if targets is None or count is None:
        return targets
    if isinstance(targets, (list, tuple)):
        targets = _by_row(targets)
    shape = np.shape(targets)
    if not shape or shape[0] != count:
        raise SettingError(f"targets: there are {count} samples; give a target for each, not an array of shape {shape}")
    return targets


def _by_row(targets: Sequence[Any]) -> np.ndarray:
    """An array whose rows these are, of objects where they differ in length."""
    try:
        return np.asarray(targets)
    except ValueError:
        rows = np.empty(len(targets), dtype=object)
        for number, row in enumerate(targets):
            rows[number] = row
        return rows


def _outputs(circuits: Sequence[Circuit], given: Any, several: bool) -> list[Outputs]:
    """What every circuit gives out."""
    if given is None:
        return [_own_outputs(circuit) for circuit in circuits]
    if not several:
        return [_read_outputs(given, circuits[0])]
    if not _is_list(given):
        return [_read_outputs(given, circuit) for circuit in circuits]
    if len(given) != len(circuits):
        raise ObservableError(
            f"observables: {len(given)} entries for {len(circuits)} circuits; give one observable for all circuits, or "
            "a list with an entry (one, or a list of them) for each"
        )
    return [_read_outputs(each, circuit) for each, circuit in zip(given, circuits, strict=True)]


def _expected(given: Any, circuit: Circuit) -> Outputs:
    """One output."""
    if not isinstance(given, CVaR):
        return Outputs((as_observable(given, circuit),), is_list=False)
    if len(given.stages) > 1:
        raise SettingError(
            f"observables: an Objective goes through no schedule, and this CVaR has alpha={given.alpha}; give one "
            "number, and a run for each: minimize(Objective(…), theta0=result.theta)"
        )
    observable = as_observable(given.observable, circuit)
    check_commuting(observable)
    return Outputs((observable,), is_list=False, shares={0: given.stages[0]})


def _is_list(given: Any) -> bool:
    """Whether it is a list of observables, and no observable itself: pairs of a label and a number are one."""
    if not isinstance(given, (list, tuple)):
        return False
    return not (given and all(_is_pair(each) for each in given))


def _is_pair(each: Any) -> bool:
    return isinstance(each, (list, tuple)) and len(each) == 2 and isinstance(each[0], str)


def _read_outputs(given: Any, circuit: Circuit) -> Outputs:
    if not _is_list(given):
        return _expected(given, circuit)
    if not len(given):
        raise ObservableError("observables: the list is empty; give at least one")
    found = [_expected(each, circuit) for each in given]
    shares = {k: each.shares[0] for k, each in enumerate(found) if each.shares}
    return Outputs(tuple(each.observables[0] for each in found), shares=shares)


def _own_outputs(circuit: Circuit) -> Outputs:
    if circuit.outputs is None:
        hint = (
            "a QNode brings its own if it returns expectation values, or probabilities"
            if circuit.device is None
            else "it must return expectation values, or probabilities, as they are"
        )
        raise ObservableError(
            f"observables: the circuit brings none of its own; give them, as in Objective(circuit, "
            f'[{{"ZI": 1.0}}, {{"IZ": 1.0}}], loss); {hint}'
        )
    return circuit.outputs
