"""Any Qiskit V2 sampler."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from qiskit.primitives import BitArray
from qiskit.primitives.base import BaseSamplerV2

from qngd.backends.qiskit import jobs
from qngd.backends.qiskit.circuits import REGISTER, measured
from qngd.backends.qiskit.compile import Compiled
from qngd.backends.qiskit.defaults import sampler_shots
from qngd.backends.qiskit.jobs import Job
from qngd.backends.qiskit.primitives import Primitive, PrimitiveHandle, Pub, field_of, of_jobs, pubs_of, rows_of
from qngd.backends.qiskit.tags import with_tag
from qngd.backends.results import Unreadable, said
from qngd.backends.shots import Repetitions
from qngd.backends.tallies import Tally
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


class QiskitSampler(Primitive):
    """Runs requests on a V2 sampler.

    Requests with different shots share the job, and its one number of shots, as on a `QiskitBackend`.
    """

    _measure = True
    native: BaseSamplerV2

    @property
    def default_shots(self) -> int | None:
        """The sampler's own shots, for a user who gives none."""
        return sampler_shots(self.native)

    def make(
        self,
        templates: Sequence[Template],
        requests: Sequence[Request],
        repetitions: Repetitions,
        parts: Sequence[slice],
        seed: int | None,
    ) -> PrimitiveHandle:
        compiled = self._compile(templates, requests)
        pubs = of_jobs(pubs_of(requests, repetitions, compiled), parts)
        natives = self._natives(self._seeds.next(seed), len(parts))
        made = tuple(
            Job(partial(_send, native, self._pieces(held, compiled, repetitions.shots)), rows_of(held), held)
            for native, held in zip(natives, pubs, strict=True)
        )
        return PrimitiveHandle(templates, requests, repetitions, made, pubs)

    @staticmethod
    def _pieces(pubs: Sequence[Pub], compiled: Sequence[Compiled], shots: int) -> list[tuple[Any, ...]]:
        return [(compiled[pub.template].circuit, pub.values, shots) for pub in pubs]

    def read(self, handle: PrimitiveHandle, job: Job) -> list[Outcome]:
        found: list[Outcome] = []
        for pub, result in self._results(job):
            template = handle.templates[pub.template]
            qubits = measured(template)
            with jobs.reading(self.name, job, int(pub.rows[0])):
                bits = _bits(field_of(result, REGISTER), len(qubits))
                shape = () if pub.values is None else (len(pub.rows),)
                if len(bits.shape) == len(shape):
                    jobs.check_complete(self.name, job, bits.size, pub.rows)
                if bits.shape != shape:
                    raise Unreadable(f"bits of shape {bits.shape} where {shape} was expected")
                self._check_shots(bits.num_shots, handle.repetitions.shots)
            for shots in bits.array.reshape(-1, bits.num_shots, bits.array.shape[-1]):
                ones = np.unpackbits(shots[:, ::-1], axis=1, bitorder="little", count=len(qubits)).astype(bool)
                found.append(Tally.of_bits(ones, qubits, template.num_qubits, bits.num_shots).outcome(template))
        return found

    def _check_shots(self, found: int, asked: int) -> None:
        """Raise Unreadable where these are not the shots asked for. With twirling the numbers of randomizations and of
        shots of each, which the user sets, decide."""
        twirling = getattr(getattr(self.native, "options", None), "twirling", None)
        twirled = any(getattr(twirling, name, None) is True for name in ("enable_gates", "enable_measure"))
        if found != asked and not (twirled and found > 0):
            raise Unreadable(f"{found} shots of each circuit where {asked} were asked for")


def _send(native: Any, pieces: list[tuple[Any, ...]], tag: str) -> Any:
    return with_tag(native, tag).run(pieces)


def _bits(found: Any, width: int) -> BitArray:
    """The bits of a register.

    Raises:
        Unreadable: they are not those of this many classical bits.
    """
    if not isinstance(found, BitArray):
        raise Unreadable(f"{said(found)} as data.{REGISTER} where a BitArray was expected")
    if found.num_bits != width:
        raise Unreadable(f"{found.num_bits} bits of each shot where {width} were expected")
    return found
