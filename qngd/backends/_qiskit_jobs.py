"""Qiskit's jobs: sending them, waiting for them, and sending them again where that helps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qiskit.exceptions import QiskitError

from qngd.backends._retry import Retry, chain, speaks_of_the_way
from qngd.backends._shots import Repetitions
from qngd.errors import BackendError
from qngd.evaluate import Cost
from qngd.plan import Request
from qngd.template import Template

# IBM's error codes for which its registry says to retry, or to wait (https://quantum.cloud.ibm.com/docs/errors):
# internal errors on the way to the device, too many jobs or requests, maintenance, and 5203, "failed to run job".
_IBM_TRANSIENT = frozenset(
    {
        1000, 1006, 1008, 1010, 1011, 1012, 1202, 1999, 3202, 3203, 3204, 3210, 3212,
        3233, 3234, 3235, 3251, 3253, 3300, 3301, 3458, 3704, 5203,
    }
)  # fmt: skip
_IBM_CODE = re.compile(r"[Ee]rror code:? *(\d{4})\b")
# A job in one of these states gives no result any more; it must be sent again.
_DEAD = frozenset({"ERROR", "CANCELLED"})


@dataclass(eq=False)
class Job:
    """One of the provider's jobs. `send` submits it, again if need be; `sent` counts how often that happened."""

    send: Callable[[], Any]
    circuits: int
    native: Any = None
    sent: int = 0

    def submit(self) -> None:
        self.native = self.send()
        self.sent += 1

    @property
    def job_id(self) -> str:
        """The provider's id."""
        return str(self.native.job_id())

    @property
    def is_dead(self) -> bool:
        """Whether it failed or was cancelled."""
        status = self.native.status()  # an enum in Qiskit, a text in IBM's runtime
        return getattr(status, "name", status) in _DEAD


@dataclass(frozen=True, eq=False)
class Handle:
    """A submission: what was asked, how often each request's circuit runs, and the jobs that run them."""

    templates: Sequence[Template]
    requests: Sequence[Request]
    repetitions: Repetitions
    jobs: tuple[Job, ...]

    @property
    def job_ids(self) -> list[str]:
        """The provider's ids, to find the jobs again."""
        return [job.job_id for job in self.jobs]

    @property
    def cost(self) -> Cost:
        """What it takes: jobs sent (again counts again), circuits and shots."""
        circuits = sum(job.circuits for job in self.jobs)
        return Cost(
            jobs=sum(job.sent for job in self.jobs),
            circuits=circuits,
            shots=circuits * self.repetitions.shots,
        )


def is_transient(error: BaseException) -> bool:
    """Whether the provider says that trying again may help."""
    codes = {int(code) for link in chain(error) for code in _IBM_CODE.findall(str(link))}
    return speaks_of_the_way(error) or not codes.isdisjoint(_IBM_TRANSIENT) or _timed_out(error)


def _timed_out(error: BaseException) -> bool:
    """Whether only the waiting timed out; the job goes on."""
    from qiskit.providers.exceptions import JobTimeoutError

    return isinstance(error, JobTimeoutError)


def submit(jobs: Sequence[Job], name: str, retry: Retry) -> None:
    """Send the jobs.

    A submission whose answer is lost on the way may have arrived; sending it again then costs a second job.

    Raises:
        BackendError: the provider refuses a job; the text says what it said, and names jobs sent before.
    """
    for number, job in enumerate(jobs):
        try:
            retry.call(
                job.submit, f"{name} refused the job", errors=(QiskitError,), is_transient=is_transient
            )
        except BackendError as error:
            before = [sent.job_id for sent in jobs[:number]]
            raise BackendError(
                f"{error}; sent before: {', '.join(before)}" if before else str(error)
            ) from error.__cause__


def fetch(job: Job, name: str, retry: Retry) -> Any:
    """Wait for a job's result. After a transient failure, wait on; where the job itself failed, send it again.

    Raises:
        BackendError: the job failed or was cancelled for good; the text says what the provider said.
    """
    attempts = 0

    def result() -> Any:
        nonlocal attempts
        attempts += 1
        if attempts > 1 and job.is_dead:
            job.submit()
        return job.native.result()

    what = f"{name}: job {job.job_id} failed"
    return retry.call(result, what, errors=(QiskitError,), is_transient=is_transient)
