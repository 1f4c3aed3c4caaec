"""Reading Qiskit's circuits; its observables are read in `observable`.

A circuit is walked instruction by instruction. Qiskit's own standard gates go to the builder's
table by name; other gates go through their definition until they are standard gates. Gates that
are given as numbers (matrices, amplitudes) are decomposed here, because Qiskit's definitions of
them are made for devices: the one of a two-qubit matrix takes exp(−i·1e-5·ZZ) for the identity.

Qubit i is Qiskit's qubit i, and θ is in the order of `circuit.parameters`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qiskit.circuit import (
    AnnotatedOperation,
    BoxOp,
    BreakLoopOp,
    CircuitInstruction,
    ContinueLoopOp,
    ControlFlowOp,
    ControlledGate,
    ControlModifier,
    Delay,
    ForLoopOp,
    Gate,
    Measure,
    Operation,
    Parameter,
    ParameterExpression,
    QuantumCircuit,
    Reset,
    Store,
    library,
)
from qiskit.circuit.library import (
    HamiltonianGate,
    Initialize,
    PauliEvolutionGate,
    PermutationGate,
    StatePreparation,
    UCGate,
    UnitaryGate,
)
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Clifford, Pauli, SparseObservable, SparsePauliOp
from qiskit.synthesis import (
    EvolutionSynthesis,
    MatrixExponential,
    ProductFormula,
    QDrift,
    synth_permutation_basic,
)

from qngd._system.memory import without_collection
from qngd.circuit.angles import Angle
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import Circuit, finish
from qngd.errors import CircuitError, QngdWarning
from qngd.interop.named_theta import NamedTheta
from qngd.interop.qiskit.angles import AngleReader, Symbols
from qngd.interop.qiskit.controls import controlled_turns, is_written_out
from qngd.interop.qiskit.gates import holds_matrix, one_line, own_matrix, plain_gate
from qngd.interop.qiskit.observable import num_projectors, read_observable
from qngd.interop.states import state_turns
from qngd.interop.synthesis import (
    Turn,
    all_commute,
    diagonal_turns,
    evolution_turns,
    multiplexed_turns,
    unitary_turns,
)

__all__ = ["read_circuit", "read_observable"]

_NO_EFFECT = frozenset({"id", "global_phase"})
# names of Qiskit's for gates that the builder's table has under another name, up to a global phase
SAME_AS = {"u1": "p", "u3": "u", "cu1": "cp"}
_CHANNELS = frozenset({"kraus", "superop", "quantum_channel", "roerror", "pauli_lindblad_map"})
_PRODUCT_MEASUREMENT: type = getattr(library, "PauliProductMeasurement", Measure)  # since Qiskit 2.3
_MAX_PROJECTORS = 4  # per term of an evolution; 2^c rotations for c projectors


def read_circuit(
    native: Any,
    *example_args: Any,
    symbols: Symbols | None = None,
    lines: Sequence[str] | None = None,
) -> Circuit:
    """The neutral form of a `QuantumCircuit`.

    Args:
        native: the circuit.
        *example_args: none are taken.
        symbols: what the circuit's parameters stand for, where that is not θ in the order of `circuit.parameters`.
        lines: the line of each instruction in the program that the circuit came from, for messages.

    Raises:
        CircuitError: an instruction is not unitary or cannot be decomposed; the text names it, its
            position among the circuit's instructions and its qubits, and says what to do.

    Warns:
        QngdWarning: a `PauliEvolutionGate` stands for a product formula that is not exact, or this version of Qiskit
            may have changed an angle when it was made.
    """
    if not isinstance(native, QuantumCircuit):
        raise CircuitError(f"circuit: a {type(native).__name__} is not a circuit; give a QuantumCircuit")
    if example_args:
        raise CircuitError("circuit: a QuantumCircuit takes no example arguments; give it alone")
    if native.num_qubits == 0:
        raise CircuitError("circuit: it has no qubits; add at least one")
    symbols = symbols or Symbols.of(native)
    walk = _Walk(native, symbols, lines)
    with without_collection():
        walk.run(native)
        angle_map = walk.builder.angle_map(walk.angles.expressions())
    names = tuple(symbols.graph.names)
    return finish(walk.builder, angle_map, names, NamedTheta(names), native=native.copy())


class _Walk:
    """One pass over a circuit's instructions."""

    def __init__(self, circuit: QuantumCircuit, symbols: Symbols, lines: Sequence[str] | None) -> None:
        self.builder = OpsBuilder(circuit.num_qubits)
        self.angles = AngleReader(self.builder, symbols)
        self._lines = lines
        self._touched: set[int] = set()
        self._measured: dict[int, int] = {}  # qubit -> position of its measurement
        self._approximate: list[int] = []  # positions of evolutions by an inexact formula

    def run(self, circuit: QuantumCircuit) -> None:
        """Read all instructions, and warn once of what they approximate."""
        index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
        for instruction in circuit.data:
            qubits = tuple([index[qubit] for qubit in instruction.qubits])
            self.builder.begin(instruction.name, qubits)
            self._instruction(instruction, qubits)
        if self._approximate:
            self._warn_of_formulas()

    def _instruction(self, instruction: CircuitInstruction, qubits: tuple[int, ...]) -> None:
        name = instruction.name
        if instruction.is_standard_gate():
            if name in _NO_EFFECT:
                return
            angles = [self._angle(value, name) for value in instruction.params]
            self._act_on(qubits)
            if self.builder.gate(SAME_AS.get(name, name), qubits, angles):
                return
        elif instruction.is_directive() and (name == "barrier" or name.startswith("save_")):
            return  # nothing, or a simulator's request to save something
        self._operation(instruction.operation, qubits)

    def _operation(self, operation: Operation, qubits: tuple[int, ...]) -> None:
        for kind, read in _READERS:
            if isinstance(operation, kind):
                read(self, operation, qubits)
                return
        self._definition(operation, qubits)

    def _definition(self, operation: Operation, qubits: tuple[int, ...]) -> None:
        """Read what a gate consists of."""
        try:
            definition = getattr(operation, "definition", None)
        except (QiskitError, TypeError, ValueError) as error:
            raise self._refusal(
                operation.name,
                f"Qiskit cannot decompose it ({one_line(error)}); write it with gates that have a "
                "definition for unbound parameters, such as rx, ry, rz, u or PauliEvolutionGate",
            ) from error
        if definition is not None:
            self._circuit(definition, qubits)
            return
        try:
            matrix = own_matrix(operation)
        except ValueError as error:
            raise self._refusal(operation.name, str(error)) from error
        if matrix is None:
            raise self._opaque(operation.name)
        self._act_on(qubits)
        self._emit(unitary_turns(matrix, qubits[::-1]))

    def _gate(self, gate: Operation, qubits: tuple[int, ...]) -> None:
        """Read a gate that stands in no circuit."""
        circuit = QuantumCircuit(len(qubits))
        circuit.append(gate, circuit.qubits)
        self._circuit(circuit, qubits)

    def _circuit(self, circuit: QuantumCircuit, qubits: tuple[int, ...]) -> None:
        place = dict(zip(circuit.qubits, qubits, strict=True))
        for instruction in circuit.data:
            self._instruction(instruction, tuple([place[q] for q in instruction.qubits]))

    # instructions that are not gates

    def _measure(self, _: Operation, qubits: tuple[int, ...]) -> None:
        """Of one qubit, or of a product of Paulis on several."""
        self._measured |= dict.fromkeys(qubits, len(self.builder.gates) - 1)

    def _nothing(self, _: Operation, qubits: tuple[int, ...]) -> None:
        """A delay: no effect on an ideal device."""

    def _reset(self, operation: Reset, qubits: tuple[int, ...]) -> None:
        if not self._touched.isdisjoint(qubits) or not self._measured.keys().isdisjoint(qubits):
            raise self._refusal(
                operation.name,
                "a reset after the start is not unitary; remove it, or go on with a fresh qubit",
            )

    def _box(self, operation: BoxOp, qubits: tuple[int, ...]) -> None:
        self._circuit(operation.body, qubits)

    def _for_loop(self, operation: ForLoopOp, qubits: tuple[int, ...]) -> None:
        """A loop over fixed values: unrolled."""
        values, variable, body = operation.params
        is_plain = variable is None or isinstance(variable, Parameter)
        if not is_plain or not isinstance(values, (range, tuple, list)):
            raise self._classical(operation.name)
        for value in values:
            used = variable is not None and variable in body.parameters
            self._circuit(body.assign_parameters({variable: value}) if used else body, qubits)

    def _control_flow(self, operation: Operation, _: tuple[int, ...]) -> None:
        raise self._classical(operation.name)

    # gates that are given as numbers

    def _initialize(self, operation: Initialize, qubits: tuple[int, ...]) -> None:
        self._reset(operation, qubits)
        self._state(operation, qubits)

    def _state_preparation(self, operation: StatePreparation, qubits: tuple[int, ...]) -> None:
        """From |0…0⟩ the amplitudes count, elsewhere the unitary that its definition makes."""
        is_first = self._touched.isdisjoint(qubits)
        if is_first and operation.name == "state_preparation":
            self._state(operation, qubits)
        else:
            self._definition(operation, qubits)

    def _state(self, operation: Initialize | StatePreparation, qubits: tuple[int, ...]) -> None:
        if len(operation.params) != 2 ** len(qubits) or isinstance(operation.params[0], str):
            self._definition(operation, qubits)  # a label or a number: plain gates
            return
        self._emit(state_turns(np.array(operation.params, dtype=complex), qubits[::-1]))
        self._act_on(qubits)

    def _unitary(self, operation: UnitaryGate, qubits: tuple[int, ...]) -> None:
        self._act_on(qubits)
        self._emit(self._matrix_turns(operation, qubits[::-1]))

    def _matrix_turns(self, operation: UnitaryGate, places: Sequence[int]) -> list[Turn]:
        try:
            return unitary_turns(operation.to_matrix(), places)
        except ValueError as error:  # made with check_input=False
            raise self._refusal(operation.name, str(error)) from None

    def _multiplexer(self, operation: UCGate, qubits: tuple[int, ...]) -> None:
        """2×2 matrices selected by the qubits above the first: their Euler angles, multiplexed."""
        if operation.up_to_diagonal:
            self._definition(operation, qubits)  # the diagonal is what its definition makes it
            return
        self._act_on(qubits)
        blocks = [unitary_turns(np.asarray(block), (0,)) for block in operation.params]
        target, selects = qubits[0], qubits[:0:-1]
        *euler, phases = zip(*blocks, strict=True)
        for turns in euler:
            angles = [turn.angle for turn in turns]
            self._emit(multiplexed_turns(turns[0].pauli, angles, selects, target))
        self._emit(diagonal_turns([turn.angle * -0.5 for turn in phases], selects))

    def _hamiltonian(self, operation: HamiltonianGate, qubits: tuple[int, ...]) -> None:
        matrix, time = operation.params
        self._act_on(qubits)
        self._emit(evolution_turns(matrix, self._angle(time, operation.name), qubits[::-1]))

    # gates made of other gates

    def _clifford(self, operation: Clifford, qubits: tuple[int, ...]) -> None:
        self._circuit(operation.to_circuit(), qubits)

    def _permutation(self, operation: PermutationGate, qubits: tuple[int, ...]) -> None:
        self._circuit(synth_permutation_basic(operation.pattern), qubits)

    def _annotated(self, operation: AnnotatedOperation, qubits: tuple[int, ...]) -> None:
        try:
            gate = plain_gate(operation)
        except ValueError as error:
            raise self._refusal(operation.name, str(error)) from error
        self._gate(gate, qubits)

    def _controlled_gate(self, operation: ControlledGate, qubits: tuple[int, ...]) -> None:
        """Through the definition, unless the gate under the control is a rotation with parameters or a circuit of such,
        or holds a matrix, which Qiskit decomposes with its own tolerances."""
        turns = controlled_turns(operation, lambda value: self._angle(value, operation.name))
        if turns is not None:
            self._act_on(qubits)
            self._emit([replace(turn, places=tuple(qubits[p] for p in turn.places)) for turn in turns])
        elif is_written_out(operation.base_gate) or holds_matrix(operation.base_gate):
            count, state = operation.num_ctrl_qubits, operation.ctrl_state
            self._under_control(operation.base_gate, count, state, qubits)
        else:
            self._definition(operation, qubits)

    def _under_control(self, base: Gate, count: int, state: int, qubits: tuple[int, ...]) -> None:
        """`base` on the later qubits, where the first `count` hold the bits of `state`."""
        controls, targets = qubits[:count], qubits[count:]
        if isinstance(base, UnitaryGate):
            places = range(len(targets))[::-1]
            for turn in self._matrix_turns(base, places):
                rotation = PauliEvolutionGate(_pauli(turn, len(targets)), turn.angle / 2)
                self._evolution(rotation.control(count, ctrl_state=state), qubits)
            return
        definition = base.definition
        place = dict(zip(definition.qubits, targets, strict=True))
        for instruction in definition.data:
            inner = AnnotatedOperation(instruction.operation, ControlModifier(count, state))
            self._annotated(inner, controls + tuple([place[q] for q in instruction.qubits]))
        phase = PauliEvolutionGate(Pauli("I" * len(targets)), -definition.global_phase)
        self._evolution(phase.control(count, ctrl_state=state), qubits)

    def _evolution(self, operation: PauliEvolutionGate, qubits: tuple[int, ...]) -> None:
        """exp(−i·time·Σ c_t P_t): one rotation by 2·c_t·time for each term where all terms commute;
        else the gate's definition."""
        terms = _evolution_terms(operation)
        formula = operation.synthesis
        if terms is None or not _is_exact_if_commuting(formula) or not all_commute(terms.paulis.x, terms.paulis.z):
            if isinstance(formula, QDrift) and isinstance(operation.time, ParameterExpression):
                raise self._refusal(
                    operation.name,
                    "its synthesis is QDrift, which draws terms at random for a time that is a number; "
                    "give it another, such as PauliEvolutionGate(operator, time, synthesis=LieTrotter())",
                )
            if not isinstance(formula, MatrixExponential) and _num_terms(operation) > 1:
                self._approximate.append(len(self.builder.gates) - 1)
            self._definition(operation, qubits)
            return
        time = self._angle(operation.time, operation.name)
        self._act_on(qubits)
        for label, coefficient in zip(terms.paulis.to_labels(), terms.coeffs.real, strict=True):
            self.builder.rotation(label[::-1], qubits, time * (2 * float(coefficient)))

    # what all of them use

    def _angle(self, value: Any, name: str) -> Angle | float:
        try:
            return self.angles.read(value)
        except ValueError as error:
            raise self._refusal(name, str(error)) from None

    def _act_on(self, qubits: tuple[int, ...]) -> None:
        if self._measured and not self._measured.keys().isdisjoint(qubits):
            position = next(self._measured[q] for q in qubits if q in self._measured)
            raise self._refusal(
                self.builder.gates[-1].name,
                f"it acts on a qubit that {self._place(position)} has measured; only final "
                "measurements can be dropped: move the measurement to the end or remove it",
            )
        self._touched.update(qubits)

    def _emit(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            self.builder.rotation(turn.pauli, turn.places, turn.angle)

    def _refusal(self, name: str, problem: str) -> CircuitError:
        """An error about the instruction being read, or about the gate `name` inside it."""
        gate = self.builder.gates[-1]
        on = ", ".join(map(str, gate.qubits))
        inside = "" if name == gate.name else f", which contains {name}"
        place = self._place(len(self.builder.gates) - 1)
        return CircuitError(f"circuit: {place}, {gate.name} on qubits ({on}){inside}: {problem}")

    def _place(self, position: int) -> str:
        line = "" if self._lines is None else f" ({self._lines[position]})"
        return f"instruction {position}{line}"

    def _classical(self, name: str) -> CircuitError:
        return self._refusal(
            name,
            "classical control is not part of a unitary circuit; remove it or write out the branch that is meant",
        )

    def _opaque(self, name: str) -> CircuitError:
        if name.startswith("set_"):
            return self._refusal(name, "it sets the state of a simulator; prepare the state with initialize")
        if name in _CHANNELS:
            return self._refusal(name, "it is not unitary; remove it, and give noise to the backend instead")
        return self._refusal(
            name,
            "it is no unitary gate with a definition; remove it, give it a definition made of "
            "standard gates, or put the circuit through qiskit.transpile first",
        )

    def _warn_of_formulas(self) -> None:
        where = ", ".join(map(str, dict.fromkeys(self._approximate)))
        warnings.warn(
            f"circuit: the terms of the PauliEvolutionGate at instruction {where} do not all "
            "commute, or its synthesis is not exact. It stands for its definition, the product "
            "formula that devices run (of QDrift one draw); qiskit.quantum_info.Statevector takes the exact "
            "exponential instead and gives other numbers. circuit.decompose() shows what is wrapped",
            QngdWarning,
            stacklevel=5,  # the caller of `wrap`
        )


_Reading = Callable[[_Walk, Any, tuple[int, ...]], None]
# the first class that fits counts
_READERS: tuple[tuple[type, _Reading], ...] = (
    (PauliEvolutionGate, _Walk._evolution),
    (ControlledGate, _Walk._controlled_gate),
    (Measure, _Walk._measure),
    (_PRODUCT_MEASUREMENT, _Walk._measure),
    (Delay, _Walk._nothing),
    (Reset, _Walk._reset),
    (Initialize, _Walk._initialize),
    (StatePreparation, _Walk._state_preparation),
    (UnitaryGate, _Walk._unitary),
    (UCGate, _Walk._multiplexer),
    (HamiltonianGate, _Walk._hamiltonian),
    (AnnotatedOperation, _Walk._annotated),
    (Clifford, _Walk._clifford),
    (PermutationGate, _Walk._permutation),
    (BoxOp, _Walk._box),
    (ForLoopOp, _Walk._for_loop),
    (ControlFlowOp, _Walk._control_flow),
    (BreakLoopOp, _Walk._control_flow),
    (ContinueLoopOp, _Walk._control_flow),
    (Store, _Walk._control_flow),
)


def _pauli(turn: Turn, num_qubits: int) -> Pauli:
    letters = ["I"] * num_qubits
    for letter, place in zip(turn.pauli, turn.places, strict=True):
        letters[place] = letter
    return Pauli("".join(reversed(letters)))


def _is_exact_if_commuting(formula: EvolutionSynthesis) -> bool:
    """Whether it gives exp(A)·exp(B) for commuting A and B; QDrift draws the terms at random."""
    is_product = isinstance(formula, ProductFormula) and not isinstance(formula, QDrift)
    return is_product or isinstance(formula, MatrixExponential)


def _operators(gate: PauliEvolutionGate) -> list[SparsePauliOp | SparseObservable]:
    return gate.operator if isinstance(gate.operator, list) else [gate.operator]


def _num_terms(gate: PauliEvolutionGate) -> int:
    return sum(len(operator) for operator in _operators(gate))


def _evolution_terms(gate: PauliEvolutionGate) -> SparsePauliOp | None:
    """The operator as Pauli strings; None where projectors would expand to too many of them."""
    strings = []
    for operator in _operators(gate):
        if isinstance(operator, SparseObservable):
            if any(num_projectors(term) > _MAX_PROJECTORS for term in operator):
                return None
            operator = SparsePauliOp.from_sparse_observable(operator)
        strings.append(operator)
    return strings[0] if len(strings) == 1 else SparsePauliOp.sum(strings)
