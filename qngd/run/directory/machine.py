"""Where a run ran, and with what: for people, and to say that versions have changed."""

from __future__ import annotations

import platform
import socket
import sys
from functools import cache
from importlib import metadata

from qngd._system.version import __version__

_NUMERICAL = ("numpy", "scipy", "numba", "stim")
_SDKS = ("qiskit", "qiskit-aer", "qiskit-ibm-runtime", "pennylane")


def host() -> str:
    """The machine's name."""
    return socket.gethostname()


def versions() -> dict[str, str]:
    """The versions of qngd, Python and the packages that numbers come from; of SDKs those that are in use."""
    found = {"qngd": __version__, "python": platform.python_version()}
    for name in (*_NUMERICAL, *_SDKS):
        if name in _SDKS and name.replace("-", "_") not in sys.modules:
            continue
        if version := _version(name):
            found[name] = version
    return found


@cache
def _version(name: str) -> str:
    """The version of an installed package, else nothing. Reading one takes as long as a short run on a few qubits."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
