"""The metric from the classical Fisher information in random bases (Random Natural Gradient, arXiv:2311.04135).

The outcomes l of a measurement in some basis have the probabilities p_l and the Fisher information

    F_ij = Σ_l ∂_ip_l ∂_jp_l / p_l.

It is at most 4g, and for Haar-random bases its mean is half of that, E[F] = 2g (arXiv:2509.08196): g is the mean of
F/2. A gradient's number of circuits measures it in one basis, where the full metric takes a number quadratic in P.
`qngd.metrics.bases` has the bases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.estimates.estimate import MetricTensor
from qngd.estimates.positive import projected
from qngd.exact.point import Point
from qngd.measured.draft import Draft
from qngd.measured.metric import Estimated
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.metrics.base import Metric
from qngd.metrics.bases import basis_template, random_angles
from qngd.metrics.basis_samples import basis_samples
from qngd.metrics.fisher import BasisTerm, fisher_from_shots, unseen_fisher

_RARE = 0.1  # share of the shots with an outcome of their own, from which on the user is told


@hinted
@dataclass(frozen=True)
class RandomBasis(Metric):
    """The mean of F/2 in `BASES` random bases, each as many circuits as a gradient."""

    name = "random-basis"
    is_random = True
    of_whole_states = True

    def exact(self, point: Point) -> MetricTensor:
        value, stderr, note = average(basis_samples(point.whole, point.phi, point.jacobian, point.seed))
        return MetricTensor(value, stderr, self.name, note=note)

    def asked(self, draft: Draft) -> tuple[BasisTerm, ...]:
        """For every basis a request in its middle, and those of the shift rules around it."""
        template = draft.once(basis_template)
        t = draft.book.template(template, None)
        everything = np.ones(len(draft.phi), dtype=bool)
        found = []
        for own in random_angles(draft.circuit.num_qubits, draft.seed):
            center = draft.book.request(t, np.append(draft.phi, own))
            found.append((center, draft.slopes(t, template, everything, own)))
        return tuple(BasisTerm(center, draft.mixing @ draft.slope_matrix(entries)) for center, entries in found)

    def estimate(self, read: Readout) -> Estimated:
        terms: tuple[BasisTerm, ...] = read.plan.terms
        samples, once = zip(*(fisher_from_shots(term, read.outcomes) for term in terms), strict=True)
        value, stderr, note = average(samples)
        least = sum(unseen_fisher(term, read.outcomes) for term in terms)
        stderr = np.maximum(stderr, np.sqrt(least) / len(samples))
        rare = float(np.mean(once))
        if rare > _RARE:
            note += (
                f"; {rare:.0%} of the shots came out as no other did, and such outcomes count too little in the "
                "metric: take more shots"
            )
        shots = sum(read.outcomes[r].shots for term in terms for r in term.requests)
        return Estimated(projected(value, stderr, self.name, shots, note))

    def of_single_shots(self, plan: Plan) -> str:
        return 'approx="random-basis" needs counts; take a sampler, or approx="block-diag"'

    def own_requests(self, plan: Plan) -> np.ndarray:
        """Those that F depends on. Its error is mostly that of the bases, so nobody knows the worth of a shot."""
        return np.array(sorted({r for term in plan.terms for r in term.requests}), dtype=int)


def average(samples: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """The mean of the bases' matrices, its standard errors from their spread, and a note."""
    stacked = np.array(samples)
    stderr = stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked))
    return stacked.mean(axis=0), stderr, f"mean of {len(stacked)} random bases"
