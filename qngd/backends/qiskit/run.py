"""Any Qiskit `BackendV2`: one `run` of a list of circuits per job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.result import Result

from qngd.backends.boundary import DeficientResult
from qngd.backends.qiskit import jobs
from qngd.backends.qiskit.base import OnDevice
from qngd.backends.qiskit.circuits import measured
from qngd.backends.qiskit.defaults import device_shots
from qngd.backends.qiskit.device import Device, QiskitSettings
from qngd.backends.qiskit.jobs import Handle, Job
from qngd.backends.qiskit.seeds import integers
from qngd.backends.qiskit.tags import run_option
from qngd.backends.results import Unreadable, said, tally
from qngd.backends.retry import Retry
from qngd.backends.shots import Repetitions
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


class QiskitBackend(OnDevice):
    """Runs requests on a `BackendV2`: Aer, fake devices, and hardware through its provider.

    Requests with different shots share the job: circuits that need more run several times (see `qngd.backends.shots`).
    A step is one job unless the `limits` force more.
    """

    def __init__(
        self,
        native: BackendV2,
        settings: QiskitSettings | None = None,
        retry: Retry | None = None,
        options: Mapping[str, Any] | None = None,  # of each `run`, in place of the device's own
        seed: int | None = None,
    ) -> None:
        own = getattr(native.options, "seed_simulator", None)
        seed = int(own) if seed is None and own is not None else seed
        self._options = dict(options or {})
        super().__init__(native, Device(native, native.name, settings or QiskitSettings()), retry, seed, measure=True)

    @property
    def default_shots(self) -> int | None:
        """The device's own shots, for a user who gives none."""
        return self._options.get("shots") or device_shots(self.native)

    def make(
        self,
        templates: Sequence[Template],
        requests: Sequence[Request],
        repetitions: Repetitions,
        parts: Sequence[slice],
        seed: int | None,
    ) -> Handle:
        bound = self._bound(templates, requests)
        circuits = [bound[r] for r in repetitions.rows]
        options = self._run_options(repetitions.shots, seed, len(parts))
        made = tuple(
            Job(partial(self._run, circuits[part], option), repetitions.rows[part])
            for part, option in zip(parts, options, strict=True)
        )
        return Handle(templates, requests, repetitions, made)

    def _run(self, circuits: list[QuantumCircuit], options: dict[str, Any], tag: str) -> Any:
        return self.native.run(circuits, **options, **run_option(self.native, tag))

    def read(self, handle: Handle, job: Job) -> list[Outcome]:
        result = jobs.fetch(job, self.name, self.retry)
        status = "" if getattr(result, "success", True) else str(getattr(result, "status", ""))
        jobs.check_complete(self.name, job, _length(result, self.name, job), job.rows, status)
        found = []
        for index, r in enumerate(job.rows.tolist()):
            template = handle.templates[handle.requests[r].template]
            with jobs.reading(self.name, job, r):
                counts = _counts(result, index)
                held = tally(counts, measured(template), template.num_qubits, handle.repetitions.shots)
                found.append(held.outcome(template))
        return found

    def _bound(self, templates: Sequence[Template], requests: Sequence[Request]) -> list[QuantumCircuit]:
        compiled = self._compiler.compile(templates)
        circuits: list[QuantumCircuit] = []
        known: dict[tuple[int, int], QuantumCircuit] = {}  # of one that runs several times
        for r, request in enumerate(requests):
            key = request.template, id(request.angles)
            if key not in known:
                known[key] = compiled[request.template].bind(request.angles)
                self.device.check_angles(known[key], r)
            circuits.append(known[key])
        return circuits

    def _run_options(self, shots: int, seed: int | None, count: int) -> list[dict[str, Any]]:
        """What `run` is given with each of `count` jobs. Simulators take a seed, and say so in their
        options."""
        options: list[dict[str, Any]] = [{**self._options, "shots": shots} for _ in range(count)]
        fresh = self._seeds.next(seed)
        if fresh is not None and hasattr(self.native.options, "seed_simulator"):
            for option, number in zip(options, integers(fresh, count), strict=True):
                option["seed_simulator"] = number
        return options


def _length(result: Any, name: str, job: Job) -> int:
    """For how many circuits a result holds something.

    Raises:
        DeficientResult: it is no result.
    """
    if not callable(getattr(result, "get_counts", None)):
        raise DeficientResult(
            f"{name}: job {job.job_id} returned {said(result)} where a qiskit.result.Result was expected"
        )
    if hasattr(result, "results"):
        return len(result.results or ())  # Braket's are None where a task failed
    held = result.get_counts()  # a provider's own, with nothing but counts
    return 1 if isinstance(held, Mapping) else len(held)


def _counts(result: Any, index: int) -> Any:
    """The counts of the circuit at this place of a result, as its provider wrote them: Qiskit's own `get_counts` fills
    outcomes with zeros to the length that the result claims.

    Raises:
        Unreadable: this circuit failed.
    """
    try:
        if getattr(result.get_counts, "__func__", None) is Result.get_counts:
            data = result.data(index)
            counts = data["counts"] if "counts" in data else result.get_counts(index)
        elif hasattr(result, "results"):
            counts = result.get_counts(index)
        else:
            every = result.get_counts()
            counts = every if isinstance(every, Mapping) else every[index]
    except QiskitError:
        counts = {}
    if isinstance(counts, Mapping) and not counts:
        results = getattr(result, "results", None)
        status = getattr(results[index], "status", None) if results else None
        raise Unreadable(f"no counts ({status or getattr(result, 'status', 'no status')})")
    return counts
