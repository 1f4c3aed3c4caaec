"""Qiskit devices to test with: ones that count, refuse, fail, and return half a result."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from qiskit.providers import JobError, JobStatus
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator

SERIAL = {"max_parallel_threads": 1}  # small circuits; other tests run beside


class Counting(AerSimulator):
    """Aer, noting what its `run` is given; with a `target`, that of a device."""

    def __init__(self, target: Target | None = None, **options: Any) -> None:
        super().__init__(**(SERIAL | options))
        if target is not None:
            self._target, self._from_backend = target, True
        self.runs: list[dict[str, Any]] = []

    def run(self, circuits: Any, **options: Any) -> Any:
        self.runs.append({"circuits": list(circuits), **options})
        return super().run(circuits, **options)


class Trouble:
    """A job that misbehaves: `result` raises each of `errors`, then returns what `change` makes of the
    result."""

    def __init__(
        self,
        job: Any,
        errors: tuple[Exception, ...] = (),
        status: JobStatus = JobStatus.DONE,
        change: Callable[[Any], Any] | None = None,
    ) -> None:
        self._job = job
        self._errors = list(errors)
        self._status = status
        self._change = change or (lambda result: result)
        self.asked = 0

    def job_id(self) -> str:
        return f"id-of-{self._job.job_id()[:8]}"  # of 4 letters two would agree now and then

    def status(self) -> JobStatus:
        return self._status

    def result(self) -> Any:
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        return self._change(self._job.result())


class Unreliable(Counting):
    """Aer whose k-th `run` behaves as the k-th of `plans` says: an error to raise, or keywords of
    `Trouble`."""

    def __init__(self, *plans: BaseException | dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.plans = list(plans)
        self.jobs: list[Trouble] = []

    def run(self, circuits: Any, **options: Any) -> Any:
        plan = self.plans.pop(0) if self.plans else {}
        if isinstance(plan, BaseException):
            self.runs.append({"circuits": list(circuits), **options})
            raise plan
        self.jobs.append(Trouble(super().run(circuits, **options), **plan))
        return self.jobs[-1]


class Remembering(Unreliable):
    """A device whose jobs can be fetched by their ids, from this or another process."""

    def retrieve_job(self, job_id: str) -> Trouble:
        for job in self.jobs:
            if job.job_id() == job_id:
                return job
        raise JobError(f"no job {job_id}")


def without_last(result: Any) -> Any:
    """A result that lacks the last circuit."""
    cut = copy.copy(result)
    cut.results = result.results[:-1]
    return cut


def dead(text: str) -> dict[str, Any]:
    """A job that failed with this text."""
    return {"errors": (JobError(text),) * 9, "status": JobStatus.ERROR}


def new_sampler(native):
    """IBM's client-side sampler."""
    return pytest.importorskip("qiskit_ibm_runtime.executor_sampler").Sampler(mode=native)


def new_estimator(native):
    """IBM's client-side estimator."""
    return pytest.importorskip("qiskit_ibm_runtime.executor_estimator").Estimator(mode=native)
