"""What a result tells of its run: the problem and the settings, as plain data that JSON takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qngd._system.brief import brief
from qngd.evaluators.given import AnyGiven
from qngd.problem import Problem


def problem_in_words(given: AnyGiven, native: Any) -> dict[str, Any]:
    """The problem that was read, of what the user gave in the circuit's place, and the size of its circuit."""
    circuit = given.circuit
    named = isinstance(native, Problem)
    return {
        "name": given.name,
        "unit": native.unit if named else "",
        "reference_energy": native.reference_energy if named else None,
        "num_qubits": circuit.num_qubits,
        "num_layers": circuit.num_layers,
        "parameters": list(circuit.parameters),
    }


def settings_in_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `minimize` by name: numbers and texts as they are, others in brief; without what was left out."""
    plain = (bool, int, float, str)
    known = {name: value for name, value in settings.items() if value is not None}
    return {name: value if isinstance(value, plain) else brief(value) for name, value in known.items()}
