"""What Qiskit's backends have in common: a device, compiled circuits, and jobs that are sent or found again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from qngd.backends import _qiskit_jobs as jobs
from qngd.backends._qiskit_compile import Compiler, Footprint
from qngd.backends._qiskit_device import Device
from qngd.backends._retry import Retry
from qngd.backends._shots import Repetitions, equal_shots
from qngd.circuit import Circuit
from qngd.errors import BackendError
from qngd.evaluate import Cost
from qngd.plan import Request
from qngd.template import Template


class OnDevice:
    """What all of Qiskit's backends do with their device: they differ in the jobs that they make and read."""

    device: Device
    retry: Retry
    _compiler: Compiler

    def _prepare(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        """The handle of a submission whose jobs are not sent yet."""
        raise NotImplementedError

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        """Send all requests in one job (or as few as the device's `max_circuits` allows).

        Raises:
            BackendError: the requests do not fit the device and nothing was sent, or the provider refused them.
        """
        handle = self._prepare(templates, requests, seed)
        jobs.submit(handle.jobs, self.name, self.retry)
        return handle

    def attach(
        self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None, job_ids: Sequence[str]
    ) -> Any:
        """The handle of a submission that was sent before, by the ids of its jobs; None where the provider gives no
        job by its id, or one of them failed, so that it must be sent anew.

        Raises:
            BackendError: the provider does not know a job; the text says what it said.
        """
        find = jobs.finder(self.device.native)
        if find is None:
            return None
        handle = self._prepare(templates, requests, seed)
        if len(job_ids) != len(handle.jobs):  # the crash came between them
            return None
        alive = [
            self.retry.call(
                partial(job.take, find, job_id),
                f"{self.name}: job {job_id} cannot be fetched",
                errors=jobs.ERRORS,
                is_transient=jobs.is_transient,
            )
            for job, job_id in zip(handle.jobs, job_ids, strict=True)
        ]
        return handle if all(alive) else None

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def is_noisy(self) -> bool:
        return self.device.is_noisy

    @property
    def rep_delay(self) -> float:
        """Seconds between two shots, 0 where unknown."""
        return self.device.rep_delay

    def repetitions(self, requests: Sequence[Request]) -> Repetitions:
        """How often each request's circuit runs, so that all take the same shots.

        Raises:
            BackendError: one has no number of shots, and the device has no exact values.
        """
        return equal_shots(shots_of(requests, self.name))

    def num_jobs(self, circuits: int) -> int:
        """How many jobs so many circuits take."""
        return min(circuits, 1)

    def preview(self, requests: Sequence[Request]) -> Cost:
        """What submitting these requests would cost, if no job fails."""
        repetitions = self.repetitions(requests)
        circuits = int(repetitions.copies.sum())
        return Cost(self.num_jobs(circuits), circuits, circuits * repetitions.shots)

    def runs_whole(self, circuit: Circuit) -> bool:
        """Whether templates of the whole circuit run as the user wrote it, because it is written for the device."""
        return self._compiler.placing.keeps(circuit.native)

    def describe(self, templates: Sequence[Template]) -> list[Footprint]:
        """Depth, two-qubit gates and time of the compiled circuits.

        Raises:
            BackendError: a circuit does not fit the device.
        """
        self.device.check(templates, ())
        return self._compiler.footprints(templates)


def shots_of(requests: Sequence[Request], name: str) -> list[int]:
    """The requests' shots; raises BackendError where one has none, because the device has no exact values."""
    shots = [request.shots for request in requests if request.shots is not None]
    if len(shots) < len(requests):
        raise BackendError(f"backend: {name} needs a number of shots; give shots=…")
    return shots
