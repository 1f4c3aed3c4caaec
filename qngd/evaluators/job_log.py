"""What a run writes down of its jobs, before anybody waits for them: what was paid for can be found again.

A submission is a batch of jobs, known by the hash of its plan. Each job has a place in it. The order of calls:

    sent = log.take(submission)                   what an interrupted run had of it
    log.intend(submission, backend, tag)          unless `sent.tag` is there: before anything is sent
    log.note(submission, place, "sending", holds) before a job is sent
    log.add(submission, backend, place, job)      as soon as its sending returns
    log.keep(submission, place, outcomes)         as soon as its results are there

What was sent from the state that a run resumes from, and whose results are not in it, is then collected instead of sent
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from qngd.measured.outcomes import Outcome


class Note(NamedTuple):
    """What happened to a job: it was "sending", before it was sent; "refused", and nothing came of that; "doubtful",
    where nobody knows whether it arrived; "spoiled", where it gave something other than what was asked for. `holds`
    says which circuits, as in `parts`."""

    event: str
    holds: str


@dataclass(frozen=True)
class Sent:
    """What is known of an interrupted submission: the tag that was written before anything was sent, None where none
    was intended; the provider's last id of each job by the jobs' places; the outcomes of those that had finished; and
    by place all that was noted, and all ids, those of jobs that were lost too."""

    tag: str | None = None
    jobs: dict[int, str] = field(default_factory=dict)
    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    notes: dict[int, list[Note]] = field(default_factory=dict, compare=False)
    ids: dict[int, list[str]] = field(default_factory=dict, compare=False)


class JobLog(Protocol):
    """Where the jobs of a run are written down."""

    @property
    def anew(self) -> str:
        """What a user does to have circuits sent anew whose jobs are gone, as the end of a message."""

    def take(self, submission: str) -> Sent:
        """What is known of an interrupted submission; of several with this name the one that was intended first, each
        once."""

    def intend(self, submission: str, backend: str, tag: str) -> None:
        """Write down that a submission is going to be sent, and under which tag.

        Raises:
            StorageError: it cannot be written; nothing should be sent then.
        """

    def note(self, submission: str, place: int, event: str, holds: str) -> None:
        """Write down what happens to a job of a submission that was intended, or taken; see `Note`.

        Raises:
            StorageError: it cannot be written.
        """

    def add(self, submission: str, backend: str, place: int, job: str) -> None:
        """Write down a job of a submission that was intended, or taken. A later one in the same place takes its place.

        Warns:
            QngdWarning: it cannot be written, with the job's id. It is paid for, so the run goes on, and it is written
                with the next thing that can be.
        """

    def keep(self, submission: str, place: int, outcomes: Sequence[Outcome]) -> None:
        """Write down what a finished job has given.

        Warns:
            QngdWarning: it cannot be written.
        """
