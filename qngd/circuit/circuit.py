"""The neutral form of a circuit: Pauli rotations, an angle map, and layers.

    |ψ(θ)⟩ = C · R_K(φ_K) ⋯ R_1(φ_1) |0…0⟩,   R_k(φ) = exp(−i φ/2 · P_k),   φ = φ(θ),   J = ∂φ/∂θ

The P_k are Pauli strings with every Clifford gate of the circuit pushed to the end (into C, which
acts on the observable alone). Qubit 0 is the least significant bit of a basis index and the
rightmost letter of a label.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qngd._system.html import columns_table
from qngd.circuit.angles import AngleMap
from qngd.circuit.builder import Gate, OpsBuilder
from qngd.circuit.frame import Frame, push
from qngd.circuit.layering import assign_layers, running_order
from qngd.circuit.observable import Observable
from qngd.circuit.ops import Ops
from qngd.circuit.outputs import Outputs
from qngd.circuit.pauli import PauliStrings
from qngd.circuit.rotations import Layer, Rotation, layers_of, rotations_of
from qngd.circuit.split import SplitGates, find_split_gates
from qngd.circuit.theta import FlatTheta, ThetaStructure
from qngd.circuit.units import assign_units
from qngd.errors import ObservableError, ParameterError, counted

_FIXED_SHOWN = 6  # names of fixed arguments in a circuit's text
_LAYERS_SHOWN, _ROTATIONS_SHOWN = 20, 20_000  # in a notebook


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
        for name in ("rotations", "layers"):
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
        return rotations_of(self)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in running order."""
        return layers_of(self)

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
