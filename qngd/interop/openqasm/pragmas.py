"""Braket's pragmas: which are a gate, which can be left out, and which are refused."""

from __future__ import annotations

import ast as python
import re
from typing import Any

from openqasm3 import ast
from qiskit.circuit.library import UnitaryGate
from qiskit.exceptions import QiskitError

from qngd.interop.openqasm.text import parsed
from qngd.interop.openqasm.values import refusal
from qngd.interop.qiskit.gates import one_line

_LEFT_OUT = frozenset({"result", "verbatim"})  # what to measure is said to qngd; boxes are read as they are


def unitary_of(node: ast.Pragma) -> tuple[UnitaryGate, list[Any]] | None:
    """The gate that a pragma is, and the operands it acts on; None where the pragma can be left out.

    In `unitary([[…], …]) q[0], q[1]` the first qubit is the most significant bit of the matrix.

    Raises:
        CircuitError: it is neither; the text names the line.
    """
    dialect, _, command = node.command.strip().partition(" ")
    kind = re.match(r"\w*", command.strip())
    if dialect != "braket" or kind is None:
        raise refusal(node, f"a pragma is not read ({dialect}); remove it")
    if kind[0] in _LEFT_OUT:
        return None
    if kind[0] != "unitary":
        advice = "give noise to the backend instead" if kind[0] == "noise" else "remove it"
        raise refusal(node, f"the pragma braket {kind[0]} is not read, a circuit here is unitary; {advice}")
    found = re.fullmatch(r"\s*unitary\s*\((.*)\)\s*([^()]*?)\s*", command, re.S)
    if found is None:
        raise refusal(node, "the pragma is written unitary([[…], …]) q[0], …; correct it")
    return _gate(node, found[1]), parsed(f"barrier {found[2]};").statements[0].qubits


def _gate(node: ast.Pragma, text: str) -> UnitaryGate:
    try:
        return UnitaryGate(python.literal_eval(re.sub(r"(?<=[\d.])\s*im\b", "j", text)))
    except (QiskitError, SyntaxError, TypeError, ValueError) as error:
        raise refusal(node, f"the pragma's matrix is not unitary, or no matrix ({one_line(error)})") from None
