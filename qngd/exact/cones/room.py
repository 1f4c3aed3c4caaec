"""Memory and cores that light cones take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

from qngd._system.memory import available_bytes, format_bytes
from qngd._system.threads import num_threads, together
from qngd.errors import MemoryLimitError

STATES = 3  # of a cone, while it is worked on
_SHARES = 8  # pieces of work for every thread


def has_room(num_qubits: int) -> bool:
    """Whether the states of a cone of so many qubits fit in memory."""
    return (STATES * 16) << num_qubits <= available_bytes()


def require_room(num_qubits: int, rotations: int, name: Callable[[], str]) -> None:
    """Raise MemoryLimitError, which names the cone, if states of so many qubits do not fit in memory."""
    if has_room(num_qubits):
        return
    needed = (STATES * 16) << num_qubits
    raise MemoryLimitError(
        f"light-cone: {name()} depends on {rotations} rotations that take {num_qubits} qubits together, which needs "
        f"{format_bytes(needed)}, and {format_bytes(available_bytes())} are available; use fewer layers, or an "
        "approximation, backend='pauli-propagation' or AerSimulator(method='matrix_product_state') of qiskit_aer, or a "
        "device"
    )


def share(kernel: Callable[[int, int], None], work: np.ndarray) -> None:
    """kernel(begin, end) on items with so much work each, in pieces of about equal work, side by side."""
    if not len(work):
        return
    done = np.cumsum(work)
    threads = num_threads() if done[-1] > 1 << 15 else 1
    pieces = _SHARES * threads if threads > 1 else 1
    edges = np.unique(np.searchsorted(done, done[-1] * np.arange(1, pieces) / pieces))
    together([partial(kernel, a, b) for a, b in pairwise([0, *edges.tolist(), len(work)]) if a < b], threads)
