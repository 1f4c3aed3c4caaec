"""The gates that OpenQASM programs know without defining them: those of stdgates.inc, of qelib1.inc, and Braket's.

Each is a name, what makes Qiskit's gate from the angles, and how many angles there are.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from openqasm3 import ast
from openqasm3.visitor import QASMVisitor
from qiskit import qasm2
from qiskit.circuit import Gate, QuantumCircuit
from qiskit.circuit.library import XXPlusYYGate, standard_gates

from qngd.interop.openqasm.text import advice_for

KnownGate = tuple[Callable[..., Gate], int]

BUILTIN: dict[str, KnownGate] = {"U": (standard_gates.UGate, 3)}
UNLESS_DEFINED: dict[str, KnownGate] = {"CX": (standard_gates.CXGate, 0)}  # built in until OpenQASM 2

STDGATES: dict[str, KnownGate] = {
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

QELIB1: dict[str, KnownGate] = {
    gate.name: (gate.constructor, gate.num_params)
    for gate in qasm2.LEGACY_CUSTOM_INSTRUCTIONS
    if gate.name not in {"U", "delay"}
} | {"CX": (standard_gates.CXGate, 0)}

INCLUDES = {"stdgates.inc": STDGATES, "qelib1.inc": QELIB1}


def _made(name: str, num_qubits: int, build: Callable[[QuantumCircuit], Any]) -> Gate:
    circuit = QuantumCircuit(num_qubits, name=name)
    build(circuit)
    return circuit.to_gate()


def _swap_with_phase(angle: Any) -> Gate:
    """SWAP that turns |01⟩ and |10⟩ by exp(i·angle)."""

    def build(circuit: QuantumCircuit) -> None:
        circuit.swap(0, 1)
        circuit.cx(0, 1)
        circuit.p(angle, 1)
        circuit.cx(0, 1)

    return _made("pswap", 2, build)


def _phase_where(first: int, second: int) -> Callable[[Any], Gate]:
    """exp(i·angle) on one basis state of two qubits."""

    def gate(angle: Any) -> Gate:
        def build(circuit: QuantumCircuit) -> None:
            flipped = [qubit for qubit, bit in enumerate((first, second)) if not bit]
            for qubit in flipped:
                circuit.x(qubit)
            circuit.cp(angle, 0, 1)
            for qubit in flipped:
                circuit.x(qubit)

        return _made(f"cphaseshift{first}{second}", 2, build)

    return gate


def _half_turn(angle: Any) -> Gate:
    """GPi: X turned about Z by an angle."""

    def build(circuit: QuantumCircuit) -> None:
        circuit.rz(-angle, 0)
        circuit.x(0)
        circuit.rz(angle, 0)

    return _made("gpi", 1, build)


def _molmer_sorensen(first: Any, second: Any, angle: Any) -> Gate:
    """exp(−i·angle/2·A⊗B), where A and B are X turned about Z by the first and the second angle."""

    def build(circuit: QuantumCircuit) -> None:
        circuit.rz(-first, 0)
        circuit.rz(-second, 1)
        circuit.rxx(angle, 0, 1)
        circuit.rz(first, 0)
        circuit.rz(second, 1)

    return _made("ms", 2, build)


# as Braket's documentation lists them; its programs include nothing
BRAKET: dict[str, KnownGate] = {
    "i": (standard_gates.IGate, 0),
    "h": (standard_gates.HGate, 0),
    "x": (standard_gates.XGate, 0),
    "y": (standard_gates.YGate, 0),
    "z": (standard_gates.ZGate, 0),
    "s": (standard_gates.SGate, 0),
    "si": (standard_gates.SdgGate, 0),
    "t": (standard_gates.TGate, 0),
    "ti": (standard_gates.TdgGate, 0),
    "v": (standard_gates.SXGate, 0),
    "vi": (standard_gates.SXdgGate, 0),
    "rx": (standard_gates.RXGate, 1),
    "ry": (standard_gates.RYGate, 1),
    "rz": (standard_gates.RZGate, 1),
    "phaseshift": (standard_gates.PhaseGate, 1),
    "prx": (standard_gates.RGate, 2),
    "gpi": (_half_turn, 1),
    "gpi2": (lambda angle: standard_gates.RGate(math.pi / 2, angle), 1),
    "cnot": (standard_gates.CXGate, 0),
    "cv": (standard_gates.CSXGate, 0),
    "cy": (standard_gates.CYGate, 0),
    "cz": (standard_gates.CZGate, 0),
    "ecr": (standard_gates.ECRGate, 0),
    "swap": (standard_gates.SwapGate, 0),
    "iswap": (standard_gates.iSwapGate, 0),
    "pswap": (_swap_with_phase, 1),
    "xy": (lambda angle: XXPlusYYGate(-angle), 1),
    "xx": (standard_gates.RXXGate, 1),
    "yy": (standard_gates.RYYGate, 1),
    "zz": (standard_gates.RZZGate, 1),
    "ms": (_molmer_sorensen, 3),
    "cphaseshift": (standard_gates.CPhaseGate, 1),
    "cphaseshift00": (_phase_where(0, 0), 1),
    "cphaseshift01": (_phase_where(0, 1), 1),
    "cphaseshift10": (_phase_where(1, 0), 1),
    "ccnot": (standard_gates.CCXGate, 0),
    "cswap": (standard_gates.CSwapGate, 0),
}


def is_brakets(program: ast.Program) -> bool:
    """Whether a program is in Braket's dialect: it uses Braket's gates or pragmas, and includes no gates."""
    seen = _Seen()
    seen.visit(program)
    used = seen.used - seen.defined
    return not seen.included & INCLUDES.keys() and (seen.has_pragma or not used.isdisjoint(BRAKET))


def makes_up_for_phase_of_u(program: ast.Program) -> bool:
    """Whether a gate definition has a gphase beside a U."""
    bodies = [node.body for node in program.statements if isinstance(node, ast.QuantumGateDefinition)]
    return any(
        any(isinstance(node, ast.QuantumPhase) and not node.modifiers for node in body)
        and any(isinstance(node, ast.QuantumGate) and node.name.name == "U" for node in body)
        for body in bodies
    )


class _Seen(QASMVisitor[None]):
    """The names of gates in a program, by what is done with them."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.defined: set[str] = set()
        self.included: set[str] = set()
        self.has_pragma = False

    def visit_Include(self, node: ast.Include) -> None:
        self.included.add(node.filename)

    def visit_QuantumGateDefinition(self, node: ast.QuantumGateDefinition) -> None:
        self.defined.add(node.name.name)
        self.generic_visit(node)

    def visit_QuantumGate(self, node: ast.QuantumGate) -> None:
        self.used.add(node.name.name)

    def visit_Pragma(self, node: ast.Pragma) -> None:
        self.has_pragma |= node.command.strip().startswith("braket")


# what gates are called elsewhere
_ELSEWHERE = {
    "cnot": "cx",
    "not": "x",
    "hadamard": "h",
    "toffoli": "ccx",
    "ccnot": "ccx",
    "fredkin": "cswap",
    "i": "id",
    "si": "sdg",
    "ti": "tdg",
    "v": "sx",
    "phaseshift": "p",
    "cphaseshift": "cp",
    "zz": "rzz",
    "xx": "rxx",
}


def hint(
    name: str,
    known: Iterable[str],
    files: Sequence[str] = tuple(INCLUDES),
    otherwise: str = "define it with a gate statement",
) -> str:
    """What to write for a gate that is not defined, where these are; `files` are those that can be included."""
    for file in files:
        if name in INCLUDES[file]:
            return f'include "{file}"'
    known, small = list(known), name.lower()
    near = [one for one in (small, _ELSEWHERE.get(small)) if one in known]
    if not near and len(name) > 2:
        near = difflib.get_close_matches(small, known, n=1)
    return advice_for(near, otherwise)
