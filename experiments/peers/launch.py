"""One measurement: a process of the peer's Python that does one task, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from experiments.peers.environments import ROOT
from experiments.peers.protocol import Task, as_json
from qngd._system.threads import usable_cores

TOLERANCE = 1e-9  # of probabilities, gradients (of an energy of order n), metrics; steps are looser, by 1/damping
STEP_TOLERANCE = 1e-7
OVER_LIMIT = "over limit"
_MANY_FROM = 14  # qubits


@dataclass(frozen=True)
class Row:
    """One measurement. Seconds and MiB; `deviation` is the largest difference from qngd's numbers.

    `first` is the first call in a fresh process, preparation and compilation included, imports not; `times` are
    those of further calls. `status` is "ok", "over limit" (what was not reached is missing), "wrong" (the numbers
    differ: not timed any further), "failed" or "not tried" (`note` says why).
    """

    label: str
    kind: str
    num_qubits: int
    layers: int
    status: str
    note: str = ""
    threads: int | None = None
    imports: float | None = None
    first: float | None = None
    times: tuple[float, ...] = ()
    deviation: float | None = None
    peak_mib: float | None = None
    over_imports_mib: float | None = None

    @property
    def parameters(self) -> int:
        return 2 * self.num_qubits * self.layers

    @property
    def median(self) -> float | None:
        """Of further calls."""
        return float(np.median(self.times)) if self.times else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        return tuple(np.quantile(self.times, [0.25, 0.75])) if self.times else None


@dataclass(frozen=True)
class Contender:
    """A way to compute something: `methods` maps a kind of measurement to the name that its module serves.

    A contender with `tries_threads` is measured with one OpenMP and BLAS thread, and from `_MANY_FROM` qubits also
    with as many as there are cores; the faster counts. (With fewer qubits handing out work costs more than the work.)
    """

    label: str
    module: str
    methods: Mapping[str, str]
    tries_threads: bool = False

    def threads(self, num_qubits: int) -> tuple[int | None, ...]:
        """The numbers of threads to try; None is the package's own choice."""
        if not self.tries_threads:
            return (None,)
        cores = usable_cores()
        return (1, cores) if num_qubits >= _MANY_FROM and cores > 1 else (1,)


def angles(num_qubits: int, layers: int) -> list[float]:
    return np.random.default_rng(0).uniform(0, 2 * np.pi, 2 * num_qubits * layers).tolist()


def measure(
    contender: Contender,
    python: str | Path,
    kind: str,
    size: tuple[int, int],
    budget: float,
    limit: float,
    threads: int | None = None,
    expected: Sequence[float] | None = None,
    settings: Mapping[str, str] | None = None,
) -> tuple[Row, list[float] | None]:
    """Measure in a process of its own, which is stopped after `limit` seconds; and its numbers where there are none
    `expected` to compare with. `settings` are environment variables."""
    num_qubits, layers = size
    tolerance = STEP_TOLERANCE if kind == "step" else TOLERANCE
    task = Task(
        method=contender.methods[kind],
        num_qubits=num_qubits,
        layers=layers,
        theta=angles(num_qubits, layers),
        budget=budget,
        limit=limit,
        started=time.monotonic(),
        expected=None if expected is None else list(expected),
        tolerance=tolerance,
    )
    command = [str(python), "-m", f"experiments.peers.{contender.module}"]
    environment = _environment(threads) | dict(settings or {})
    output, failure = _talk(command, as_json(task), environment, limit)
    row = Row(contender.label, kind, num_qubits, layers, failure or "ok", threads=threads)
    if failure and failure != OVER_LIMIT:
        return replace(row, status="failed", note=failure), None
    if not output:
        return replace(row, note=f"> {limit:g} s"), None
    said = json.loads(output.splitlines()[-1])
    values = said.pop("values")
    row = replace(row, **said | {"times": tuple(said["times"])})
    if row.deviation is not None and row.deviation > tolerance:
        row = replace(row, status="wrong", note=f"differs by {row.deviation:.1e}")
    elif not row.times:
        row = replace(row, status=OVER_LIMIT)
    return row, values


def _environment(threads: int | None) -> dict[str, str]:
    """This process's, with the repository to import from and the number of threads, if it is to be held."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    if threads:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return environment


def _talk(command: list[str], said: str, environment: dict[str, str], limit: float) -> tuple[str, str]:
    """What the process printed, and how it failed, if it did."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        output, errors = process.communicate(said, timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        return output, OVER_LIMIT
    if process.returncode:
        return "", (errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
    return output, ""
