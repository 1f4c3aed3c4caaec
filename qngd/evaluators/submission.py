"""A plan on a backend: what it would cost, and its outcomes from a new submission or one that was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count, takewhile
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from qngd._system.logs import logger
from qngd.backends.base import BackendBase, ResumableBackend
from qngd.backends.boundary import calling, checked
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.meter import current_meter, job_sizes
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Submission


def submission_cost(backend: BackendBase, plan: Submission) -> Cost:
    """Jobs, circuits, shots, device time and money of a plan on this backend, which may split it over several jobs or
    run a circuit several times."""
    with calling(backend.name):
        footprints = backend.describe(plan.templates)
        sizes = job_sizes(backend, plan, footprints)
        return current_meter().ahead(backend.preview(plan.requests, plan.templates), sizes)


def run_plan(
    backend: BackendBase, plan: Submission, seed: int | None, log: JobLog | None
) -> tuple[list[Outcome], Cost]:
    """One outcome per request, and what they took. With a `log` the ids of jobs are written down, and those that it
    holds are collected.

    Raises:
        BackendError: the backend failed, or returned something other than what was asked for.
        OverBudget: the budget of the run that goes on does not allow it; nothing was sent.
    """
    meter = current_meter()
    with calling(backend.name):
        footprints = backend.describe(plan.templates) or []  # before anything is sent
        sizes = job_sizes(backend, plan, footprints or None)
        meter.check(meter.ahead(backend.preview(plan.requests, plan.templates), sizes))
        handle = _submitted(backend, plan, seed, log)
        logger.info("submitted to %s: %d circuits, %d shots", backend.name, len(plan.requests), plan.num_shots)
        outcomes = checked(backend.collect(handle), plan.templates, plan.requests, backend.name)
        spent = backend.spent(handle, plan.requests)
        used = backend.usage(handle)
    cost = replace(
        spent,
        shots=sum(outcome.shots for outcome in outcomes),
        depth=max((f.depth for f in footprints), default=0),
        two_qubit_gates=max((f.two_qubit_gates for f in footprints), default=0),
    )
    cost = meter.paid(cost, sizes, used)
    meter.count(cost)
    return outcomes, cost


def _submitted(backend: BackendBase, plan: Submission, seed: int | None, log: JobLog | None) -> Any:
    """The handle of a new submission, or of what is left of one that was sent before a run was interrupted."""
    if log is None or not isinstance(backend, ResumableBackend):
        return backend.submit(plan.templates, plan.requests, seed)
    handle = backend.prepare(plan.templates, plan.requests, seed)
    submission = f"{plan.fingerprint}: {handle.division}"
    sent = log.take(submission)
    if sent.tag is None:
        log.intend(submission, backend.name, f"qngd-{uuid4().hex}")
    if first := [sent.jobs[place] for place in takewhile(sent.jobs.__contains__, count())]:
        logger.info("collecting %d jobs that were sent to %s before: %s", len(first), backend.name, ", ".join(first))
        try:
            backend.attach(handle, first)
        except BackendError as error:
            raise BackendError(f"{error}; try again later, or {log.anew} to send the circuits anew") from error
    handle.watch(partial(log.add, submission, backend.name))  # every id is on disk before the next job is sent
    backend.send(handle)
    return handle


class _OfEnergies(Protocol):
    """A plan that knows which of its requests are of the energy."""

    @property
    def energy_weights(self) -> np.ndarray: ...

    @property
    def of_metric(self) -> np.ndarray: ...


def shots_for(plan: _OfEnergies, outcomes: Sequence[Outcome]) -> dict[str, int]:
    """What the shots of a plan's outcomes were for; those of the energy may also serve the others."""
    shots = np.array([outcome.shots for outcome in outcomes], dtype=int)
    of_energy = (plan.energy_weights != 0) & ~plan.of_metric
    parts = {"energy": of_energy, "gradient": ~of_energy & ~plan.of_metric, "metric": plan.of_metric}
    return {name: int(shots[mask].sum()) for name, mask in parts.items()}


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
    digest = getattr(backend, "noise_digest", "")
    return " ".join(filter(None, ["noisy" if backend.is_noisy else "none", digest]))
