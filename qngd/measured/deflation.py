"""Overlaps with states of the same circuit at other parameters, measured beside a step (arXiv:1805.08138).

|⟨ψ(θ_i)|ψ(θ)⟩|² is the frequency of all zeros behind U(θ) and then U(θ_i)†. As a function of θ it is an expectation
value like any other, of the projector on |0…0⟩ behind U(θ_i)†, so that the circuit's shift rules give its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy import sparse

from qngd.errors import BackendError
from qngd.estimates.estimate import Estimate
from qngd.measured.cross import overlap_template
from qngd.measured.outcomes import Means, Outcome, zeros_frequency
from qngd.measured.plan import Plan
from qngd.measured.planner import Planner


@dataclass(frozen=True, eq=False)
class DeflatedPlan(Plan):
    """A step's plan with overlaps, whose requests are the last, from `first` on. `centers` (D,) are the overlaps
    themselves, and `slopes_of` (D, P, R) takes the frequencies of all requests to the gradients, where these are asked
    for."""

    first: int = 0
    centers: tuple[int, ...] = ()
    slopes_of: tuple[sparse.csr_array, ...] = ()

    def frequencies(self, outcomes: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray]:
        """How often all bits of a request were 0, and the variance of that (R,); 0 for requests of other kinds.

        Raises:
            BackendError: the backend gives no counts.
        """
        values, variances = np.zeros(len(outcomes)), np.zeros(len(outcomes))
        for r in range(self.first, len(outcomes)):
            outcome = outcomes[r]
            if isinstance(outcome, Means):
                raise BackendError(
                    "an overlap of two states needs counts, and this backend gives expectation values; use a sampler "
                    "with shots, or the embedded simulator (backend=None)"
                )
            values[r], variances[r] = zeros_frequency(outcome, self.reading(r))
        return values, variances

    def overlaps(self, outcomes: Sequence[Outcome]) -> Estimate:
        """The overlaps (D,)."""
        values, variances = self.frequencies(outcomes)
        chosen = list(self.centers)
        shots = sum(outcomes[r].shots for r in chosen)
        return Estimate(values[chosen], np.sqrt(variances[chosen]), shots)

    def gradient_of(self, outcomes: Sequence[Outcome], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Σ_i weights_i·∇(overlap i), (P,), and the covariance of its entries, (P, P)."""
        values, variances = self.frequencies(outcomes)
        linear = sum((w * each for w, each in zip(weights, self.slopes_of, strict=True)), 0 * self.slopes_of[0])
        dense = linear.toarray()
        return dense @ values, (dense * variances) @ dense.T


class OverlapPlanner:
    """Adds the overlaps with the states at `thetas` (D, P) to what a planner has planned."""

    def __init__(self, planner: Planner, thetas: np.ndarray) -> None:
        circuit = planner.circuit
        self._planner = planner
        self._template = overlap_template(circuit, circuit.num_layers - 1)
        self._there, back = np.split(self._template.rotations, 2)
        self._back = [-circuit.angle_map(theta)[back] for theta in thetas]

    def added(self, plan: Plan, theta: np.ndarray, gradient: bool) -> DeflatedPlan:
        """The plan, which is at `theta` (P,), with the overlaps there."""
        draft = self._planner.draft(theta)
        t = draft.book.template(self._template, None)
        everything = np.ones(len(draft.phi), dtype=bool)
        centers = [draft.book.request(t, np.append(draft.phi[self._there], back)) for back in self._back]
        entries = [draft.slopes(t, self._template, everything, back) for back in self._back if gradient]
        own = draft.book.requests
        before, known = plan.num_circuits, {each.name: getattr(plan, each.name) for each in fields(Plan)}

        def widened(matrix: sparse.csr_array) -> sparse.csr_array:
            """For all requests, from one for those of the overlaps."""
            return sparse.hstack([sparse.csr_array((matrix.shape[0], before)), matrix]).tocsr()

        known |= {
            "templates": (*plan.templates, self._template),
            "coefficients": (*plan.coefficients, None),
            "requests": (*plan.requests, *(replace(each, template=len(plan.templates)) for each in own)),
            "energy_weights": np.append(plan.energy_weights, np.zeros(len(own))),
            "slopes": sparse.hstack([plan.slopes, sparse.csr_array((plan.slopes.shape[0], len(own)))]).tocsr(),
        }
        return DeflatedPlan(
            **known,
            first=before,
            centers=tuple(before + center for center in centers),
            slopes_of=tuple(widened(draft.mixing @ draft.slope_matrix(each)) for each in entries),
        )
