"""What Qiskit's backends have in common: a device, compiled circuits, and jobs that are sent or found again."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from qngd.backends.base import Footprint, Load, ResumableBackend
from qngd.backends.limits import Limits, divided
from qngd.backends.qiskit import jobs
from qngd.backends.qiskit.compile import Compiler
from qngd.backends.qiskit.defaults import mitigation
from qngd.backends.qiskit.device import Device
from qngd.backends.qiskit.seeds import Seeds
from qngd.backends.qiskit.tags import finder_by_tag, takes_tags
from qngd.backends.retry import Retry
from qngd.backends.shots import Repetitions, equal_shots
from qngd.backends.tallies import joined
from qngd.circuit.circuit import Circuit
from qngd.errors import BackendError, QngdWarning
from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


class OnDevice(ResumableBackend):
    """What all of Qiskit's backends do with their device: they differ in the jobs that they make and read."""

    def __init__(self, native: Any, device: Device, retry: Retry | None, seed: int | None, *, measure: bool) -> None:
        """What runs the jobs, its device, the seed that is fixed in it, and whether compiled circuits `measure`."""
        self.native = native
        self.device = device
        self.settings = device.settings
        self.retry = retry or self.settings.retry()
        self._by_tag = finder_by_tag(device.native) if takes_tags(native) else None
        self._compiler = Compiler(device, measure)
        self._seeds = Seeds(seed)

    by_job = True
    has_one_number = True

    @abstractmethod
    def make(
        self,
        templates: Sequence[Template],
        requests: Sequence[Request],
        repetitions: Repetitions,
        parts: Sequence[slice],
        seed: int | None,
    ) -> jobs.Handle:
        """The jobs of a submission, not sent yet: each runs these of the circuits, whose order is that of `rows`."""

    @abstractmethod
    def read(self, handle: Any, job: jobs.Job) -> list[Outcome]:
        """Wait for a job; one outcome for each of its circuits.

        Raises:
            BackendError: it failed, or returned something other than what was asked for.
        """

    def prepare(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> jobs.Handle:
        """The jobs of a submission, not sent yet.

        Raises:
            BackendError: the requests do not fit the device.
        """
        self.device.check(templates)
        return self._made(templates, requests, *self.division(requests, templates), seed)

    def prepare_one(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> jobs.Handle:
        """As `prepare`, in one job; the requests have equal shots."""
        self.device.check(templates)
        count = len(requests)
        repetitions = Repetitions(requests[0].shots or 0, np.ones(count, dtype=np.int64))
        return self._made(templates, requests, repetitions, [slice(0, count)], seed)

    def _made(self, *asked: Any) -> jobs.Handle:
        handle = self.make(*asked)
        if (by_tag := self._by_tag) is not None:
            for job in handle.jobs:
                job.lookup = by_tag
        return handle

    def collect(self, handle: Any) -> list[Outcome]:
        """Wait for the jobs and read what they return.

        Raises:
            BackendError: a job failed, or returned something other than what was asked for.
        """
        found: list[list[Outcome]] = [[] for _ in handle.requests]
        for job in handle.jobs:
            for r, outcome in zip(job.rows, self.read(handle, job), strict=True):
                found[r].append(outcome)
        used = (handle.templates[request.template] for request in handle.requests)
        return [joined(parts, template) for parts, template in zip(found, used, strict=True)]

    @property
    def is_local(self) -> bool:
        """Whether it is a simulator of this process."""
        return jobs.is_local(self.device.native)

    def tagged(self, tag: str) -> list[str] | None:
        """The ids of the jobs that were sent with this tag; None where the device knows no tags."""
        if self._by_tag is None:
            return None
        found = self.retry.call(
            partial(self._by_tag, tag),
            f"{self.name}: whether a job was sent cannot be asked",
            is_transient=jobs.is_transient,
        )
        return [jobs.Job(lambda tag: None, np.zeros(0), native=native).job_id for native in found]

    def send(self, handle: Any) -> None:
        """Send those of the handle's jobs that are not sent yet.

        Raises:
            BackendError: the provider refused one; the text names those that were sent before.
        """
        jobs.submit(handle.jobs, self.name, self.retry)

    def attach(self, handle: Any, job_ids: Sequence[str]) -> None:
        """Find the first jobs of a submission that was sent before by their ids. Those that failed meanwhile, those
        after them and, where the provider gives no job by its id, all remain to be sent.

        Raises:
            BackendError: the provider does not know a job; the text says what it said.
        """
        find = jobs.finder(self.device.native)
        if find is None:
            warnings.warn(
                f"{self.name} gives no job by its id: what {', '.join(job_ids)} gave is lost, and is paid for again",
                QngdWarning,
                stacklevel=2,
            )
            return
        for job, job_id in zip(handle.jobs, job_ids, strict=False):
            self.retry.call(
                partial(job.take, find, job_id),
                f"{self.name}: job {job_id} cannot be fetched",
                is_transient=jobs.is_transient,
            )

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def is_noisy(self) -> bool:
        return self.device.is_noisy

    @property
    def seed(self) -> int | None:
        """The seed that the user has fixed in it."""
        return self._seeds.own

    @property
    def noise_digest(self) -> str:
        """A hash of the device's noise model, or nothing."""
        return self.device.noise_digest

    @property
    def set_to(self) -> str:
        """How circuits are compiled, and what mitigates errors, where that is not as usual."""
        return ", ".join([*self.settings.compiling, *mitigation(self.native)])

    @property
    def rep_delay(self) -> float:
        """Seconds between two shots, 0 where unknown."""
        return self.device.rep_delay

    def spent(self, handle: jobs.Handle, requests: Sequence[Request]) -> Cost:
        """The jobs and circuits that a submission took."""
        return Cost(handle.num_jobs, handle.num_circuits)

    @property
    def runs(self) -> int:
        """Executions of a circuit's single shot, more where the provider mitigates errors."""
        return 1

    @cached_property
    def limits(self) -> Limits:
        """What one job may hold: the user's limits, and what is known of the device and its provider."""
        return (self.settings.limits or Limits()).over(self.device.limits)

    def repetitions(self, requests: Sequence[Request], seconds: float = 0.0) -> Repetitions:
        """How often each request's circuit runs, so that all take the same shots; `seconds` is a shot's time at most.

        Raises:
            BackendError: one has no number of shots, and the device has no exact values.
        """
        most = self.limits.most_shots(self.runs, seconds)
        return equal_shots(shots_of(requests, self.name), most, self.circuit_start)

    def rows(self, requests: Sequence[Request], repetitions: Repetitions) -> tuple[np.ndarray, np.ndarray]:
        """The request of every circuit (C,) in the order in which they are sent, and the PUB (C,) that it is in."""
        return repetitions.rows, np.zeros(int(repetitions.copies.sum()), dtype=np.int64)

    def division(
        self, requests: Sequence[Request], templates: Sequence[Template] | None = None
    ) -> tuple[Repetitions, list[slice]]:
        """How often each request's circuit runs, and which of all these circuits each job holds. Limits of the device's
        time count if the `templates` are given."""
        used = np.array([request.template for request in requests], dtype=np.int64)
        times = self._times(templates)[used] if templates and len(used) else np.zeros(len(used))
        repetitions = self.repetitions(requests, float(times.max(initial=0.0)))
        rows, pubs = self.rows(requests, repetitions)
        executions = np.full(len(rows), repetitions.shots * self.runs)
        return repetitions, divided(self.limits, executions, pubs, times[rows] * executions)

    def _times(self, templates: Sequence[Template]) -> np.ndarray:
        """Seconds of one shot of each template (T,), the delay after it included; 0 where nothing bounds them or the
        device does not give them."""
        if self.limits.seconds is None or not np.isfinite(self.limits.seconds):
            return np.zeros(len(templates))
        times = [footprint.seconds for footprint in self.describe(templates)]
        return np.array([0.0 if time is None else time + self.rep_delay for time in times])

    def preview(self, requests: Sequence[Request], templates: Sequence[Template] | None = None) -> Cost:
        """What submitting these requests would cost, if no job fails."""
        repetitions, parts = self.division(requests, templates)
        circuits = int(repetitions.copies.sum())
        return Cost(len(parts), circuits, circuits * repetitions.shots)

    def loads(self, requests: Sequence[Request], templates: Sequence[Template] | None = None) -> list[Load]:
        """What each job of a submission of these requests runs."""
        repetitions, parts = self.division(requests, templates)
        rows, _ = self.rows(requests, repetitions)
        return [Load(rows[part], np.full(len(rows[part]), repetitions.shots), self.runs) for part in parts]

    def usage(self, handle: jobs.Handle) -> float | None:
        """The device seconds of all its jobs, where the provider reports them for each (IBM does)."""
        found = [job.usage for job in handle.jobs]
        return sum(filter(None, found)) if found and all(found) else None

    def runs_whole(self, circuit: Circuit) -> bool:
        """Whether templates of the whole circuit run as the user wrote it, because it is written for the device."""
        return self._compiler.placing.keeps(circuit.native)

    def read_by(self, templates: Sequence[Template]) -> list[tuple[int, ...]]:
        """The physical qubits where the templates' qubits are when they are measured: routing may have moved them."""
        return [
            tuple(range(template.num_wires)) if made.read_by is None else made.read_by
            for template, made in zip(templates, self._compiler.compile(templates), strict=True)
        ]

    def describe(self, templates: Sequence[Template]) -> list[Footprint]:
        """Depth, two-qubit gates and time of the compiled circuits.

        Raises:
            BackendError: a circuit does not fit the device.
        """
        self.device.check(templates)
        return self._compiler.footprints(templates)


def shots_of(requests: Sequence[Request], name: str) -> list[int]:
    """The requests' shots; raises BackendError where one has none, because the device has no exact values."""
    shots = [request.shots for request in requests if request.shots is not None]
    if len(shots) < len(requests):
        raise BackendError(f"backend: {name} needs a number of shots; give shots=…")
    return shots
