"""What a person wants to know of a run afterwards: of what, how, with which versions. Plain data, as JSON takes it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from qngd._system.brief import brief
from qngd._system.version import __version__
from qngd.evaluators.objectives.given import AnyGiven
from qngd.problem import Problem

# those that numbers may depend on, by the modules that they are imported as
_PACKAGES = {
    "numpy": "numpy", "scipy": "scipy", "numba": "numba", "stim": "stim", "qiskit": "qiskit",
    "qiskit_aer": "qiskit-aer", "qiskit_ibm_runtime": "qiskit-ibm-runtime", "pennylane": "pennylane", "cma": "cma",
}  # fmt: skip


def described_run(given: AnyGiven, native: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, the arguments of `minimize` that were, versions, and when it began.

    Args:
        given: as it was read.
        native: what the user gave in the circuit's place.
        settings: arguments by name; what is left out as None is left out here, too.
    """
    circuit = given.circuit
    problem = native if isinstance(native, Problem) else Problem(native, name=given.name)
    return {
        "problem": {
            "name": given.name,
            "unit": problem.unit,
            "reference_energy": problem.reference_energy,
            "num_qubits": circuit.num_qubits,
            "num_layers": circuit.num_layers,
            "parameters": list(circuit.parameters),
        },
        "settings": {name: _plain(value) for name, value in settings.items() if value is not None},
        "versions": versions(),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Of this package, Python, and the packages in use that numbers may depend on."""
    found = {"qngd": __version__, "python": platform.python_version()}
    for module, name in _PACKAGES.items():
        if module in sys.modules:
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # of a checkout that was not installed
                continue
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else brief(value)
