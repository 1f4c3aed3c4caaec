"""Where a run ran, and with what: for people, and to say that versions have changed."""

from __future__ import annotations

import platform
import socket
import sys
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
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
