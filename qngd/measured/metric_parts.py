"""What each circuit of a step contributes to the metric, with its influence on the errors.

Over all rotations the full metric is ¼Jᵀ(C − m mᵀ)J, with the correlations C of the generators and their means m.
A layer's circuit gives its own block, and its means enter the products between layers; a circuit between layers
gives C there. The parts of different circuits are independent, so their variances add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qngd.measured.correlations import correlations, overlap
from qngd.measured.covariances import covariance, diagonal
from qngd.measured.influence import Influence
from qngd.measured.outcomes import Outcome, means
from qngd.measured.plan import BlockTerm, CrossTerm, Plan, moved_by


@dataclass(frozen=True, eq=False)
class Part:
    """The contribution of one request to the metric's rows and columns `columns` (p,)."""

    request: int
    columns: np.ndarray
    influence: Influence


def metric_parts(plan: Plan, outcomes: Sequence[Outcome]) -> list[Part]:
    """The parts whose sum is the metric of this plan (before a projection); none for QN-SPSA, whose errors are
    those of its random directions."""
    if plan.approx != "full":
        return _blocks(plan, outcomes)
    if not any(len(term.requests) == 1 for term in plan.crosses):  # overlaps need no means
        blocks = _blocks(plan, outcomes)
        return blocks + [part for term in plan.crosses for part in _overlaps(plan, outcomes, term)]
    mean = _means(plan, outcomes, plan.blocks)
    blocks = [_block_among_layers(plan, outcomes, block, mean) for block in plan.blocks]
    return blocks + [_between(plan, outcomes, term, mean) for term in plan.crosses]


def _means(plan: Plan, outcomes: Sequence[Outcome], blocks: Sequence[BlockTerm]) -> np.ndarray:
    """⟨P_k⟩ of the rotations of these blocks, (K,); 0 for others."""
    mean = np.zeros(plan.jacobian.shape[0])
    for block in blocks:
        mean[block.rotations] = means(outcomes[block.request], plan.reading(block.request))[0]
    return mean


def _blocks(plan: Plan, outcomes: Sequence[Outcome]) -> list[Part]:
    mean = _means(plan, outcomes, [block for block in plan.blocks if block.partners])
    return [_block(plan, outcomes, block, mean) for block in plan.blocks]


def _block(plan: Plan, outcomes: Sequence[Outcome], block: BlockTerm, mean: np.ndarray) -> Part:
    """One term. A split gate's is completed by half of what correlates it with its partners in other layers, who have
    the other half: ¼J_iJ_jᵀ(C_ij − m_im_j)."""
    outcome, template = outcomes[block.request], plan.reading(block.request)
    jacobian, partners = 0.5 * block.jacobian, block.partners
    elsewhere = 0.5 * partners.jacobian.T @ mean[partners.rotations] if partners else 0.0
    is_diagonal = plan.approx == "diag"
    if is_diagonal:
        found = diagonal(outcome, template, jacobian, block.block, elsewhere)
    else:
        found = covariance(outcome, template, jacobian, elsewhere)
    if partners:
        between = partners.correlations - np.outer(mean[block.rotations], mean[partners.rotations])
        half = 0.25 * jacobian.T @ between @ partners.jacobian
        half = np.diag(np.diag(half)) if is_diagonal else half
        found = replace(found, value=found.value + half + half.T)
    return Part(block.request, block.columns, found)


def _block_among_layers(plan: Plan, outcomes: Sequence[Outcome], block: BlockTerm, mean: np.ndarray) -> Part:
    """A block together with what its means do in products with those of all other layers."""
    others = mean.copy()
    others[block.rotations] = 0
    columns = np.arange(plan.num_parameters)
    jacobian = np.zeros((len(block.rotations), len(columns)))
    jacobian[:, block.columns] = 0.5 * block.jacobian
    elsewhere = 0.5 * (plan.jacobian.T @ others)
    found = covariance(outcomes[block.request], plan.reading(block.request), jacobian, elsewhere)
    return Part(block.request, columns, found)


def _between(plan: Plan, outcomes: Sequence[Outcome], term: CrossTerm, mean: np.ndarray) -> Part:
    (request,) = term.requests
    columns, own, others = _rows(plan, term)
    products = mean[term.rotation] * mean[term.others]
    return Part(request, columns, correlations(outcomes[request], plan.reading(request), others, own, products))


def _overlaps(plan: Plan, outcomes: Sequence[Outcome], term: CrossTerm) -> list[Part]:
    """g_ik = −⅛ Σ s·t·overlap."""
    columns, own, (other,) = _rows(plan, term)
    pairs = zip(term.signs, term.requests, strict=True)
    return [
        Part(request, columns, overlap(outcomes[request], plan.reading(request), -0.5 * sign * own, other))
        for sign, request in pairs
    ]


def _rows(plan: Plan, term: CrossTerm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parameters that a term's rotations move, and half of their rows of the Jacobian there."""
    columns, rows = moved_by(plan.jacobian, np.append(term.rotation, term.others))
    return columns, 0.5 * rows[0], 0.5 * rows[1:]
