"""What a step by light cones takes, before any angle is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.threads import num_threads
from qngd.exact.cones.bundle import Bundle
from qngd.exact.cones.simulator import ConeSimulator

# One core, in amplitudes of a rotation and in products of amplitudes, a second: an ordinary machine of 2025. Times are
# good to a factor of two or three.
_ROTATED = 3e8
_MULTIPLIED = 2e8


@dataclass(frozen=True)
class Crowd:
    """Cones of one kind: how many there are, how many differ, the most qubits and rotations that one has, the memory of
    their states in bytes, and the seconds that they take on all cores, roughly."""

    count: int
    different: int
    qubits: int
    rotations: int
    num_bytes: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.count} light cones, {self.different} of them different, of up to {self.qubits} qubits and "
            f"{self.rotations} rotations"
        )


def of_energy(terms: Bundle) -> Crowd:
    """Energy and gradient."""
    return _crowd(terms, terms.num_bytes, float(terms.work.sum()) / _ROTATED)


def of_metric(simulator: ConeSimulator, kind: str) -> Crowd:
    """A metric "diag", "block-diag" or "full"."""
    bundle, pairs = simulator.derivatives, simulator.pairs(kind)
    states = 16 * int((1 << bundle.members.num_qubits).sum())
    products = float(np.exp2(np.diff(pairs.start)).sum())
    dense = 8 * simulator.circuit.num_parameters**2
    seconds = float(bundle.work.sum()) / _ROTATED + products / _MULTIPLIED + dense / 1e9
    return _crowd(bundle, bundle.num_bytes + states + dense, seconds)


def _crowd(bundle: Bundle, num_bytes: int, seconds: float) -> Crowd:
    return Crowd(
        count=len(bundle.which),
        different=len(bundle.copies),
        qubits=bundle.largest,
        rotations=max(map(len, bundle.rotations), default=0),
        num_bytes=num_bytes,
        seconds=seconds / num_threads(),
    )
