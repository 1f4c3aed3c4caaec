"""Overlaps with states of the same circuit at other parameters, measured beside a step (arXiv:1805.08138).

|⟨ψ(θ_i)|ψ(θ)⟩|² is the frequency of all zeros behind U(θ) and then U(θ_i)†. As a function of θ it is an expectation
value like any other, of the projector on |0…0⟩ behind U(θ_i)†, so that the circuit's shift rules give its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy import sparse

from qngd.circuit.circuit import Circuit
from qngd.errors import BackendError
from qngd.estimates.estimate import Estimate
from qngd.measured.cross import overlap_template
from qngd.measured.outcomes import Means, Outcome, zeros_frequency
from qngd.measured.plan import Plan, Request
from qngd.measured.shifts import ShiftRule


@dataclass(frozen=True, eq=False)
class DeflatedPlan(Plan):
    """A step's plan with overlaps: `centers` (D,) are their requests, and `slopes_of` (D, P, R) takes the frequencies
    of all requests to their gradients; None where no gradient is asked for."""

    centers: tuple[int, ...] = ()
    slopes_of: tuple[sparse.csr_array, ...] | None = None

    def frequencies(self, outcomes: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray]:
        """How often all bits of a request were 0, and the variance of that (R,); 0 for requests of other kinds.

        Raises:
            BackendError: the backend gives no counts.
        """
        values, variances = np.zeros(len(outcomes)), np.zeros(len(outcomes))
        for r in range(min(self.centers, default=len(outcomes)), len(outcomes)):
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
        assert self.slopes_of is not None
        values, variances = self.frequencies(outcomes)
        linear = sum((w * each for w, each in zip(weights, self.slopes_of, strict=True)), 0 * self.slopes_of[0])
        dense = linear.toarray()
        return dense @ values, (dense * variances) @ dense.T


class OverlapPlanner:
    """Adds the requests of overlaps to plans of a `circuit` on its active qubits."""

    def __init__(
        self, circuit: Circuit, rules: tuple[Sequence[ShiftRule], sparse.csr_array], thetas: np.ndarray
    ) -> None:
        self._circuit = circuit
        self._rules, self._mixing = rules
        self._template = overlap_template(circuit, circuit.num_layers - 1)
        half = len(self._template.rotations) // 2
        self._there, back = self._template.rotations[:half], self._template.rotations[half:]
        self._back = [-circuit.angle_map(theta)[back] for theta in thetas]

    def added(self, plan: Plan, theta: np.ndarray, gradient: bool) -> DeflatedPlan:
        """The plan, which is at `theta` (P,), with the overlaps there."""
        phi, inner = self._circuit.angle_map.chain(theta)
        requests = list(plan.requests)
        number = len(plan.templates)

        def request(angles: np.ndarray, back: np.ndarray) -> int:
            requests.append(Request(number, np.concatenate([angles[self._there], back]), None))
            return len(requests) - 1

        centers, entries = [], []
        for back in self._back:
            centers.append(request(phi, back))
            own = []
            for d, rule in enumerate(self._rules if gradient else ()):
                for shift, weight in zip(rule.shifts, rule.weights, strict=True):
                    for side in (1.0, -1.0):
                        angles = phi.copy()
                        angles[rule.rotations] += side * shift * rule.coefficients
                        own.append((d, request(angles, back), side * float(weight)))
            entries.append(own)
        known = {each.name: getattr(plan, each.name) for each in fields(Plan)}
        more = len(requests) - plan.num_circuits
        known |= {
            "templates": (*plan.templates, self._template),
            "coefficients": (*plan.coefficients, None),
            "requests": tuple(requests),
            "energy_weights": np.append(plan.energy_weights, np.zeros(more)),
            "slopes": sparse.hstack([plan.slopes, sparse.csr_array((plan.slopes.shape[0], more))]).tocsr(),
        }
        mixing = (inner.T @ self._mixing).tocsr()
        slopes = [mixing @ self._matrix(own, len(requests)) for own in entries] if gradient else None
        return DeflatedPlan(**known, centers=tuple(centers), slopes_of=None if slopes is None else tuple(slopes))

    def _matrix(self, entries: Sequence[tuple[int, int, float]], num_requests: int) -> sparse.csr_array:
        """(directions, R)."""
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        shape = (len(self._rules), num_requests)
        return sparse.coo_array((np.array(values, dtype=float), (rows, columns)), shape=shape).tocsr()
