"""A stochastic full metric from a few overlaps, whatever P is (QN-SPSA, Gacon et al., arXiv:2103.09232).

With F(δ) = |⟨ψ(θ)|ψ(θ + δ)⟩|² = 1 − δᵀgδ + …, and random signs Δ₁, Δ₂,

    D = F(ε(Δ₁+Δ₂)) − F(εΔ₁) − F(ε(Δ₂−Δ₁)) + F(−εΔ₁),    −D/(4ε²) = Δ₁ᵀgΔ₂ + O(ε²),

and the mean of −D/(4ε²)·½(Δ₁Δ₂ᵀ + Δ₂Δ₁ᵀ) over the signs is g.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import require_positive, settle_whole
from qngd.estimates.estimate import MetricTensor
from qngd.exact.point import Point
from qngd.measured.cross import overlap_template
from qngd.measured.draft import Draft
from qngd.measured.metric import Estimated
from qngd.measured.outcomes import unseen_zeros, zeros_frequency
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.measured.spread import StepModel, shots_of_entries
from qngd.metrics.base import Metric

SAMPLES = 10  # pairs of directions per metric, four overlaps each
STEP = 0.1  # ε, radians: errors of order ε² against shot noise of order 1/ε²
SIGNS = (1.0, -1.0, -1.0, 1.0)  # of the four overlaps in D


@dataclass(frozen=True, eq=False)
class Pair:
    """Two random sign vectors (P,), and how far along them the states are, ε."""

    first: np.ndarray
    second: np.ndarray
    step: float = STEP

    @property
    def shifts(self) -> tuple[np.ndarray, ...]:
        """The four shifts δ (P,) whose overlaps D adds up with `SIGNS`."""
        a, b = self.step * self.first, self.step * self.second
        return (a + b, a, b - a, -a)

    @property
    def of_one_overlap(self) -> np.ndarray:
        """What an overlap of 1 adds to a sample (P, P), up to the sign."""
        return self.sample([1.0, 0.0, 0.0, 0.0])

    def sample(self, overlaps: Sequence[float]) -> np.ndarray:
        """One sample (P, P) of the metric."""
        difference = sum(s * f for s, f in zip(SIGNS, overlaps, strict=True))
        outer = np.outer(self.first, self.second)
        return -difference / (4 * self.step**2) * 0.5 * (outer + outer.T)


def random_pairs(num_parameters: int, seed: int | None, count: int = SAMPLES, step: float = STEP) -> list[Pair]:
    """Pairs of directions."""
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(count, 2, num_parameters))
    return [Pair(first, second, step) for first, second in signs]


@dataclass(frozen=True, eq=False)
class SpsaTerm:
    """One random sample of the metric, from the overlaps of four requests."""

    requests: tuple[int, ...]
    pair: Pair


@hinted
@dataclass(frozen=True)
class QNSPSA(Metric):
    """The mean of random samples of the full metric, by four overlaps each. Runs average all measurements.

    Args:
        resamplings: samples of one measurement.
        perturbation: ε, radians: errors of order ε², against errors of shots of order 1/ε².

    Raises:
        SettingError: a setting is out of range.
    """

    name = "qn-spsa"
    is_random = True
    of_whole_states = True
    average = "all"

    resamplings: int = SAMPLES
    perturbation: float = STEP

    def __post_init__(self) -> None:
        settle_whole(self, {"resamplings": 1})
        require_positive(self.perturbation, "perturbation")

    def _pairs(self, num_parameters: int, seed: int | None) -> list[Pair]:
        return random_pairs(num_parameters, seed, self.resamplings, self.perturbation)

    def exact(self, point: Point) -> MetricTensor:
        """Exact overlaps in random directions."""

        def state(at: np.ndarray) -> np.ndarray:
            re, im = point.simulator.state(point.circuit.angle_map(at))
            return re + 1j * im

        theta = point.theta
        here = state(theta)
        samples = [
            pair.sample([abs(np.vdot(here, state(theta + shift))) ** 2 for shift in pair.shifts])
            for pair in self._pairs(len(theta), point.seed)
        ]
        return metric_from(samples)

    def asked(self, draft: Draft) -> tuple[SpsaTerm, ...]:
        if not draft.circuit.num_layers:
            return ()
        theta, phi, angle_map = draft.theta, draft.phi, draft.circuit.angle_map
        template = draft.once(overlap_template, draft.circuit.num_layers - 1)
        t = draft.book.template(template, None)
        half = len(template.rotations) // 2
        terms = []
        for pair in self._pairs(len(theta), draft.seed):
            requests = []
            for shift in pair.shifts:
                there = angle_map(theta + shift)
                angles = np.concatenate([there[template.rotations[:half]], -phi[template.rotations[half:]]])
                # the samples must be independent, and at every seed as many
                requests.append(draft.book.another_request(t, angles))
            terms.append(SpsaTerm(tuple(requests), pair))
        return tuple(terms)

    def estimate(self, read: Readout) -> Estimated:
        """Its parts are the variance of each request's overlap, by request."""
        terms: tuple[SpsaTerm, ...] = read.plan.terms
        size = read.plan.num_parameters
        if not terms:  # no rotation moves
            return Estimated(MetricTensor.exact(np.zeros((size, size)), self.name), {})
        found = {r: zeros_frequency(read.outcomes[r]) for term in terms for r in term.requests}
        matrices, least = [], np.zeros((size, size))
        for term in terms:
            matrices.append(term.pair.sample([found[r][0] for r in term.requests]))
            unseen = sum(unseen_zeros(read.outcomes[r].shots, read.templates[r]) for r in term.requests)
            least += term.pair.of_one_overlap**2 * unseen
        shots = sum(read.outcomes[r].shots for r in found)
        tensor = metric_from(matrices, shots, np.sqrt(least) / len(matrices))
        return Estimated(tensor, {r: variance for r, (_, variance) in found.items()})

    def of_single_shots(self, plan: Plan) -> str:
        return (
            'approx="qn-spsa" is made of overlaps, which need counts; take a sampler, or approx="block-diag" '
            '(or, with gradient="spsa", approx="identity")'
        )

    def step_worth(self, read: Readout, parts: dict[int, float], step: StepModel) -> np.ndarray:
        worth, terms = step.of_gradient.copy(), read.plan.terms
        for term in terms:
            moved = step.root @ term.pair.of_one_overlap @ step.direction / len(terms)
            # the variance of one shot is at most ¼
            worth[list(term.requests)] += float(moved @ moved) / 4
        return worth

    def entry_worth(self, read: Readout, parts: dict[int, float]) -> np.ndarray:
        every, terms = np.arange(read.plan.num_parameters), read.plan.terms
        found = []
        for term in terms:
            scale = (term.pair.of_one_overlap / len(terms)) ** 2
            found += [(r, every, scale * parts[r]) for r in term.requests]
        return shots_of_entries(read, found)

    def shots_for(self, plan: Plan, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        """For the shots' part of the error: that of the directions does not fall with shots."""
        bounds = np.zeros(plan.num_circuits)
        for term in plan.terms:
            bounds[list(term.requests)] = np.abs(term.pair.of_one_overlap).max(initial=0.0) / len(plan.terms)
        return np.maximum(needed, seen / error**2 + bounds / error)

    def positive(self, matrix: np.ndarray) -> tuple[np.ndarray, str]:
        return absolute(matrix)


def metric_from(samples: Sequence[np.ndarray], shots: int = 0, least: np.ndarray | float = 0.0) -> MetricTensor:
    """The mean of the samples, made positive semidefinite, with its standard errors, `least` (P, P) at least before
    that. Of a single sample an entry's error is at most the entry, whose sign alone is random."""
    stacked = np.array(samples)
    mean = stacked.mean(axis=0)
    spread = stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked)) if len(stacked) > 1 else np.abs(mean)
    stderr = np.maximum(spread, least)
    value, note = absolute(mean)
    note = f"QN-SPSA: mean of {len(stacked)} random samples; {note}"
    return MetricTensor.made_positive(value, mean, stderr, "qn-spsa", shots, note)


def absolute(matrix: np.ndarray) -> tuple[np.ndarray, str]:
    """√(m²): negative eigenvalues, as random as the others, count with their absolute value; and a note on them."""
    values, vectors = np.linalg.eigh(matrix)
    positive = (vectors * np.abs(values)) @ vectors.T
    negative = int((values < 0).sum())
    note = f"{negative} of {len(values)} eigenvalues were negative and count with their absolute value"
    return 0.5 * (positive + positive.T), note
