"""The neutral form of a circuit: Pauli rotations, an angle map, and layers.

    |ψ(θ)⟩ = C · R_K(φ_K) ⋯ R_1(φ_1) |0…0⟩,   R_k(φ) = exp(−i φ/2 · P_k),   φ = φ(θ),   J = ∂φ/∂θ

The P_k are Pauli strings with every Clifford gate of the circuit pushed to the end (into C, which
acts on the observable alone). Qubit 0 is the least significant bit of a basis index and the
rightmost letter of a label.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from qngd._system.brief import brief_fields
from qngd._system.html import columns_table
from qngd.circuit.angles import AngleMap
from qngd.circuit.builder import Gate, OpsBuilder
from qngd.circuit.frame import Frame, push
from qngd.circuit.layering import assign_layers, running_order
from qngd.circuit.observable import Observable
from qngd.circuit.ops import Ops
from qngd.circuit.outputs import Outputs
from qngd.circuit.pauli import LETTERS, PauliStrings
from qngd.circuit.split import SplitGates, find_split_gates
from qngd.circuit.units import assign_units
from qngd.errors import ObservableError, ParameterError, counted, shown

_FIXED_SHOWN = 6  # names of fixed arguments in a circuit's text
_LAYERS_SHOWN, _ROTATIONS_SHOWN = 20, 20_000  # in a notebook


class ThetaStructure(Protocol):
    """How the user writes parameter values, and how that maps to a flat vector of P numbers."""

    def flatten(self, theta: Any) -> np.ndarray:
        """The values as a flat float array (P,); raises ParameterError where they do not fit."""

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        """The flat values in the structure of `like`, which is what `flatten` was given."""

    def split(self, flat: np.ndarray) -> Any:
        """The flat values by arguments."""


@dataclass(frozen=True)
class FlatTheta:
    """Parameter values as one array in the order of `names`, or as a mapping from parameters, or their names, to
    values; a whole vector of parameters (Qiskit's `ParameterVector`) has an array of values."""

    names: tuple[str, ...]

    def flatten(self, theta: Any) -> np.ndarray:
        if isinstance(theta, Mapping):
            given = values_by_name(theta)
            missing = [name for name in self.names if name not in given]
            unknown = [name for name in given if name not in self.names]
            if missing or unknown:
                raise ParameterError(
                    f"theta: missing {missing or 'none'}, unknown {unknown or 'none'}; "
                    f"the circuit's parameters are {list(self.names)}"
                )
            theta = [given[name] for name in self.names]
        return as_flat(theta, len(self.names), self.names)

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        if isinstance(like, Mapping):
            order = dict(zip(self.names, flat, strict=True))
            return {
                key: np.array([order[name] for name in _names_of(key)])
                if _is_vector(key)
                else float(order[_name_of(key)])
                for key in like
            }
        return np.array(flat)

    def split(self, flat: np.ndarray) -> Any:
        return np.array(flat)


def _is_vector(key: Any) -> bool:
    return hasattr(key, "params")


def _name_of(key: Any) -> str:
    return str(getattr(key, "name", key))


def _names_of(key: Any) -> list[str]:
    return [_name_of(parameter) for parameter in key.params] if _is_vector(key) else [_name_of(key)]


def values_by_name(theta: Mapping[Any, Any]) -> dict[str, Any]:
    """A mapping from parameters, their names or whole vectors of them to values, by the names of the parameters.

    Raises:
        ParameterError: a vector has another number of values.
    """
    return {name: value for key, values in theta.items() for name, value in _named_values(key, values)}


def _named_values(key: Any, values: Any) -> list[tuple[str, Any]]:
    """A mapping's entry, one by one where it is a vector of parameters."""
    if not _is_vector(key):
        return [(_name_of(key), values)]
    names = _names_of(key)
    try:
        return list(zip(names, values, strict=True))
    except (TypeError, ValueError):
        shape = np.shape(values)
        raise ParameterError(
            f"theta: {_name_of(key)} has {counted(len(names), 'element')}; got values of shape {shape}"
        ) from None


def as_flat(theta: Any, count: int, names: Sequence[str] = ()) -> np.ndarray:
    """`theta` as a float array of shape (count,); raises ParameterError saying what is wrong with it, and what the
    parameters are called where `names` has them."""
    try:
        values = np.asarray(theta)
        if np.iscomplexobj(values) or (values.dtype == object and any(value is None for value in values.flat)):
            raise TypeError
        values = values.astype(float)
    except (TypeError, ValueError):
        raise ParameterError(f"theta must be {count} real numbers; got {shown(theta)}") from None
    if values.shape != (count,):
        order = f", one number each for {_in_order(names)}" if names else ""
        raise ParameterError(f"theta must have shape ({count},){order}; got {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ParameterError(f"theta[{bad[0]}] is {values[bad[0]]}; parameters must be finite")
    return values


def _in_order(names: Sequence[str]) -> str:
    """Names in a message, those in the middle left out where they are many."""
    return ", ".join(names if len(names) <= 8 else [*names[:3], "…", names[-1]])


@dataclass(frozen=True)
class Rotation:
    """One Pauli rotation exp(−i φ/2 · P) of a circuit.

    `gate` is the user's gate, number `position` in the circuit counting from 0, on `gate_qubits`. `pauli` and
    `qubits` say how it acts (letter i on qubits[i]); `generator` is the label
    with the Clifford gates pushed to the end; `angle` is φ as text; `moves` whether a parameter moves it.
    """

    index: int
    gate: str
    position: int
    gate_qubits: tuple[int, ...]
    pauli: str
    qubits: tuple[int, ...]
    angle: str
    generator: str
    moves: bool
    layer: int

    def __str__(self) -> str:
        gate = f"{self.gate} #{self.position} on {', '.join(map(str, self.gate_qubits))}"
        turn = f"R_{self.pauli}({self.angle})"
        if self.qubits != self.gate_qubits:
            turn += f" on {', '.join(map(str, self.qubits))}"
        return f"{gate}: {turn}"


@dataclass(frozen=True)
class Layer:
    """Commuting rotations with parameters, measured by one circuit: a block of the metric."""

    index: int
    rotations: tuple[Rotation, ...]
    parameters: tuple[str, ...]

    __repr__ = brief_fields

    def __len__(self) -> int:
        return len(self.rotations)

    def __str__(self) -> str:
        names = self.parameters
        rotations = counted(len(self), "rotation")
        parameters = counted(len(names), "parameter")
        shown = names if len(names) <= 6 else (*names[:3], "…", names[-1])
        head = f"layer {self.index}: {rotations}, {parameters} ({', '.join(shown)})"
        return "\n".join([head, *(f"  {rotation}" for rotation in self.rotations)])

    def row(self) -> tuple[str, str, str, str]:
        """Its number, how many rotations it has, their gates and its parameters, for a table."""
        gates = Counter(rotation.gate for rotation in self.rotations)
        shown = self.parameters if len(self.parameters) <= 6 else (*self.parameters[:3], "…", self.parameters[-1])
        kinds = ", ".join(f"{count} {gate}" for gate, count in gates.most_common(4))
        more = f" and {len(gates) - 4} more kinds" if len(gates) > 4 else ""
        return str(self.index), str(len(self)), kinds + more, ", ".join(shown)


@dataclass(frozen=True, eq=False)
class Circuit:
    """A circuit in neutral form; `qngd.wrap` makes it. Nothing in it is of size 2ⁿ.

    Attributes:
        num_qubits: n.
        parameters: the P parameter names, in flattened order.
        ops: the circuit as the user ordered it, for devices.
        gates: the user's gates, for messages.
        generators: the K strings P_k, with their signs.
        angle_map: φ(θ) and its Jacobian.
        moving: (K,) whether a parameter moves the rotation.
        unit: (K,) unit of the rotation: the commuting rotations of one gate that one parameter moves share it.
        level: (K,) layer of a moving rotation; slab (just before that layer) of a fixed one.
        order: (K,) the order in which to run the rotations so that layers follow each other.
        frame: the Clifford C at the end.
        structure: how the user writes θ.
        observable: what the user's own circuit measures, or None.
        device: the user's own device, or None; device_shots: the shots that go with it.
        example: parameter values in the user's structure, or None.
        wires: the user's labels of the qubits in their order, or None where qubits are numbers.
        fixed: the names of arguments, or of parts of them, that are no parameters.
        no_observable: why the user's own circuit brings no observable, and what to write, or nothing.
        native: the user's own circuit where a device can run it as it is, or None.
        numbers: the qubits' numbers in the user's circuit, or None where they are 0…n−1: see `active`.
        read_outputs: reads all that the user's own circuit returns, see `outputs`; None where it returns nothing.
    """

    num_qubits: int
    parameters: tuple[str, ...]
    ops: Ops
    gates: tuple[Gate, ...]
    generators: PauliStrings
    angle_map: AngleMap
    moving: np.ndarray
    unit: np.ndarray
    level: np.ndarray
    order: np.ndarray
    frame: Frame
    structure: ThetaStructure
    observable: Observable | None = None
    device: Any = None
    device_shots: int | None = None
    example: Any = field(default=None, repr=False)
    wires: tuple[Any, ...] | None = None
    fixed: tuple[str, ...] = ()
    no_observable: str = ""
    native: Any = field(default=None, repr=False)
    numbers: tuple[int, ...] | None = None
    read_outputs: Callable[[], Outputs | None] | None = field(default=None, repr=False)

    @property
    def num_parameters(self) -> int:
        return len(self.parameters)

    @cached_property
    def outputs(self) -> Outputs | None:
        """All that the user's own circuit returns, where that is made of expectation values, else None. Read when it is
        asked for: probabilities are many observables."""
        return None if self.read_outputs is None else self.read_outputs()

    @property
    def num_layers(self) -> int:
        return int(self.level[self.moving].max()) + 1 if self.moving.any() else 0

    @property
    def num_rotations(self) -> int:
        """How many `rotations` there are."""
        if not self.angle_map.is_affine:
            return len(self.generators)
        return int(np.maximum(np.diff(self.angle_map.pattern.indptr), 1).sum())

    def __repr__(self) -> str:
        fixed = [*self.fixed[:_FIXED_SHOWN], "…"] if len(self.fixed) > _FIXED_SHOWN else self.fixed
        return (
            f"Circuit(num_qubits={self.num_qubits}, num_parameters={self.num_parameters}, "
            f"rotations={self.num_rotations}, layers={self.num_layers}"
            f"{', fixed=(' + ', '.join(fixed) + ')' if fixed else ''})"
        )

    def _repr_html_(self) -> str:
        """For notebooks: the layers, with their rotations and parameters."""
        title = (
            f"Circuit: {counted(self.num_qubits, 'qubit')}, {counted(self.num_parameters, 'parameter')}, "
            f"{counted(self.num_rotations, 'rotation')}, {counted(self.num_layers, 'layer')}"
        )
        if self.num_rotations > _ROTATIONS_SHOWN:
            return columns_table(title, (), [("layers", "too many rotations to list; see .layers")])
        rows = [layer.row() for layer in self.layers[:_LAYERS_SHOWN]]
        if len(self.layers) > _LAYERS_SHOWN:
            rows.append(("…", f"{len(self.layers) - _LAYERS_SHOWN} more layers", "", ""))
        return columns_table(title, ("layer", "rotations", "gates", "parameters"), rows)

    def with_angles(self, angle_map: AngleMap) -> Circuit:
        """The same circuit at other angles that the same parameters move: what is known of its structure stays
        known."""
        found = copy.copy(self)
        for name in ("rotations", "layers", "_affine_constant"):
            vars(found).pop(name, None)
        vars(found).update(angle_map=angle_map)
        return found

    def flatten(self, theta: Any) -> np.ndarray:
        """Parameter values in the user's structure as a flat array (P,).

        Raises:
            ParameterError: they do not fit the circuit.
        """
        return self.structure.flatten(theta)

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        """A flat array (P,) in the structure of `like`."""
        return self.structure.unflatten(flat, like)

    def split(self, flat: np.ndarray) -> Any:
        """A flat array (P,), such as a gradient, by the user's arguments, as `qml.grad` gives it: one part for each
        argument that holds parameters, in a tuple unless it is one; inside lists and dicts, None stands in the place
        of what is no parameter. Where the parameters are one array already, it comes back as it is.

        Raises:
            ParameterError: it has another number of values.
        """
        if np.shape(flat) != (self.num_parameters,):
            raise ParameterError(f"flat must have shape ({self.num_parameters},); got {np.shape(flat)}")
        return self.structure.split(np.asarray(flat))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises TypeError: other packages that are handed a circuit where they want a function say less."""
        raise TypeError(
            "a Circuit is no function; for a metric tensor in PennyLane's QNGOptimizer write "
            "metric_tensor_fn=lambda *args: qngd.metric_tensor(circuit, args), for a cost function "
            "lambda *args: float(qngd.expectation(circuit, None, args))"
        )

    def pull(self, observable: Observable) -> Observable:
        """C†HC: the observable as the rotations alone see it.

        Raises:
            ObservableError: it has another number of qubits than the circuit.
        """
        self.check(observable)
        return Observable.from_strings(self.frame.pull(observable.strings), observable.coefficients)

    def check(self, observable: Observable) -> None:
        """Raise ObservableError unless the observable acts on as many qubits as the circuit has."""
        if observable.num_qubits == self.num_qubits:
            return
        remedy = "write one letter for each qubit, the rightmost for qubit 0 and I where nothing acts"
        missing = self.num_qubits - observable.num_qubits
        if getattr(self.native, "layout", None) is not None:
            remedy = (
                "those are a device's: where it was transpiled, give H.apply_layout(isa.layout), with the "
                "SparsePauliOp H and the circuit isa"
            )
        elif 0 < missing <= 20:
            (label,) = observable.strings[-1:].labels()
            remedy += f": {'I' * missing + label!r} in the place of {label!r}"
        raise ObservableError(
            f"observable: it acts on {counted(observable.num_qubits, 'qubit')}, the circuit has {self.num_qubits}; "
            f"{remedy}"
        )

    @cached_property
    def rotations(self) -> tuple[Rotation, ...]:
        """All rotations in the user's order, those that no parameter moves included.

        One whose angle is a sum over parameters, R_P(a + b) = R_P(a)·R_P(b), appears once for each of them (with
        the same `index`); one with a nonlinear angle appears once.
        """
        labels = self.generators.labels()
        made = []
        for k, position in enumerate(self.ops.rotations):
            gate_index = int(self.ops.gate[position])
            gate = self.gates[gate_index]
            common = Rotation(
                index=k,
                gate=gate.name,
                position=gate_index,
                gate_qubits=gate.qubits,
                pauli="".join(LETTERS[code] for code in self.ops.letters_of(position)),
                qubits=tuple(int(q) for q in self.ops.qubits_of(position)),
                angle="",
                generator=("-" if self.generators.sign[k] < 0 else "") + labels[k],
                moves=bool(self.moving[k]),
                layer=int(self.level[k]),
            )
            made += [replace(common, angle=text) for text in self._angle_texts(k)]
        return tuple(made)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in running order."""
        members: list[list[Rotation]] = [[] for _ in range(self.num_layers)]
        for rotation in self.rotations:
            if rotation.moves:
                members[rotation.layer].append(rotation)
        pattern = self.angle_map.pattern
        made = []
        for index, rotations in enumerate(members):
            columns = sorted({int(c) for r in rotations for c in _row(pattern, r.index)[0]})
            names = tuple(self.parameters[c] for c in columns)
            made.append(Layer(index, tuple(rotations), names))
        return tuple(made)

    @cached_property
    def split_gates(self) -> SplitGates:
        """Gates whose parameter turns in several layers."""
        gate = self.ops.gate[self.ops.rotations]
        return find_split_gates(gate, self.generators, self.level, self.angle_map.pattern)

    def block_of(self, diagonal: bool) -> np.ndarray:
        """(K,) numbers: the rotations of a layer with the same one form a block of the block-diagonal metric (or of
        its diagonal), together with those of other layers if it is a split gate's, whose numbers come first."""
        return self._blocks[1 if diagonal else 0]

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        of_layers, of_units = (
            np.where(self.split_gates.block >= 0, self.split_gates.block, others + len(self.split_gates))
            for others in (np.zeros_like(self.unit), self.unit)
        )
        return of_layers, of_units

    @property
    def split_note(self) -> str:
        """What a metric by blocks leaves out inside single gates, or nothing."""
        gates = self.split_gates.left_out
        if not gates:
            return ""
        names = [f"{self.gates[i].name} #{i}" for i in gates[:3]] + ["…"] * (len(gates) > 3)
        return (
            f"a parameter of {', '.join(names)} turns in several layers, and the correlations between them are left "
            'out: approx="full" has them'
        )

    def _angle_texts(self, k: int) -> list[str]:
        """The angle of rotation k for people, one text for each parameter it is a sum over."""
        columns, values = _row(self.angle_map.pattern, k)
        names = [self.parameters[c] for c in columns]
        if not self.angle_map.is_affine:
            return [f"f({', '.join(names)})" if names else f"{self.angle_map.constant[k]:.6g}"]
        constant = float(self._affine_constant[k])
        texts = [_scaled(v, name) for name, v in zip(names, values, strict=True)]
        if not texts:
            return [f"{constant:.6g}"]
        if abs(constant) > 1e-15:
            texts[0] += f" {'-' if constant < 0 else '+'} {abs(constant):.6g}"
        return texts

    @cached_property
    def _affine_constant(self) -> np.ndarray:
        return self.angle_map(np.zeros(self.num_parameters))


def _scaled(factor: float, name: str) -> str:
    if abs(factor) == 1:
        return name if factor > 0 else f"-{name}"
    return f"{factor:.6g}*{name}"


def _row(matrix: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    span = slice(matrix.indptr[k], matrix.indptr[k + 1])
    return matrix.indices[span], matrix.data[span]


def finish(
    builder: OpsBuilder,
    angle_map: AngleMap,
    parameters: Sequence[str],
    structure: ThetaStructure | None = None,
    **more: Any,
) -> Circuit:
    """The circuit that a reader has built: push the Clifford gates, find the layers.

    `more` may hold `observable`, `device`, `example` (parameter values in the user's structure),
    `wires` (the user's labels of the qubits) and `native`.
    """
    ops = builder.ops()
    generators, frame = push(ops, builder.num_qubits)
    moving = np.diff(angle_map.pattern.indptr) > 0
    unit = assign_units(ops.gate[ops.rotations], generators, angle_map.pattern)
    level = assign_layers(ops, generators, moving, unit)
    return Circuit(
        num_qubits=builder.num_qubits,
        parameters=tuple(parameters),
        ops=ops,
        gates=tuple(builder.gates),
        generators=generators,
        angle_map=angle_map,
        moving=moving,
        unit=unit,
        level=level,
        order=running_order(level, moving),
        frame=frame,
        structure=structure or FlatTheta(tuple(parameters)),
        **more,
    )
