"""Reading OpenQASM 3 programs, with `input float` and `input angle` parameters.

The reference parser's syntax tree is run statement by statement into a `QuantumCircuit`, which the
Qiskit reader takes from there. Running it, not translating it, makes constants, loops over known
values, subroutines, functions of inputs and gates with any body ordinary; what depends on a
measurement is refused with its line.

Registers follow each other in the order of declaration: qubit 0 of the first is qubit 0. θ is in the
order of the `input` declarations. An angle that is more than an input stands in the circuit as a
parameter of its own, and what it means in a graph beside it: Qiskit never computes with it.

Under a control a gate's phase counts. In the specification (openqasm.com) U(θ, φ, λ) is exp(iθ/2) times
Qiskit's, and its gates make up for that with gphase. What Qiskit and Braket write takes `ctrl @ U(π, 0, π)`
for CX. So U has that phase in programs where a gate of U's has a gphase, and Qiskit's in all others.
u2 and u3 are exp(−i(φ+λ)/2) times Qiskit's, as in stdgates.inc.

Braket's dialect: a program that uses Braket's gates and includes none is in it. Its pragmas for results
are left out, the one for a unitary matrix is a gate.
"""

from __future__ import annotations

import ast as python
import os
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openqasm3 import ast
from qiskit import qasm2, qpy
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
from qiskit.circuit.library import GlobalPhaseGate, UnitaryGate
from qiskit.exceptions import QiskitError

from qngd.circuit import Circuit
from qngd.errors import CircuitError
from qngd.interop import qiskit as qiskit_reader
from qngd.interop._expressions import Expression, Graph
from qngd.interop._openqasm_gates import (
    BRAKET,
    BUILTIN,
    INCLUDES,
    STDGATES,
    KnownGate,
    hint,
    is_brakets,
    makes_up_for_phase_of_u,
)
from qngd.interop._openqasm_qubits import broadcast, picked
from qngd.interop._openqasm_text import deep_recursion, is_version_2, parsed, program_text, where
from qngd.interop._openqasm_values import (
    UNSET,
    Bits,
    KnownBits,
    Qubits,
    Value,
    array,
    binary,
    converted,
    evaluate,
    integer,
    integers,
    known_bits,
    number,
    refusal,
)
from qngd.interop._qiskit_angles import Symbols
from qngd.interop._qiskit_gates import one_line, plain_gate

# Qiskit takes a gate of such a name for its own when it puts it under a control.
_QISKITS_NAMES = frozenset(key.name for key in StandardEquivalenceLibrary.keys())  # noqa: SIM118


def read_circuit(native: str | os.PathLike[str], *example_args: Any) -> Circuit:
    """The neutral form of an OpenQASM 3 program; OpenQASM 2 is read as well, and files of Qiskit's QPY.

    Args:
        native: the program, or the path of a `.qasm` or `.qpy` file. Includes are looked for beside the file.
        *example_args: none are taken.

    Raises:
        CircuitError: there is no such file, the program has an error, or it is not a unitary circuit;
            the text names the line and says what to do.
    """
    if example_args:
        raise CircuitError("circuit: an OpenQASM program takes no example arguments; give it alone")
    if _is_path_of_qpy(native):
        return _read_qpy(Path(native))
    text, folder = program_text(native)
    if is_version_2(text):
        return _read_version_2(text, folder)
    with deep_recursion():
        tree = parsed(text)
        program = _Program(folder, is_brakets(tree))
        program.run(tree)
    return qiskit_reader.read_circuit(program.circuit, symbols=program.symbols(), lines=program.lines)


def _is_path_of_qpy(native: str | os.PathLike[str]) -> bool:
    return "\n" not in str(native) and Path(native).suffix.lower() == ".qpy"


def _read_qpy(path: Path) -> Circuit:
    try:
        with path.open("rb") as file:
            circuits = qpy.load(file)
    except OSError as error:
        raise CircuitError(f"circuit: cannot read the file {str(path)!r} ({error.strerror})") from error
    except (QiskitError, UnicodeDecodeError, ValueError) as error:
        raise CircuitError(
            f"circuit: the file {str(path)!r} is no QPY that this Qiskit reads ({one_line(error)})"
        ) from error
    if len(circuits) != 1:
        raise CircuitError(
            f"circuit: the file {str(path)!r} holds {len(circuits)} circuits; load it with qiskit.qpy.load and give one"
        )
    return qiskit_reader.read_circuit(circuits[0])


def _read_version_2(text: str, folder: Path) -> Circuit:
    try:
        circuit = qasm2.loads(
            text,
            include_path=(str(folder),),
            custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
        )
    except qasm2.QASM2ParseError as error:
        raise CircuitError(f"OpenQASM 2: {one_line(error)}; correct the program") from error
    return qiskit_reader.read_circuit(circuit)


@dataclass(frozen=True)
class _Frame:
    """Where a statement runs: the names it sees, the circuit it adds to, and the global phases beside it."""

    names: ChainMap[str, Any]
    circuit: QuantumCircuit
    phases: list[Value] = field(default_factory=list)

    def inside(self, **names: Any) -> _Frame:
        return _Frame(self.names.new_child(names), self.circuit, self.phases)


class _Return(Exception):
    """A subroutine has come to its return statement."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Program:
    """Runs a program: `circuit` is what its gates are, `inputs` the names of its parameters, `lines` the
    place of each instruction."""

    def __init__(self, folder: Path, is_brakets: bool) -> None:
        self.circuit = QuantumCircuit()
        self.inputs: list[str] = []
        self.lines: list[str] = []
        self._folder = folder
        self._graph = Graph(self.inputs)
        self._symbols: dict[int, Parameter] = {}  # what stands for a node of the graph in the circuit
        self._top = _Frame(ChainMap(), self.circuit)
        self._constants: dict[str, Any] = {}  # all that a gate's body sees of the program
        self._gates: dict[str, KnownGate | ast.QuantumGateDefinition] = dict(BUILTIN)
        self._made: dict[tuple[str, tuple[Value, ...]], Gate] = {}
        self._open: list[str] = []  # the gates and subroutines whose bodies are being run, and the open files
        self._is_physical = False
        self._is_brakets = is_brakets
        self._has_phase_of_u = False

    def run(self, program: ast.Program) -> None:
        """Run all statements.

        Raises:
            CircuitError: one cannot be run; the text names its line.
        """
        self._has_phase_of_u |= makes_up_for_phase_of_u(program)
        for statement in program.statements:
            if isinstance(statement, ast.EndStatement):
                return
            self._statement(statement, self._top)

    def symbols(self) -> Symbols:
        """What the parameters of the circuit stand for."""
        return Symbols(self._graph, {symbol: node for node, symbol in self._symbols.items()})

    def _native(self, value: Value) -> float | Parameter:
        """A value as the angle of one of Qiskit's gates."""
        if not isinstance(value, Expression):
            return float(value)
        known = self._graph.value_of(value.node)
        if known is not None and not known.imag:
            return known.real
        if value.node not in self._symbols:
            self._symbols[value.node] = Parameter(f"angle {value.node}")
        return self._symbols[value.node]

    def _statement(self, node: Any, frame: _Frame) -> None:
        run = _STATEMENTS.get(type(node))
        if run is None:
            what = _UNREAD.get(type(node), f"a {type(node).__name__}")
            raise refusal(node, f"{what} is not read; write the circuit with gates, gate definitions and loops")
        run(self, node, frame)

    def _block(self, nodes: Sequence[Any], frame: _Frame) -> None:
        for node in nodes:
            self._statement(node, frame)

    @contextmanager
    def _opened(self, node: ast.QASMNode, name: str, kind: str) -> Iterator[None]:
        if name in self._open:
            raise refusal(node, f"the {kind} {name} calls itself; write it without")
        self._open.append(name)
        try:
            yield
        finally:
            self._open.pop()

    # declarations

    def _include(self, node: ast.Include, _: _Frame) -> None:
        table = INCLUDES.get(node.filename)
        if table is None:
            self._include_file(node)
            return
        for name, gate in table.items():
            if not isinstance(self._gates.get(name), tuple):  # two of these files agree on what they share
                self._define(node, name, gate)
        self._is_brakets = False

    def _include_file(self, node: ast.Include) -> None:
        path = self._folder / node.filename
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            known = " and ".join(f'"{name}"' for name in INCLUDES)
            raise refusal(
                node,
                f"cannot read the file {str(path)!r} ({reason}); {known} are known, others are looked for beside the "
                f"program's file: put it there, or paste what {node.filename} holds",
            ) from error
        folder, self._folder = self._folder, path.parent
        with self._opened(node, f"file {path.resolve()}", "include"):
            self.run(parsed(text, node.filename))
        self._folder = folder

    def _define(self, node: ast.QASMNode, name: str, gate: KnownGate | ast.QuantumGateDefinition) -> None:
        if name in self._gates:
            raise refusal(node, f"the gate {name} is defined twice; rename one of them")
        self._gates[name] = gate

    def _define_gate(self, node: ast.QuantumGateDefinition, _: _Frame) -> None:
        self._define(node, node.name.name, node)

    def _define_subroutine(self, node: ast.SubroutineDefinition, frame: _Frame) -> None:
        def call(call: ast.FunctionCall, names: Any) -> Any:
            return self._call(call, node, _Frame(names, self.circuit, frame.phases))

        self._declare(node, node.name.name, call, frame)
        self._constants[node.name.name] = call

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
        column = len(self.inputs)
        self.inputs.append(name)
        self._graph.names.append(name)
        self._declare(node, name, Expression(self._graph, self._graph.parameter(column)), frame)

    def _declare_variable(self, node: ast.ClassicalDeclaration | ast.ConstantDeclaration, frame: _Frame) -> None:
        name, given = node.identifier.name, node.init_expression
        is_measured = isinstance(given, ast.QuantumMeasurement)
        value: Any
        if isinstance(node.type, ast.BitType):
            value = self._bits(node, given, frame)
        elif is_measured:
            raise refusal(node, f"measured values are bits; declare bit {name}")
        elif given is None or isinstance(node.type, (ast.DurationType, ast.StretchType)):
            value = UNSET
        elif isinstance(node.type, ast.ArrayType):
            value = array(given, node.type, frame.names)
        else:
            value = converted(node, node.type, evaluate(given, frame.names))
        self._declare(node, name, value, frame)
        is_constant = isinstance(node, ast.ConstantDeclaration) or isinstance(value, tuple)
        if is_constant and frame is self._top:
            self._constants[name] = value

    def _bits(self, node: ast.ClassicalDeclaration | ast.ConstantDeclaration, given: Any, frame: _Frame) -> Any:
        """Bits of known value, or those that a measurement gives."""
        if isinstance(given, ast.QuantumMeasurement):
            self._measure_qubits(node, given, frame)
            return Bits()
        bits = known_bits(given, frame.names)
        if bits is not None:
            return bits
        if given is None:
            return Bits()
        value = evaluate(given, frame.names)
        if isinstance(value, (int, bool)) and value in (0, 1) and node.type.size is None:
            return KnownBits(int(value), 1)
        if isinstance(value, Bits):
            return value
        raise refusal(node, f'{node.identifier.name} holds bits; write them as "0101"')

    def _assign(self, node: ast.ClassicalAssignment, frame: _Frame) -> None:
        if not isinstance(node.lvalue, ast.Identifier):
            raise refusal(node, "only whole variables can be assigned; use one variable for each")
        name = node.lvalue.name
        owner = next((names for names in frame.names.maps if name in names), None)
        value = evaluate(node.rvalue, frame.names)
        if node.op.name != "=":
            value = binary(node, node.op.name[:-1], evaluate(node.lvalue, frame.names), value)
        if owner is not None and isinstance(owner[name], Bits) and isinstance(value, Bits):
            return
        is_constant = owner is self._top.names.maps[0] and name in self._constants
        if owner is None or is_constant or isinstance(owner[name], (Bits, KnownBits, Qubits, tuple)):
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

    def _nothing(self, node: ast.QASMNode, frame: _Frame) -> None:
        """A barrier or a delay: no effect on an ideal device."""

    # subroutines

    def _expression(self, node: ast.ExpressionStatement, frame: _Frame) -> None:
        if not isinstance(node.expression, ast.FunctionCall):
            raise refusal(node, "an expression alone has no effect; remove it")
        self._outside_gates(node, frame)
        evaluate(node.expression, frame.names)

    def _call(self, node: ast.FunctionCall, definition: ast.SubroutineDefinition, frame: _Frame) -> Any:
        """Run a subroutine's body in the place of the call; its value is what it returns."""
        name, given, formal = definition.name.name, node.arguments, definition.arguments
        if len(given) != len(formal):
            raise refusal(node, f"{name} takes {len(formal)} arguments, not {len(given)}")
        local = {f.name.name: self._argument(g, f, frame) for g, f in zip(given, formal, strict=True)}
        with self._opened(node, f"def {name}", "subroutine"):
            try:
                self._block(definition.body, _Frame(ChainMap(local, self._constants), self.circuit, frame.phases))
            except _Return as back:
                return back.value
        return None

    def _argument(self, given: Any, formal: ast.QuantumArgument | ast.ClassicalArgument, frame: _Frame) -> Any:
        if isinstance(formal, ast.QuantumArgument):
            qubits = self._qubits(given, frame)
            size = 1 if formal.size is None else integer(formal.size, frame.names)
            if len(qubits.numbers) != size:
                raise refusal(given, f"{formal.name.name} is {size} qubits, not {len(qubits.numbers)}")
            return Qubits(qubits.numbers, is_register=formal.size is not None)
        if isinstance(formal.type, (ast.ArrayType, ast.ArrayReferenceType)):
            value = frame.names.get(getattr(given, "name", ""))
            if not isinstance(value, tuple):
                raise refusal(given, f"{formal.name.name} is an array; give the name of one")
            return value
        if isinstance(formal.type, ast.BitType):
            bits = known_bits(given, frame.names)
            return Bits() if bits is None else bits
        return converted(given, formal.type, evaluate(given, frame.names))

    def _return(self, node: ast.ReturnStatement, frame: _Frame) -> None:
        if isinstance(node.expression, ast.QuantumMeasurement):
            self._measure_qubits(node, node.expression, frame)
            raise _Return(Bits())
        if isinstance(node.expression, ast.Identifier) and isinstance(frame.names.get(node.expression.name), Bits):
            raise _Return(Bits())
        raise _Return(None if node.expression is None else evaluate(node.expression, frame.names))

    # Braket's pragmas

    def _pragma(self, node: ast.Pragma, frame: _Frame) -> None:
        dialect, _, command = node.command.strip().partition(" ")
        kind = re.match(r"\w*", command.strip())
        if dialect != "braket" or kind is None:
            raise refusal(node, f"a pragma is not read ({dialect}); remove it")
        if kind[0] in ("result", "verbatim"):
            return  # what to measure is said to qngd; boxes are read as they are
        if kind[0] == "unitary":
            self._unitary(node, command, frame)
            return
        advice = "give noise to the backend instead" if kind[0] == "noise" else "remove it"
        raise refusal(node, f"the pragma braket {kind[0]} is not read, a circuit here is unitary; {advice}")

    def _unitary(self, node: ast.Pragma, command: str, frame: _Frame) -> None:
        """unitary([[…], …]) q[0], q[1]: the first qubit is the most significant bit of the matrix."""
        found = re.fullmatch(r"\s*unitary\s*\((.*)\)\s*([^()]*?)\s*", command, re.S)
        try:
            matrix = python.literal_eval(re.sub(r"(?<=[\d.])\s*im\b", "j", found[1])) if found else None
            gate = UnitaryGate(matrix, label=None)
        except (QiskitError, SyntaxError, TypeError, ValueError) as error:
            raise refusal(node, f"the pragma's matrix is not unitary, or no matrix ({one_line(error)})") from None
        assert found is not None
        operands = parsed(f"barrier {found[2]};").statements[0].qubits
        places = [place for operand in operands for place in self._qubits(operand, frame).numbers]
        if len(places) != gate.num_qubits:
            raise refusal(node, f"the matrix acts on {gate.num_qubits} qubits, not on {len(places)}")
        frame.circuit.append(gate, places[::-1])
        self._mark(node)

    # quantum statements

    def _measure(self, node: ast.QuantumMeasurementStatement, frame: _Frame) -> None:
        target = node.target.name if isinstance(node.target, ast.IndexedIdentifier) else node.target
        if target is not None and not isinstance(frame.names.get(target.name), (Bits, KnownBits)):
            raise refusal(node, f"{target.name} is not declared as bits; write bit[n] {target.name};")
        if target is not None:
            owner = next(names for names in frame.names.maps if target.name in names)
            owner[target.name] = Bits()
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
        self.lines.append(where(node))

    def _apply(self, node: ast.QuantumGate, frame: _Frame) -> None:
        arguments = tuple([evaluate(argument, frame.names) for argument in node.arguments])
        gate, phase = self._gate(node, arguments)
        if node.modifiers:
            gate = self._modified(node, _with_phase(gate, self._native(phase)), frame)
        else:
            frame.phases.append(phase)
        self._append(node, gate, frame)

    def _phase(self, node: ast.QuantumPhase, frame: _Frame) -> None:
        phase = evaluate(node.argument, frame.names)
        if node.modifiers:
            self._append(node, self._modified(node, GlobalPhaseGate(self._native(phase)), frame), frame)
        else:
            frame.phases.append(phase)

    def _append(self, node: ast.QuantumGate | ast.QuantumPhase, gate: Gate, frame: _Frame) -> None:
        operands = [self._qubits(qubits, frame) for qubits in node.qubits]
        if len(operands) != gate.num_qubits:
            raise refusal(node, f"{gate.name} acts on {gate.num_qubits} qubits, not on {len(operands)}")
        for qubits in broadcast(node, operands):
            if len(set(qubits)) != len(qubits):
                raise refusal(node, f"{gate.name} acts twice on the same qubit; give different ones")
            frame.circuit.append(gate, qubits)
            if frame.circuit is self.circuit:
                self._mark(node)

    def _gate(self, node: ast.QuantumGate, arguments: tuple[Value, ...]) -> tuple[Gate, Value]:
        """A gate by name, and the phase by which the specification's differs from it."""
        name = node.name.name
        known = self._known_gate(node, name)
        count = known[1] if isinstance(known, tuple) else len(known.arguments)
        if len(arguments) != count:
            raise refusal(node, f"{name} takes {count} angles, not {len(arguments)}")
        if isinstance(known, tuple):
            return known[0](*map(self._native, arguments)), self._phase_beyond_qiskits(name, arguments)
        return self._custom(node, known, arguments), 0.0

    def _phase_beyond_qiskits(self, name: str, arguments: tuple[Value, ...]) -> Value:
        if name == "U" and self._has_phase_of_u:
            return arguments[0] / 2
        if name in {"u2", "u3"}:
            return (arguments[-2] + arguments[-1]) / -2
        return 0.0

    def _known_gate(self, node: ast.QuantumGate, name: str) -> KnownGate | ast.QuantumGateDefinition:
        known = self._gates.get(name)
        if known is None and self._is_brakets:
            known = BRAKET.get(name)
        if known is None:
            others = [*self._gates, *(BRAKET if self._is_brakets else STDGATES)]
            raise refusal(node, f"the gate {name} is not defined; {hint(name, others)}")
        return known

    def _custom(
        self,
        node: ast.QuantumGate,
        definition: ast.QuantumGateDefinition,
        arguments: tuple[Value, ...],
    ) -> Gate:
        name = definition.name.name
        if (name, arguments) not in self._made:
            own_name = f"{name}_" if name in _QISKITS_NAMES else name
            body = QuantumCircuit(len(definition.qubits), name=own_name)
            local: dict[str, Any] = {
                formal.name: value for formal, value in zip(definition.arguments, arguments, strict=True)
            }
            for i, qubit in enumerate(definition.qubits):
                local[qubit.name] = Qubits((i,), is_register=False)
            frame = _Frame(ChainMap(local, self._constants), body)
            with self._opened(node, name, "gate"):
                self._block(definition.body, frame)
            body.global_phase = self._native(sum(frame.phases, 0.0))  # the gate may come under a control
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
                qubits = picked(node, qubits, index, frame.names)
            return qubits
        if isinstance(node, ast.IndexExpression):
            return picked(node, self._qubits(node.collection, frame), node.index, frame.names)
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


def _with_phase(gate: Gate, phase: float | Parameter) -> Gate:
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


_STATEMENTS: dict[type, Callable[[_Program, Any, _Frame], None]] = {
    ast.SubroutineDefinition: _Program._define_subroutine,
    ast.ExpressionStatement: _Program._expression,
    ast.ReturnStatement: _Program._return,
    ast.Pragma: _Program._pragma,
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
    ast.QuantumBarrier: _Program._nothing,
    ast.DelayInstruction: _Program._nothing,
    ast.QuantumMeasurementStatement: _Program._measure,
    ast.QuantumReset: _Program._reset,
    ast.QuantumGate: _Program._apply,
    ast.QuantumPhase: _Program._phase,
}
_UNREAD = {
    ast.WhileLoop: "a while loop",
    ast.ExternDeclaration: "an extern",
    ast.CalibrationDefinition: "a defcal",
}
