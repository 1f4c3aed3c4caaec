"""What a plan says of the shots of its circuits before any is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qngd.measured.plan import Plan


def known_beforehand(plan: Plan) -> np.ndarray:
    """The part (R,) of the shots that every circuit gets before anything is seen of it.

    The circuits of the energy share what an equal division gives them, and so do those of the gradient: each in
    proportion to the error that a shot of a random state leaves in the estimate, its weights times √Σc² over the
    coefficients of what it measures. The others get what an equal division gives them.
    """
    count = plan.num_circuits
    found = np.full(count, 1 / max(count, 1))
    if plan.mixing is None or not count:
        return found
    sizes = _sizes(plan, np.linalg.norm)
    in_gradient = np.sqrt(plan.linear.power(2).sum(axis=0))
    for weights in (abs(plan.energy_weights) * sizes, in_gradient * sizes):
        own = weights > 0
        found[own] = np.count_nonzero(own) / count * normalized(weights[own])
    return normalized(found)


def energy_bounds(plan: Plan) -> np.ndarray:
    """The largest value (R,) that a request's energy can take in one shot; 0 for those of the metric."""
    return _sizes(plan, lambda coefficients: np.abs(coefficients).sum()) / (plan.share or 1.0)


def _sizes(plan: Plan, size: Callable[[np.ndarray], Any]) -> np.ndarray:
    """What `size` makes of the coefficients that a request measures (R,): 1 for an overlap, 0 for those of the
    metric."""
    per_template = [0.0 if c is None else float(size(c)) for c in plan.coefficients]
    if plan.overlaps is not None:
        per_template[plan.overlaps.template] = 1.0
    return np.array([per_template[request.template] for request in plan.requests])


def normalized(weights: np.ndarray) -> np.ndarray:
    """The same in parts of their sum; as they are where that is 0."""
    total = weights.sum()
    return weights / total if total > 0 else weights
