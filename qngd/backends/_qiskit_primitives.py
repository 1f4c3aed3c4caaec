"""Any V2 sampler or estimator: one `run` of PUBs per submission, a PUB per template with all its angles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from qiskit.primitives import StatevectorEstimator
from qiskit.primitives.base import BaseEstimatorV2, BaseSamplerV2
from qiskit.quantum_info import PauliList, SparsePauliOp

from qngd.backends import _qiskit_jobs as jobs
from qngd.backends._qiskit_circuits import REGISTER, measured
from qngd.backends._qiskit_compile import Compiled, Compiler, Footprint
from qngd.backends._qiskit_device import QiskitSettings, device_of
from qngd.backends._qiskit_jobs import Handle, Job
from qngd.backends._qiskit_run import check_complete, distinct, masks, merged, shots_of
from qngd.backends._qiskit_seeds import Seeds, own_seed, packages_of, reseeded
from qngd.backends._retry import Retry
from qngd.backends._shots import Repetitions, equal_shots
from qngd.errors import BackendError
from qngd.outcomes import Counts, Means, Outcome
from qngd.plan import Request
from qngd.template import Template


@dataclass(frozen=True, eq=False)
class Pub:
    """A PUB's template, the request of each of its rows, and the rows' parameter values (k, columns). A circuit
    without parameters has one row and no values."""

    template: int
    rows: np.ndarray
    values: np.ndarray | None


@dataclass(frozen=True, eq=False)
class PrimitiveHandle(Handle):
    """A submission to a primitive, with its PUBs and, for an estimator, the precision of its values and the seed of
    noise that is added to exact ones."""

    pubs: tuple[Pub, ...]
    precision: float = 0.0
    noise: np.random.SeedSequence | None = None


class _Primitive:
    """What samplers and estimators have in common."""

    _measure: bool

    def __init__(
        self, native: Any, settings: QiskitSettings | None = None, retry: Retry | None = None
    ) -> None:
        self.native = native
        self.settings = settings or QiskitSettings()
        self.device = device_of(native, self.settings)
        self.retry = retry or Retry(self.settings.retries, self.settings.backoff)
        self._compiler = Compiler(self.device, self._measure)
        self._seeds = Seeds(own_seed(native))

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def is_noisy(self) -> bool:
        return self.device.is_noisy

    def describe(self, templates: Sequence[Template]) -> list[Footprint]:
        """Depth, two-qubit gates and time of the compiled circuits.

        Raises:
            BackendError: a circuit does not fit the device.
        """
        self.device.check(templates, ())
        return self._compiler.footprints(templates)

    def _compile(
        self, templates: Sequence[Template], requests: Sequence[Request]
    ) -> list[Compiled]:
        self.device.check(templates, requests)
        compiled = self._compiler.compile(templates)
        if self.settings.fractional_gates:
            for r, request in enumerate(requests):
                self.device.check_angles(compiled[request.template].bind(request.angles), r)
        return compiled

    def _send(self, run: partial[Any], circuits: int) -> tuple[Job, ...]:
        """One job, or none where there is nothing to run."""
        made = (Job(run, circuits),) if circuits else ()
        jobs.submit(made, self.name, self.retry)
        return made

    def _results(self, handle: PrimitiveHandle) -> list[Any]:
        """The PUBs' results.

        Raises:
            BackendError: the job failed, or some are missing.
        """
        if not handle.jobs:
            return []
        (job,) = handle.jobs
        results = list(jobs.fetch(job, self.name, self.retry))
        missing = np.concatenate([pub.rows for pub in handle.pubs[len(results) :]] or [[]])
        asked = np.concatenate([pub.rows for pub in handle.pubs])
        check_complete(self.name, job, len(asked) - len(missing), [int(r) for r in asked])
        return results


class QiskitSampler(_Primitive):
    """Runs requests on a V2 sampler.

    Requests with different shots share the job, and its one number of shots, as on a `QiskitBackend`.
    """

    _measure = True
    native: BaseSamplerV2

    def submit(
        self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None
    ) -> PrimitiveHandle:
        """Send all requests as one job.

        Raises:
            BackendError: the requests do not fit the device, and nothing was sent; or the sampler refused them.
        """
        compiled = self._compile(templates, requests)
        repetitions = equal_shots(shots_of(requests, self.name))
        pubs = _pubs(requests, repetitions, compiled)
        fresh = self._seeds.next(seed)
        native = self.native if fresh is None else reseeded(self.native, fresh)
        run = partial(
            native.run,
            [(compiled[p.template].circuit, p.values, repetitions.shots) for p in pubs],
        )
        sent = self._send(run, int(repetitions.copies.sum()))
        return PrimitiveHandle(templates, requests, repetitions, sent, tuple(pubs))

    def collect(self, handle: PrimitiveHandle) -> list[Outcome]:
        """Wait for the job and read its bits.

        Raises:
            BackendError: the job failed, or returned less than was asked for.
        """
        found: list[list[Counts]] = [[] for _ in handle.requests]
        for pub, result in zip(handle.pubs, self._results(handle), strict=True):
            bits = getattr(result.data, REGISTER)
            samples = bits.array.reshape(-1, bits.num_shots, bits.array.shape[-1])
            check_complete(self.name, handle.jobs[0], len(samples), [int(r) for r in pub.rows])
            for r, shots in zip(pub.rows, samples, strict=True):
                found[r].append(_counts(shots, handle.templates[pub.template]))
        return [merged(parts) for parts in found]


def _pubs(
    requests: Sequence[Request], repetitions: Repetitions, compiled: Sequence[Compiled]
) -> list[Pub]:
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


def _counts(samples: np.ndarray, template: Template) -> Counts:
    """Counts from the bytes (shots, B) of a classical register, most significant first."""
    qubits = measured(template)
    ones = np.unpackbits(samples[:, ::-1], axis=1, bitorder="little", count=len(qubits))
    return distinct(masks(ones.astype(bool), qubits, template.num_qubits))


@dataclass(frozen=True, eq=False)
class Reading:
    """What an estimator is asked for a template: distinct Z strings on the compiled circuit's qubits; and how the
    values of the template's strings (and of their products) follow: `sign` times that at `place`, or the sign
    itself where the place is −1, for the identity."""

    observables: list[str]
    place: np.ndarray
    sign: np.ndarray

    @classmethod
    def of(cls, template: Template, compiled: Compiled) -> Reading:
        z, sign = template.basis.z, template.basis.sign.astype(float)
        if template.pairs:
            i, j = np.triu_indices(len(z), 1)
            z = np.concatenate([z, z[i] ^ z[j]])
            sign = np.concatenate([sign, sign[i] * sign[j]])
        unique, inverse = np.unique(z, axis=0, return_inverse=True)
        acts = unique.any(axis=1)
        place = np.where(acts, np.cumsum(acts) - 1, -1)[inverse.reshape(-1)]
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
    bytes_ = np.ascontiguousarray(z).view(np.uint8)
    bits = np.unpackbits(bytes_, axis=1, bitorder="little")[:, :num_qubits].astype(bool)
    strings = SparsePauliOp(PauliList.from_symplectic(bits, np.zeros_like(bits)))
    return list(strings.apply_layout(compiled.circuit.layout).paulis.to_labels())


class QiskitEstimator(_Primitive):
    """Runs requests on a V2 estimator, with whatever mitigation it does.

    It is asked for the Z strings of each template (and their products, where a metric needs them) with precision
    1/√shots: shots per measurement basis, as most estimators see it. Requests with different shots share the
    job's one precision, as on a `QiskitBackend`.

    Standard errors are those that the estimator reports. Where it reports none at all they are the precision. The
    estimators that add Gaussian noise to exact values (Qiskit's `StatevectorEstimator`, Aer's) are asked for the
    exact values, and the noise is added here: the first reports no error, the second starts every PUB with the
    same random numbers. Only these give exact values, for requests without shots.
    """

    _measure = False
    native: BaseEstimatorV2

    def __init__(
        self, native: Any, settings: QiskitSettings | None = None, retry: Retry | None = None
    ) -> None:
        super().__init__(native, settings, retry)
        self._is_exact = _is_exact(native)
        self._readings: WeakKeyDictionary[Template, Reading] = WeakKeyDictionary()

    def submit(
        self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None
    ) -> PrimitiveHandle:
        """Send all requests as one job.

        Raises:
            BackendError: the requests do not fit the device, and nothing was sent; or the estimator refused them.
        """
        compiled = self._compile(templates, requests)
        repetitions = self._repetitions(requests)
        precision = _precision(repetitions.shots)
        pubs = _pubs(requests, repetitions, compiled)
        fresh = self._seeds.next(seed)
        native, asked = self.native, precision
        if self._is_exact:
            asked = 0.0
        elif fresh is not None:
            native = reseeded(self.native, fresh)
        circuits = int(repetitions.copies.sum())
        pieces = [self._pub(pub, templates[pub.template], compiled[pub.template]) for pub in pubs]
        sent = self._send(partial(native.run, pieces, precision=asked), circuits)
        return PrimitiveHandle(
            templates, requests, repetitions, sent, tuple(pubs), precision, fresh
        )

    def collect(self, handle: PrimitiveHandle) -> list[Outcome]:
        """Wait for the job and read its expectation values.

        Raises:
            BackendError: the job failed, or returned less than was asked for.
        """
        values, errors = self._estimates(handle, self._results(handle))
        found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in handle.requests]
        for pub, ev, std in zip(handle.pubs, values, errors, strict=True):
            reading = self._readings[handle.templates[pub.template]]
            for r, row, error in zip(pub.rows, reading.values(ev), reading.errors(std), strict=True):
                found[r].append((row, error))
        shots = handle.repetitions.shots * handle.repetitions.copies
        return [_averaged(parts, int(count)) for parts, count in zip(found, shots, strict=True)]

    def _repetitions(self, requests: Sequence[Request]) -> Repetitions:
        """Shots 0 stand for exact values."""
        if self._is_exact and all(request.shots is None for request in requests):
            return Repetitions(0, np.ones(len(requests), dtype=np.int64))
        return equal_shots(shots_of(requests, self.name))

    def _pub(self, pub: Pub, template: Template, compiled: Compiled) -> tuple[Any, ...]:
        reading = self._readings.get(template)
        if reading is None:
            reading = self._readings[template] = Reading.of(template, compiled)
        if pub.values is None:
            return compiled.circuit, reading.observables
        # rows of parameters against columns of observables
        return compiled.circuit, reading.observables, pub.values[:, None, :]

    def _estimates(
        self, handle: PrimitiveHandle, results: Sequence[Any]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Values and standard errors (k, U) of the observables of each PUB with k rows."""
        values, errors = [], []
        for pub, result in zip(handle.pubs, results, strict=True):
            evs = np.asarray(result.data.evs, dtype=float)
            stds = np.asarray(getattr(result.data, "stds", np.zeros_like(evs)), dtype=float)
            shape = (len(pub.rows), -1)
            values.append(evs.reshape(shape))
            errors.append(stds.reshape(shape))
        if self._is_exact:
            rng = np.random.default_rng(handle.noise)
            values = [v + handle.precision * rng.standard_normal(v.shape) for v in values]
            errors = [np.full(v.shape, handle.precision) for v in values]
        elif not any(np.any(e > 0) for e in errors):
            errors = [np.full(e.shape, handle.precision) for e in errors]
        return values, errors


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


def _averaged(parts: Sequence[tuple[np.ndarray, np.ndarray]], shots: int) -> Means:
    """The mean of a request's independent estimates."""
    values = np.mean([value for value, _ in parts], axis=0)
    stderr = np.sqrt(np.sum([error**2 for _, error in parts], axis=0)) / len(parts)
    return Means(values, stderr, shots)
