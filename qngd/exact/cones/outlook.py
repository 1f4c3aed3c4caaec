"""What a step by light cones takes, before any angle is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd._system.threads import num_threads
from qngd.exact.cones.bundle import Bundle
from qngd.exact.cones.simulator import ConeSimulator
from qngd.exact.cones.terms import ConeTerms
from qngd.exact.cones.wide import Trails

# One core, in amplitudes of a rotation and in products of amplitudes, a second: an ordinary machine of 2025. Times are
# good to a factor of two or three.
_ROTATED = 3e8
_MULTIPLIED = 2e8
_STRING = 18  # bytes of a string on a path, with its weight


@dataclass(frozen=True)
class Crowd:
    """Cones of one kind: how many there are and how many differ; the most qubits of a state, and the most rotations of
    a cone; the strings on the paths of those that are too wide for states; the memory in bytes; and the seconds that
    they take on all cores, roughly."""

    count: int
    different: int
    qubits: int
    rotations: int
    strings: int
    num_bytes: int
    seconds: float

    def __str__(self) -> str:
        paths = f", {self.strings} strings on paths" if self.strings else ""
        return (
            f"{self.count} light cones, {self.different} of them different, of up to {self.rotations} rotations, "
            f"states of up to {self.qubits} qubits{paths}"
        )


def of_energy(terms: ConeTerms) -> Crowd:
    """Energy and gradient."""
    return _crowd(terms.bundle, [terms.trails], terms.bundle.num_bytes, 0.0)


def of_metric(simulator: ConeSimulator, kind: str) -> Crowd:
    """A metric "diag", "block-diag" or "full"."""
    found, plan = simulator.derivatives, simulator.plan(kind)
    products = float(np.exp2(np.diff(plan.pairs.start)).sum())
    dense = 8 * simulator.circuit.num_parameters**2
    num_bytes = found.bundle.num_bytes + found.num_bytes + dense
    return _crowd(found.bundle, [found.means, plan.wide.products], num_bytes, (products + dense / 8) / _MULTIPLIED)


def _crowd(bundle: Bundle, trails: Sequence[Trails], num_bytes: int, seconds: float) -> Crowd:
    strings = sum(each.num_strings for each in trails)
    return Crowd(
        count=len(bundle.which) + sum(map(len, trails)),
        different=len(bundle.copies) + sum(map(len, trails)),
        qubits=bundle.largest,
        rotations=max([*map(len, bundle.rotations), *(each.longest for each in trails)], default=0),
        strings=strings,
        num_bytes=num_bytes + _STRING * strings,
        seconds=(seconds + float(bundle.work.sum()) / _ROTATED + strings / _MULTIPLIED) / num_threads(),
    )
