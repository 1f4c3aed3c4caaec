"""Qiskit's gates for those that an OpenQASM program names.

An angle that is more than a number stands in a gate as a parameter of its own, and what it means in a graph beside
it: Qiskit never computes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from openqasm3 import ast
from qiskit.circuit import (
    AnnotatedOperation,
    ControlModifier,
    Gate,
    InverseModifier,
    Parameter,
    PowerModifier,
    QuantumCircuit,
)
from qiskit.circuit.equivalence_library import StandardEquivalenceLibrary

from qngd.interop.expressions import Expression, Graph
from qngd.interop.openqasm.gates import (
    BRAKET,
    BUILTIN,
    INCLUDES,
    STDGATES,
    UNLESS_DEFINED,
    KnownGate,
    hint,
    is_brakets,
    makes_up_for_phase_of_u,
)
from qngd.interop.openqasm.values import Value, integer, number, refusal
from qngd.interop.qiskit.angles import Symbols
from qngd.interop.qiskit.gates import plain_gate

# Qiskit takes a gate of such a name for its own when it puts it under a control.
_QISKITS_NAMES = frozenset(key.name for key in StandardEquivalenceLibrary.keys())  # noqa: SIM118
# Runs the body of a definition, whose angles have these values, into the circuit; gives its global phase.
RunBody = Callable[[ast.QuantumGate, ast.QuantumGateDefinition, tuple[Value, ...], QuantumCircuit], Value]


class GateMaker:
    """The gates that a program knows so far; `graph` is what its angles are functions of."""

    def __init__(self, program: ast.Program, graph: Graph, run_body: RunBody) -> None:
        self._graph = graph
        self._run_body = run_body
        self._symbols: dict[int, Parameter] = {}  # what stands for a node of the graph in the gates
        self._known: dict[str, KnownGate | ast.QuantumGateDefinition] = dict(BUILTIN)
        self._made: dict[tuple[str, tuple[Value, ...]], Gate] = {}
        self._is_brakets = is_brakets(program)
        self._has_phase_of_u = False

    def symbols(self) -> Symbols:
        """What the parameters of the gates stand for."""
        return Symbols(self._graph, {symbol: node for node, symbol in self._symbols.items()})

    def native(self, value: Value) -> float | Parameter:
        """A value as the angle of one of Qiskit's gates."""
        if not isinstance(value, Expression):
            return float(value)
        known = self._graph.value_of(value.node)
        if known is not None and not known.imag:
            return known.real
        if value.node not in self._symbols:
            self._symbols[value.node] = Parameter(f"angle {value.node}")
        return self._symbols[value.node]

    def look_at(self, program: ast.Program) -> None:
        """What the program, or a file that it includes, takes U for."""
        self._has_phase_of_u |= makes_up_for_phase_of_u(program)

    def include(self, node: ast.Include) -> bool:
        """Define the gates of a file that is known by name; False for other files."""
        table = INCLUDES.get(node.filename)
        if table is None:
            return False
        for name, gate in table.items():
            if not isinstance(self._known.get(name), tuple):  # two of these files agree on what they share
                self.define(node, name, gate)
        self._is_brakets = False
        return True

    def define(self, node: ast.QASMNode, name: str, gate: KnownGate | ast.QuantumGateDefinition) -> None:
        if name in self._known:
            raise refusal(node, f"the gate {name} is defined twice; rename one of them")
        self._known[name] = gate

    def gate(self, node: ast.QuantumGate, arguments: tuple[Value, ...]) -> tuple[Gate, Value]:
        """The gate of a statement without its modifiers, and the phase by which the specification's differs."""
        name = node.name.name
        known = self._known_gate(node, name)
        count = known[1] if isinstance(known, tuple) else len(known.arguments)
        if len(arguments) != count:
            raise refusal(node, f"{name} takes {count} angles, not {len(arguments)}")
        if isinstance(known, tuple):
            return known[0](*map(self.native, arguments)), self._phase_beyond_qiskits(name, arguments)
        return self._custom(node, known, arguments), 0.0

    def modified(
        self, node: ast.QuantumGate | ast.QuantumPhase, gate: Gate, phase: Value, names: Mapping[str, Any]
    ) -> Gate:
        """The gate times exp(i·phase), under the modifiers of a statement."""
        modifiers = [_modifier(modifier, names) for modifier in reversed(node.modifiers)]
        try:
            return plain_gate(AnnotatedOperation(_with_phase(gate, self.native(phase)), modifiers))
        except ValueError as error:
            raise refusal(node, str(error)) from error

    def _phase_beyond_qiskits(self, name: str, arguments: tuple[Value, ...]) -> Value:
        if name == "U" and self._has_phase_of_u:
            return arguments[0] / 2
        if name in {"u2", "u3"}:
            return (arguments[-2] + arguments[-1]) / -2
        return 0.0

    def _known_gate(self, node: ast.QuantumGate, name: str) -> KnownGate | ast.QuantumGateDefinition:
        for gates in (self._known, BRAKET if self._is_brakets else {}, UNLESS_DEFINED):
            if name in gates:
                return gates[name]
        others = [*self._known, *(BRAKET if self._is_brakets else STDGATES)]
        raise refusal(node, f"the gate {name} is not defined; {hint(name, others)}")

    def _custom(
        self, node: ast.QuantumGate, definition: ast.QuantumGateDefinition, arguments: tuple[Value, ...]
    ) -> Gate:
        name = definition.name.name
        if (name, arguments) not in self._made:
            body = QuantumCircuit(len(definition.qubits), name=f"{name}_" if name in _QISKITS_NAMES else name)
            phase = self._run_body(node, definition, arguments, body)
            body.global_phase = self.native(phase)  # the gate may come under a control
            self._made[name, arguments] = body.to_gate()
        return self._made[name, arguments]


def _with_phase(gate: Gate, phase: float | Parameter) -> Gate:
    if isinstance(phase, float) and not phase:
        return gate
    circuit = QuantumCircuit(gate.num_qubits, name=f"{gate.name}_", global_phase=phase)
    circuit.append(gate, circuit.qubits)
    return circuit.to_gate()


def _modifier(
    node: ast.QuantumGateModifier, names: Mapping[str, Any]
) -> InverseModifier | PowerModifier | ControlModifier:
    kind = ast.GateModifierName
    if node.modifier is kind.inv:
        return InverseModifier()
    if node.modifier is kind.pow and node.argument is not None:
        return PowerModifier(number(node.argument, names))
    count = 1 if node.argument is None else integer(node.argument, names)
    if count < 1:
        raise refusal(node, f"{count} controls; a control modifier adds at least one")
    return ControlModifier(count, 2**count - 1 if node.modifier is kind.ctrl else 0)
