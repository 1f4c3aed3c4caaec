"""What the benchmark and a measured package say to each other: a task as JSON on stdin, a result as JSON on stdout.

Every peer's environment runs this, so it imports the standard library and numpy alone.

The circuit is the ladder ansatz: RY on every qubit, RZ on every qubit, then CNOTs 0→1, 1→2, …, `layers` times; each
rotation exp(−iθP/2) has its own parameter, P = 2·n·layers in all, in the order of the gates. For many qubits it is the
brickwork ansatz, which is shallow: the CNOTs of even bonds, then those of odd ones. The observable is
−Σ Z_iZ_{i+1} − ½ Σ X_i on an open chain. Qubit 0 is the lowest bit of a basis index.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SEEN_PROBABILITIES = 256  # of a state, this many are compared
MAX_REPEATS = 200
FEW_REPEATS, ENOUGH = 3, 15.0  # at least so many calls, unless they take so many seconds
MEMORY_CAP = 12 << 30  # bytes of address space: a peer that needs more fails, and takes nobody along
LEARNING_RATE, DAMPING = 0.1, 1e-3  # of a step

Work = Callable[[np.ndarray], Any]  # θ ↦ the numbers it has computed
Make = Callable[[int, int], Work]  # (n, layers) ↦ work, with whatever is prepared once


@dataclass(frozen=True)
class Task:
    """What to measure: `method` is one of the names that the peer's module serves.

    After the first call, whose numbers must be within `tolerance` of `expected` (or are sent back, where nothing is
    expected), calls are repeated for `budget` seconds; from the third on, none starts that would probably end later
    than `limit` seconds after `started` (`time.monotonic()`).
    """

    method: str
    num_qubits: int
    layers: int
    theta: list[float]
    budget: float
    limit: float
    started: float
    expected: list[float] | None = None
    tolerance: float = 0.0


def ladder(num_qubits: int, layers: int) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """The gates of the ansatz: (name, qubits, index of the parameter or −1)."""
    return _layered(num_qubits, layers, range(num_qubits - 1))


def brickwork(num_qubits: int, layers: int) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """The same of the shallow ansatz."""
    return _layered(num_qubits, layers, [*range(0, num_qubits - 1, 2), *range(1, num_qubits - 1, 2)])


def _layered(num_qubits: int, layers: int, bonds: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...], int]]:
    parameter = 0
    for _ in range(layers):
        for name in ("ry", "rz"):
            for qubit in range(num_qubits):
                yield name, (qubit,), parameter
                parameter += 1
        for qubit in bonds:
            yield "cx", (qubit, qubit + 1), -1


def ising(num_qubits: int) -> list[tuple[float, str, tuple[int, ...]]]:
    """The terms of the observable: (coefficient, letters, qubits)."""
    bonds = [(-1.0, "ZZ", (i, i + 1)) for i in range(num_qubits - 1)]
    return bonds + [(-0.5, "X", (i,)) for i in range(num_qubits)]


def low_probabilities(amplitudes: np.ndarray, qubit_0_is_lowest: bool = True) -> np.ndarray:
    """Probabilities of the first basis indices, where qubit 0 is the lowest bit."""
    if not qubit_0_is_lowest:
        qubits = len(amplitudes).bit_length() - 1
        amplitudes = amplitudes.reshape((2,) * qubits).transpose().reshape(-1)
    return np.abs(amplitudes[:SEEN_PROBABILITIES]) ** 2


def serve(methods: Mapping[str, Make]) -> None:
    """Do the task on stdin. A line is printed after the first call and again at the end, so that a process
    that is stopped in between has said something."""
    imports = time.monotonic()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_CAP, resource.getrlimit(resource.RLIMIT_AS)[1]))
    task = Task(**json.load(sys.stdin))
    memory = peak_mib()
    theta = np.array(task.theta)

    start = time.perf_counter()
    work = methods[task.method](task.num_qubits, task.layers)
    values = work(theta)
    first = time.perf_counter() - start
    values = np.asarray(values, dtype=float).reshape(-1)

    result: dict[str, Any] = {"imports": imports - task.started, "first": first, "times": []}
    result["deviation"] = None if task.expected is None else deviation(values, task.expected)
    result["values"] = values.tolist() if task.expected is None else None
    _report(result, memory)
    if result["deviation"] is None or result["deviation"] <= task.tolerance:
        result["times"] = _repeat(work, theta, task)
        _report(result, memory)
    gc.freeze()  # nobody waits for a third of a second while the end looks through all packages


def deviation(values: np.ndarray, expected: Sequence[float]) -> float:
    """Largest difference; infinite where shapes differ or a value is NaN."""
    if len(values) != len(expected):
        return float("inf")
    worst = float(np.max(np.abs(values - np.array(expected)), initial=0.0))
    return float("inf") if np.isnan(worst) else worst


def _repeat(work: Work, theta: np.ndarray, task: Task) -> list[float]:
    """Seconds of further calls, each at another θ, so that nothing remembered can serve."""
    times: list[float] = []
    while len(times) < MAX_REPEATS and sum(times) < (ENOUGH if len(times) < FEW_REPEATS else task.budget):
        expected = times[-1] if times else 0.0  # the first call may have compiled: it says nothing of the next
        if time.monotonic() - task.started + expected > task.limit:
            break
        at = theta + 1e-3 * (len(times) + 1)
        start = time.perf_counter()
        work(at)
        times.append(time.perf_counter() - start)
    return times


def _report(result: dict[str, Any], memory_of_imports: float) -> None:
    peak = peak_mib()
    print(json.dumps(result | {"peak_mib": peak, "over_imports_mib": peak - memory_of_imports}), flush=True)


def peak_mib() -> float:
    """The most memory this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)  # KiB, or bytes


def as_json(task: Task) -> str:
    return json.dumps(asdict(task))
