"""Running an OpenQASM 3 program.

The reference parser's syntax tree is run statement by statement into a `QuantumCircuit`, which the
Qiskit reader takes from there. Running it, not translating it, makes constants, loops over known
values, subroutines, functions of inputs and gates with any body ordinary; what depends on a
measurement is refused with its line.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openqasm3 import ast
from qiskit.circuit import Clbit, Gate, QuantumCircuit, QuantumRegister
from qiskit.circuit.library import GlobalPhaseGate
from qiskit.transpiler import Layout, TranspileLayout

from qngd.errors import counted
from qngd.interop.expressions import Expression, Graph
from qngd.interop.openqasm.gates import INCLUDES
from qngd.interop.openqasm.making import GateMaker
from qngd.interop.openqasm.pragmas import unitary_of
from qngd.interop.openqasm.qubits import broadcast, picked
from qngd.interop.openqasm.text import NO_QUBITS, parsed, where
from qngd.interop.openqasm.values import (
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
    known_bits,
    number,
    refusal,
    values_of,
)
from qngd.interop.qiskit.angles import Symbols


@dataclass(frozen=True)
class _Scope:
    """Where a statement runs: the names it sees, the circuit it adds to, and the global phases beside it."""

    names: ChainMap[str, Any]
    circuit: QuantumCircuit
    phases: list[Value] = field(default_factory=list)

    def inside(self, **names: Any) -> _Scope:
        return _Scope(self.names.new_child(names), self.circuit, self.phases)


class _Return(Exception):
    """A subroutine has come to its return statement."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Program:
    """A program that has been run: `circuit` is what its gates are, `symbols` what the circuit's parameters stand for,
    `lines` the place of each instruction."""

    def __init__(self, program: ast.Program, folder: Path) -> None:
        """Run all statements; includes are looked for in `folder`.

        Raises:
            CircuitError: one cannot be run; the text names its line.
        """
        self.circuit = QuantumCircuit()
        self.lines: list[str] = []
        self._folder = folder
        self._graph = Graph()
        self._maker = GateMaker(program, self._graph, self._run_body)
        self._top = _Scope(ChainMap(), self.circuit)
        self._constants: dict[str, Any] = {}  # all that a gate's or a subroutine's body sees of the program
        self._open: list[str] = []  # the gates, subroutines and files that are being run
        self._is_physical = False
        self._run(program)

    @property
    def symbols(self) -> Symbols:
        return self._maker.symbols()

    def _run(self, program: ast.Program) -> None:
        self._maker.look_at(program)
        for statement in program.statements:
            if isinstance(statement, ast.EndStatement):
                break
            self._statement(statement, self._top)
        if self._is_physical:  # as Qiskit's own importer says it
            places = {qubit: index for index, qubit in enumerate(self.circuit.qubits)}
            self.circuit._layout = TranspileLayout(Layout(places), places)

    def _statement(self, node: Any, frame: _Scope) -> None:
        run = _STATEMENTS.get(type(node))
        if run is None:
            what = _UNREAD.get(type(node), f"a {type(node).__name__}")
            raise refusal(node, f"{what} is not read; write the circuit with gates, gate definitions and loops")
        run(self, node, frame)

    def _block(self, nodes: Sequence[Any], frame: _Scope) -> None:
        for node in nodes:
            self._statement(node, frame)

    @contextmanager
    def _opened(self, node: ast.QASMNode, name: str, kind: str) -> Iterator[None]:
        if f"{kind} {name}" in self._open:
            raise refusal(node, f"the {kind} {name} calls itself; write it without")
        self._open.append(f"{kind} {name}")
        try:
            yield
        finally:
            self._open.pop()

    # declarations

    def _include(self, node: ast.Include, _: _Scope) -> None:
        if not self._maker.include(node):
            self._include_file(node)

    def _include_file(self, node: ast.Include) -> None:
        path = self._folder / node.filename
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            known = " and ".join(f'"{name}"' for name in INCLUDES)
            raise refusal(
                node,
                f"cannot read the file {str(path)!r} ({reason}); {known} are known, others are looked for beside the "
                f"program's file: put it there, or paste what {node.filename} holds",
            ) from error
        folder, self._folder = self._folder, path.parent
        with self._opened(node, str(path.resolve()), "file"):
            self._run(parsed(text, node.filename))
        self._folder = folder

    def _define_gate(self, node: ast.QuantumGateDefinition, _: _Scope) -> None:
        self._maker.define(node, node.name.name, node)

    def _define_subroutine(self, node: ast.SubroutineDefinition, frame: _Scope) -> None:
        def call(call: ast.FunctionCall, names: Any) -> Any:
            return self._call(call, node, _Scope(names, self.circuit, frame.phases))

        self._declare(node, node.name.name, call, frame)
        self._constants[node.name.name] = call

    def _declare(self, node: ast.QASMNode, name: str, value: Any, frame: _Scope) -> None:
        if name in frame.names.maps[0]:
            raise refusal(node, f"{name} is declared twice; rename one of them")
        frame.names[name] = value

    def _declare_qubits(self, node: ast.QubitDeclaration, frame: _Scope) -> None:
        if self._is_physical:
            raise refusal(node, "declared qubits cannot stand beside $0, $1, …; use one kind")
        first = self.circuit.num_qubits
        size = 1 if node.size is None else integer(node.size, frame.names)
        if size < 1:
            raise refusal(node, f"{node.qubit.name} has {counted(size, 'qubit')}; a register has at least one")
        self._add_qubits(size)
        value = Qubits(tuple(range(first, first + size)), is_register=node.size is not None)
        self._declare(node, node.qubit.name, value, frame)

    def _add_qubits(self, count: int) -> None:
        self.circuit.add_register(QuantumRegister(count, f"q{self.circuit.num_qubits}"))

    def _declare_io(self, node: ast.IODeclaration, frame: _Scope) -> None:
        name = node.identifier.name
        if node.io_identifier is ast.IOKeyword.output:
            self._declare_variable(ast.ClassicalDeclaration(node.type, node.identifier), frame)
            return
        is_array = isinstance(node.type, ast.ArrayType)
        held = node.type.base_type if is_array else node.type
        if not isinstance(held, (ast.FloatType, ast.AngleType)):
            kind = type(held).__name__.removesuffix("Type").lower()
            raise refusal(
                node, f"the input {name} is of type {kind}; only float, angle and arrays of such can be parameters"
            )
        sizes = [integer(size, frame.names) for size in node.type.dimensions] if is_array else []
        self._declare(node, name, self._parameters(name, sizes), frame)

    def _parameters(self, name: str, sizes: Sequence[int], places: tuple[int, ...] = ()) -> Any:
        """A parameter, or those of an array in its order: "w[0]", "w[1,2]"."""
        if sizes:
            return tuple(self._parameters(name, sizes[1:], (*places, place)) for place in range(sizes[0]))
        column = len(self._graph.names)
        self._graph.names.append(f"{name}[{','.join(map(str, places))}]" if places else name)
        return Expression(self._graph, self._graph.parameter(column))

    def _declare_variable(self, node: ast.ClassicalDeclaration | ast.ConstantDeclaration, frame: _Scope) -> None:
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

    def _bits(self, node: ast.ClassicalDeclaration | ast.ConstantDeclaration, given: Any, frame: _Scope) -> Any:
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

    def _assign(self, node: ast.ClassicalAssignment, frame: _Scope) -> None:
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

    def _alias(self, node: ast.AliasStatement, frame: _Scope) -> None:
        self._declare(node, node.target.name, self._qubits(node.value, frame), frame)

    # control flow, as far as it is known before the program runs

    def _loop(self, node: ast.ForInLoop, frame: _Scope) -> None:
        for value in values_of(node.set_declaration, frame.names):
            held = converted(node, node.type, value)
            self._block(node.block, frame.inside(**{node.identifier.name: held}))

    def _branch(self, node: ast.BranchingStatement, frame: _Scope) -> None:
        is_met = bool(number(node.condition, frame.names))
        self._block(node.if_block if is_met else node.else_block, frame.inside())

    def _box(self, node: ast.Box, frame: _Scope) -> None:
        self._block(node.body, frame.inside())

    def _compound(self, node: ast.CompoundStatement, frame: _Scope) -> None:
        self._block(node.statements, frame.inside())

    # no effect on an ideal device, but kept for one that runs the program as it is

    def _barrier(self, node: ast.QuantumBarrier, frame: _Scope) -> None:
        named = [number for qubits in node.qubits for number in self._qubits(qubits, frame).numbers]
        if frame.circuit is self.circuit and self.circuit.num_qubits:
            self.circuit.barrier(named or self.circuit.qubits)
            self._mark(node)

    def _delay(self, node: ast.DelayInstruction, frame: _Scope) -> None:
        """Durations that are computed stay out."""
        duration = node.duration
        if frame.circuit is self.circuit and isinstance(duration, ast.DurationLiteral):
            unit = duration.unit.name
            value = round(duration.value) if unit == "dt" else duration.value
            for qubits in node.qubits:
                for qubit in self._qubits(qubits, frame).numbers:
                    self.circuit.delay(value, qubit, unit)
                    self._mark(node)

    # subroutines

    def _expression(self, node: ast.ExpressionStatement, frame: _Scope) -> None:
        if not isinstance(node.expression, ast.FunctionCall):
            raise refusal(node, "an expression alone has no effect; remove it")
        self._outside_gates(node, frame)
        evaluate(node.expression, frame.names)

    def _call(self, node: ast.FunctionCall, definition: ast.SubroutineDefinition, frame: _Scope) -> Any:
        """Run a subroutine's body in the place of the call; its value is what it returns."""
        name, given, formal = definition.name.name, node.arguments, definition.arguments
        if len(given) != len(formal):
            raise refusal(node, f"{name} takes {counted(len(formal), 'argument')}, not {len(given)}")
        local = {f.name.name: self._argument(g, f, frame) for g, f in zip(given, formal, strict=True)}
        with self._opened(node, name, "subroutine"):
            try:
                self._block(definition.body, _Scope(ChainMap(local, self._constants), self.circuit, frame.phases))
            except _Return as back:
                return back.value
        return None

    def _argument(self, given: Any, formal: ast.QuantumArgument | ast.ClassicalArgument, frame: _Scope) -> Any:
        if isinstance(formal, ast.QuantumArgument):
            if any(name.startswith("gate ") for name in self._open):
                raise refusal(given, "a gate consists of gates only; call the subroutine outside of its definition")
            qubits = self._qubits(given, frame)
            size = 1 if formal.size is None else integer(formal.size, frame.names)
            if len(qubits.numbers) != size:
                raise refusal(given, f"{formal.name.name} is {counted(size, 'qubit')}, not {len(qubits.numbers)}")
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

    def _return(self, node: ast.ReturnStatement, frame: _Scope) -> None:
        if isinstance(node.expression, ast.QuantumMeasurement):
            self._measure_qubits(node, node.expression, frame)
            raise _Return(Bits())
        if isinstance(node.expression, ast.Identifier) and isinstance(frame.names.get(node.expression.name), Bits):
            raise _Return(Bits())
        raise _Return(None if node.expression is None else evaluate(node.expression, frame.names))

    # quantum statements

    def _pragma(self, node: ast.Pragma, frame: _Scope) -> None:
        found = unitary_of(node)
        if found is None:
            return
        gate, operands = found
        places = [place for operand in operands for place in self._qubits(operand, frame).numbers]
        if len(places) != gate.num_qubits:
            raise refusal(node, f"the matrix acts on {counted(gate.num_qubits, 'qubit')}, not on {len(places)}")
        frame.circuit.append(gate, places[::-1])
        self._mark(node)

    def _measure(self, node: ast.QuantumMeasurementStatement, frame: _Scope) -> None:
        target = node.target.name if isinstance(node.target, ast.IndexedIdentifier) else node.target
        if target is not None and not isinstance(frame.names.get(target.name), (Bits, KnownBits)):
            raise refusal(node, f"{target.name} is not declared as bits; write bit[n] {target.name};")
        if target is not None:
            owner = next(names for names in frame.names.maps if target.name in names)
            owner[target.name] = Bits()
        self._measure_qubits(node, node.measure, frame)

    def _measure_qubits(self, node: ast.QASMNode, measurement: ast.QuantumMeasurement, frame: _Scope) -> None:
        self._outside_gates(node, frame)
        for qubit in self._qubits(measurement.qubit, frame).numbers:
            self.circuit.add_bits([Clbit()])
            self.circuit.measure(qubit, self.circuit.num_clbits - 1)
            self._mark(node)

    def _reset(self, node: ast.QuantumReset, frame: _Scope) -> None:
        self._outside_gates(node, frame)
        for qubit in self._qubits(node.qubits, frame).numbers:
            self.circuit.reset(qubit)
            self._mark(node)

    def _outside_gates(self, node: ast.QASMNode, frame: _Scope) -> None:
        if frame.circuit is not self.circuit:
            raise refusal(node, "a gate consists of gates only; move this out of the definition")

    def _mark(self, node: ast.QASMNode) -> None:
        self.lines.append(where(node))

    def _apply(self, node: ast.QuantumGate, frame: _Scope) -> None:
        arguments = tuple([evaluate(argument, frame.names) for argument in node.arguments])
        gate, phase = self._maker.gate(node, arguments)
        if node.modifiers:
            gate = self._maker.modified(node, gate, phase, frame.names)
        else:
            frame.phases.append(phase)
        self._append(node, gate, frame)

    def _phase(self, node: ast.QuantumPhase, frame: _Scope) -> None:
        phase = evaluate(node.argument, frame.names)
        if node.modifiers:
            gate = GlobalPhaseGate(self._maker.native(phase))
            self._append(node, self._maker.modified(node, gate, 0.0, frame.names), frame)
        else:
            frame.phases.append(phase)

    def _append(self, node: ast.QuantumGate | ast.QuantumPhase, gate: Gate, frame: _Scope) -> None:
        operands = [self._qubits(qubits, frame) for qubits in node.qubits]
        if len(operands) != gate.num_qubits:
            raise refusal(node, f"{gate.name} acts on {counted(gate.num_qubits, 'qubit')}, not on {len(operands)}")
        for qubits in broadcast(node, operands):
            if len(set(qubits)) != len(qubits):
                raise refusal(node, f"{gate.name} acts twice on the same qubit; give different ones")
            frame.circuit.append(gate, qubits)
            if frame.circuit is self.circuit:
                self._mark(node)

    def _run_body(
        self,
        node: ast.QuantumGate,
        definition: ast.QuantumGateDefinition,
        arguments: tuple[Value, ...],
        body: QuantumCircuit,
    ) -> Value:
        """What the maker of gates asks for: a gate's definition run into a circuit, and its global phase."""
        local: dict[str, Any] = {
            formal.name: value for formal, value in zip(definition.arguments, arguments, strict=True)
        }
        for i, qubit in enumerate(definition.qubits):
            local[qubit.name] = Qubits((i,), is_register=False)
        frame = _Scope(ChainMap(local, self._constants), body)
        with self._opened(node, definition.name.name, "gate"):
            self._block(definition.body, frame)
        return sum(frame.phases, 0.0)

    # qubits

    def _qubits(self, node: Any, frame: _Scope) -> Qubits:
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

    def _named_qubits(self, node: ast.Identifier, frame: _Scope) -> Qubits:
        value = frame.names.get(node.name)
        if isinstance(value, Qubits):
            return value
        if node.name == NO_QUBITS:
            return Qubits(())
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


_STATEMENTS: dict[type, Callable[[Program, Any, _Scope], None]] = {
    ast.SubroutineDefinition: Program._define_subroutine,
    ast.ExpressionStatement: Program._expression,
    ast.ReturnStatement: Program._return,
    ast.Pragma: Program._pragma,
    ast.Include: Program._include,
    ast.QuantumGateDefinition: Program._define_gate,
    ast.QubitDeclaration: Program._declare_qubits,
    ast.IODeclaration: Program._declare_io,
    ast.ClassicalDeclaration: Program._declare_variable,
    ast.ConstantDeclaration: Program._declare_variable,
    ast.ClassicalAssignment: Program._assign,
    ast.AliasStatement: Program._alias,
    ast.ForInLoop: Program._loop,
    ast.BranchingStatement: Program._branch,
    ast.Box: Program._box,
    ast.CompoundStatement: Program._compound,
    ast.QuantumBarrier: Program._barrier,
    ast.DelayInstruction: Program._delay,
    ast.QuantumMeasurementStatement: Program._measure,
    ast.QuantumReset: Program._reset,
    ast.QuantumGate: Program._apply,
    ast.QuantumPhase: Program._phase,
}
_UNREAD = {
    ast.WhileLoop: "a while loop",
    ast.SwitchStatement: "a switch",
    ast.CalibrationGrammarDeclaration: "a defcalgrammar",
    ast.CalibrationStatement: "a cal block",
    ast.BreakStatement: "a break",
    ast.ContinueStatement: "a continue",
    ast.ExternDeclaration: "an extern",
    ast.CalibrationDefinition: "a defcal",
}
