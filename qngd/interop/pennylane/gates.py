"""PennyLane operations, read one by one into a `OpsBuilder`.

An elementary operation is a product of Pauli rotations (see `table`); any other is what its
own decomposition says, down to elementary ones. Controls and inverses are carried down: the inverse of
a product is the reversed product of inverses, and a controlled product is the product of controlled
factors, a controlled rotation being a few commuting rotations.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from autograd import numpy as anp
from pennylane.exceptions import DecompositionUndefinedError
from pennylane.operation import Operator
from pennylane.ops.op_math import Adjoint, ChangeOpBasis, Controlled, Exp, Pow

from qngd.circuit.angles import Angle
from qngd.circuit.builder import OpsBuilder
from qngd.interop.pennylane.known import Fragment, content_of, fragment_of
from qngd.interop.pennylane.matrices import (
    FAILURES,
    diagonal,
    exponential,
    from_matrix,
    untraceable,
)
from qngd.interop.pennylane.moving import special_unitary
from qngd.interop.pennylane.products import matrix_of
from qngd.interop.pennylane.reasons import reason_of
from qngd.interop.pennylane.rebind import rebuilt
from qngd.interop.pennylane.site import Site
from qngd.interop.pennylane.slots import Slots
from qngd.interop.pennylane.states import PREPARATIONS, densely, prepared
from qngd.interop.pennylane.table import CLIFFORDS, SILENT, turns_of
from qngd.interop.pennylane.trace import node_of
from qngd.interop.synthesis import MAX_CONTROLS, Turn, under_controls

Controls = tuple[tuple[int, bool], ...]  # qubits and the values that they must have


class _Context(NamedTuple):
    """What surrounds an operation."""

    controls: Controls = ()
    inverse: bool = False


_PLAIN = _Context()


class GateReader:
    """Reads operations on `wires` (label → qubit) into `builder`, traced angles into `slots`."""

    def __init__(self, builder: OpsBuilder, slots: Slots, wires: Mapping[Any, int]) -> None:
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
        if isinstance(op, PREPARATIONS) and not self._touched.isdisjoint(qubits):
            self._site.refuse(
                "it prepares a state from |0⟩, but other gates act on these wires before it; put it at "
                "the start of the circuit"
            )
        try:
            content = content_of(op) if data is None and isinstance(op, PREPARATIONS) else None
            if content is not None:
                self._paste(op, ("prepared", content), qubits, GateReader._first)
            else:
                self._first(op, qubits, data)
        except RecursionError:
            self._site.refuse("its decomposition does not come to an end")
        if type(op) not in SILENT:
            self._touched.update(qubits)

    def _first(self, op: Operator, qubits: tuple[int, ...], data: Sequence[Any] | None = None) -> None:
        """An operation of the circuit itself: a preparation finds its wires in |0…0⟩."""
        turns = prepared(op, self._site) if data is None else None
        if turns is not None:
            self._rotate_all(turns, qubits, _PLAIN)
        else:
            self._emit(op, _PLAIN, qubits, data)

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
            op = op if data is None else self._rebuilt(op, data)
            content = content_of(op) if context == _PLAIN else None
            if content is None:
                self._compound(op, context, qubits)
            else:
                self._paste(op, ("applied", content), qubits, lambda reader, op, on: reader._compound(op, _PLAIN, on))

    def _paste(
        self,
        op: Operator,
        content: Hashable,
        qubits: tuple[int, ...],
        emit: Callable[[GateReader, Operator, tuple[int, ...]], None],
    ) -> None:
        """An operation of fixed numbers, as when it was last read."""

        def read() -> Fragment:
            builder = OpsBuilder(len(qubits))
            alone = GateReader(builder, Slots(builder), {label: place for place, label in enumerate(op.wires)})
            alone._site.enter(self._site.position, op)
            builder.begin(op.name, range(len(qubits)))
            emit(alone, op, tuple(range(len(qubits))))
            return Fragment.of(builder)

        fragment = fragment_of(content, read)
        self._builder.paste(fragment.ops, fragment.angles, qubits)

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
                node = node_of(op.data[0])
                turns = from_matrix(op, self._site) if node is None else special_unitary(op, node, self._site)
                self._rotate_all(turns, qubits, context)
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
            self._site.refuse_batch(f"{op.name} has parameters for {op.batch_size} circuits", op.batch_size)

    def _rebuilt(self, op: Operator, data: Sequence[Any]) -> Operator:
        """The operation with other parameters."""
        made = rebuilt(op, data)
        if made is not None:
            return made
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
            parts = densely(op).decomposition()
        except DecompositionUndefinedError:
            self._rotate_all(from_matrix(op, self._site), qubits, context)
            return
        except FAILURES as error:
            self._site.refuse(untraceable(op, "decomposition", "compute_decomposition", error))
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
        elif len(controls) > MAX_CONTROLS:
            self._rotate_under_many(pauli, on, angle, controls)
        else:
            for turn in under_controls(Turn(pauli, tuple(on), angle), controls):
                self._builder.rotation(turn.pauli, turn.places, turn.angle)

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
    conjugates = [qml.QubitUnitary(anp.conj(matrix_of(v)), wires=v.wires) for v in v_ops]
    return [*parts[:start], *conjugates, *parts[start + len(blanks) :]]
