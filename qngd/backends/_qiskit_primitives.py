"""What V2 samplers and estimators have in common: one `run` of PUBs per submission, a PUB per template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from qngd.backends import _qiskit_jobs as jobs
from qngd.backends._qiskit_base import OnDevice
from qngd.backends._qiskit_compile import Compiled, Compiler
from qngd.backends._qiskit_device import QiskitSettings, device_of
from qngd.backends._qiskit_jobs import Handle, Job
from qngd.backends._qiskit_seeds import Seeds, own_seed
from qngd.backends._retry import Retry
from qngd.backends._shots import Repetitions
from qngd.plan import Request
from qngd.template import Template


@dataclass(frozen=True, eq=False)
class Pub:
    """A PUB's template, the request of each of its rows, and their parameter values (k, columns). One without
    parameters has one row and no values."""

    template: int
    rows: np.ndarray
    values: np.ndarray | None


@dataclass(frozen=True, eq=False)
class PrimitiveHandle(Handle):
    """A submission to a primitive: its PUBs and, for an estimator, the precision of its values and the seed
    of the noise that is added to exact ones."""

    pubs: tuple[Pub, ...]
    precision: float = 0.0
    noise: np.random.SeedSequence | None = None


class Primitive(OnDevice):
    """What samplers and estimators have in common."""

    _measure: bool

    def __init__(self, native: Any, settings: QiskitSettings | None = None, retry: Retry | None = None) -> None:
        self.native = native
        self.settings = settings or QiskitSettings()
        self.device = device_of(native, self.settings)
        self.retry = retry or Retry(self.settings.retries, self.settings.backoff)
        self._compiler = Compiler(self.device, self._measure)
        self._seeds = Seeds(own_seed(native))

    def _compile(self, templates: Sequence[Template], requests: Sequence[Request]) -> list[Compiled]:
        self.device.check(templates, requests)
        compiled = self._compiler.compile(templates)
        if self.settings.fractional_gates:
            for r, request in enumerate(requests):
                self.device.check_angles(compiled[request.template].bind(request.angles), r)
        return compiled

    def _jobs(self, run: partial[Any], circuits: int) -> tuple[Job, ...]:
        """One job, or none where there is nothing to run."""
        return (Job(run, circuits),) if circuits else ()

    def _results(self, handle: PrimitiveHandle) -> list[Any]:
        """The PUBs' results.

        Raises:
            BackendError: the job failed, or some are missing.
        """
        if not handle.jobs:
            return []
        (job,) = handle.jobs
        results = list(jobs.fetch(job, self.name, self.retry))
        asked = [r for pub in handle.pubs for r in pub.rows]
        returned = sum(len(pub.rows) for pub in handle.pubs[: len(results)])
        jobs.check_complete(self.name, job, returned, asked)
        return results


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
