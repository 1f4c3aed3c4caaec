"""Random Pauli measurements of an observable: locally biased classical shadows (arXiv:2006.15788).

Every qubit's letter is drawn by itself, X, Y or Z with the probabilities β_q. A basis measures the strings whose
letters it has; string t is among them with the probability p_t = Π β_q(t_q), so that the mean over B bases of

    X_b = Σ_{t measured by b} (c_t/p_t)·⟨string t⟩

is Σ c_t⟨string t⟩. The β are those whose Σ c_t²/p_t is least: the variance in a state of which nothing is known. That
is a convex problem, and at its solution β_q(P) is the share of the strings with P on qubit q in the part of the sum
that has any letter there. The X_b are independent and alike, so that their spread tells the error, of shots as of the
choice of bases. Where they hardly differ it is widened by what the shots of all bases together did not show of each
string (see `qngd.measured.outcomes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.circuit.pauli import PauliStrings
from qngd.errors import settle_whole

_ROUNDS = 200
_TINY = 1e-300  # in place of 0, whose logarithm is none
_STREAM = 5  # of the seed, whose other streams are those of shots, metrics and gradients


@hinted
@dataclass(frozen=True)
class RandomPaulis:
    """`grouping`: random Pauli measurements, whose bases are drawn anew in every step.

    The mean over all draws is the observable's, and the standard error is right on average over them. But a string that
    no basis measures counts nothing in this draw, and the spread of the others cannot show it: where strings of small
    coefficients have letters of their own, one draw may be wrong by many of its errors. Take more bases there, or
    another grouping.

    Args:
        bases: of one energy; those of a gradient are measured at all shifted angles.

    Raises:
        SettingError: fewer than 2, of which the error would not be known.

    >>> RandomPaulis(bases=50)
    RandomPaulis(bases=50)
    """

    bases: int = 100

    def __post_init__(self) -> None:
        settle_whole(self, {"bases": 2})


def biases(strings: PauliStrings, coefficients: np.ndarray) -> np.ndarray:
    """The probabilities β (n, 3) of X, Y and Z on every qubit."""
    letters = strings.letters()
    # (n, 3, m): which strings have which letter on a qubit
    has = (letters.T[:, None, :] == np.arange(1, 4)[:, None]).astype(float)
    found = np.full((strings.num_qubits, 3), 1 / 3)
    sizes = np.log(np.maximum(np.abs(coefficients), _TINY))
    # a string of w letters has a share ∝ β⁻ʷ, so larger steps would overshoot, and from 3 letters on never settle
    step = 1 / (1 + np.count_nonzero(letters, axis=1).max(initial=1))
    for _ in range(_ROUNDS):
        # c²/p by its logarithm: the chance of a string that hardly counts falls below all floats
        shares = 2 * sizes - np.einsum("qlm,ql->m", has, np.log(found))
        weights = has @ np.exp(shares - shares.max())
        total = weights.sum(axis=1, keepdims=True)
        wanted = np.where(total > 0, weights / np.where(total > 0, total, 1.0), 1 / 3)
        found = found ** (1 - step) * np.maximum(wanted, _TINY) ** step
        found /= found.sum(axis=1, keepdims=True)
    return found


def chances(letters: np.ndarray, found: np.ndarray) -> np.ndarray:
    """p_t (m,) of strings with these letter codes (m, n)."""
    padded = np.hstack([np.ones((len(found), 1)), found])
    product: np.ndarray = np.prod(padded[np.arange(len(found)), letters], axis=1)
    return product


def random_bases(
    strings: PauliStrings, coefficients: np.ndarray, beta: np.ndarray, count: int, seed: int | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of every basis the strings that it measures, as rows, and their coefficients, which add up to the estimate. A
    basis that measures none has the first string, which counts nothing there."""
    rng = np.random.default_rng(None if seed is None else [seed, _STREAM])
    letters = strings.letters()
    reach = chances(letters, beta)
    found = []
    for draws in rng.random((count, len(beta))):
        basis = 1 + (draws[:, None] > beta.cumsum(axis=1)[:, :2]).sum(axis=1)
        rows = np.flatnonzero(((letters == 0) | (letters == basis)).all(axis=1))
        if len(rows):
            found.append((rows, coefficients[rows] / reach[rows] / count))
        else:
            found.append((np.zeros(1, dtype=int), np.zeros(1)))
    return found


def covariance_of_sums(parts: np.ndarray) -> np.ndarray:
    """The covariance (p, p) of Σ_b of independent, alike parts (B, p)."""
    centred = parts - parts.mean(axis=0)
    found: np.ndarray = len(parts) / (len(parts) - 1) * centred.T @ centred
    return found
