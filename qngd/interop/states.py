"""State vectors as Pauli rotations, to rounding: what an SDK's "initialize" becomes.

The SDKs' own decompositions are made for devices and may lose what a device would not notice
(Qiskit's drops amplitudes of 1e-8).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qngd.interop.synthesis import UNITARY_TOLERANCE, Turn, diagonal_turns, multiplexed_turns


def state_turns(amplitudes: np.ndarray, places: Sequence[int]) -> list[Turn]:
    """A state of 2ⁿ amplitudes, normalised but for rounding, from |0…0⟩ and up to a global phase.

    The first of the places is the most significant bit of an amplitude's index.

    From the first place down, RY rotations multiplexed by the places before set the magnitudes
    (arXiv:quant-ph/0407010); a diagonal sets the phases. A state that is real up to a phase needs
    no diagonal: its signs come with the last RY.

    Raises:
        ValueError: the state is not normalised, and the text names its norm; or it is not finite.
    """
    if not np.isfinite(amplitudes).all():
        raise ValueError("its amplitudes are not finite numbers")
    norm = float(np.linalg.norm(amplitudes))
    if not abs(norm - 1.0) <= UNITARY_TOLERANCE:
        raise ValueError(
            f"its amplitudes have the norm {norm:.9g}, not 1; divide them by it, or let the preparation normalize them"
        )
    largest = amplitudes[np.argmax(np.abs(amplitudes))]
    amplitudes = amplitudes * (abs(largest) / largest)
    is_real = np.abs(amplitudes.imag).max() <= np.finfo(float).eps / 4
    weights = amplitudes.real if is_real else np.abs(amplitudes)
    turns: list[Turn] = []
    for last in reversed(range(len(places))):
        zero, one = weights[0::2], weights[1::2]
        angles = _fill(2 * np.arctan2(one, zero), (zero != 0) | (one != 0))
        turns = multiplexed_turns("Y", angles.tolist(), places[:last], places[last]) + turns
        weights = np.hypot(zero, one)
    if not is_real:
        phases = _fill(np.angle(amplitudes), amplitudes != 0)
        turns += diagonal_turns(phases.tolist(), places)
    return turns


def _fill(values: np.ndarray, matters: np.ndarray) -> np.ndarray:
    """Values that do not matter made equal to one that does: then fewer rotations have an angle."""
    return np.where(matters, values, values[np.argmax(matters)])
