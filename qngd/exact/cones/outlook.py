"""What a step by light cones takes, before any angle is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qngd._system.threads import num_threads
from qngd.errors import counted
from qngd.exact.cones.bundle import Bundle
from qngd.exact.cones.simulator import ConeSimulator
from qngd.exact.cones.states import ConeStates
from qngd.exact.cones.terms import ConeTerms
from qngd.exact.cones.trails import BYTES, Trails

# One core, in amplitudes of a rotation, products of amplitudes and strings on paths, a second: an ordinary machine of
# 2025. Times are good to a factor of two or three.
_ROTATED = 3e8
_MULTIPLIED = 2e8
_ADDED = 1e8


@dataclass(frozen=True)
class Crowd:
    """Cones of one kind: how many there are and how many differ; the most qubits and the most rotations of a cone; the
    most qubits of a state, and the strings on the paths of cones that take none; the memory in bytes; and the seconds
    that they take on all cores, roughly."""

    count: int
    different: int
    qubits: int
    rotations: int
    states: int
    strings: int
    num_bytes: int
    seconds: float

    def __str__(self) -> str:
        ways = [f"states of up to {counted(self.states, 'qubit')}"] if self.states else []
        ways += [f"{counted(self.strings, 'string')} on paths"] if self.strings else []
        different = f", {self.different} of them different" if self.count > 1 else ""
        return (
            f"{counted(self.count, 'light cone')}{different}, of up to {counted(self.rotations, 'rotation')} and "
            f"{counted(self.qubits, 'qubit')}: {', '.join(ways) or 'nothing to run'}"
        )


def of_energy(terms: ConeTerms) -> Crowd:
    """Energy and gradient."""
    return _crowd(terms.bundle, terms.states, [terms.trails], terms.states.num_bytes, 0.0)


def of_metric(simulator: ConeSimulator, kind: str) -> Crowd:
    """A metric "diag", "block-diag" or "full"."""
    plan = simulator.plan(kind)  # before the derivative states, which it may choose anew
    found = simulator.derivatives
    products = float(np.exp2(np.diff(plan.pairs.start)).sum())
    dense = 8 * simulator.circuit.num_parameters**2
    num_bytes = found.states.num_bytes + found.num_bytes + dense
    trails, seconds = [found.means, plan.wide.products], (products + dense / 8) / _MULTIPLIED
    crowd = _crowd(found.bundle, found.states, trails, num_bytes, seconds)
    beside = sum(map(len, trails))
    return replace(crowd, count=crowd.count + beside, different=crowd.different + beside)


def _crowd(bundle: Bundle, states: ConeStates, trails: Sequence[Trails], num_bytes: int, seconds: float) -> Crowd:
    strings = sum(each.num_strings for each in trails)
    return Crowd(
        count=len(bundle.which),
        different=len(bundle.different),
        qubits=bundle.largest,
        rotations=max([*map(len, bundle.rotations), *(each.longest for each in trails)], default=0),
        states=states.largest,
        strings=strings,
        num_bytes=num_bytes + BYTES * strings,
        seconds=(seconds + float(states.work.sum()) / _ROTATED + strings / _ADDED) / num_threads(),
    )
