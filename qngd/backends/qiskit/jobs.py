"""Qiskit's jobs: sending them, waiting for them, and sending them again where that helps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from qiskit.primitives import PrimitiveJob
from qiskit.providers import JobTimeoutError

from qngd._system.interrupts import held
from qngd.backends.boundary import DeficientResult
from qngd.backends.results import Unreadable
from qngd.backends.retry import Retry, chain, may_have_arrived, speaks_of_the_way
from qngd.backends.shots import Repetitions
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.measured.plan import Request
from qngd.measured.template import Template

# IBM's error codes for which its registry (https://quantum.cloud.ibm.com/docs/errors) says to retry or to
# wait: internal errors on the way to the device, too many jobs or requests, maintenance, and 5203, failed to
# run.
_IBM_TRANSIENT = frozenset(
    {
        1000, 1006, 1008, 1010, 1011, 1012, 1202, 1999, 3202, 3203, 3204, 3210, 3212,
        3233, 3234, 3235, 3251, 3253, 3300, 3301, 3458, 3704, 5203,
    }
)  # fmt: skip
_IBM_CODE = re.compile(r"[Ee]rror code:? *(\d{4})\b")
# How providers' words begin for a job that gives no result any more and must be sent again, as "Cancelled - Ran too
# long" does.
_DEAD = ("ERROR", "FAIL", "CANCEL", "ABORT", "REJECT", "EXPIRE", "TERMINATED", "TIMED", "TIMEOUT", "DELETED")

NO_ID = "without an id"
_SIMULATORS = ("qiskit_ibm_runtime.fake_provider", "qiskit.providers.basic_provider", "qiskit.providers.fake_provider")


@dataclass(eq=False)
class Job:
    """One of the provider's jobs, with the request (C,) of each of its circuits.

    `send` submits it with a tag, again if need be; `sent` counts how often it did, and `tell` is then given the new id.
    Before that `announce` says the tag, "" for none, and `lookup` finds the jobs that have it, if the provider can do
    that. Where it cannot, `announce` is told whether a job that was sent before may have arrived.
    """

    send: Callable[[str], Any]
    rows: np.ndarray
    content: Any = None
    native: Any = None
    sent: int = 0
    tell: Callable[[str], None] = lambda job_id: None
    announce: Callable[[bool], str] = lambda in_doubt: ""
    lookup: Callable[[str], list[Any]] | None = None

    @property
    def circuits(self) -> int:
        """How many it runs."""
        return len(self.rows)

    def submit(self, name: str, retry: Retry) -> None:
        """Send it, and tell its id.

        Raises:
            BackendError: the provider refuses it; the text says what it said.
        """
        tag: str | None = None
        in_doubt = False  # whether the answer to the last attempt was lost on its way: the job may have arrived

        def send() -> None:
            nonlocal tag, in_doubt
            arrived = self.lookup(tag) if tag and self.lookup is not None else []
            with held():  # what is sent is written down, whoever wants to stop
                if tag is None or (in_doubt and self.lookup is None):
                    tag = self.announce(in_doubt)
                try:
                    native = arrived[0] if arrived else self.send(tag)
                except Exception as error:
                    in_doubt = may_have_arrived(error)
                    raise
                if native is None:
                    raise BackendError(f"{name} returned no job when it was sent one")
                self.native = native
                self.sent += 1
                if not isinstance(native, PrimitiveJob) and self.job_id != NO_ID:  # whose ids are this process's own
                    self.tell(self.job_id)

        retry.call(send, f"{name} refused the job", is_transient=is_transient)

    def take(self, find: Callable[[str], Any], job_id: str) -> None:
        """Become a job that was sent before, unless that one failed."""
        self.native, self.sent = find(job_id), 1
        if self.is_dead:
            self.native, self.sent = None, 0

    @property
    def job_id(self) -> str:
        """The provider's id; "without an id" where it gives none."""
        try:
            return str(_asked(self.native, "job_id"))
        except Exception:  # whatever a provider's code raises, its job may have been paid for and is gone on with
            return NO_ID

    @property
    def usage(self) -> float | None:
        """The device seconds that the provider reports for it; None where it reports none, or none yet: IBM's says 0
        until the count is complete, and always of a local job."""
        try:
            seconds = self.native.usage()
            return float(seconds) if float(seconds) > 0 and np.isfinite(seconds) else None
        except Exception:  # no method, no answer, no number: the result is there, and paid for
            return None

    @property
    def is_dead(self) -> bool:
        """Whether it failed or was cancelled; False where its provider has no word for that."""
        if not hasattr(self.native, "status"):
            return False
        status = _asked(self.native, "status")  # an enum in Qiskit, a text in IBM's runtime
        words = (getattr(status, "name", None), getattr(status, "value", None), status)
        word = next((word for word in words if isinstance(word, str)), "")
        return word.strip().rpartition(".")[2].upper().startswith(_DEAD)


def _asked(native: Any, name: str) -> Any:
    """What a job says of itself, by a method in most SDKs, by an attribute in others."""
    found = getattr(native, name)
    return found() if callable(found) else found


@dataclass(frozen=True, eq=False)
class Handle:
    """A submission: what was asked, how often each request's circuit runs, and the jobs that run them."""

    templates: Sequence[Template]
    requests: Sequence[Request]
    repetitions: Repetitions
    jobs: tuple[Job, ...]

    @property
    def is_sent(self) -> bool:
        """Whether all its jobs were sent, or found."""
        return all(job.native is not None for job in self.jobs)

    @property
    def job_ids(self) -> list[str]:
        """The provider's ids, to find the jobs again."""
        return [job.job_id for job in self.jobs]

    def watch(self, tell: Callable[[int, str], None]) -> None:
        """Call `tell` with the place and id of every job: now if it is sent already, and whenever it is."""
        for place, job in enumerate(self.jobs):
            job.tell = partial(tell, place)
            if job.native is not None and job.job_id != NO_ID:
                job.tell(job.job_id)

    def announce(self, call: Callable[[int, bool], str]) -> None:
        """Call `call` with the place of every job right before it is sent, and with whether one that was sent in its
        place before may have arrived; tag the job with what it returns."""
        for place, job in enumerate(self.jobs):
            job.announce = partial(call, place)

    @property
    def division(self) -> str:
        """What tells submissions apart whose circuits are divided into other jobs."""
        sizes = groupby(job.circuits for job in self.jobs)
        return f"{self.repetitions.shots} shots, " + " + ".join(f"{len(list(same))}x{size}" for size, same in sizes)

    @property
    def num_jobs(self) -> int:
        """Jobs sent; one that was sent again counts again."""
        return sum(job.sent for job in self.jobs)

    @property
    def num_circuits(self) -> int:
        """Circuits run, those that run several times as often as they do."""
        return sum(job.circuits for job in self.jobs)

    @property
    def cost(self) -> Cost:
        """Jobs, circuits and shots."""
        return Cost(self.num_jobs, self.num_circuits, self.num_circuits * self.repetitions.shots)


def finder(native: Any) -> Callable[[str], Any] | None:
    """What gives a device's job by its id: IBM's service, or the device itself, as providers' devices do; None where
    neither does."""
    service = getattr(native, "service", None)
    found = getattr(native, "retrieve_job", None) if service is None else getattr(service, "job", None)
    return found if callable(found) else None


def is_local(native: Any) -> bool:
    """Whether a device, or None, is a simulator of this process, whose jobs cost nothing and end with it."""
    if native is None:
        return True
    modules = {kind.__module__ for kind in type(native).__mro__}
    simulated = any(module.split(".")[0] == "qiskit_aer" or module.startswith(_SIMULATORS) for module in modules)
    return simulated and finder(native) is None


def is_transient(error: BaseException) -> bool:
    """Whether the provider says that trying again may help."""
    codes = {int(code) for link in chain(error) for code in _IBM_CODE.findall(str(link))}
    only_waited = isinstance(error, JobTimeoutError)  # and the job goes on
    return only_waited or speaks_of_the_way(error) or not codes.isdisjoint(_IBM_TRANSIENT)


def submit(jobs: Sequence[Job], name: str, retry: Retry) -> None:
    """Send those of the jobs that are not sent yet, in order.

    Raises:
        BackendError: the provider refuses a job; the text says what it said, and names jobs sent before.
    """
    for number, job in enumerate(jobs):
        if job.native is not None:
            continue
        try:
            job.submit(name, retry)
        except BackendError as error:
            before = [sent.job_id for sent in jobs[:number]]
            raise BackendError(
                f"{error}; sent before: {', '.join(before)}" if before else str(error)
            ) from error.__cause__


def fetch(job: Job, name: str, retry: Retry) -> Any:
    """Wait for a job's result. After a transient failure wait on, or if the job itself failed, send it again.

    Raises:
        BackendError: the job failed or was cancelled for good; the text says what the provider said.
    """
    attempts = 0

    def result() -> Any:
        nonlocal attempts
        attempts += 1
        if attempts > 1 and job.is_dead:
            job.submit(name, retry)
        return job.native.result()

    found = retry.wait(
        result,
        f"{name}: job {job.job_id}",
        "it is left alive; with run_dir the same call later collects it, without it ask the provider by that id",
        is_transient=is_transient,
    )
    if found is None:  # IBM's runtime, where the server has nothing
        raise DeficientResult(f"{name}: job {job.job_id} returned no result")
    return found


@contextmanager
def reading(name: str, job: Job, request: int) -> Iterator[None]:
    """Turn whatever cannot be read in a job's result for a request into a BackendError that names all three."""
    try:
        yield
    except Unreadable as error:
        raise DeficientResult(f"{name}: job {job.job_id} returned {error} (request {request})") from error.__cause__


def check_complete(name: str, job: Job, returned: int, asked: Sequence[int] | np.ndarray, status: str = "") -> None:
    """Raise DeficientResult where other than one result came back for each of the requests `asked`, naming those that
    miss one and the `status` that the provider gives."""
    if returned == len(asked):
        return
    if returned > len(asked):
        raise DeficientResult(f"{name}: job {job.job_id} returned {returned} results for {len(asked)} circuits")
    missing = sorted({int(request) for request in asked[returned:]})
    raise DeficientResult(
        f"{name}: job {job.job_id} returned {returned} results for {len(asked)} circuits; missing are those "
        f"of requests {', '.join(map(str, missing))}{f' ({status})' if status else ''}"
    )
