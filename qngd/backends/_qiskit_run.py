"""Any Qiskit `BackendV2`: one `run` of a list of circuits per submission."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.result import Result

from qngd.backends import _qiskit_jobs as jobs
from qngd.backends._qiskit_base import OnDevice
from qngd.backends._qiskit_circuits import measured
from qngd.backends._qiskit_compile import Compiler
from qngd.backends._qiskit_device import Device, QiskitSettings
from qngd.backends._qiskit_jobs import Handle, Job
from qngd.backends._qiskit_seeds import Seeds, integers
from qngd.backends._retry import Retry
from qngd.errors import BackendError
from qngd.outcomes import Counts, Outcome
from qngd.pauli import pack_bits
from qngd.plan import Request
from qngd.template import Template


class QiskitBackend(OnDevice):
    """Runs requests on a `BackendV2`: Aer, fake devices, and hardware through its provider.

    Requests with different shots share the job: circuits that need more run several times (see `_shots`). A
    step is one job unless the device's `max_circuits` forces more.
    """

    def __init__(self, native: BackendV2, settings: QiskitSettings | None = None, retry: Retry | None = None) -> None:
        self.native = native
        self.settings = settings or QiskitSettings()
        self.device = Device(native, native.name, self.settings)
        self.retry = retry or Retry(self.settings.retries, self.settings.backoff)
        self._compiler = Compiler(self.device, measure=True)
        own = getattr(native.options, "seed_simulator", None)
        self._seeds = Seeds(int(own) if own is not None else None)

    def _prepare(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Handle:
        self.device.check(templates, requests)
        repetitions = self.repetitions(requests)
        bound = self._bound(templates, requests)
        circuits = [bound[r] for r in repetitions.rows]
        most = self._most(len(circuits))
        parts = [circuits[start : start + most] for start in range(0, len(circuits), most)]
        options = self._run_options(repetitions.shots, seed, len(parts))
        made = tuple(
            Job(partial(self.native.run, part, **option), len(part))
            for part, option in zip(parts, options, strict=True)
        )
        return Handle(templates, requests, repetitions, made)

    def collect(self, handle: Handle) -> list[Outcome]:
        """Wait for the jobs and read their counts.

        Raises:
            BackendError: a job failed, or returned less than was asked for.
        """
        found: list[list[Counts]] = [[] for _ in handle.requests]
        rows = iter(handle.repetitions.rows)
        for job in handle.jobs:
            result = jobs.fetch(job, self.name, self.retry)
            asked = [int(next(rows)) for _ in range(job.circuits)]
            said = "" if result.success else str(result.status)
            jobs.check_complete(self.name, job, len(result.results), asked, said)
            for index, r in enumerate(asked):
                template = handle.templates[handle.requests[r].template]
                found[r].append(self._counts(result, index, template, r))
        return [merged(parts) for parts in found]

    def num_jobs(self, circuits: int) -> int:
        return -(-circuits // self._most(circuits))

    def _most(self, circuits: int) -> int:
        """The most circuits of one job."""
        return self.device.max_circuits or max(circuits, 1)

    def _bound(self, templates: Sequence[Template], requests: Sequence[Request]) -> list[QuantumCircuit]:
        compiled = self._compiler.compile(templates)
        circuits = [compiled[request.template].bind(request.angles) for request in requests]
        for r, circuit in enumerate(circuits):
            self.device.check_angles(circuit, r)
        return circuits

    def _run_options(self, shots: int, seed: int | None, count: int) -> list[dict[str, Any]]:
        """What `run` is given with each of `count` jobs. Simulators take a seed, and say so in their
        options."""
        options: list[dict[str, Any]] = [{"shots": shots} for _ in range(count)]
        fresh = self._seeds.next(seed)
        if fresh is not None and hasattr(self.native.options, "seed_simulator"):
            for option, number in zip(options, integers(fresh, count), strict=True):
                option["seed_simulator"] = number
        return options

    def _counts(self, result: Result, index: int, template: Template, request: int) -> Counts:
        """Counts of the circuit at this place of a result.

        Raises:
            BackendError: this circuit failed.
        """
        try:
            counts = result.get_counts(index)
        except QiskitError:
            counts = {}
        if not counts:
            said = getattr(result.results[index], "status", None) or result.status
            raise BackendError(f"{self.name} returned no counts for request {request}: {said}")
        qubits = measured(template)
        # distinct outcomes as texts, highest classical bit first
        texts = [text.replace(" ", "").zfill(len(qubits)) for text in counts]
        letters = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
        ones = letters.reshape(len(texts), len(qubits))[:, ::-1] == ord("1")
        times = np.fromiter(counts.values(), dtype=np.int64, count=len(texts))
        return Counts(masks(ones, qubits, template.num_qubits), times)


def masks(ones: np.ndarray, qubits: np.ndarray, num_qubits: int) -> np.ndarray:
    """Boolean rows (U, len(qubits)) over the measured qubits as masks (U, W) over all."""
    bits = np.zeros((len(ones), num_qubits), dtype=bool)
    bits[:, qubits] = ones
    return pack_bits(bits)


def merged(parts: Sequence[Counts]) -> Counts:
    """The counts of one circuit that ran several times."""
    if len(parts) == 1:
        return parts[0]
    return distinct(
        np.concatenate([part.bits for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )


def distinct(bits: np.ndarray, counts: np.ndarray | None = None) -> Counts:
    """Masks (N, W), each seen `counts` (N,) times (once if not given), with equal ones added up."""
    if bits.shape[1] == 1:
        unique, inverse = np.unique(bits[:, 0], return_inverse=True)
        unique = unique[:, None]
    else:
        unique, inverse = np.unique(bits, axis=0, return_inverse=True)
    weights = np.bincount(inverse.reshape(-1), weights=counts, minlength=len(unique))
    return Counts(unique, weights.astype(np.int64))
