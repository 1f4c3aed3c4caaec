"""Reading OpenQASM 3 programs, with `input float` and `input angle` parameters, and what else comes as a file.

Registers follow each other in the order of declaration: qubit 0 of the first is qubit 0. θ is in the
order of the `input` declarations.

Under a control a gate's phase counts. In the specification (openqasm.com) U(θ, φ, λ) is exp(iθ/2) times
Qiskit's, and its gates make up for that with gphase. What Qiskit and Braket write takes `ctrl @ U(π, 0, π)`
for CX. So U has that phase in programs where a gate of U's has a gphase, and Qiskit's in all others.
u2 and u3 are exp(−i(φ+λ)/2) times Qiskit's, as in stdgates.inc.

Braket's dialect: a program that uses Braket's gates and includes none is in it. Its pragmas for results
are left out, the one for a unitary matrix is a gate.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from qiskit import qasm2, qpy

from qngd.circuit.circuit import Circuit
from qngd.errors import CircuitError
from qngd.interop.openqasm.gates import QELIB1, hint
from qngd.interop.openqasm.program import Program
from qngd.interop.openqasm.text import deep_recursion, is_version_2, parsed, program_text, without_comments
from qngd.interop.qiskit import reader as qiskit_reader
from qngd.interop.qiskit.gates import one_line


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
        program = Program(parsed(text), folder)
    return qiskit_reader.read_circuit(program.circuit, symbols=program.symbols, lines=program.lines)


def _is_path_of_qpy(native: str | os.PathLike[str]) -> bool:
    return "\n" not in str(native) and Path(native).suffix.lower() == ".qpy"


def _read_qpy(path: Path) -> Circuit:
    try:
        with path.open("rb") as file:
            circuits = qpy.load(file)
    except OSError as error:
        raise CircuitError(f"circuit: cannot read the file {str(path)!r} ({error.strerror})") from error
    except Exception as error:  # of Qiskit's reader: a file cut short raises what the place where it is cut brings
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
            without_comments(text),  # Qiskit reads no /* */
            include_path=(str(folder),),
            custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
        )
    except qasm2.QASM2ParseError as error:
        message = one_line(error)
        unknown = re.search(r"'(\w+)' (?:is not defined|before definition)", message)
        advice = hint(unknown[1], QELIB1, ["qelib1.inc"], "correct the program") if unknown else "correct the program"
        raise CircuitError(f"OpenQASM 2: {message}; {advice}") from error
    return qiskit_reader.read_circuit(circuit)
