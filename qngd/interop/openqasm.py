"""Reading OpenQASM 3 programs, with `input float` and `input angle` parameters.

The reference parser's syntax tree is run statement by statement into a `QuantumCircuit`, which the
Qiskit reader takes from there. Running it, not translating it, makes constants, loops over known
values, functions of inputs and gates with any body ordinary; what depends on a measurement is
refused with its line.

Registers follow each other in the order of declaration: qubit 0 of the first is qubit 0. θ is in the
order of the `input` declarations.

Under a control a gate's phase counts. It is the one of the specification (openqasm.com): U(θ, φ, λ)
is exp(iθ/2) times Qiskit's, u2 and u3 are exp(−i(φ+λ)/2) times Qiskit's.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openqasm3
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError
from qiskit import qasm2
from qiskit.circuit import (
    AnnotatedOperation,
    Clbit,
    ControlModifier,
    Gate,
    InverseModifier,
    Parameter,
    PowerModifier,
    QuantumCircuit,
    QuantumRegister,
)
from qiskit.circuit.equivalence_library import StandardEquivalenceLibrary
from qiskit.circuit.library import GlobalPhaseGate, standard_gates
from qiskit.transpiler import Layout, TranspileLayout

from qngd.circuit import Circuit
from qngd.errors import CircuitError
from qngd.interop import qiskit as qiskit_reader
from qngd.interop._openqasm_values import (
    UNSET,
    Bits,
    Qubits,
    Value,
    binary,
    converted,
    evaluate,
    integer,
    integers,
    number,
    refusal,
)
from qngd.interop._qiskit_gates import plain_gate

# what stdgates.inc defines, and how many angles it takes
_STDGATES: dict[str, tuple[type[Gate], int]] = {
    "p": (standard_gates.PhaseGate, 1),
    "x": (standard_gates.XGate, 0),
    "y": (standard_gates.YGate, 0),
    "z": (standard_gates.ZGate, 0),
    "h": (standard_gates.HGate, 0),
    "s": (standard_gates.SGate, 0),
    "sdg": (standard_gates.SdgGate, 0),
    "t": (standard_gates.TGate, 0),
    "tdg": (standard_gates.TdgGate, 0),
    "sx": (standard_gates.SXGate, 0),
    "rx": (standard_gates.RXGate, 1),
    "ry": (standard_gates.RYGate, 1),
    "rz": (standard_gates.RZGate, 1),
    "cx": (standard_gates.CXGate, 0),
    "cy": (standard_gates.CYGate, 0),
    "cz": (standard_gates.CZGate, 0),
    "cp": (standard_gates.CPhaseGate, 1),
    "crx": (standard_gates.CRXGate, 1),
    "cry": (standard_gates.CRYGate, 1),
    "crz": (standard_gates.CRZGate, 1),
    "ch": (standard_gates.CHGate, 0),
    "swap": (standard_gates.SwapGate, 0),
    "ccx": (standard_gates.CCXGate, 0),
    "cswap": (standard_gates.CSwapGate, 0),
    "cu": (standard_gates.CUGate, 4),
    "CX": (standard_gates.CXGate, 0),
    "phase": (standard_gates.PhaseGate, 1),
    "cphase": (standard_gates.CPhaseGate, 1),
    "id": (standard_gates.IGate, 0),
    "u1": (standard_gates.U1Gate, 1),
    "u2": (standard_gates.U2Gate, 2),
    "u3": (standard_gates.U3Gate, 3),
}
# Qiskit takes a gate of such a name for its own when it puts it under a control.
_QISKITS_NAMES = frozenset(key.name for key in StandardEquivalenceLibrary.keys())  # noqa: SIM118
_BUILTIN: dict[str, tuple[type[Gate], int]] = {"U": (standard_gates.UGate, 3)}


def read_circuit(native: str | os.PathLike[str], *example_args: Any) -> Circuit:
    """The neutral form of an OpenQASM 3 program; OpenQASM 2 is read as well.

    Args:
        native: the program, or the path of a `.qasm` file.
        *example_args: none are taken.

    Raises:
        CircuitError: there is no such file, the program has an error, or it is not a unitary circuit;
            the text names the line and says what to do.
    """
    if example_args:
        raise CircuitError("circuit: an OpenQASM program takes no example arguments; give it alone")
    text, folder = _program_text(native)
    if re.search(r"^\s*OPENQASM\s+2", text, re.MULTILINE):
        return _read_version_2(text, folder)
    program = _Program()
    program.run(_parsed(text))
    return qiskit_reader.read_circuit(program.circuit, parameters=program.inputs, lines=program.lines)


def _program_text(native: str | os.PathLike[str]) -> tuple[str, Path]:
    """The program, and the folder that its includes are relative to."""
    if isinstance(native, str) and any(mark in native for mark in ";\n"):
        return native, Path()
    path = Path(native)
    try:
        return path.read_text(encoding="utf-8"), path.parent
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CircuitError(
            f"circuit: cannot read the file {str(path)!r} ({reason}); give the path of a .qasm file or "
            "the text of an OpenQASM 3 program"
        ) from error
    except UnicodeDecodeError as error:
        raise CircuitError(f"circuit: the file {str(path)!r} is not text in UTF-8") from error


def _read_version_2(text: str, folder: Path) -> Circuit:
    try:
        circuit = qasm2.loads(
            text,
            include_path=(str(folder),),
            custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
        )
    except qasm2.QASM2ParseError as error:
        message = " ".join(str(error).strip("'\"").split())
        raise CircuitError(f"OpenQASM 2: {message}; correct the program") from error
    return qiskit_reader.read_circuit(circuit)


def _parsed(text: str) -> ast.Program:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):  # where the parser says what is wrong
            program = openqasm3.parse(text)
    except QASM3ParsingError as error:
        message = complaint.getvalue().strip() or str(error)
        found = re.match(r"(?:line |L)(\d+):C?\d+:? *(.*)", message)
        line, problem = (f", line {found[1]}", found[2]) if found else ("", message)
        raise CircuitError(f"OpenQASM{line}: {problem}; correct the program") from error
    if program.version and not program.version.startswith("3"):
        raise CircuitError(f"OpenQASM: version {program.version} is not read; write it in OpenQASM 3")
    return program


@dataclass(frozen=True)
class _Frame:
    """Where a statement runs: the names it sees, and the circuit it adds to."""

    names: ChainMap[str, Any]
    circuit: QuantumCircuit

    def inside(self, **names: Any) -> _Frame:
        return _Frame(self.names.new_child(names), self.circuit)


class _Program:
    """Runs a program: `circuit` is what its gates are, `inputs` the names of its parameters, `lines` the
    line of each instruction."""

    def __init__(self) -> None:
        self.circuit = QuantumCircuit()
        self.inputs: list[str] = []
        self.lines: list[int] = []
        self._top = _Frame(ChainMap(), self.circuit)
        self._constants: dict[str, Any] = {}  # all that a gate's body sees of the program
        self._gates: dict[str, tuple[type[Gate], int] | ast.QuantumGateDefinition] = dict(_BUILTIN)
        self._made: dict[tuple[str, tuple[Value, ...]], Gate] = {}
        self._open: list[str] = []  # the gates whose bodies are being run
        self._is_physical = False

    def run(self, program: ast.Program) -> None:
        """Run all statements.

        Raises:
            CircuitError: one cannot be run; the text names its line.
        """
        for statement in program.statements:
            if isinstance(statement, ast.EndStatement):
                break
            self._statement(statement, self._top)
        if self._is_physical:  # as Qiskit's own importer says it
            places = {qubit: index for index, qubit in enumerate(self.circuit.qubits)}
            self.circuit._layout = TranspileLayout(Layout(places), places)

    def _statement(self, node: Any, frame: _Frame) -> None:
        run = _STATEMENTS.get(type(node))
        if run is None:
            what = _UNREAD.get(type(node), f"a {type(node).__name__}")
            raise refusal(node, f"{what} is not read; write the circuit with gates, gate definitions and loops")
        run(self, node, frame)

    def _block(self, nodes: Sequence[Any], frame: _Frame) -> None:
        for node in nodes:
            self._statement(node, frame)

    # declarations

    def _include(self, node: ast.Include, _: _Frame) -> None:
        if node.filename != "stdgates.inc":
            raise refusal(node, f'only "stdgates.inc" can be included; paste what {node.filename} holds')
        for name, gate in _STDGATES.items():
            self._define(node, name, gate)

    def _define(
        self,
        node: ast.QASMNode,
        name: str,
        gate: tuple[type[Gate], int] | ast.QuantumGateDefinition,
    ) -> None:
        if name in self._gates:
            raise refusal(node, f"the gate {name} is defined twice; rename one of them")
        self._gates[name] = gate

    def _define_gate(self, node: ast.QuantumGateDefinition, _: _Frame) -> None:
        self._define(node, node.name.name, node)

    def _declare(self, node: ast.QASMNode, name: str, value: Any, frame: _Frame) -> None:
        if name in frame.names.maps[0]:
            raise refusal(node, f"{name} is declared twice; rename one of them")
        frame.names[name] = value

    def _declare_qubits(self, node: ast.QubitDeclaration, frame: _Frame) -> None:
        if self._is_physical:
            raise refusal(node, "declared qubits cannot stand beside $0, $1, …; use one kind")
        first = self.circuit.num_qubits
        size = 1 if node.size is None else integer(node.size, frame.names)
        if size < 1:
            raise refusal(node, f"{node.qubit.name} has {size} qubits; a register has at least one")
        self._add_qubits(size)
        value = Qubits(tuple(range(first, first + size)), is_register=node.size is not None)
        self._declare(node, node.qubit.name, value, frame)

    def _add_qubits(self, count: int) -> None:
        self.circuit.add_register(QuantumRegister(count, f"q{self.circuit.num_qubits}"))

    def _declare_io(self, node: ast.IODeclaration, frame: _Frame) -> None:
        name = node.identifier.name
        if node.io_identifier is ast.IOKeyword.output:
            self._declare_variable(ast.ClassicalDeclaration(node.type, node.identifier), frame)
            return
        if not isinstance(node.type, (ast.FloatType, ast.AngleType)):
            kind = type(node.type).__name__.removesuffix("Type").lower()
            raise refusal(node, f"the input {name} is of type {kind}; only float and angle can be parameters")
        self._declare(node, name, Parameter(name), frame)
        self.inputs.append(name)

    def _declare_variable(self, node: ast.ClassicalDeclaration | ast.ConstantDeclaration, frame: _Frame) -> None:
        name, given = node.identifier.name, node.init_expression
        if isinstance(node.type, ast.BitType):
            self._declare(node, name, Bits(), frame)
            if isinstance(given, ast.QuantumMeasurement):
                self._measure_qubits(node, given, frame)
        elif given is None:
            self._declare(node, name, UNSET, frame)
        elif isinstance(given, ast.QuantumMeasurement):
            raise refusal(node, f"measured values are bits; declare bit {name}")
        else:
            value = converted(node, node.type, evaluate(given, frame.names))
            self._declare(node, name, value, frame)
            if isinstance(node, ast.ConstantDeclaration) and frame is self._top:
                self._constants[name] = value

    def _assign(self, node: ast.ClassicalAssignment, frame: _Frame) -> None:
        if not isinstance(node.lvalue, ast.Identifier):
            raise refusal(node, "only whole variables can be assigned; use one variable for each")
        name = node.lvalue.name
        owner = next((names for names in frame.names.maps if name in names), None)
        value = evaluate(node.rvalue, frame.names)
        if node.op.name != "=":
            value = binary(node, node.op.name[:-1], evaluate(node.lvalue, frame.names), value)
        is_constant = owner is self._top.names.maps[0] and name in self._constants
        if owner is None or is_constant or isinstance(owner[name], (Bits, Qubits)):
            raise refusal(node, f"{name} is no variable that holds a number; declare one")
        owner[name] = value

    def _alias(self, node: ast.AliasStatement, frame: _Frame) -> None:
        self._declare(node, node.target.name, self._qubits(node.value, frame), frame)

    # control flow, as far as it is known before the program runs

    def _loop(self, node: ast.ForInLoop, frame: _Frame) -> None:
        for value in integers(node.set_declaration, frame.names):
            held = converted(node, node.type, value)
            self._block(node.block, frame.inside(**{node.identifier.name: held}))

    def _branch(self, node: ast.BranchingStatement, frame: _Frame) -> None:
        is_met = bool(number(node.condition, frame.names))
        self._block(node.if_block if is_met else node.else_block, frame.inside())

    def _box(self, node: ast.Box, frame: _Frame) -> None:
        self._block(node.body, frame.inside())

    def _compound(self, node: ast.CompoundStatement, frame: _Frame) -> None:
        self._block(node.statements, frame.inside())

    # no effect on an ideal device, but kept for one that runs the program as it is

    def _barrier(self, node: ast.QuantumBarrier, frame: _Frame) -> None:
        named = [number for qubits in node.qubits for number in self._qubits(qubits, frame).numbers]
        if frame.circuit is self.circuit and self.circuit.num_qubits:
            self.circuit.barrier(named or self.circuit.qubits)
            self._mark(node)

    def _delay(self, node: ast.DelayInstruction, frame: _Frame) -> None:
        """Durations that are computed stay out."""
        duration = node.duration
        if frame.circuit is self.circuit and isinstance(duration, ast.DurationLiteral):
            unit = duration.unit.name
            value = round(duration.value) if unit == "dt" else duration.value
            for qubits in node.qubits:
                for qubit in self._qubits(qubits, frame).numbers:
                    self.circuit.delay(value, qubit, unit)
                    self._mark(node)

    # quantum statements

    def _measure(self, node: ast.QuantumMeasurementStatement, frame: _Frame) -> None:
        target = node.target.name if isinstance(node.target, ast.IndexedIdentifier) else node.target
        if target is not None and not isinstance(frame.names.get(target.name), Bits):
            raise refusal(node, f"{target.name} is not declared as bits; write bit[n] {target.name};")
        self._measure_qubits(node, node.measure, frame)

    def _measure_qubits(self, node: ast.QASMNode, measurement: ast.QuantumMeasurement, frame: _Frame) -> None:
        self._outside_gates(node, frame)
        for qubit in self._qubits(measurement.qubit, frame).numbers:
            self.circuit.add_bits([Clbit()])
            self.circuit.measure(qubit, self.circuit.num_clbits - 1)
            self._mark(node)

    def _reset(self, node: ast.QuantumReset, frame: _Frame) -> None:
        self._outside_gates(node, frame)
        for qubit in self._qubits(node.qubits, frame).numbers:
            self.circuit.reset(qubit)
            self._mark(node)

    def _outside_gates(self, node: ast.QASMNode, frame: _Frame) -> None:
        if frame.circuit is not self.circuit:
            raise refusal(node, "a gate consists of gates only; move this out of the definition")

    def _mark(self, node: ast.QASMNode) -> None:
        self.lines.append(node.span.start_line if node.span else 0)

    def _apply(self, node: ast.QuantumGate, frame: _Frame) -> None:
        arguments = tuple([evaluate(argument, frame.names) for argument in node.arguments])
        gate, phase = self._gate(node, arguments)
        if node.modifiers:
            gate = self._modified(node, _with_phase(gate, phase), frame)
        elif frame.circuit is not self.circuit:
            frame.circuit.global_phase += phase  # the body may come under a control
        self._append(node, gate, frame)

    def _phase(self, node: ast.QuantumPhase, frame: _Frame) -> None:
        phase = evaluate(node.argument, frame.names)
        if node.modifiers:
            self._append(node, self._modified(node, GlobalPhaseGate(phase), frame), frame)
        else:
            frame.circuit.global_phase += phase

    def _append(self, node: ast.QuantumGate | ast.QuantumPhase, gate: Gate, frame: _Frame) -> None:
        operands = [self._qubits(qubits, frame) for qubits in node.qubits]
        if len(operands) != gate.num_qubits:
            raise refusal(node, f"{gate.name} acts on {gate.num_qubits} qubits, not on {len(operands)}")
        for qubits in _broadcast(node, operands):
            if len(set(qubits)) != len(qubits):
                raise refusal(node, f"{gate.name} acts twice on the same qubit; give different ones")
            frame.circuit.append(gate, qubits)
            if frame.circuit is self.circuit:
                self._mark(node)

    def _gate(self, node: ast.QuantumGate, arguments: tuple[Value, ...]) -> tuple[Gate, Value]:
        """A gate by name, and the phase by which the specification's differs from it."""
        name = node.name.name
        known = self._gates.get(name)
        if known is None:
            hint = 'include "stdgates.inc"' if name in _STDGATES else "define it with a gate statement"
            raise refusal(node, f"the gate {name} is not defined; {hint}")
        count = known[1] if isinstance(known, tuple) else len(known.arguments)
        if len(arguments) != count:
            raise refusal(node, f"{name} takes {count} angles, not {len(arguments)}")
        if isinstance(known, tuple):
            return known[0](*arguments), _phase_beyond_qiskits(name, arguments)
        return self._custom(node, known, arguments), 0.0

    def _custom(
        self,
        node: ast.QuantumGate,
        definition: ast.QuantumGateDefinition,
        arguments: tuple[Value, ...],
    ) -> Gate:
        name = definition.name.name
        if name in self._open:
            raise refusal(node, f"the gate {name} calls itself; write it without")
        if (name, arguments) not in self._made:
            own_name = f"{name}_" if name in _QISKITS_NAMES else name
            body = QuantumCircuit(len(definition.qubits), name=own_name)
            local: dict[str, Any] = {
                formal.name: value for formal, value in zip(definition.arguments, arguments, strict=True)
            }
            for i, qubit in enumerate(definition.qubits):
                local[qubit.name] = Qubits((i,), is_register=False)
            self._open.append(name)
            self._block(definition.body, _Frame(ChainMap(local, self._constants), body))
            self._open.pop()
            self._made[name, arguments] = body.to_gate()
        return self._made[name, arguments]

    def _modified(self, node: ast.QuantumGate | ast.QuantumPhase, gate: Gate, frame: _Frame) -> Gate:
        modifiers = [_modifier(modifier, frame) for modifier in reversed(node.modifiers)]
        try:
            return plain_gate(AnnotatedOperation(gate, modifiers))
        except ValueError as error:
            raise refusal(node, str(error)) from error

    # qubits

    def _qubits(self, node: Any, frame: _Frame) -> Qubits:
        """The qubits that an operand means."""
        if isinstance(node, ast.Identifier):
            return self._named_qubits(node, frame)
        if isinstance(node, ast.IndexedIdentifier):
            qubits = self._named_qubits(node.name, frame)
            for index in node.indices:
                qubits = _picked(node, qubits, index, frame)
            return qubits
        if isinstance(node, ast.IndexExpression):
            return _picked(node, self._qubits(node.collection, frame), node.index, frame)
        if isinstance(node, ast.Concatenation):
            left, right = self._qubits(node.lhs, frame), self._qubits(node.rhs, frame)
            return Qubits(left.numbers + right.numbers)
        raise refusal(node, f"a {type(node).__name__} is no qubit; name a register, a part or a $n")

    def _named_qubits(self, node: ast.Identifier, frame: _Frame) -> Qubits:
        value = frame.names.get(node.name)
        if isinstance(value, Qubits):
            return value
        if re.fullmatch(r"\$\d+", node.name) and frame.circuit is self.circuit:
            return self._physical(node)
        raise refusal(node, f"{node.name} is no qubit here; declare it with qubit {node.name};")

    def _physical(self, node: ast.Identifier) -> Qubits:
        if not self._is_physical and self.circuit.num_qubits:
            raise refusal(node, f"{node.name} cannot stand beside declared qubits; use one kind")
        self._is_physical = True
        index = int(node.name[1:])
        if index >= self.circuit.num_qubits:
            self._add_qubits(index + 1 - self.circuit.num_qubits)
        return Qubits((index,), is_register=False)


def _phase_beyond_qiskits(name: str, arguments: tuple[Value, ...]) -> Value:
    if name == "U":
        return arguments[0] / 2
    if name in {"u2", "u3"}:
        return (arguments[-2] + arguments[-1]) / -2
    return 0.0


def _with_phase(gate: Gate, phase: Value) -> Gate:
    if isinstance(phase, float) and not phase:
        return gate
    circuit = QuantumCircuit(gate.num_qubits, name=f"{gate.name}_", global_phase=phase)
    circuit.append(gate, circuit.qubits)
    return circuit.to_gate()


def _modifier(node: ast.QuantumGateModifier, frame: _Frame) -> InverseModifier | PowerModifier | ControlModifier:
    kind = ast.GateModifierName
    if node.modifier is kind.inv:
        return InverseModifier()
    if node.modifier is kind.pow and node.argument is not None:
        return PowerModifier(number(node.argument, frame.names))
    count = 1 if node.argument is None else integer(node.argument, frame.names)
    if count < 1:
        raise refusal(node, f"{count} controls; a control modifier adds at least one")
    return ControlModifier(count, 2**count - 1 if node.modifier is kind.ctrl else 0)


def _broadcast(node: ast.QASMNode, operands: Sequence[Qubits]) -> list[tuple[int, ...]]:
    """The qubits of each single gate, where some operands are registers."""
    sizes = {len(operand.numbers) for operand in operands if operand.is_register}
    if len(sizes) > 1:
        raise refusal(node, f"registers of {' and '.join(map(str, sorted(sizes)))} qubits cannot be paired")
    size = sizes.pop() if sizes else 1
    columns = [o.numbers if o.is_register else o.numbers * size for o in operands]
    return list(zip(*columns, strict=True)) if columns else [()]


def _picked(
    node: ast.QASMNode,
    qubits: Qubits,
    index: ast.DiscreteSet | list[ast.Expression | ast.RangeDefinition],
    frame: _Frame,
) -> Qubits:
    """register[index], for an integer, a range or a set."""
    if not qubits.is_register:
        raise refusal(node, "a single qubit has no index; leave the index out")
    if isinstance(index, ast.DiscreteSet):
        places = list(integers(index, frame.names))
    elif len(index) != 1:
        raise refusal(node, "a register has one index")
    elif isinstance(index[0], ast.RangeDefinition):
        places = _range(index[0], len(qubits.numbers), frame)
    else:
        place = _place(node, integer(index[0], frame.names), qubits)
        return Qubits((qubits.numbers[place],), is_register=False)
    return Qubits(tuple([qubits.numbers[_place(node, place, qubits)] for place in places]))


def _place(node: ast.QASMNode, index: int, qubits: Qubits) -> int:
    size = len(qubits.numbers)
    if not -size <= index < size:
        raise refusal(node, f"the index {index} is outside the register of {size} qubits")
    return index % size


def _range(node: ast.RangeDefinition, size: int, frame: _Frame) -> list[int]:
    """A range of a register's places; a negative end counts from the last."""
    step = 1 if node.step is None else integer(node.step, frame.names)
    if step == 0:
        raise refusal(node, "the step of a range must not be 0")
    first, last = (0, size - 1) if step > 0 else (size - 1, 0)
    start = first if node.start is None else integer(node.start, frame.names)
    end = last if node.end is None else integer(node.end, frame.names)
    start, end = (place + size if place < 0 else place for place in (start, end))
    return list(range(start, end + (1 if step > 0 else -1), step))


_STATEMENTS: dict[type, Callable[[_Program, Any, _Frame], None]] = {
    ast.Include: _Program._include,
    ast.QuantumGateDefinition: _Program._define_gate,
    ast.QubitDeclaration: _Program._declare_qubits,
    ast.IODeclaration: _Program._declare_io,
    ast.ClassicalDeclaration: _Program._declare_variable,
    ast.ConstantDeclaration: _Program._declare_variable,
    ast.ClassicalAssignment: _Program._assign,
    ast.AliasStatement: _Program._alias,
    ast.ForInLoop: _Program._loop,
    ast.BranchingStatement: _Program._branch,
    ast.Box: _Program._box,
    ast.CompoundStatement: _Program._compound,
    ast.QuantumBarrier: _Program._barrier,
    ast.DelayInstruction: _Program._delay,
    ast.QuantumMeasurementStatement: _Program._measure,
    ast.QuantumReset: _Program._reset,
    ast.QuantumGate: _Program._apply,
    ast.QuantumPhase: _Program._phase,
}
_UNREAD = {
    ast.WhileLoop: "a while loop",
    ast.SubroutineDefinition: "a def",
    ast.ExternDeclaration: "an extern",
    ast.Pragma: "a pragma",
    ast.CalibrationDefinition: "a defcal",
    ast.ExpressionStatement: "a call",
}
