"""Any Qiskit V2 estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from qiskit.primitives import StatevectorEstimator
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.quantum_info import PauliList, SparsePauliOp

from qngd._system.packages import packages_of
from qngd.backends.qiskit import jobs
from qngd.backends.qiskit.compile import Compiled
from qngd.backends.qiskit.defaults import estimator_shots, noise_factors
from qngd.backends.qiskit.device import QiskitSettings
from qngd.backends.qiskit.jobs import Job
from qngd.backends.qiskit.primitives import Primitive, PrimitiveHandle, Pub, field_of, of_jobs, pubs_of, rows_of
from qngd.backends.qiskit.tags import with_tag
from qngd.backends.results import check_bounds, estimates, shape_of, standard_errors
from qngd.backends.retry import Retry
from qngd.backends.shots import Repetitions
from qngd.backends.tallies import distinct_rows, z_strings
from qngd.circuit.pauli import unpack_bits
from qngd.measured.outcomes import Means, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class AskedStrings:
    """What an estimator is asked for a template: distinct Z strings on the compiled circuit's qubits. And
    how the values of the template's strings (and of their products) follow: `sign` times the value at
    `place`, or for the identity, whose place is −1, the sign itself."""

    observables: list[str]
    place: np.ndarray
    sign: np.ndarray

    @classmethod
    def of(cls, template: Template, compiled: Compiled) -> AskedStrings:
        z, sign = z_strings(template)
        unique, inverse = distinct_rows(z)
        acts = unique.any(axis=1)
        place = np.where(acts, np.cumsum(acts) - 1, -1)[inverse]
        return cls(_labels(unique[acts], template.num_qubits, compiled), place, sign)

    def values(self, values: np.ndarray) -> np.ndarray:
        """Of all strings and products, from those of the observables (…, U)."""
        padded = np.concatenate([values, np.ones((*values.shape[:-1], 1))], axis=-1)
        return self.sign * padded[..., self.place]

    def errors(self, stderr: np.ndarray) -> np.ndarray:
        """Their standard errors; the identity has none."""
        padded = np.concatenate([stderr, np.zeros((*stderr.shape[:-1], 1))], axis=-1)
        return padded[..., self.place]


def _labels(z: np.ndarray, num_qubits: int, compiled: Compiled) -> list[str]:
    """Z strings with masks (U, W) as labels on the compiled circuit's qubits."""
    if not len(z):
        return []
    bits = unpack_bits(z, num_qubits)
    strings = SparsePauliOp(PauliList.from_symplectic(bits, np.zeros_like(bits)))
    return list(strings.apply_layout(compiled.placed).paulis.to_labels())


class QiskitEstimator(Primitive):
    """Runs requests on a V2 estimator, with whatever mitigation it does.

    It is asked for the Z strings of each template (and their products, where a metric needs them) with
    precision 1/√shots: shots per measurement basis, as most estimators see it. Requests with different shots
    share the one precision of the job, as on a `QiskitBackend`.

    Standard errors are those that the estimator reports, but see `honest_errors`. The estimators that add
    Gaussian noise to exact values (Qiskit's `StatevectorEstimator`, Aer's) are asked for the exact values,
    and the noise is added here: the first reports no error, and the second starts every PUB from the same
    seed. Only these give exact values, for requests without shots.
    """

    _measure = False
    gives_counts = False
    native: BaseEstimatorV2

    def __init__(self, native: Any, settings: QiskitSettings | None = None, retry: Retry | None = None) -> None:
        super().__init__(native, settings, retry)
        self._is_exact = _is_exact(native)
        self._readings: WeakKeyDictionary[Template, AskedStrings] = WeakKeyDictionary()

    @property
    def default_shots(self) -> int | None:
        """Shots for a user who gives none, from the estimator's own precision; None for exact values."""
        return estimator_shots(self.native)

    def make(
        self,
        templates: Sequence[Template],
        requests: Sequence[Request],
        repetitions: Repetitions,
        parts: Sequence[slice],
        seed: int | None,
    ) -> PrimitiveHandle:
        compiled = self._compile(templates, requests)
        precision = _precision(repetitions.shots)
        pubs = of_jobs(pubs_of(requests, repetitions, compiled), parts)
        fresh = self._seeds.next(seed)
        natives = self._natives(None if self._is_exact else fresh, len(parts))
        asked = 0.0 if self._is_exact else precision
        made = []
        for native, held in zip(natives, pubs, strict=True):
            pieces = [self._pub(pub, templates[pub.template], compiled[pub.template]) for pub in held]
            made.append(Job(partial(_send, native, pieces, asked), rows_of(held), held))
        return PrimitiveHandle(templates, requests, repetitions, tuple(made), pubs, precision, fresh)

    def read(self, handle: PrimitiveHandle, job: Job) -> list[Outcome]:
        values, errors = self._estimates(handle, job)
        found: list[Outcome] = []
        for pub, ev, std in zip(job.content, values, errors, strict=True):
            reading = self._readings[handle.templates[pub.template]]
            for row, error in zip(reading.values(ev), reading.errors(std), strict=True):
                found.append(Means(row, error, handle.repetitions.shots))
        return found

    @property
    def runs(self) -> int:
        """Executions of a circuit's single shot: zero-noise extrapolation runs it once for every noise factor."""
        return noise_factors(self.native)

    def repetitions(self, requests: Sequence[Request], seconds: float = 0.0) -> Repetitions:
        """As for other backends; shots 0 stand for exact values."""
        if self._is_exact and all(request.shots is None for request in requests):
            return Repetitions(0, np.ones(len(requests), dtype=np.int64))
        return super().repetitions(requests, seconds)

    def _pub(self, pub: Pub, template: Template, compiled: Compiled) -> tuple[Any, ...]:
        reading = self._readings.get(template)
        if reading is None:
            reading = self._readings[template] = AskedStrings.of(template, compiled)
        if pub.values is None:
            return compiled.circuit, reading.observables
        # rows of parameters against columns of observables
        return compiled.circuit, reading.observables, pub.values[:, None, :]

    def _estimates(self, handle: PrimitiveHandle, job: Job) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Values and standard errors (k, U) of the observables of each PUB with k rows, in the order of a job's
        PUBs."""
        values, errors = [], []
        for pub, result in self._results(job):
            width = len(self._readings[handle.templates[pub.template]].observables)
            shape = (width,) if pub.values is None else (len(pub.rows), width)
            with jobs.reading(self.name, job, int(pub.rows[0])):
                found = field_of(result, "evs")
                given = shape_of(found)
                if len(given) == len(shape) == 2 and given[1] == width:
                    jobs.check_complete(self.name, job, given[0], pub.rows)
                evs = estimates(found, shape, "expectation values")
                stds = getattr(result.data, "stds", None)
                reported = standard_errors(np.zeros(shape) if stds is None else stds, shape)
                check_bounds(evs, np.where(np.isfinite(reported), reported, 1.0) + handle.precision)
            values.append(evs.reshape(len(pub.rows), width))
            errors.append(reported.reshape(len(pub.rows), width))
        if self._is_exact:
            rng = np.random.default_rng(_apart(handle.noise, handle.jobs.index(job)))
            values = [v + handle.precision * rng.standard_normal(v.shape) for v in values]
            return values, [np.full(v.shape, handle.precision) for v in values]
        return values, honest_errors(values, errors, handle.precision)


def honest_errors(values: Sequence[np.ndarray], errors: Sequence[np.ndarray], precision: float) -> list[np.ndarray]:
    """An estimator's standard errors, corrected where they cannot be right.

    None at all (all are 0 or NaN): they are the precision. Too small: no mitigation makes an error smaller than that
    of the shots themselves, √((1 − e²)/N) at the value e, but zero-noise extrapolation reports the scatter
    around a fit through a few points, which can be anything. Not finite (such a fit that failed): as large as
    the largest of the job, at most 1, the bound on the values.
    """
    every = np.concatenate([e.ravel() for e in errors] or [np.zeros(0)])
    if not np.any(np.nan_to_num(every, nan=0.0)):
        return [np.full(e.shape, precision) for e in errors]
    worst = min(float(every[np.isfinite(every)].max(initial=0.0)) or 1.0, 1.0)
    floors = [precision * np.sqrt(np.maximum(1 - v**2, 0.0)) for v in values]
    return [np.maximum(np.where(np.isfinite(e), e, worst), floor) for e, floor in zip(errors, floors, strict=True)]


def _is_exact(native: Any) -> bool:
    """Whether an estimator gives exact expectation values when asked for precision 0."""
    if isinstance(native, StatevectorEstimator):
        return True
    if "qiskit_aer" not in packages_of(native):
        return False
    from qiskit_aer.primitives import EstimatorV2

    return isinstance(native, EstimatorV2)


def _precision(shots: int) -> float:
    """1/√shots, a little more so that ⌈1/p²⌉ is not one shot too many; 0 for exact values."""
    return (1 + 1e-9) / math.sqrt(shots) if shots else 0.0


def _apart(noise: np.random.SeedSequence | None, number: int) -> np.random.SeedSequence | None:
    """The seed of the noise of one of several jobs."""
    if noise is None or number == 0:
        return noise
    return np.random.SeedSequence(noise.entropy, spawn_key=(*noise.spawn_key, number))


def _send(native: Any, pieces: list[tuple[Any, ...]], precision: float, tag: str) -> Any:
    return with_tag(native, tag).run(pieces, precision=precision)
