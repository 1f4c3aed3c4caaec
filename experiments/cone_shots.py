"""A device of many qubits whose shots are drawn from exact light cones: how a run would go that nobody can simulate.

Of commuting strings that a circuit reads, light cones give the exact means m and covariances C on any number of qubits,
without the state. The mean over N shots and their sample covariance then are

    mean ~ N(m, C/N),   (N − 1)·S ~ Wishart(C, N − 1),

as of N shots with a normal distribution of the same m and C: a sum over many strings, such as an energy or a generator
of a layer, has nearly that. `AsOn` takes jobs and seconds from a real device or its stand-in, whose noise is not in the
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg.lapack import dpstrf

from qngd.backends.base import BackendBase, Footprint, Load
from qngd.backends.limits import Limits
from qngd.circuit.angles import AffineExpressions
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import Circuit, finish
from qngd.circuit.pauli import unpack_bits
from qngd.estimates.evaluation import Cost
from qngd.exact.cones.simulator import ConeSimulator
from qngd.measured.outcomes import Means, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


@dataclass(frozen=True)
class _Asked:
    requests: Sequence[Request]
    templates: Sequence[Template]
    seed: int | None


class ConeShots(BackendBase):
    """Shots of many qubits from exact light cones."""

    name = "light cones with shots"
    is_noisy = False
    is_local = True

    def __init__(self) -> None:
        # by the template, and which of its rotations have equal angles
        self._simulators: dict[tuple[int, bytes], tuple[Template, ConeSimulator]] = {}

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> _Asked:
        return _Asked(requests, templates, seed)

    def collect(self, handle: _Asked) -> list[Outcome]:
        seeds = np.random.SeedSequence(handle.seed).spawn(len(handle.requests))
        return [
            self._outcome(handle.templates[request.template], request, np.random.default_rng(seed))
            for request, seed in zip(handle.requests, seeds, strict=True)
        ]

    def _outcome(self, template: Template, request: Request, rng: np.random.Generator) -> Means:
        mean, covariance = self.moments(template, request.angles)
        return drawn(mean, covariance, request.shots, template.pairs, rng)

    def moments(self, template: Template, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (m,) of the template's strings at these angles (R,), and their covariances (m, m) in one shot."""
        _, classes = np.unique(angles, return_inverse=True)
        key = id(template), classes.tobytes()
        if key not in self._simulators:  # the template is kept, so that its id remains its own
            self._simulators[key] = template, _simulator(template, classes)
        simulator = self._simulators[key][1]
        count = len(template.strings)
        phi = np.append(angles, np.zeros(count))
        covariances, mean = simulator.covariances(phi, "full")
        return mean[-count:], covariances[-count:, -count:].toarray()


class AsOn(BackendBase):
    """Shots of one backend, `sampler`, at the price of another, `device`."""

    is_local = True

    def __init__(self, sampler: BackendBase, device: BackendBase) -> None:
        self.sampler, self.device = sampler, device

    @property
    def name(self) -> str:
        return f"{self.sampler.name}, as on {self.device.name}"

    @property
    def is_noisy(self) -> bool:
        return self.sampler.is_noisy

    @property
    def limits(self) -> Limits:
        return self.device.limits

    @property
    def has_one_number(self) -> bool:
        return self.device.has_one_number

    @property
    def circuit_start(self) -> float:
        return self.device.circuit_start

    @property
    def rep_delay(self) -> float | None:
        return self.device.rep_delay

    def describe(self, templates: Sequence[Template]) -> list[Footprint] | None:
        return self.device.describe(templates)

    def preview(self, requests: Sequence[Request], templates: Sequence[Template]) -> Cost:
        return self.device.preview(requests, templates)

    def loads(self, requests: Sequence[Request], templates: Sequence[Template]) -> list[Load]:
        return self.device.loads(requests, templates)

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        return self.sampler.submit(templates, requests, seed)

    def collect(self, handle: Any) -> list[Outcome]:
        return self.sampler.collect(handle)


def _simulator(template: Template, classes: np.ndarray) -> ConeSimulator:
    """The template's circuit with a rotation by every string at its end, of angle 0: light cones give the covariances
    of generators."""
    made = OpsBuilder(template.num_qubits)
    made.begin("circuit", range(template.num_qubits))
    made.paste(template.ops, np.ones(len(classes)).tolist(), range(template.num_qubits))
    for qubits, letters in _written(template):
        made.begin("read", qubits)
        made.rotation(letters, qubits, made.slot())
    count = len(template.strings)
    identity = AffineExpressions(sparse.eye_array(count, format="csr"), np.zeros(count))
    circuit: Circuit = finish(made, made.angle_map(identity), [f"read{k}" for k in range(count)])
    reads = np.full(count, classes.max(initial=-1) + 1)
    return ConeSimulator(circuit, np.append(classes, reads).astype(np.uint64))


def _written(template: Template) -> list[tuple[list[int], str]]:
    """The qubits and letters of every string."""
    x, z = (unpack_bits(masks, template.num_qubits) for masks in (template.strings.x, template.strings.z))
    found = []
    for row_x, row_z in zip(x, z, strict=True):
        qubits = np.flatnonzero(row_x | row_z)
        found.append((qubits.tolist(), "".join("IXZY"[row_x[q] + 2 * row_z[q]] for q in qubits)))
    return found


def drawn(mean: np.ndarray, covariance: np.ndarray, shots: int, pairs: bool, rng: np.random.Generator) -> Means:
    """What so many shots show of strings with these means (m,) and covariances (m, m)."""
    count = len(mean)
    root = _root(covariance)
    seen = mean + root @ rng.standard_normal(root.shape[1]) / np.sqrt(shots)
    of_sample = _wishart(root, shots - 1, rng)
    errors = np.diag(of_sample) / shots
    if not pairs:
        return Means(seen, np.sqrt(errors), shots, of_sample / shots)
    i, j = np.triu_indices(count, 1)
    biased = of_sample * (shots - 1) / shots  # as the means of products have it
    products = np.outer(seen, seen)[i, j] + biased[i, j]
    spread = np.maximum(1 - products**2, 0.0) / max(shots - 1, 1)
    return Means(np.append(seen, products), np.sqrt(np.append(errors, spread)), shots)


def _root(covariance: np.ndarray) -> np.ndarray:
    """(m, r) with root·rootᵀ the covariance of rank r, by Cholesky's factors with pivots."""
    factor, order, rank, _ = dpstrf(covariance, lower=1)
    root = np.zeros((len(covariance), rank))
    root[order - 1] = np.tril(factor)[:, :rank]
    return root


def _wishart(root: np.ndarray, freedom: int, rng: np.random.Generator) -> np.ndarray:
    """The sample covariance (m, m) of `freedom` + 1 normal shots; 0 of one. By Bartlett's triangle where shots are
    many."""
    size = root.shape[1]
    if freedom < 1:
        return np.zeros((len(root), len(root)))
    if freedom <= size:
        factor = root @ rng.standard_normal((size, freedom))
    else:
        triangle = np.tril(rng.standard_normal((size, size)), -1)
        np.fill_diagonal(triangle, np.sqrt(rng.chisquare(freedom - np.arange(size))))
        factor = root @ triangle
    return factor @ factor.T / freedom
