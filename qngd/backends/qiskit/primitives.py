"""What V2 samplers and estimators have in common: one `run` of PUBs per job, a PUB per template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.backends.boundary import DeficientResult
from qngd.backends.qiskit import jobs
from qngd.backends.qiskit.base import OnDevice
from qngd.backends.qiskit.compile import Compiled
from qngd.backends.qiskit.device import QiskitSettings, device_of
from qngd.backends.qiskit.jobs import Handle, Job
from qngd.backends.qiskit.seeds import own_seed, reseeded
from qngd.backends.results import Unreadable, said
from qngd.backends.retry import Retry
from qngd.backends.shots import Repetitions
from qngd.measured.plan import Request
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class Pub:
    """A PUB's template, the request of each of its rows, and their parameter values (k, columns). One without
    parameters has one row and no values."""

    template: int
    rows: np.ndarray
    values: np.ndarray | None


@dataclass(frozen=True, eq=False)
class PrimitiveHandle(Handle):
    """A submission to a primitive: the PUBs of its jobs and, for an estimator, the precision of its values and the
    seed of the noise that is added to exact ones."""

    pubs: tuple[list[Pub], ...]
    precision: float = 0.0
    noise: np.random.SeedSequence | None = None


class Primitive(OnDevice):
    """What samplers and estimators have in common."""

    _measure: bool

    def __init__(self, native: Any, settings: QiskitSettings | None = None, retry: Retry | None = None) -> None:
        device = device_of(native, settings or QiskitSettings())
        super().__init__(native, device, retry, own_seed(native), measure=self._measure)

    def rows(self, requests: Sequence[Request], repetitions: Repetitions) -> tuple[np.ndarray, np.ndarray]:
        """In order of the templates, which are the PUBs; one without angles is a PUB each time that it runs."""
        used = np.array([requests[r].template for r in repetitions.rows], dtype=np.int64)
        order = np.argsort(used, kind="stable")
        rows = repetitions.rows[order]
        is_fixed = np.array([requests[r].angles.size == 0 for r in rows], dtype=bool)
        return rows, np.cumsum(is_fixed | (np.diff(used[order], prepend=-1) != 0))

    def _compile(self, templates: Sequence[Template], requests: Sequence[Request]) -> list[Compiled]:
        self.device.check(templates)
        compiled = self._compiler.compile(templates)
        if self.settings.fractional_gates:
            for r, request in enumerate(requests):
                self.device.check_angles(compiled[request.template].bind(request.angles), r)
        return compiled

    def _natives(self, seed: np.random.SeedSequence | None, count: int) -> list[Any]:
        """The primitive for each of `count` jobs, seeded apart."""
        if seed is None:
            return [self.native] * count
        seeds = [seed] if count == 1 else seed.spawn(count)
        return [reseeded(self.native, each) for each in seeds]

    def _results(self, job: Job) -> list[tuple[Pub, Any]]:
        """The PUBs of a job with their results.

        Raises:
            BackendError: it failed, or some are missing.
        """
        found, pubs = jobs.fetch(job, self.name, self.retry), job.content
        try:
            results = list(found)
        except TypeError as error:
            raise DeficientResult(
                f"{self.name}: job {job.job_id} returned {said(found)} where a result per PUB was expected"
            ) from error
        if len(results) != len(pubs):
            returned = sum(len(pub.rows) for pub in pubs[: len(results)]) + max(0, len(results) - len(pubs))
            jobs.check_complete(self.name, job, returned, job.rows)
        return list(zip(pubs, results, strict=True))


def rows_of(pubs: Sequence[Pub]) -> np.ndarray:
    """The request of every circuit of a job."""
    return np.concatenate([pub.rows for pub in pubs])


def field_of(result: Any, name: str) -> Any:
    """A field of a PUB's data.

    Raises:
        Unreadable: it has none of this name.
    """
    data: Any = getattr(result, "data", None)
    found = getattr(data, name, None)
    if found is None:
        every = data.keys() if hasattr(data, "keys") else vars(data) if hasattr(data, "__dict__") else ()
        has = ", ".join(str(key) for key in every) or "nothing"
        raise Unreadable(f"{said(result)} without data.{name}; its data holds {has}")
    return found


def of_jobs(pubs: Sequence[Pub], parts: Sequence[slice]) -> tuple[list[Pub], ...]:
    """The PUBs of each job, which holds these of their rows."""
    starts = np.cumsum([0, *(len(pub.rows) for pub in pubs)])
    made = []
    for part in parts:
        held = []
        for pub, start in zip(pubs, starts[:-1], strict=True):
            rows = slice(max(part.start - start, 0), min(part.stop - start, len(pub.rows)))
            if rows.start < rows.stop:
                held.append(Pub(pub.template, pub.rows[rows], None if pub.values is None else pub.values[rows]))
        made.append(held)
    return tuple(made)


def pubs_of(requests: Sequence[Request], repetitions: Repetitions, compiled: Sequence[Compiled]) -> list[Pub]:
    """The rows of each template, in order of the templates."""
    rows = repetitions.rows
    used = np.array([requests[r].template for r in rows], dtype=np.int64)
    pubs = []
    for template in np.unique(used):
        own = rows[used == template]
        made = compiled[template]
        if len(made.columns) == 0:
            pubs += [Pub(int(template), own[k : k + 1], None) for k in range(len(own))]
        else:
            angles = np.array([requests[r].angles for r in own])
            pubs.append(Pub(int(template), own, made.values(angles)))
    return pubs
