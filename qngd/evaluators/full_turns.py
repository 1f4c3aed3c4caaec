"""Angles in (−π, π], where a full turn changes nothing."""

from __future__ import annotations

import numpy as np

from qngd.circuit.angles import AngleMap
from qngd.evaluators.base import Evaluator
from qngd.evaluators.given import AnyGiven
from qngd.evaluators.objectives.given import GivenObjective

_WHOLE = 1e-12  # a multiple that is this close to a whole one is one


def wrapped_angles(given: AnyGiven, evaluator: Evaluator, theta: np.ndarray) -> np.ndarray:
    """θ (P,) with those parameters in (−π, π] of which a full turn changes nothing: where every rotation that one moves
    turns by a whole multiple of it, R_P(φ + 2πm) = (−1)^m·R_P(φ), and no bound holds it."""
    low, high = evaluator.box or (-np.inf, np.inf)
    whole = np.isinf(low) & np.isinf(high) & np.ones(len(theta), dtype=bool)
    maps = [(given.circuit.angle_map, np.arange(len(theta)))]
    if isinstance(given, GivenObjective):
        maps = [(part.circuit.angle_map, part.parameters) for part in given.model.parts]
    for angle_map, places in maps:
        whole[places] &= _turns_whole(angle_map)
    turned = np.pi - np.mod(np.pi - theta, 2 * np.pi)
    return np.where(whole, turned, theta)


def _turns_whole(angle_map: AngleMap) -> np.ndarray:
    """Of every parameter (p,) whether all angles hold whole multiples of it; of angles that are not affine it is not
    known."""
    if not angle_map.is_affine:
        return np.zeros(angle_map.num_parameters, dtype=bool)
    entries = angle_map.linear.tocoo()
    broken = entries.col[np.abs(entries.data - np.rint(entries.data)) > _WHOLE]
    return ~np.isin(np.arange(angle_map.num_parameters), broken)
