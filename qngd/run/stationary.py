"""What the energy does around a point where a run has come to rest: is it a minimum, and if not, which way is down.

A step along the gradient cannot leave a point without one, be it a saddle or a maximum. The coordinates here are
θ_i·√Σ_k J_ki², with the Jacobian J of the rotations' angles, and lengths are in radians: the scale of a parameter does
not matter. (The metric would not do: g_ii = 0 says that the state does not move to first order, as under the mixer of
QAOA at its start, not that it never will.)

Exact energies: with the Hessian H in these coordinates, whose products come from differences of exact gradients,

    H·v ≈ (∇E(θ + εv) − ∇E(θ))/ε   or, where the sign is not clear from that,   (∇E(θ + εv) − ∇E(θ − εv))/2ε,

Lanczos' method finds its lowest eigenvalue (Golub and Van Loan, Matrix Computations, 10.1). Where that is negative, and
the gradient is small beside it, both ways along the eigenvector are tried, ever closer, until the energy
falls. Where it is zero, so is a random direction of the null space, which finds the way down from where the energy is
flat to second order. At most `_PRODUCTS` products, two gradients each, and `_TRIALS` pairs of energies. A run that was
stopped while the gradient is still large, by a loose `tol` say, is left alone.

Sampled energies show no curvature that a run could afford. Once in a run the energies of `_NUDGES` random directions,
both ways, are measured at one radian, and the run goes on from the lowest where that lies below the energy here by
more than three standard errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qngd.estimates.estimate import rounding
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.solve.state import Submissions

_PRODUCTS = 32  # of the Hessian with a vector
_TRIALS = 6  # distances along a direction
_NUDGES = 3  # random directions of a sampled run
_REACH = 1.0  # radians, of the longest trial
_DIFFERENCE = 3e-5  # ε, radians: its square and rounding/ε are both about 1e-10
_CLEAR = 1e-2  # of the largest curvature; and what the error of one-sided differences may be of the lowest
_FLAT = 1e-4  # of the largest curvature: below it one is as good as zero, as those left over near minima are
_INEXACT = 1e-8  # of an energy: the error of a curvature by differences
_BROKEN = 1e-6  # of the largest Ritz value: below it what is left of a product is rounding
_AT_REST = 0.1  # radians to where the slope is zero, at the lowest curvature
_NO_SLOPE = 1e-3  # of the largest curvature: the slope that is left at the end of a run
_FLAT_ANGLE = 1e-3  # slope of an angle that is none
_SURE = 3.0  # standard errors


@dataclass(frozen=True, eq=False)
class WayDown:
    """A step δ (P,) to a lower energy: its length in radians, the decrease that was seen, and what it follows."""

    shift: np.ndarray
    length: float
    decrease: float
    why: str


def look_cost(evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None) -> Cost:
    """What `way_down` spends at most, from an evaluation with this spread."""
    energy = evaluator.preview(theta, gradient=False, metric=None, spread=spread)
    if not evaluator.is_exact:
        return energy * (2 * _NUDGES)
    slope = evaluator.preview(theta, gradient=True, metric=None, spread=None)
    products = min(_PRODUCTS, len(theta))
    return slope * (1 + 2 * products) + energy * (2 * _TRIALS)


def way_down(asked: Submissions, here: Evaluation, tol: float) -> WayDown | None:
    """A way to an energy that is lower by more than `tol` and all errors, or None where none was seen."""
    floor = max(tol, rounding(here.energy))
    if asked.evaluator.is_exact:
        return _exact_way(asked, here, floor)
    return _sampled_way(asked, here, floor)


def _exact_way(asked: Submissions, here: Evaluation, floor: float) -> WayDown | None:
    slope, scale = _slope(asked, here.theta, here), _scales(asked.evaluator, here.theta)
    used = scale > 0
    if not used.any() or not np.all(np.isfinite(slope)):
        return None
    slope = scale * slope

    def beside(vector: np.ndarray) -> np.ndarray:
        return scale * _slope(asked, here.theta + _DIFFERENCE * scale * vector)

    # the answer must not depend on the run's seed: an exact run has no random numbers
    start = np.where(used, np.random.default_rng(0).normal(size=len(scale)), 0.0)
    values, vectors, weights = _curvatures(beside, slope, start, min(_PRODUCTS, int(used.sum())))
    largest = float(np.abs(values).max())
    zero = max(_FLAT * largest, _INEXACT * max(abs(float(here.energy.value)), 1.0))
    if values[0] < -zero:
        if np.linalg.norm(slope) > max(_AT_REST * -values[0], min(_NO_SLOPE * largest, -values[0])):
            return None
        direction, why = vectors[:, 0], f"along the curvature {values[0]:.3g}"
    else:
        flat = np.abs(values) <= max(zero, floor)
        direction = vectors[:, flat] @ weights[flat]
        norm = np.linalg.norm(direction)
        if not norm > 0 or np.linalg.norm(slope) > max(_FLAT * largest, floor):
            return None
        direction, why = direction / norm, "along a direction that is flat to second order"
        floor += 2 * _REACH * abs(float(slope @ direction))  # what a slope that is left may do
    downhill = -1.0 if slope @ direction > 0 else 1.0
    return _tried(asked, here, downhill * scale * direction, floor, why)


def _curvatures(
    beside: Callable[[np.ndarray], np.ndarray], slope: np.ndarray, start: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `lanczos` finds of the Hessian, from slopes `beside` this point: on one side, and on the other too where the
    lowest value is not clearly another than zero."""
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def times(vector: np.ndarray) -> np.ndarray:
        seen.append((vector, beside(vector)))
        return (seen[-1][1] - slope) / _DIFFERENCE

    values, vectors, weights = lanczos(times, start, count)
    rows, ahead = (np.array(part) for part in zip(*seen, strict=True))
    behind = [beside(-rows[0])]
    error = float(np.linalg.norm(ahead[0] + behind[0] - 2 * slope)) / (2 * _DIFFERENCE)
    if abs(values[0]) > max(_CLEAR * float(np.abs(values).max()), error / _CLEAR):
        return values, vectors, weights
    images = (ahead - [*behind, *(beside(-row) for row in rows[1:])]) / (2 * _DIFFERENCE)
    within = rows @ images.T
    values, parts = np.linalg.eigh(0.5 * (within + within.T))
    return values, rows.T @ parts, float(np.linalg.norm(start)) * parts[0]


def _tried(asked: Submissions, here: Evaluation, direction: np.ndarray, floor: float, why: str) -> WayDown | None:
    """The best of ever shorter steps along ±direction that lower the energy, as far as they get better."""
    found: WayDown | None = None
    for k in range(_TRIALS):
        reach = _REACH / 2**k
        ends = [(_energy(asked, here.theta + way * reach * direction)[0], way) for way in (1, -1)]
        energy, way = min(ends, key=lambda end: end[0])
        decrease = float(here.energy.value) - energy
        if found is not None and not decrease > found.decrease:
            break
        if decrease > floor:
            found = WayDown(way * reach * direction, reach, decrease, why)
    return found


def _sampled_way(asked: Submissions, here: Evaluation, floor: float) -> WayDown | None:
    seed = asked.next_seed()
    # not the seed of the first energy's own shots: the directions must not depend on their noise
    rng = np.random.default_rng(None if seed is None else [seed, 2])
    scale = _scales(asked.evaluator, here.theta)
    found: WayDown | None = None
    for _ in range(_NUDGES if scale.any() else 0):
        direction = np.where(scale > 0, rng.normal(size=len(scale)), 0.0)
        shift = _REACH * scale * direction / np.linalg.norm(direction)
        for way in (1, -1):
            energy, stderr = _energy(asked, here.theta + way * shift)
            decrease = float(here.energy.value) - energy
            error = float(np.hypot(stderr, here.energy.stderr))
            if decrease > max(floor, _SURE * error) and (found is None or decrease > found.decrease):
                found = WayDown(way * shift, _REACH, decrease, "by a random step")
    return found


def _scales(evaluator: Evaluator, theta: np.ndarray) -> np.ndarray:
    """The scales 1/√Σ_k J_ki² (P,) of the coordinates, 0 for parameters that no rotation depends on."""
    angle_map = evaluator.circuit.angle_map
    jacobian = angle_map.linearize(theta)[1]
    norms = np.sqrt(np.asarray(jacobian.multiply(jacobian).sum(axis=0), dtype=float).ravel())
    used = np.isin(np.arange(len(theta)), angle_map.pattern.indices)
    # a² at a = 0 does not move an angle to first order
    return np.where(used, 1 / np.where(norms > _FLAT_ANGLE, norms, 1.0), 0.0)


def _slope(asked: Submissions, theta: np.ndarray, known: Evaluation | None = None) -> np.ndarray:
    gradient = None if known is None else known.gradient
    if gradient is None:
        gradient = asked.evaluate(theta, gradient=True, metric=None).gradient
    assert gradient is not None
    return np.asarray(gradient.value, dtype=float)


def _energy(asked: Submissions, theta: np.ndarray) -> tuple[float, float]:
    energy = asked.evaluate(theta, gradient=False, metric=None).energy
    return float(energy.value), float(energy.stderr)


def lanczos(
    times: Callable[[np.ndarray], np.ndarray], start: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ritz values, ascending, Ritz vectors (P, k) and the components (k,) of the start along them, of a symmetric
    matrix that is given by its products; at most `count` products, fewer where the lowest value is negative for sure.

    >>> values, _, _ = lanczos(lambda v: np.array([-1.0, 2.0]) * v, np.ones(2), 2)
    >>> values.round(12)
    array([-1.,  2.])
    """
    norm = float(np.linalg.norm(start))
    basis = [start / norm]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        image = times(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        rows = np.array(basis)
        for _ in range(2):  # rounding leaves the first time imperfect
            image = image - rows.T @ (rows @ image)
        left = float(np.linalg.norm(image))
        values, parts = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        scale = float(np.abs(values).max())
        certain = values[0] < -1e-2 * scale and left * abs(parts[-1, 0]) < 0.1 * -values[0]
        if certain or len(basis) == count or left <= _BROKEN * scale:
            return values, rows.T @ parts, norm * parts[0]
        basis.append(image / left)
        beside.append(left)
