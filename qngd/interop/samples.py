"""Circuits with data: which of a circuit's parameters, or of a function's arguments, hold it, and the circuit of every
sample."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd._system.packages import packages_of
from qngd.circuit.bound import BoundCircuit, bind, joined
from qngd.circuit.chosen import columns_of
from qngd.circuit.circuit import Circuit
from qngd.errors import CircuitError, ParameterError, QngdError, SettingError, counted, shown
from qngd.interop import is_function, load_pennylane, wrap, wrap_for
from qngd.interop.arrays import as_numbers
from qngd.interop.circuit_builder import CircuitBuilder


@dataclass(frozen=True, eq=False)
class Data:
    """The samples: columns by the names of what they are for, (B, …) each; None for what goes to whatever follows θ."""

    names: tuple[Any, ...] | None
    columns: tuple[np.ndarray, ...]
    count: int

    def row(self, number: int) -> list[Any]:
        """The data of one sample."""
        return [column[number] for column in self.columns]

    def as_batches(self) -> Data:
        """Every sample as a batch of one, for functions that are written for batches."""
        return Data(self.names, tuple(column[:, None] for column in self.columns), self.count)

    def named(self, names: Collection[Any]) -> Data:
        """Those columns whose names are among these."""
        if self.names is None or len(self.names) != len(self.columns):  # one array may hold several
            return self
        kept = [place for place, name in enumerate(self.names) if name in names]
        return Data(tuple(self.names[k] for k in kept), tuple(self.columns[k] for k in kept), self.count)


@dataclass(frozen=True, eq=False)
class Read:
    """One circuit of an objective, before anything is frozen: `circuit` says how θ is written and what it returns; `at`
    makes the circuits of all samples, with the numbers of these, from the mask of the free parameters and a start."""

    circuit: Circuit
    at: Any


def read_data(data: Any, inputs: Any) -> Data | None:
    """What the user gave as data, as arrays of one length.

    Raises:
        SettingError: it is ragged, empty, or its parts have different lengths.
    """
    if data is None:
        return None
    names: tuple[Any, ...] | None
    data = _by_column(data)
    if isinstance(data, Mapping):
        if inputs is not None:
            raise SettingError("inputs: the keys of data name them already; leave inputs out")
        names, parts = tuple(data), tuple(map(_array, data.values()))
    else:
        parts = tuple(map(_array, data)) if isinstance(data, tuple) else (_array(data),)
        names = None if inputs is None else (inputs,) if _is_one_name(inputs) else tuple(inputs)
    lengths = {len(part) for part in parts}
    if len(lengths) != 1 or not min(lengths):
        raise SettingError(
            f"data: every part needs a row for each sample; got {', '.join(map(str, sorted(lengths)))} rows"
        )
    return Data(names, parts, lengths.pop())


def _by_column(data: Any) -> Any:
    """A list of samples, each a tuple of arguments or a mapping from their names, as a column for each argument.

    Raises:
        SettingError: the samples have different arguments.
    """
    if not isinstance(data, list) or not data:
        return data
    for kind, parts in ((tuple, len), (Mapping, set)):
        if all(isinstance(sample, kind) for sample in data):
            if any(parts(sample) != parts(data[0]) for sample in data):
                raise SettingError("data: every sample needs the same arguments")
            if kind is tuple:
                return tuple(list(column) for column in zip(*data, strict=True))
            return {name: [sample[name] for sample in data] for name in data[0]}
    return data


def _is_one_name(inputs: Any) -> bool:
    return isinstance(inputs, str) or hasattr(inputs, "name") or hasattr(inputs, "params")


def _array(part: Any) -> np.ndarray:
    try:
        array = np.asarray(as_numbers(part))
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.ndim == 0 or array.dtype.kind not in "biufc":
        raise SettingError(
            f"data: give arrays of numbers with a row for each sample, (B, …), or a mapping from names to such; got "
            f"{shown(part)}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise SettingError(f"data: sample {row} holds a number that is NaN or infinite")
    return array


def read_samples(natives: Sequence[Any], theta: Any, data: Data | None, own_outputs: bool = False) -> list[Read]:
    """Circuits with their data, to be read at θ in the user's structure; `own_outputs` says that what they return
    counts. Of several each has those of the data that it has parameters or arguments for.

    Raises:
        CircuitError, ParameterError, SettingError: one cannot be read, or there are no such parameters or arguments.
    """
    if data is None:
        return [_read_alone(native, theta, 1) for native in natives]
    known = [native if is_function(native) else wrap(native) for native in natives]
    circuits = [each for each in known if isinstance(each, Circuit)]
    taken = {place: _taken_by(each, data, len(known)) for place, each in enumerate(known) if is_function(each)}
    held = _held(circuits, _left_by(taken.values(), data, circuits))
    reads = []
    for place, each in enumerate(known):
        if place not in taken:
            reads.append(_read_circuit(each, held, data.count))
        elif taken[place].columns:
            reads.append(_read_called(each, theta, taken[place], own_outputs))
        else:
            reads.append(_read_alone(each, theta, data.count))
    return reads


def _read_called(native: Any, theta: Any, data: Data, own_outputs: bool) -> Read:
    if _makes_circuits(native, data):
        return _one_by_one([wrap(_called(native, data, number)) for number in range(data.count)])
    return _read_function(native, theta if type(theta) is tuple else (theta,), data, own_outputs)


def _read_alone(native: Any, theta: Any, count: int) -> Read:
    """A circuit without data, the same for so many samples."""
    circuit, samples = wrap_for(native, theta), np.arange(count)
    return Read(circuit, lambda free, start: [(bind(circuit, free, np.tile(start, (count, 1))), samples)])


def _read_circuit(circuit: Circuit, held: Mapping[str, np.ndarray], count: int) -> Read:
    """A circuit some of whose parameters hold data, the values (B,) of each by its name."""
    mask = np.array([name in held for name in circuit.parameters], dtype=bool)
    values = np.zeros((count, circuit.num_parameters))
    for column in np.flatnonzero(mask):
        values[:, column] = held[circuit.parameters[column]]

    def at(free: np.ndarray, start: np.ndarray) -> list[tuple[BoundCircuit, np.ndarray]]:
        own, points = np.zeros(len(mask), dtype=bool), values.copy()
        own[~mask] = free
        points[:, ~mask] = start
        return [(bind(circuit, own, points), np.arange(count))]

    return Read(bind(circuit, ~mask, values[:1]).circuit, at)


def _taken_by(function: Any, data: Data, rivals: int) -> Data:
    """The data that a function has arguments for; all of them where it is alone, or they have no names."""
    if data.names is None or rivals == 1:
        return data
    try:
        arguments = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a function that is not Python's
        return data
    return data.named([name for name in data.names if str(name) in arguments])


def _left_by(taken: Collection[Data], data: Data, circuits: Sequence[Circuit]) -> Data:
    """The data that circuits must have parameters for: what no function takes, and what both have.

    Raises:
        SettingError: there is no circuit for it.
    """
    if data.names is None or not taken:
        return data
    names = {name for each in taken for name in each.names or ()}
    left = data.named([name for name in data.names if name not in names or _stands_for_any(name, circuits)])
    if left.names and not circuits:
        raise SettingError(f"data: no circuit has an argument {left.names[0]!r}")
    return left


def _stands_for_any(name: Any, circuits: Sequence[Circuit]) -> bool:
    try:
        columns_of(name, _parameters_of(circuits), "inputs")
    except SettingError:
        return False
    return True


def _parameters_of(circuits: Sequence[Circuit]) -> list[str]:
    """The parameters that circuits have together, the elements of a vector in their order."""
    names = list(dict.fromkeys(name for circuit in circuits for name in circuit.parameters))
    if len(circuits) == 1:
        return names
    stems = list(dict.fromkeys(name.partition("[")[0] for name in names))
    return sorted(names, key=lambda name: (stems.index(name.partition("[")[0]), *_place(name)))


def _place(name: str) -> tuple[int, ...]:
    """The numbers in brackets behind a name."""
    return tuple(map(int, re.findall(r"\[(\d+)\]", name)))


def _held(circuits: Sequence[Circuit], data: Data) -> dict[str, np.ndarray]:
    """The values (B,) of every parameter that holds data."""
    if not circuits:
        return {}
    parameters, found = _parameters_of(circuits), {}
    for columns, part in zip(_columns(parameters, data), data.columns, strict=True):
        if part.dtype.kind == "c":
            raise SettingError("data: complex numbers are no values of parameters; give real ones")
        values = part.reshape(data.count, -1)
        found.update({parameters[column]: values[:, place] for place, column in enumerate(columns)})
    return found


def _columns(parameters: Sequence[str], data: Data) -> list[list[int]]:
    """The parameters that every part of the data is for."""
    if data.names is None:
        raise SettingError(
            f"inputs: name the parameters that hold data, in the order of its columns, as in "
            f'inputs=["{next(iter(parameters), "x")}"]; the circuit\'s are {", ".join(parameters[:8])}'
        )
    found = [columns_of(name, parameters, "inputs") for name in data.names]
    every = [column for columns in found for column in columns]
    if len(set(every)) != len(every):
        raise SettingError("inputs: a parameter is named twice")
    if len(data.columns) == 1 and len(found) != 1:
        found = [every]
    for columns, part in zip(found, data.columns, strict=True):
        width = int(np.prod(part.shape[1:], dtype=int))
        if width != len(columns):
            names = ", ".join(parameters[column] for column in columns[:4]) + (", …" if len(columns) > 4 else "")
            raise SettingError(
                f"data: it has {counted(width, 'number')} a sample, for {counted(len(columns), 'parameter')} "
                f"({names}); give an array of shape (samples, {len(columns)})"
            )
    return found


def _read_function(native: Any, theta: tuple[Any, ...], data: Data, own_outputs: bool) -> Read:
    """A QNode or quantum function: read once with the data as parameters, where these turn gates; where they make up a
    gate or a state, or choose gates, once a sample."""
    reader = load_pennylane("samples")
    names = None if data.names is None else [str(name) for name in data.names]
    arguments = reader.data_arguments(native, names, len(theta), len(data.columns))
    parts = data.columns
    if len(parts) != len(arguments.names):
        raise SettingError(
            f"data: {counted(len(parts), 'array')} for the {counted(len(arguments.names), 'argument')} "
            f"{', '.join(arguments.names)}"
        )
    called = arguments.called(len(theta), [part.shape[1:] for part in parts])
    try:
        return _read_rows(reader, arguments, theta, data, own_outputs)
    except Exception as error:  # often of the function itself
        try:
            if reader.is_of_batches(arguments, theta, data.columns):
                return _read_rows(reader, arguments, theta, data.as_batches(), own_outputs)
        except Exception:  # no function of batches either; what counts is how it fails with one sample
            pass
        error.add_note(called)
        raise


def _read_rows(reader: Any, arguments: Any, theta: tuple[Any, ...], data: Data, own_outputs: bool) -> Read:
    if not any(part.dtype.kind == "c" for part in data.columns):
        try:
            return _joint(reader, arguments, theta, data, own_outputs)
        except (QngdError, *reader.FAILED):
            pass  # the error that counts is that of one sample alone
    return _one_by_one([reader.read_one(arguments, theta, data.row(number)) for number in range(data.count)])


def _makes_circuits(native: Any, data: Data) -> bool:
    """Whether it is a function of a sample alone that returns a circuit, whose parameters are θ."""
    if not is_function(native) or "pennylane" in packages_of(native):
        return False
    try:
        made = _called(native, data, 0)
    except Exception:  # of the user's own function, which takes θ as well
        return False
    return isinstance(made, (Circuit, CircuitBuilder, str)) or "qiskit" in packages_of(made)


def _called(native: Any, data: Data, number: int) -> Any:
    row = data.row(number)
    return native(*row) if data.names is None else native(**dict(zip(map(str, data.names), row, strict=True)))


def _one_by_one(circuits: list[Circuit]) -> Read:
    """Circuits of one sample each."""
    first = circuits[0]
    for number, each in enumerate(circuits):
        if each.parameters != first.parameters:
            raise ParameterError(f"data: sample {number} makes a circuit of other parameters than sample 0")

    def at(free: np.ndarray, start: np.ndarray) -> list[tuple[BoundCircuit, np.ndarray]]:
        return joined([bind(each, free, start[None]) for each in circuits])

    return Read(first, at)


def _joint(reader: Any, arguments: Any, theta: tuple[Any, ...], data: Data, own_outputs: bool) -> Read:
    joint, structure = reader.read_joint(arguments, theta, data.row(0))
    if joint.angle_map.expressions.branches:
        raise CircuitError("circuit: a value decides which gates there are")  # so a sample may have others
    if own_outputs and joint.outputs is None:
        raise CircuitError("circuit: what it returns follows the data")  # or cannot be read at all
    values = np.concatenate([part.reshape(data.count, -1) for part in data.columns], axis=1).astype(float)
    count = joint.num_parameters - values.shape[1]
    moved = np.zeros(joint.num_parameters, dtype=bool)
    moved[:count] = True
    start = np.zeros((data.count, joint.num_parameters))
    start[:, count:] = values

    def at(free: np.ndarray, theta0: np.ndarray) -> list[tuple[BoundCircuit, np.ndarray]]:
        own, points = moved.copy(), start.copy()
        own[:count] = free
        points[:, :count] = theta0
        return [(bind(joint, own, points), np.arange(data.count))]

    own = bind(joint, moved, start[:1], structure).circuit
    return Read(own, at)
