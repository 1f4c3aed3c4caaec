"""What a function of θ looks like around one point: exact and smooth, or noisy, and by how much.

A function that draws random numbers gives other values when it is asked again. One that draws the same ones at every
call, by a fixed seed, does not, but it is rough: its differences at two distances disagree, where those of an energy
agree to the eighth order. Part of its noise is what is left of it along one parameter, over a period, above the
highest frequency that the circuit's rotations can make (`differences`). A sampler that compares the same random numbers
with probabilities that θ moves smoothly has the larger part below, where it cannot be told from the energy: of noise σ
it leaves .5σ to .7σ above, in the root mean square (QAOA, hardware-efficient and random circuits; .9σ on one qubit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.errors import ParameterError, SettingError
from qngd.estimates.estimate import Estimate, rounding
from qngd.evaluators.differences import EIGHTH_ORDER, common_divisor, turns_of
from qngd.evaluators.given_function import Function

_REPEATS = 8  # values at one point that tell the noise of a function
_STEP = 0.1  # radians that all rotations together turn, times 1 to 4 and twice that: errors of 1e-11 and 4e-9
_FINE = 1e-2  # of these steps: so close by a function with kinks is smooth, and one with noise rougher still
_ROUGH = 1e-6  # of what the function changes by, per radian: above it two differences disagree
_FALSE = 1e-3  # of what the parameters move fun by: a gradient that errs by more is another function's
_OVER = 6  # values along a parameter, above what its frequencies fix
_MOST = 40  # frequencies along a parameter
_SINGLE = 1e-6  # of a value: what single precision leaves of it, and no sampler with fewer than 1e10 shots
_HIDDEN = 2.0  # a fixed seed's noise, in units of what is left of it


@dataclass(frozen=True, eq=False)
class Look:
    """The standard error of the function's values, 0 where exact; `is_frozen` says that its errors are the same when it
    is asked again. Of an exact function also its derivative along `direction` (P,), and by how much that may be wrong;
    else NaN."""

    stderr: float
    direction: np.ndarray
    slope: float = np.nan
    tolerance: float = np.nan
    is_frozen: bool = False

    @property
    def roughness(self) -> float:
        """The standard error that is another one at every point: the rest of frozen noise is as smooth as an energy."""
        return self.stderr / _HIDDEN if self.is_frozen else self.stderr


def look_at(function: Function, circuit: Circuit, theta: np.ndarray, stderr: float | None) -> Look:
    """Look around θ; `stderr` is what the user says, if so.

    Raises:
        ParameterError: it is exact, and its gradient is that of another function.
        SettingError: it is noisy, and its noise cannot be found.
    """
    direction = np.random.default_rng(0).uniform(0.5, 1.0, len(theta))
    away = theta + _displacement(circuit, theta, direction)
    is_said = stderr is not None
    noise = _repeated(function, (theta, away)) if stderr is None else stderr
    if noise > 0:
        return Look(noise, direction)
    turn = float(np.abs(circuit.angle_map.linearize(theta)[1] @ direction).sum()) or 1.0
    step = _STEP / turn
    if function.gradient is not None:
        if _fits_gradient(function, away, direction, step, turn) or is_said:
            return Look(0.0, direction)
        return _rough(function, circuit, away, direction)
    found, tolerance, size = np.nan, np.nan, 0.0
    for point in (away, theta):
        found, far, values = _derivatives(function, point, direction, step)
        size = max(size, _size(values, turn))
        if abs(found - far) > _ROUGH * size and not is_said:  # NaN is reported by the run
            return _rough(function, circuit, point, direction)
        tolerance = 10 * _ROUGH * max(size, abs(found))
    return Look(0.0, direction, found, tolerance)


def _rough(function: Function, circuit: Circuit, theta: np.ndarray, direction: np.ndarray) -> Look:
    """Of a function that is no energy near θ, and yet the same when it is asked again: it has noise that is frozen, or
    is rounded."""
    noise, largest = _left_over(function, circuit, theta)
    if noise < _SINGLE * largest:
        return Look(noise, direction)
    return Look(_HIDDEN * noise, direction, is_frozen=True)


def _fits_gradient(function: Function, theta: np.ndarray, direction: np.ndarray, step: float, turn: float) -> bool:
    """Whether a function is as smooth as an energy, or but for kinks, as a CVaR; then its gradient is its own.

    Raises:
        ParameterError: it is, and changes along the direction otherwise than its gradient says.
    """
    products = function.slope(theta) * direction
    said = float(products.sum())
    near, far, values = _derivatives(function, theta, direction, step)
    least = _ROUGH * _size(values, turn)
    is_smooth = not abs(near - far) > least  # NaN is reported by the run
    if not is_smooth:
        near, _, _ = _derivatives(function, theta, direction, _FINE * step)
    is_own = not abs(said - near) > _FALSE * (float(np.abs(products).sum()) + abs(near)) + least
    if is_smooth and not is_own:
        raise ParameterError(
            f"jac is not the gradient of fun: along a direction fun changes by {near:.6g}, jac says {said:.6g}; give "
            "the derivatives in the order of x0, or leave jac out; where they are estimates, say so: stderr="
        )
    return is_own


def _displacement(circuit: Circuit, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Where to look besides θ (P,): about a radian away in every rotation. A start is often a point where sampled
    values have little noise or none, such as a basis state."""
    jacobian = abs(circuit.angle_map.linearize(theta)[1]).tocsc()
    turns = np.asarray(jacobian.max(axis=0).todense()).reshape(-1) if jacobian.nnz else np.zeros(len(theta))
    return direction / np.where(turns > 0, turns, 1.0)


def _derivatives(
    function: Function, theta: np.ndarray, direction: np.ndarray, step: float
) -> tuple[float, float, np.ndarray]:
    """The derivative along a direction by differences near by and twice as far, and the values that they are of."""
    found = {k: function.value(theta + k * step * direction) for k in (*range(-4, 5), -8, -6, 6, 8)}
    near, far = (
        sum(float(b) * (found[w * k] - found[-w * k]) for k, b in enumerate(EIGHTH_ORDER, 1)) / (w * step)
        for w in (1, 2)
    )
    return near, far, np.array(list(found.values()))


def _size(values: np.ndarray, turn: float) -> float:
    """By what a function of these values changes per radian."""
    return max(float(np.ptp(values)) * turn, 1e-6 * turn * max(1.0, float(np.abs(values).max())))


def _repeated(function: Function, points: Sequence[np.ndarray]) -> float:
    """The standard deviation of values at one point, in the root mean square of several points; 0 where at each of them
    two agree up to rounding."""
    values = [[function.value(theta), function.value(theta)] for theta in points]
    if not any(abs(a - b) > rounding(Estimate.exact(np.float64(a))) for a, b in values):
        return 0.0
    for theta, found in zip(points, values, strict=True):
        found += [function.value(theta) for _ in range(_REPEATS - 2)]
    return float(np.sqrt(np.mean(np.var(values, axis=1, ddof=1))))


def _left_over(function: Function, circuit: Circuit, theta: np.ndarray) -> tuple[float, float]:
    """The standard deviation of what no rotation can make, along the parameter with the fewest frequencies,
    and the largest value there."""
    choices = []
    for j, column in enumerate(turns_of(circuit, theta) if circuit.angle_map.is_affine else []):
        base = common_divisor(column)
        if base is not None:
            choices.append((round(float(column.sum()) / base), j, base))
    if not choices or min(choices)[0] > _MOST:
        raise SettingError(
            "fun is rough, as sampled values with a fixed seed are, and how much cannot be found; say its standard "
            "error: stderr=0.01"
        )
    highest, j, base = min(choices)
    count = 2 * highest + 1 + _OVER
    shifts = 2 * np.pi / base * np.arange(count) / count
    values = [function.value(theta + shift * np.eye(len(theta))[j]) for shift in shifts]
    waves = np.abs(np.fft.fft(values)) ** 2
    above = waves[highest + 1 : count - highest]
    return float(np.sqrt(above.sum() / (count * len(above)))), float(np.abs(values).max())
