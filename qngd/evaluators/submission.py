"""A plan on a backend: what it would cost, and its outcomes from a new submission or one that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol
from uuid import uuid4

import numpy as np

from qngd._system.logs import logger
from qngd.backends.base import BackendBase, Footprint, ResumableBackend
from qngd.backends.boundary import calling
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import JobSizes
from qngd.evaluators.job_log import JobLog, Sent
from qngd.evaluators.job_parts import JobPart, attempts, known_parts, missing, put_together, whole_part
from qngd.evaluators.meter import Meter, current_meter, job_sizes
from qngd.evaluators.sending import Errand, collect, find, look_for, send
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Submission


def submission_cost(backend: BackendBase, plan: Submission) -> Cost:
    """Jobs, circuits, shots, device time and money of a plan on this backend, which may split it over several jobs or
    run a circuit several times; nothing where it asks for nothing."""
    if not plan.requests:
        return Cost()
    require_outcomes(backend, plan)
    with calling(backend.name):
        footprints = backend.describe(plan.templates)
        sizes = job_sizes(backend, plan, footprints)
        return current_meter().ahead(backend.preview(plan.requests, plan.templates), sizes)


def require_outcomes(backend: BackendBase, plan: Submission) -> None:
    """Raise BackendError where a plan takes single shots, and it is known beforehand that there will be none."""
    if not (needed := plan.of_single_shots):
        return
    if backend.gives_counts is False or any(request.shots is None for request in plan.requests):
        raise BackendError(f"{backend.name} gives expectation values, and {needed}")


def run_plan(
    backend: BackendBase, plan: Submission, seed: int | None, log: JobLog | None
) -> tuple[list[Outcome], Cost]:
    """One outcome per request, and what they took. With a `log` the ids of jobs are written down, and those that it
    holds are collected.

    Raises:
        BackendError: the backend failed, or returned something other than what was asked for.
        OverBudget: the budget of the run that goes on does not allow it; nothing was sent.
    """
    if not plan.requests:
        return [], Cost()
    meter = current_meter()
    require_outcomes(backend, plan)
    with calling(backend.name):
        footprints = backend.describe(plan.templates) or []  # before anything is sent
        sizes = job_sizes(backend, plan, footprints or None)
        ahead = meter.ahead(backend.preview(plan.requests, plan.templates), sizes)
        errand, parts, lost = _taken_up(backend, plan, seed, log, footprints or None)
        meter.check(ahead + lost)
        price = partial(_price, backend, plan, footprints or None)
        errand = replace(errand, allow=_allowing(meter, ahead + lost), price=price)
        _send_and_collect(errand, parts, meter, sizes, is_kept=log is not None)
        outcomes = put_together(plan, parts)
        taken, reported = _taken(backend, plan, parts, footprints), _seconds_reported(backend, parts)
    cost = lost + errand.lost + meter.paid(taken, sizes, reported)
    meter.count(cost, errand.log is not None)
    return outcomes, cost


def _send_and_collect(errand: Errand, parts: Sequence[JobPart], meter: Meter, sizes: JobSizes, is_kept: bool) -> None:
    """Send what is not sent yet, and wait for all of it. Where that breaks off, what was sent counts as paid, unless
    the run is kept, which counts it when it goes on."""
    backend, plan = errand.backend, errand.plan
    try:
        _send_all(errand, parts)
        logger.info("submitted to %s: %d circuits, %d shots", backend.name, len(plan.requests), plan.num_shots)
        for part in parts:
            collect(errand, part)
    except BaseException:
        if not is_kept and not backend.is_local:
            meter.count(errand.lost + _sent_so_far(meter, backend, plan, parts, sizes))
        raise


def _taken(backend: BackendBase, plan: Submission, parts: Sequence[JobPart], footprints: Sequence[Footprint]) -> Cost:
    """What all parts took in the end, and the size of the largest circuit."""
    return replace(
        sum((_spent(backend, plan, part) for part in parts), Cost()),
        depth=max((f.depth for f in footprints), default=0),
        two_qubit_gates=max((f.two_qubit_gates for f in footprints), default=0),
    )


def _seconds_reported(backend: BackendBase, parts: Sequence[JobPart]) -> float | None:
    """The device seconds that the provider reports of all parts; None where one of them has none."""
    used = [None if part.handle is None else backend.usage(part.handle) for part in parts]
    known = [seconds for seconds in used if seconds is not None]
    return sum(known) if known and len(known) == len(parts) else None


def _taken_up(
    backend: BackendBase,
    plan: Submission,
    seed: int | None,
    log: JobLog | None,
    footprints: Sequence[Footprint] | None,
) -> tuple[Errand, list[JobPart], Cost]:
    """The parts of a submission, those first that an interrupted run has sent, and what was paid for others that gave
    nothing."""
    sent = Sent() if log is None else log.take(plan.fingerprint)
    if isinstance(backend, ResumableBackend) and log is not None and not backend.by_job:
        whole = whole_part(plan, seed, sent)
        errand = Errand(backend, plan, log, sent.tag or "", attempts=attempts([whole]))
        if whole.is_open:
            look_for(errand, whole)
        return _written(errand, sent, [whole]), [whole], _lost(errand, whole, footprints)
    before = known_parts(backend, plan, seed, sent)
    errand = Errand(backend, plan, log, sent.tag or "", attempts=attempts(before))
    parts = [part for part in before if find(errand, part)]
    failed = () if backend.is_local else before
    lost = sum((_lost(errand, part, footprints) for part in failed), Cost())
    parts += missing(backend, plan, seed, parts, 1 + max((part.place for part in before), default=0))
    return _written(errand, sent, parts), parts, lost


def _lost(errand: Errand, part: JobPart, footprints: Sequence[Footprint] | None) -> Cost:
    """What was paid for a part and gave nothing. What may have run has its price, as if it were sent now."""
    backend, plan = errand.backend, errand.plan
    lost = part.lost(part.takes(backend, plan.templates))
    if not part.times_in_vain:
        return lost
    priced = _price(backend, plan, footprints, part, None) * part.times_in_vain
    return replace(lost, seconds=priced.seconds, money=priced.money)


def _price(
    backend: BackendBase, plan: Submission, footprints: Sequence[Footprint] | None, part: JobPart, number: int | None
) -> Cost:
    """What a part takes if it is sent once, or of several jobs in it that of this number."""
    takes = part.takes(backend, plan.templates)
    sizes = job_sizes(backend, replace(plan, requests=part.requests), footprints)
    if number is not None and len(sizes.shots) > 1:
        sizes = sizes.of([number])
        takes = Cost(*sizes.total)
    return current_meter().ahead(takes, sizes)


def _written(errand: Errand, sent: Sent, parts: list[JobPart]) -> Errand:
    """The errand, whose tag is on disk before anything is sent. Of what this process itself computes nothing is worth
    that, unless a run that broke off would have to do half of it again."""
    errand = replace(errand, tag=errand.tag or f"qngd-{uuid4().hex}")
    if errand.log is None or (errand.backend.is_local and len(parts) < 2):
        return replace(errand, log=None)
    if sent.tag is None:
        errand.log.intend(errand.plan.fingerprint, errand.backend.name, errand.tag)
    return errand


def _allowing(meter: Meter, ahead: Cost) -> Callable[[Cost], None]:
    """What raises OverBudget unless more may be sent than what is ahead; each time what it is given more."""
    more = Cost()

    def allow(cost: Cost) -> None:
        nonlocal more
        meter.check(ahead + more + cost)
        more += cost

    return allow


def _send_all(errand: Errand, parts: Sequence[JobPart]) -> None:
    """Send what is not sent yet, in order, and all before anybody waits."""
    for number, part in enumerate(parts):
        try:
            send(errand, part)
        except BackendError as error:
            before = [one.ids[-1] for one in parts[:number] if one.ids]
            if not before:
                raise
            raise BackendError(f"{error}; sent before: {', '.join(before)}") from error.__cause__


def _sent_so_far(
    meter: Meter, backend: BackendBase, plan: Submission, parts: Sequence[JobPart], sizes: JobSizes
) -> Cost:
    """What the jobs take that were sent before a submission broke off: nobody will ask what became of them, and so all
    count as paid. Of a job that was sent again after it failed, the last is one with circuits and shots."""
    if len(parts) == 1 and 0 < len(parts[0].numbers) <= len(sizes.shots):  # which the backend divides
        (part,) = parts
        begun = sizes.of(range(len(part.numbers) - (part.last_event == "refused")))
        jobs, circuits, shots = begun.total
        return meter.ahead(Cost(_jobs_so_far(part) or jobs, circuits, shots), begun)
    sent = [k for k, part in enumerate(parts) if part.ids or (part.is_sent and part.last_event != "refused")]
    taken = [parts[k].takes(backend, plan.templates) for k in sent]
    cost = Cost(
        sum(_jobs_so_far(parts[k]) or one.jobs for k, one in zip(sent, taken, strict=True)),
        sum(one.circuits for one in taken),
        sum(one.shots for one in taken),
    )
    return meter.ahead(cost, sizes.of(sent) if len(parts) == len(sizes.shots) else sizes)


def _jobs_so_far(part: JobPart) -> int:
    """The jobs that were sent for a part, one whose answer was lost included; 0 where they have no ids."""
    return len(set(part.ids)) + part.is_open if part.ids else 0


def _spent(backend: BackendBase, plan: Submission, part: JobPart) -> Cost:
    """The jobs, circuits and shots that a part took in the end."""
    returned = sum(outcome.shots for outcome in part.outcomes or ())
    if part.handle is None:  # of an interrupted run, which kept what it gave
        takes = part.takes(backend, plan.templates)
        return replace(takes, shots=max(takes.shots, returned))
    spent = backend.spent(part.handle, part.requests)
    return replace(spent, shots=spent.shots or returned)


class _OfEnergies(Protocol):
    """A plan that knows which of its requests are of the energy."""

    @property
    def energy_weights(self) -> np.ndarray: ...

    @property
    def of_metric(self) -> np.ndarray: ...


def shots_for(plan: _OfEnergies, outcomes: Sequence[Outcome]) -> dict[str, int]:
    """What the shots of a plan's outcomes were for; those of the energy may also serve the others."""
    shots = np.array([outcome.shots for outcome in outcomes], dtype=int)
    return {name: int(shots[mask].sum()) for name, mask in purposes(plan).items()}


def purposes(plan: _OfEnergies) -> dict[str, np.ndarray]:
    """Which requests (masks over R) of a plan are of the energy, of the gradient alone, and of the metric alone."""
    of_energy = (plan.energy_weights != 0) & ~plan.of_metric
    return {"energy": of_energy, "gradient": ~of_energy & ~plan.of_metric, "metric": plan.of_metric}


def noise_note(backend: BackendBase) -> str:
    """What is to be said of a noisy backend's answers."""
    if not backend.is_noisy:
        return ""
    return (
        f"{backend.name} is noisy: its states are mixed, and the metric, estimated by the formula for pure "
        "states, is then not the quantum Fisher information"
    )


def noise_of(backend: BackendBase) -> str:
    """What tells a backend's noise from that of another with its name, as a stored run is recognized by it."""
    return " ".join(filter(None, ["noisy" if backend.is_noisy else "none", backend.noise_digest]))


def settings_of(backend: BackendBase) -> dict[str, str]:
    """What else a stored run is recognized by of its backend, by names for people; nothing where all is as usual."""
    return {"settings of the backend": backend.set_to} if backend.set_to else {}
