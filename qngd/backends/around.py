"""Backends around another one: they change its circuits, or add some of their own, and read what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qngd.backends.base import Load, ResumableBackend
from qngd.backends.boundary import DeficientResult, checked
from qngd.backends.forwarding import Forwarding, of_inner
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Counts, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class Asked:
    """What is sent for a submission: `requests` of `templates`; its own requests are the first of these, in order."""

    templates: Sequence[Template]
    requests: Sequence[Request]


@dataclass(eq=False)
class AroundHandle:
    """What was `asked`, what is `sent` for it, and the inner backend's handle once there is one."""

    asked: Asked
    sent: Asked
    inner: Any
    about: str
    shots: int = 0  # that came back

    @property
    def division(self) -> str:
        return f"{getattr(self.inner, 'division', 'one submission')}, {self.about}"

    @property
    def is_sent(self) -> bool:
        """Whether a job that was looked for by its id was found, and did not fail."""
        return bool(getattr(self.inner, "is_sent", True))

    def watch(self, tell: Callable[[int, str], None]) -> None:
        if callable(getattr(self.inner, "watch", None)):
            self.inner.watch(tell)

    def announce(self, call: Callable[..., str]) -> None:
        if hasattr(self.inner, "announce"):
            self.inner.announce(call)


class Around(Forwarding, ResumableBackend):
    """A backend around another one, the `inner`. Its jobs are found again where those of the inner one are."""

    about: str  # in its name
    goes_around: tuple[type[Around], ...] = ()  # other corrections

    def __init__(self, backend: Any) -> None:
        from qngd.backends import resolve  # which knows all backends, these included

        self.inner = resolve(backend)
        if isinstance(self.inner, self.goes_around):
            return
        if (inside := _correction_in(self.inner)) is not None:
            raise BackendError(f"backend: {self.name} is {self._wrongly_around(inside)}")
        if self.inner.gives_counts is False:
            raise BackendError(self._needs_counts)

    def _wrongly_around(self, inside: Around) -> str:
        """What is wrong with a correction around another one, and what to write."""
        own, other, device = type(self).__name__, type(inside).__name__, inside.inner.name
        if own == other:
            return f"the same correction twice; write qngd.backends.{own}({device}, …)"
        return (
            "one correction around another, which is right in one order: readout errors are undone first, since shots "
            "that were left out by what was misread cannot be corrected. Write "
            f"qngd.backends.PostSelected(qngd.backends.ReadoutCorrected({device}), …)"
        )

    @property
    def _needs_counts(self) -> str:
        return (
            f"backend: {self.inner.name} gives expectation values, and {self.about} needs counts; take a sampler, or "
            "the estimator's own mitigation"
        )

    def sent(self, templates: Sequence[Template], requests: Sequence[Request]) -> Asked:
        """What is sent for these requests.

        Raises:
            BackendError: the correction does not go with them.
        """
        raise NotImplementedError

    def read(self, handle: AroundHandle, outcomes: list[Counts]) -> list[Outcome]:
        """The outcomes of what was asked from those of what was sent."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        return f"{self.inner.name}, {self.about}"

    @property
    def corrects(self) -> str:
        """The correction's settings, as text."""
        return ""

    @property
    def set_to(self) -> str:
        return "; ".join(filter(None, (self.corrects, super().set_to)))

    @property
    def is_local(self) -> bool:
        return self.inner.is_local

    @property
    def sent_whole(self) -> bool:
        return not self.by_job

    is_lazy = of_inner("is_lazy")
    seed = of_inner("seed")

    def tagged(self, tag: str) -> list[str] | None:
        return self.inner.tagged(tag) if isinstance(self.inner, ResumableBackend) else None

    def preview(self, requests: Sequence[Request], templates: Sequence[Template]) -> Cost:
        sent = self.sent(templates, requests)
        return self.inner.preview(sent.requests, sent.templates)

    def loads(self, requests: Sequence[Request], templates: Sequence[Template]) -> list[Load]:
        """Those of the inner backend; circuits that were not asked for count as the first that was, which is no
        shorter."""
        sent = self.sent(templates, requests)
        found = self.inner.loads(sent.requests, sent.templates)
        count = len(requests)
        return [Load(load.requests * (load.requests < count), load.shots, load.runs) for load in found]

    def prepare(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> AroundHandle:
        sent = self.sent(templates, requests)
        if isinstance(self.inner, ResumableBackend):
            inner: Any = self.inner.prepare(sent.templates, sent.requests, seed)
        else:
            inner = _Later(seed)
        return AroundHandle(Asked(templates, requests), sent, inner, self.about)

    def of_job(self, templates: Sequence[Template], requests: Sequence[Request]) -> Asked:
        """What is sent for those requests of a submission that one job holds; where jobs are sent one by one."""
        return self.sent(templates, requests)

    def prepare_one(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> AroundHandle:
        sent = self.of_job(templates, requests)
        if not isinstance(self.inner, ResumableBackend):
            return AroundHandle(Asked(templates, requests), sent, _Later(seed), self.about)
        inner = self.inner.prepare_one(sent.templates, sent.requests, seed)
        return AroundHandle(Asked(templates, requests), sent, inner, self.about)

    def attach(self, handle: AroundHandle, job_ids: Sequence[str]) -> None:
        if isinstance(self.inner, ResumableBackend):
            self.inner.attach(handle.inner, job_ids)

    def send(self, handle: AroundHandle) -> None:
        if isinstance(self.inner, ResumableBackend):
            self.inner.send(handle.inner)
        else:
            handle.inner = self.inner.submit(handle.sent.templates, handle.sent.requests, handle.inner.seed)

    def collect(self, handle: AroundHandle) -> list[Outcome]:
        """The inner backend's counts, corrected.

        Raises:
            BackendError: it failed, or returned something other than counts.
        """
        return self.read(handle, self.counts(handle))

    def counts(self, handle: AroundHandle) -> list[Counts]:
        """What the inner backend gives for all that was sent.

        Raises:
            BackendError: as `collect`.
        """
        found = checked(self.inner.collect(handle.inner), handle.sent.templates, handle.sent.requests, self.inner.name)
        counts = [outcome for outcome in found if isinstance(outcome, Counts)]
        if len(counts) < len(found):
            raise DeficientResult(self._needs_counts)
        handle.shots = sum(outcome.shots for outcome in counts)
        return counts

    def spent(self, handle: AroundHandle, requests: Sequence[Request]) -> Cost:
        """What the inner backend's submission took, all its shots included."""
        spent = self.inner.spent(handle.inner, handle.sent.requests)
        return replace(spent, shots=spent.shots or handle.shots)

    def usage(self, handle: AroundHandle) -> float | None:
        return self.inner.usage(handle.inner)

    def read_by(self, templates: Sequence[Template]) -> list[tuple[int, ...]]:
        return self.inner.read_by(templates)


def _correction_in(backend: Any) -> Around | None:
    """The correction that a backend is, or is around, as one on a cluster is."""
    while backend is not None and not isinstance(backend, Around):
        backend = backend.inner if isinstance(backend, Forwarding) else None
    return backend


@dataclass(frozen=True)
class _Later:
    """In place of the handle of a backend whose jobs cannot be found again, until it is sent."""

    seed: int | None
