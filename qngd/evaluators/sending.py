"""Sending the parts of a submission and collecting what they give; all of it is written down in a run's log.

A part is "sending" on disk before it is sent, and its id is there as soon as its sending returns. Where a process dies
in between, or the answer is lost, the tag that it was sent with tells whether it arrived; where jobs have no tags
nobody knows, and it counts as paid.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from qngd._system.interrupts import held
from qngd._system.logs import logger
from qngd.backends.base import BackendBase, ResumableBackend
from qngd.backends.boundary import DeficientResult, PartlyRun, checked
from qngd.backends.foreign import ForeignResumable
from qngd.backends.retry import speaks_of_the_way
from qngd.errors import BackendError, QngdWarning
from qngd.estimates.evaluation import Cost
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.job_parts import JobPart, beyond
from qngd.measured.plan import Submission


@dataclass(eq=False)
class Errand:
    """A submission on its way to a backend, written down as `tag` in a `log` if there is one. `allow` is asked before a
    job is sent once more in this process, with what that takes; `price` says what the job of a number in a part takes,
    `lost` what those took of which nobody knows, and `attempts` counts by place how often one was sent."""

    backend: BackendBase
    plan: Submission
    log: JobLog | None
    tag: str = ""
    allow: Callable[[Cost], None] = lambda cost: None
    price: Callable[[JobPart, int], Cost] = lambda part, number: Cost()
    lost: Cost = field(default_factory=Cost)
    attempts: dict[int, int] = field(default_factory=dict)

    def note(self, part: JobPart, event: str) -> None:
        """Write down what happens to a part."""
        if self.log is not None:
            more = beyond(part.takes(self.backend, self.plan.templates), part)
            self.log.note(self.plan.fingerprint, part.place, event, part.holds + more)

    def settle(self, part: JobPart, event: str) -> None:
        """Write down what became of a part of which only that it was sent was known."""
        self.note(part, event)
        part.settled(event)

    def tag_of(self, part: JobPart) -> str:
        """The tag of the last job that was sent for a part."""
        return f"{self.tag}-{part.place}-{self.attempts.get(part.place, 0)}"

    def announced(self, part: JobPart, number: int = 0, in_doubt: bool = False) -> str:
        """A part is going to be sent; returns its tag. `in_doubt` says that its job of this number was sent before, and
        may have arrived."""
        if in_doubt and self.backend.is_local:
            return self.tag_of(part)  # it costs nothing, and ended with the call
        if in_doubt:
            self._doubt(part, number)
        elif part.is_sent:
            self.allow(Cost(jobs=1))
        self.attempts[part.place] = self.attempts.get(part.place, 0) + 1
        self.note(part, "sending")
        part.announced()
        return self.tag_of(part)

    def within(self, part: JobPart, number: int, in_doubt: bool = False) -> str:
        """A job of a part that was announced, and that the backend divides itself, is going to be sent; returns its
        tag."""
        if in_doubt or number in part.numbers:
            self.announced(part, number, in_doubt)
        part.announced()
        part.numbers.add(number)
        return f"{self.tag_of(part)}-{number}" if number else self.tag_of(part)

    def _doubt(self, part: JobPart, number: int) -> None:
        """A job whose answer was lost on its way counts as paid, and may be sent again if there is room for both."""
        price = self.price(part, number)
        self.allow(price)
        self.settle(part, "doubtful")
        self.lost += price
        warnings.warn(
            f"{self.backend.name}: the answer to a job was lost on its way, and whether it arrived cannot be asked; it "
            "counts as paid, and its circuits are sent again",
            QngdWarning,
            stacklevel=2,
        )

    def told(self, part: JobPart, number: int, job: str) -> None:
        """A job of a part has this id; it is the one of this number where the backend divides the part itself."""
        if part.named(job) and self.log is not None:
            self.log.add(self.plan.fingerprint, self.backend.name, part.place + number, job)

    def failed(self, part: JobPart, error: BackendError) -> None:
        """A part was not sent, or its job failed: where the provider has refused all of it, nothing is left open."""
        if part.is_open and not (isinstance(error, PartlyRun) or speaks_of_the_way(error)):
            self.settle(part, "refused")


# --- what was sent before ---


def find(errand: Errand, part: JobPart) -> bool:
    """Whether a part of an interrupted run is of use: its outcomes are there, or its job is found and did not fail."""
    backend = errand.backend
    if part.outcomes is not None:
        return True
    if backend.is_local:
        return False
    if part.is_open:
        look_for(errand, part)
    if not part.ids or part.last_event != "sending" or not isinstance(backend, ResumableBackend):
        return False
    handle = backend.prepare_one(errand.plan.templates, part.requests, part.seed)
    attach(errand, handle, part.ids[-1:])
    part.went(handle, bool(getattr(handle, "is_sent", True)))
    return part.is_found


def attach(errand: Errand, handle: Any, jobs: Sequence[str]) -> None:
    """Let a handle be that of jobs with these ids."""
    logger.info("collecting %d jobs that were sent to %s before: %s", len(jobs), errand.backend.name, ", ".join(jobs))
    assert isinstance(errand.backend, ResumableBackend)
    try:
        errand.backend.attach(handle, jobs)
    except BackendError as error:
        raise BackendError(f"{error}; {_remedy(errand)}") from error


def look_for(errand: Errand, part: JobPart) -> None:
    """Find out whether a job arrived that was sent in the moment in which the run broke off."""
    backend = errand.backend
    found = backend.tagged(errand.tag_of(part)) if isinstance(backend, ResumableBackend) else None
    if found:
        errand.told(part, 0, found[0])
    elif found is not None:
        errand.settle(part, "refused")
    else:
        errand.settle(part, "doubtful")
        warnings.warn(
            f"{backend.name}: a job was sent, or was going to be, when the run broke off, and what became of it cannot "
            "be asked; it counts as paid, and its circuits are sent anew",
            QngdWarning,
            stacklevel=2,
        )


def _remedy(errand: Errand) -> str:
    return f"try again later, or {errand.log.anew if errand.log else ''} to send the circuits anew"


# --- what is sent now ---


def send(errand: Errand, part: JobPart) -> None:
    """Send a part, unless what it gives is there or on its way."""
    if part.outcomes is not None:
        return
    backend, asked = errand.backend, (errand.plan.templates, part.requests, part.seed)
    try:
        if not isinstance(backend, ResumableBackend) or (errand.log is None and _needs_submit_alone(backend)):
            if not backend.is_lazy:
                errand.announced(part)
            part.went(backend.submit(*asked))
        elif backend.by_job:
            part.went(part.handle or backend.prepare_one(*asked))
            part.handle.watch(partial(errand.told, part))
            part.handle.announce(partial(errand.announced, part))  # also where it fails, and is sent again
            if not part.is_found:
                backend.send(part.handle)
        else:
            _send_whole(errand, part, backend)
    except BackendError as error:
        errand.failed(part, error)
        raise


def _needs_submit_alone(backend: ResumableBackend) -> bool:
    """Whether it is of the user's own, which may lack what finding jobs takes."""
    return isinstance(backend, ForeignResumable) and not backend.by_job


def _send_whole(errand: Errand, part: JobPart, backend: ResumableBackend) -> None:
    """Let a backend divide a part into jobs itself, some of which may have been sent before."""
    before = list(part.ids)
    part.went(backend.prepare(errand.plan.templates, part.requests, part.seed))
    if before:
        attach(errand, part.handle, before)
    part.handle.watch(partial(errand.told, part))
    with held():  # every id is on disk before anybody may stop
        if not before and not backend.is_lazy:
            errand.announced(part)
        _listen(errand, part)
        backend.send(part.handle)


def _listen(errand: Errand, part: JobPart) -> None:
    """Have the jobs announced into which a backend divides a part, if it tells of them."""
    if (announce := getattr(part.handle, "announce", None)) is not None:
        announce(partial(errand.within, part))


# --- what comes back ---


def collect(errand: Errand, part: JobPart) -> None:
    """Wait for what a part gives, and keep it."""
    if part.outcomes is not None:
        return
    try:
        if errand.backend.is_lazy:
            errand.announced(part)
            _listen(errand, part)
        found = errand.backend.collect(part.handle)
        outcomes = checked(found, errand.plan.templates, part.requests, errand.backend.name)
    except DeficientResult as error:
        if errand.log is None or not part.ids:
            raise
        errand.note(part, "spoiled")
        raise BackendError(f"{error}; the same call with this run_dir sends its circuits anew") from error
    except BackendError as error:
        errand.failed(part, error)
        if not part.is_found:
            raise
        raise BackendError(f"{error}; {_remedy(errand)}") from error
    part.gave(outcomes)
    if errand.log is not None:
        errand.log.keep(errand.plan.fingerprint, part.place, outcomes)
