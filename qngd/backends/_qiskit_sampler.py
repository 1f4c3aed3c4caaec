"""Any Qiskit V2 sampler."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from qiskit.primitives.base import BaseSamplerV2

from qngd.backends import _qiskit_jobs as jobs
from qngd.backends._qiskit_circuits import REGISTER, measured
from qngd.backends._qiskit_primitives import Primitive, PrimitiveHandle, pubs_of
from qngd.backends._qiskit_run import distinct, masks, merged
from qngd.backends._qiskit_seeds import reseeded
from qngd.outcomes import Counts, Outcome
from qngd.plan import Request
from qngd.template import Template


class QiskitSampler(Primitive):
    """Runs requests on a V2 sampler.

    Requests with different shots share the job, and its one number of shots, as on a `QiskitBackend`.
    """

    _measure = True
    native: BaseSamplerV2

    def _prepare(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> PrimitiveHandle:
        compiled = self._compile(templates, requests)
        repetitions = self.repetitions(requests)
        pubs = pubs_of(requests, repetitions, compiled)
        fresh = self._seeds.next(seed)
        native = self.native if fresh is None else reseeded(self.native, fresh)
        run = partial(
            native.run,
            [(compiled[p.template].circuit, p.values, repetitions.shots) for p in pubs],
        )
        made = self._jobs(run, int(repetitions.copies.sum()))
        return PrimitiveHandle(templates, requests, repetitions, made, tuple(pubs))

    def collect(self, handle: PrimitiveHandle) -> list[Outcome]:
        """Wait for the job and read its bits.

        Raises:
            BackendError: the job failed, or returned less than was asked for.
        """
        found: list[list[Counts]] = [[] for _ in handle.requests]
        for pub, result in zip(handle.pubs, self._results(handle), strict=True):
            bits = getattr(result.data, REGISTER)
            samples = bits.array.reshape(-1, bits.num_shots, bits.array.shape[-1])
            jobs.check_complete(self.name, handle.jobs[0], len(samples), pub.rows)
            for r, shots in zip(pub.rows, samples, strict=True):
                found[r].append(_counts(shots, handle.templates[pub.template]))
        return [merged(parts) for parts in found]


def _counts(samples: np.ndarray, template: Template) -> Counts:
    """Counts from the bytes (shots, B) of a classical register, most significant first."""
    qubits = measured(template)
    ones = np.unpackbits(samples[:, ::-1], axis=1, bitorder="little", count=len(qubits))
    return distinct(masks(ones.astype(bool), qubits, template.num_qubits))
