"""The gradient of a circuit's energy from its values alone, where only θ can be moved and not each rotation.

Moved along θ_j the energy of a circuit with angles φ = Jθ + c is a trigonometric polynomial, whose frequencies are sums
of ±J_kj or 0 over the rotations k. With all of them multiples of ω, and R = Σ_k |J_kj| / ω, 2R values give the exact
derivative (arXiv:2107.12390, equidistant frequencies):

    ∂E/∂θ_j = Σ_{μ=1..R} b_μ [E(θ + s_μ e_j) − E(θ − s_μ e_j)],
    s_μ = x_μ/ω,   b_μ = (−1)^{μ−1} ω / (4R sin²(x_μ/2)),   x_μ = (2μ − 1)π/2R;

for one rotation this is ½[E(+π/2) − E(−π/2)]. Where R is above `_MOST` or there is no such ω, central differences of
eighth order take its place: their error is (hW)⁸/630 of an amplitude of the highest frequency W = Σ_k |J_kj|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.circuit.circuit import Circuit

_MOST = 4  # R of an exact rule, as many values as eighth order takes
EIGHTH_ORDER = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
_STEP, _NOISY_STEP = 0.1, 1.0  # h·W: errors of 1.6e-11, and of 1.6e-3 where noise is larger than that
_MULTIPLE = 1e-9  # how far from a whole number a ratio of frequencies may be


@dataclass(frozen=True, eq=False)
class Rule:
    """∂E/∂θ_j = Σ weights[μ]·[E(θ + shifts[μ] e_j) − E(θ − shifts[μ] e_j)]; no shifts where no rotation follows θ_j.
    `is_shift` says that it is exact for expectation values."""

    shifts: np.ndarray
    weights: np.ndarray
    is_shift: bool


def rules_at(circuit: Circuit, theta: np.ndarray, is_noisy: bool) -> list[Rule]:
    """A rule for every parameter."""
    return [rule_of(turns, circuit.angle_map.is_affine, is_noisy) for turns in turns_of(circuit, theta)]


def turns_of(circuit: Circuit, theta: np.ndarray) -> list[np.ndarray]:
    """For every parameter the |J_kj| that are not 0."""
    jacobian = abs(circuit.angle_map.linearize(theta)[1]).tocsc()
    columns = np.split(jacobian.data, jacobian.indptr[1:-1])
    return [column[column > 0] for column in columns][: circuit.num_parameters]


def rule_of(frequencies: np.ndarray, is_affine: bool, is_noisy: bool) -> Rule:
    """The rule for rotations that turn with these positive frequencies |J_kj|."""
    highest = float(frequencies.sum())
    if not len(frequencies) and is_affine:
        return Rule(np.zeros(0), np.zeros(0), True)
    base = common_divisor(frequencies) if is_affine else None
    count = 0 if base is None else round(highest / base)
    if base is not None and count <= _MOST:
        places = (2 * np.arange(1, count + 1) - 1) * np.pi / (2 * count)
        signs = (-1.0) ** np.arange(count)
        return Rule(places / base, signs * base / (4 * count * np.sin(places / 2) ** 2), True)
    # a parameter whose rotations all stand still here, as a² at a = 0, may move a little further away
    step = (_NOISY_STEP if is_noisy else _STEP) / (highest or 1.0)
    return Rule(step * np.arange(1, 5), EIGHTH_ORDER / step, False)


def common_divisor(frequencies: np.ndarray) -> float | None:
    """The largest ω that all of them are multiples of, up to rounding; None if it would be below 1/100 of the
    highest, or there are none."""
    if not len(frequencies):
        return None
    largest = float(frequencies.max())
    base = 0.0
    for value in np.sort(frequencies)[::-1].tolist():
        while value > _MULTIPLE * largest:
            base, value = value, base % value if base else 0.0
            if base - value < _MULTIPLE * largest:  # rounding left almost all of it
                value = 0.0
    return base if base > 1e-2 * largest else None
