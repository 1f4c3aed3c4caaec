"""The parts of a submission: what each of its jobs holds, and what is known of each from a run that broke off.

A part holds some of the submission's circuits: a request and a number of shots each, as text "0-9x4000,3x1000" for the
requests 0 to 9 with 4000 shots each and request 3 with 1000. So jobs that were sent stay of use where the submission
would now be divided otherwise: what they hold is taken from what is asked for, and the rest divided anew. Behind that
stand the circuits and shots that a backend adds to a whole submission, as "0-9x4000+2:8000" for two with 8000 shots in
all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise, takewhile
from typing import Any

import numpy as np

from qngd._system.seeds import derived
from qngd.backends.base import BackendBase, Load
from qngd.backends.tallies import joined
from qngd.estimates.evaluation import Cost
from qngd.evaluators.job_log import Note, Sent
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request, Submission
from qngd.measured.template import Template


@dataclass(eq=False)
class JobPart:
    """What is sent as one job: the requests (C,) `rows` of the submission, as `requests` with the shots that it takes
    of each. `ids` and `notes` are what is written down of it, `outcomes` what it gave, and `handle` the backend's own.

    `is_sent` says whether a job was sent for it, `is_open` whether that is all that is known, and `is_found` whether
    the job is one of an interrupted run. `numbers` are those jobs that were sent of a part that the backend divides.
    """

    place: int
    rows: np.ndarray
    requests: tuple[Request, ...]
    seed: int | None
    ids: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    outcomes: list[Outcome] | None = None
    handle: Any = None
    is_sent: bool = False
    is_open: bool = False
    is_found: bool = False
    is_whole: bool = False  # the submission, which the backend divides itself
    numbers: set[int] = field(default_factory=set)

    def announced(self) -> None:
        """A job is going to be sent for it."""
        self.is_open = self.is_sent = True

    def named(self, job: str) -> bool:
        """Its job has this id; whether that is a new one."""
        self.is_open = False
        new = job not in self.ids
        self.ids += [job] if new else []
        return new

    def settled(self, event: str) -> None:
        """What became of its job is known, or nobody will ever know."""
        self.is_open = False
        self.notes = [*self.notes, Note(event, self.holds)]

    def went(self, handle: Any, found: bool | None = None) -> None:
        """It is on its way as this handle of the backend's; whether its job was found, if that was asked."""
        self.handle = handle
        if found is not None:
            self.is_found = self.is_sent = found

    def gave(self, outcomes: list[Outcome]) -> None:
        """Its outcomes are there."""
        self.outcomes = outcomes

    @property
    def holds(self) -> str:
        """Its circuits as text."""
        return held(self.rows, [request.shots or 0 for request in self.requests])

    @property
    def shots(self) -> int:
        return sum(request.shots or 0 for request in self.requests)

    @property
    def last_event(self) -> str:
        """What was noted of it last."""
        return self.notes[-1].event if self.notes else ""

    def takes(self, backend: BackendBase, templates: Sequence[Template]) -> Cost:
        """What it takes if it is sent once, with what a backend adds that is given whole submissions."""
        if backend.sent_whole or self.is_whole:
            return backend.preview(self.requests, templates)
        return Cost(1, len(self.rows), self.shots)

    def lost(self, takes: Cost) -> Cost:
        """What was paid for it and gave nothing: jobs that failed, with shots those that gave something else, or of
        which nobody knows."""
        of_use = len(self.ids) if self.is_whole else self.is_found or self.outcomes is not None
        jobs = max(len(set(self.ids)) - of_use, 0) + takes.jobs * self._noted("doubtful")
        return Cost(jobs, self.times_in_vain * takes.circuits, self.times_in_vain * takes.shots)

    @property
    def times_in_vain(self) -> int:
        """How often all of it may have run and gave nothing of use."""
        return self._noted("doubtful") + self._noted("spoiled")

    def _noted(self, event: str) -> int:
        return sum(note.event == event for note in self.notes)


def held(rows: Sequence[int] | np.ndarray, shots: Sequence[int] | np.ndarray) -> str:
    """Requests and their shots as text.

    >>> held([0, 1, 2, 2, 7], [100, 100, 100, 100, 50])
    '0-2x100,2x100,7x50'
    """
    # whole numbers of any size: what is too many is for the backend to say
    rows, shots = np.asarray(rows, dtype=np.int64), np.array([int(count) for count in shots], dtype=object)
    breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(shots) != 0)) + 1
    runs = [(rows[a], rows[b - 1], shots[a]) for a, b in pairwise([0, *breaks.tolist(), len(rows)])]
    return ",".join(f"{first}x{n}" if first == last else f"{first}-{last}x{n}" for first, last, n in runs)


def beyond(takes: Cost, part: JobPart) -> str:
    """What a part takes besides its own circuits, as text behind these; nothing mostly.

    >>> beyond(Cost(1, 4, 500), JobPart(0, np.arange(2), (Request(0, np.zeros(0), 50), Request(1, np.zeros(0), 50)), 1))
    '+2:400'
    """
    circuits, shots = takes.circuits - len(part.rows), takes.shots - part.shots
    return f"+{circuits}:{shots}" if circuits or shots else ""


def size_of(text: str) -> tuple[int, int]:
    """Circuits and shots that `held` and `beyond` wrote.

    >>> size_of("0-2x100,7x50+2:400")
    (6, 750)
    """
    rows, shots = rows_and_shots(text)
    circuits, _, more = text.partition("+")[2].partition(":")
    return len(rows) + int(circuits or 0), int(shots.sum()) + int(more or 0)


def rows_and_shots(text: str) -> tuple[np.ndarray, np.ndarray]:
    """What `held` wrote, whatever stands behind it."""
    rows: list[int] = []
    shots: list[int] = []
    for run in text.partition("+")[0].split(","):
        span, _, count = run.partition("x")
        first, _, last = span.partition("-")
        found = range(int(first), int(last or first) + 1)
        rows += found
        shots += [int(count)] * len(found)
    return np.array(rows, dtype=np.int64), np.array(shots, dtype=np.int64)


def divided(
    backend: BackendBase, plan: Submission, seed: int | None, first: int = 0, numbers: np.ndarray | None = None
) -> list[JobPart]:
    """The parts into which the backend divides a submission, in places from `first` on, each with a seed of its own.
    Of what is left of another one, `numbers` (R,) are those of its requests there."""
    if backend.sent_whole:
        shots = np.array([request.shots or 0 for request in plan.requests], dtype=float)
        loads = [Load(np.arange(len(plan.requests)), shots)] if plan.requests else []
    else:
        loads = [load for load in backend.loads(plan.requests, plan.templates) if len(load.requests)]
    return [
        JobPart(
            place,
            load.requests if numbers is None else numbers[load.requests],
            taken(plan.requests, load),
            seed_of(seed, place),
        )
        for place, load in enumerate(loads, first)
    ]


def taken(requests: Sequence[Request], load: Load) -> tuple[Request, ...]:
    """The requests that a job holds, each with its shots there."""
    return tuple(
        requests[r] if requests[r].shots == shots or (requests[r].shots is None and not shots)
        else replace(requests[r], shots=int(shots))
        for r, shots in zip(load.requests.tolist(), load.shots.tolist(), strict=True)
    )  # fmt: skip


def seed_of(seed: int | None, place: int) -> int | None:
    """The seed of one of several jobs; that of the first is the submission's."""
    return derived(seed, place) if place else seed


def known_parts(backend: BackendBase, plan: Submission, seed: int | None, sent: Sent) -> list[JobPart]:
    """The parts of a submission that an interrupted run has sent, or was about to send."""
    noted = dict(sent.notes)
    if sent.jobs and not noted:  # by qngd 0.1, which wrote down nothing else
        own = divided(backend, plan, seed)
        noted = {part.place: [Note("sending", part.holds)] for part in own if part.place in sent.jobs}
        noted = noted if set(sent.jobs) <= set(noted) and len(own) == 1 + max(sent.jobs) else {}
    parts = []
    for place, notes in sorted(noted.items()):
        load = Load(*rows_and_shots(notes[-1].holds))
        ids, outcomes = list(sent.ids.get(place, [])), sent.outcomes.get(place)
        is_open = outcomes is None and _unanswered(notes, len(ids))
        asked = load.requests, taken(plan.requests, load), seed_of(seed, place)
        parts.append(JobPart(place, *asked, ids, notes, outcomes, is_open=is_open))
    return parts


def _unanswered(notes: Sequence[Note], ids: int) -> bool:
    """Whether a job was going to be sent, and nothing is known of what became of it."""
    events = [note.event for note in notes]
    return events.count("sending") > ids + events.count("refused") + events.count("doubtful")


def attempts(parts: Sequence[JobPart]) -> dict[int, int]:
    """How often each part was sent, by place."""
    return {part.place: sum(note.event == "sending" for note in part.notes) for part in parts}


def whole_part(plan: Submission, seed: int | None, sent: Sent) -> JobPart:
    """The whole of a submission to a backend that divides it itself, whose jobs have the places 0, 1, … in their order;
    what stands after a gap in them could stand in the wrong place."""
    ids = [sent.jobs[place] for place in takewhile(sent.jobs.__contains__, count())]
    notes, outcomes = sent.notes.get(0, []), sent.outcomes.get(0)
    return JobPart(
        0, np.arange(len(plan.requests)), plan.requests, seed, ids, notes, outcomes,
        is_open=outcomes is None and not ids and _unanswered(notes, 0), is_found=bool(ids), is_whole=True,
    )  # fmt: skip


def missing(
    backend: BackendBase, plan: Submission, seed: int | None, parts: Sequence[JobPart], first: int
) -> list[JobPart]:
    """The parts that hold what `parts` do not: those of the plan's own division, where they are of it, or a division of
    the rest, in places from `first` on."""
    own = {(part.place, part.holds): part for part in divided(backend, plan, seed)}
    if all((part.place, part.holds) in own for part in parts):
        there = {part.place for part in parts}
        return [part for part in own.values() if part.place not in there]
    left = np.array([request.shots or 1 for request in plan.requests], dtype=np.int64)
    for part in parts:
        np.subtract.at(left, part.rows, [request.shots or 1 for request in part.requests])
    (rows,) = np.nonzero(left > 0)
    if not len(rows):
        return []
    rest = tuple(
        replace(plan.requests[r], shots=None if plan.requests[r].shots is None else int(left[r])) for r in rows
    )
    return divided(backend, replace(plan, requests=rest), seed, first, rows)


def put_together(plan: Submission, parts: Sequence[JobPart]) -> list[Outcome]:
    """The outcome of each of the plan's requests."""
    found: list[list[Outcome]] = [[] for _ in plan.requests]
    for part in sorted(parts, key=lambda part: part.place):
        for r, outcome in zip(part.rows.tolist(), part.outcomes or [], strict=True):
            found[r].append(outcome)
    return [joined(each, plan.templates[request.template]) for each, request in zip(found, plan.requests, strict=True)]
