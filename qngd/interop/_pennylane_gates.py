"""PennyLane operations, read one by one into a `CircuitBuilder`.

An elementary operation is a product of Pauli rotations (see `_pennylane_table`); any other is what its
own decomposition says, down to elementary ones. Controls and inverses are carried down: the inverse of
a product is the reversed product of inverses, and a controlled product is the product of controlled
factors, a controlled rotation being a few commuting rotations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from autograd import numpy as anp
from pennylane import operation
from pennylane.exceptions import DecompositionUndefinedError, QuantumFunctionError
from pennylane.operation import Channel, Operator, StatePrepBase
from pennylane.ops.mid_measure import MidMeasure, PauliMeasure
from pennylane.ops.op_math import Adjoint, ChangeOpBasis, Conditional, Controlled, Evolution, Exp, Pow

from qngd.angles import Angle
from qngd.builder import CircuitBuilder
from qngd.interop._pennylane_matrices import (
    FAILURES,
    diagonal,
    exponential,
    from_matrix,
    special_unitary,
)
from qngd.interop._pennylane_site import FIX_IT, Site
from qngd.interop._pennylane_slots import Slots
from qngd.interop._pennylane_table import CLIFFORDS, SILENT, turns_of
from qngd.interop._synthesis import Turn

# A rotation with k controls is 2^k commuting rotations; beyond, it goes by way of Toffoli ladders.
_MAX_CONTROLS = 5

# They turn |0…0⟩ into a state and say nothing about other inputs.
_PREPARATIONS = (
    StatePrepBase,
    qml.MottonenStatePreparation,
    qml.MultiplexerStatePreparation,
    qml.QROMStatePreparation,
    qml.SumOfSlatersPrep,
    qml.Superposition,
    qml.MPSPrep,
)

# PennyLane 0.46 has none any more.
_CONTINUOUS = tuple(getattr(operation, name) for name in ("CVOperation", "CVObservable") if hasattr(operation, name))

Controls = tuple[tuple[int, bool], ...]  # qubits and the values that they must have


class _Context(NamedTuple):
    """What surrounds an operation."""

    controls: Controls = ()
    inverse: bool = False


_PLAIN = _Context()


class GateReader:
    """Reads operations on `wires` (label → qubit) into `builder`, traced angles into `slots`."""

    def __init__(self, builder: CircuitBuilder, slots: Slots, wires: Mapping[Any, int]) -> None:
        self._builder = builder
        self._wires = wires
        self._labels = list(wires)
        self._site = Site(slots)
        self._touched: set[int] = set()

    def read(self, op: Operator, position: int, data: Sequence[Any] | None = None) -> None:
        """One operation of the circuit; `data` stands in for its parameters if given.

        Raises:
            CircuitError: it is not a unitary gate with an exact decomposition; the text names it.
        """
        self._site.enter(position, op)
        qubits = self._qubits(op)
        self._builder.begin(op.name, qubits)
        if isinstance(op, _PREPARATIONS) and not self._touched.isdisjoint(qubits):
            self._site.refuse(
                "it prepares a state from |0⟩, but other gates act on these wires before it; put it at "
                "the start of the circuit"
            )
        try:
            self._emit(op, _PLAIN, qubits, data)
        except RecursionError:
            self._site.refuse("its decomposition does not come to an end")
        if type(op) not in SILENT:
            self._touched.update(qubits)

    def _qubits(self, op: Operator) -> tuple[int, ...]:
        try:
            return tuple([self._wires[label] for label in op.wires])
        except KeyError as error:
            self._site.refuse(
                reason_of(op)
                or f"{op.name} acts on wire {error.args[0]!r}, which the circuit does not have; its wires "
                f"are {self._labels}"
            )

    # ----- one operation -----

    def _emit(
        self,
        op: Operator,
        context: _Context,
        qubits: tuple[int, ...] | None = None,
        data: Sequence[Any] | None = None,
    ) -> None:
        kind = type(op)
        if kind in SILENT:
            return
        if qubits is None:
            qubits = self._qubits(op)
        if kind in CLIFFORDS and not context.controls:
            self._builder.clifford(CLIFFORDS[kind][context.inverse], *qubits)
            return
        turns = turns_of(op, op.data if data is None else data, self._site.angle)
        if turns is not None:
            self._rotate_all(turns, qubits, context)
        elif isinstance(op, Controlled):
            self._controlled(op, context, data)
        elif isinstance(op, Adjoint):
            self._emit(op.base, context._replace(inverse=not context.inverse), data=data)
        else:
            self._compound(op if data is None else self._rebuilt(op, data), context, qubits)

    def _compound(self, op: Operator, context: _Context, qubits: tuple[int, ...]) -> None:
        self._check_gate(op)
        match op:
            case ChangeOpBasis():
                self._change_of_basis(op, context)
            case Pow() if isinstance(op.z, (int, np.integer)):
                inverse = context._replace(inverse=context.inverse ^ bool(op.z < 0))
                self._emit_all([op.base] * abs(int(op.z)), inverse)
            case Exp():
                self._rotate_all(exponential(op, self._site), qubits, context)
            case qml.DiagonalQubitUnitary():
                self._rotate_all(diagonal(op, self._site), qubits, context)
            case qml.SpecialUnitary():
                self._rotate_all(special_unitary(op, self._site), qubits, context)
            case qml.QubitUnitary() | qml.BlockEncode() | qml.Hermitian():
                self._rotate_all(from_matrix(op, self._site), qubits, context)
            case qml.HilbertSchmidt() | qml.LocalHilbertSchmidt():
                self._emit_all(_hilbert_schmidt(op), context)
            case _:
                self._decompose(op, context, qubits)

    def _emit_all(self, ops: Sequence[Operator], context: _Context) -> None:
        for op in reversed(ops) if context.inverse else ops:
            self._emit(op, context)

    def _check_gate(self, op: Operator) -> None:
        reason = reason_of(op)
        if reason is not None:
            self._site.refuse(reason)
        if op.batch_size is not None:
            self._site.refuse(
                f"{op.name} has broadcasted (batched) parameters, which are not supported; wrap the "
                "circuit for one set of parameters"
            )

    def _rebuilt(self, op: Operator, data: Sequence[Any]) -> Operator:
        """The operation with other parameters."""
        # two that PennyLane's own function gets wrong
        if isinstance(op, Evolution):
            return Evolution(op.base, *data)
        if isinstance(op, ChangeOpBasis):
            values = iter(data)
            own = [(factor, [next(values) for _ in factor.data]) for factor in op.operands]
            return ChangeOpBasis(*(self._rebuilt(factor, part) for factor, part in reversed(own)))
        bind = qml.ops.functions.bind_new_parameters
        try:
            if qml.equal(bind(op, op.data), op):
                return bind(op, data)
        except (*FAILURES, QuantumFunctionError):
            pass  # refused below, by name
        self._site.refuse(
            f"PennyLane cannot rebuild {op.name} with other parameters; wrap the quantum function that "
            "makes it, or leave its parameters out of the script's trainable_params"
        )

    def _controlled(self, op: Any, context: _Context, data: Sequence[Any] | None) -> None:
        own = zip(op.control_wires, op.control_values, strict=True)
        controls = tuple((self._wires[label], bool(value)) for label, value in own)
        self._emit(op.base, context._replace(controls=context.controls + controls), data=data)

    def _change_of_basis(self, op: Any, context: _Context) -> None:
        compute, target, uncompute = op.decomposition()
        around = context._replace(controls=())  # A·B·A†: without B the rest is the identity
        steps = [(compute, around), (target, context), (uncompute, around)]
        for factor, inner in reversed(steps) if context.inverse else steps:
            self._emit(factor, inner)

    def _decompose(self, op: Operator, context: _Context, qubits: tuple[int, ...]) -> None:
        try:
            parts = op.decomposition()
        except DecompositionUndefinedError:
            self._rotate_all(from_matrix(op, self._site), qubits, context)
            return
        except FAILURES as error:
            self._site.refuse(
                f"PennyLane's decomposition of {op.name} fails on these parameters "
                f"({type(error).__name__}: {error}); if they are no parameters, {FIX_IT}"
            )
        self._emit_all(parts, context)

    # ----- rotations -----

    def _rotate_all(self, turns: Sequence[Turn], qubits: Sequence[int], context: _Context) -> None:
        """Rotations in order of application, their places counted along `qubits`."""
        if context.inverse:
            turns = [turn.inverse() for turn in reversed(turns)]
        for turn in turns:
            on = [qubits[place] for place in turn.places]
            controls = () if turn.bare else context.controls
            self._rotate(turn.pauli, on, turn.angle, controls)

    def _rotate(self, pauli: str, on: Sequence[int], angle: Angle | float, controls: Controls) -> None:
        """exp(−i·angle/2·P⊗Π) with the projector Π = ∏(1 ± Z)/2 on the control values."""
        if not controls:
            self._builder.rotation(pauli, on, angle)
        elif angle == 0.0:
            return
        elif len(controls) > _MAX_CONTROLS:
            self._rotate_under_many(pauli, on, angle, controls)
        else:
            share = angle * 0.5 ** len(controls)
            for chosen in range(2 ** len(controls)):
                extra = [control for i, control in enumerate(controls) if chosen >> i & 1]
                sign = (-1.0) ** sum(value for _, value in extra)  # |1⟩⟨1| = (1 − Z)/2
                letters = "Z" * len(extra) + pauli
                self._builder.rotation(letters, [*(q for q, _ in extra), *on], share * sign)

    def _rotate_under_many(self, pauli: str, on: Sequence[int], angle: Angle | float, controls: Controls) -> None:
        if not pauli:  # a phase: the last control is its target, exp(iα|v⟩⟨v|) = exp(iα/2)·R_Z(±α)
            *rest, (last, value) = controls
            self._rotate("", (), angle * 0.5, tuple(rest))
            self._rotate("Z", (last,), angle * (-0.5 if value else 0.5), tuple(rest))
            return
        # A anticommutes with P: R(φ/2)·A·R(−φ/2)·A is R(φ), and without the two A it is 1
        self._flip(pauli[0], on[0], controls)
        self._builder.rotation(pauli, on, angle * -0.5)
        self._flip(pauli[0], on[0], controls)
        self._builder.rotation(pauli, on, angle * 0.5)

    def _flip(self, letter: str, target: int, controls: Controls) -> None:
        """A Pauli that anticommutes with `letter` on the target (X, or Z for X), under many controls."""
        used = {target, *(qubit for qubit, _ in controls)}
        flip = qml.MultiControlledX(
            wires=[self._labels[qubit] for qubit in (*(q for q, _ in controls), target)],
            control_values=[value for _, value in controls],
            work_wires=[label for label, qubit in self._wires.items() if qubit not in used],
            work_wire_type="borrowed",
        )
        if letter == "X":
            self._builder.clifford("h", target)
        self._emit_all(flip.decomposition(), _PLAIN)
        if letter == "X":
            self._builder.clifford("h", target)


def _hilbert_schmidt(op: Any) -> list[Operator]:
    """Its decomposition, with the complex conjugate of V written so that autograd can follow it."""
    u_ops, v_ops = op.hyperparameters["U"], op.hyperparameters["V"]
    blanks = [qml.Identity(v.wires) for v in v_ops]
    parts = list(op.compute_decomposition(*op.data, wires=op.wires, U=u_ops, V=blanks))
    start = 1 + max(i for i, part in enumerate(parts) if part is u_ops[-1])  # V's come after U's
    conjugates = [qml.QubitUnitary(anp.conj(v.matrix()), wires=v.wires) for v in v_ops]
    return [*parts[:start], *conjugates, *parts[start + len(blanks) :]]


def reason_of(op: Operator) -> str | None:
    """Why an operation is not a unitary gate on qubits, and what to do; None if it may be one."""
    if isinstance(op, (MidMeasure, PauliMeasure)):
        if getattr(op, "reset", False):
            return "a reset in the circuit is not unitary; use a fresh wire instead"
        return (
            "measurements in the middle of a circuit are not supported; measure at the end, or apply "
            "qml.defer_measurements to the QNode"
        )
    if isinstance(op, Conditional):
        return (
            "gates conditioned on a measurement are not supported; use qml.ctrl, or apply "
            "qml.defer_measurements to the QNode"
        )
    if isinstance(op, (Channel, qml.QubitDensityMatrix)):
        return "noise channels and mixed states are not unitary; leave them out of the circuit"
    if isinstance(op, _CONTINUOUS):
        return "it acts on continuous variables, not on qubits"
    if type(op).__module__.startswith("pennylane.ops.qutrit"):
        return "it acts on qutrits, not on qubits"
    if type(op).__name__ in ("Allocate", "Deallocate"):
        return "wires allocated on the fly are not supported; give the circuit work wires of its own"
    return None
