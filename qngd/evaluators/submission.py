"""One submission to a backend: sending it, or what is left of one that was interrupted, and what it costs."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from qngd.backends import Backend
from qngd.backends.boundary import calling, checked
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.evaluators.job_log import JobLog
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Submission


def submit(
    backend: Backend, wanted: Submission, seed: int | None, log: JobLog | None = None
) -> tuple[list[Outcome], Cost]:
    """One outcome per request, and what they cost.

    Raises:
        BackendError: the backend failed.
    """
    with calling(backend.name):
        describe = getattr(backend, "describe", None)
        footprints = [] if describe is None else describe(wanted.templates)  # before anything is sent
        handle = _handle(backend, wanted, seed, log)
        outcomes = checked(backend.collect(handle), wanted.templates, wanted.requests, backend.name)
    cost = Cost(
        jobs=getattr(handle, "num_jobs", 1),
        circuits=getattr(handle, "num_circuits", wanted.num_circuits),
        shots=sum(outcome.shots for outcome in outcomes),
        depth=max((f.depth for f in footprints), default=0),
        two_qubit_gates=max((f.two_qubit_gates for f in footprints), default=0),
    )
    return outcomes, cost


def _handle(backend: Backend, wanted: Submission, seed: int | None, log: JobLog | None) -> Any:
    """A new submission, or what is left of one that was sent before a run was interrupted."""
    sends = cast(Any, backend)
    if log is None or not hasattr(sends, "prepare"):
        return sends.submit(wanted.templates, wanted.requests, seed)
    handle = sends.prepare(wanted.templates, wanted.requests, seed)
    submission = f"{wanted.fingerprint}: {handle.division}"
    sent = log.take(submission)
    if sent:
        try:
            sends.attach(handle, sent)
        except BackendError as error:
            remedy = f"try again later, or delete {log.path} to send the circuits anew"
            raise BackendError(f"{error}; {remedy}") from error
    handle.watch(partial(log.add, submission, backend.name))  # every id is on disk before the next job is sent
    sends.send(handle)
    return handle


def noise_note(backend: Backend) -> str:
    """What is to be said of a noisy backend's answers."""
    if not backend.is_noisy:
        return ""
    return (
        f"{backend.name} is noisy: its states are mixed, and the metric, estimated by the formula for pure "
        "states, is then not the quantum Fisher information"
    )


def submission_cost(backend: Backend, wanted: Submission) -> Cost:
    """Jobs, circuits and shots on this backend, which may split a submission over several jobs or run a circuit several
    times."""
    split = getattr(backend, "preview", None)
    if split is None:
        return Cost(1, wanted.num_circuits, wanted.num_shots)
    with calling(backend.name):
        return split(wanted.requests, wanted.templates) if hasattr(backend, "limits") else split(wanted.requests)
