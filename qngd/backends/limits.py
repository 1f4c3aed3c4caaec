"""What a provider allows in one job, and how the circuits of a submission are divided into jobs within that.

A submission is one batch of jobs: as few as the limits allow, sent together and collected together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from qngd.errors import SettingError, require_range, shown

_OR = "of at least 1, math.inf for no limit, or None for what is known of the provider"


@dataclass(frozen=True)
class Limits:
    """The most that one job may hold; None where the limit that is known of the provider holds, if there is one, and
    `math.inf` for none.

    Args:
        circuits: circuits of a job; one that runs several times counts as often.
        shots: of one circuit; a circuit that needs more runs several times.
        executions: the sum of the circuits' shots, those of error mitigation included.
        pubs: PUBs of a job to a Qiskit primitive. A PUB is a circuit with all its angles.
        seconds: device time of a job, from gate times, readout and the delay between shots; where the device does not
            give them it bounds nothing.

    Raises:
        SettingError: a limit is less than 1, or no number; or not a whole one, of what is counted.

    >>> Limits(executions=10_000_000).over(Limits(circuits=300, executions=5_000_000))
    Limits(circuits=300, shots=None, executions=10000000, pubs=None, seconds=None)
    """

    circuits: float | None = None
    shots: float | None = None
    executions: float | None = None
    pubs: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value, name = getattr(self, field.name), f"limits: {field.name}"
            if value is not None and field.name == "seconds":
                require_range(value, name, f"a number {_OR}", lambda number: number >= 1)
            elif value is not None:  # what is counted
                require_range(value, name, f"a whole number {_OR}", lambda number: number >= 1 and _is_whole(number))

    def over(self, known: Limits) -> Limits:
        """These limits, and the `known` ones where none is given here."""
        pairs = {field.name: (getattr(self, field.name), getattr(known, field.name)) for field in fields(self)}
        return Limits(**{name: known if own is None else own for name, (own, known) in pairs.items()})

    def most_shots(self, runs: int = 1, seconds: float = 0.0) -> float:
        """The most shots of one circuit, of which a shot is `runs` executions of `seconds` each."""
        found = [np.inf if self.shots is None else self.shots]
        if self.executions is not None:
            found.append(self.executions / runs)
        if self.seconds is not None and seconds > 0:
            found.append(self.seconds / (runs * seconds))
        return max(1.0, np.floor(min(found)))

    def __str__(self) -> str:
        units = {"circuits": "circuits", "shots": "shots a circuit", "executions": "executions", "pubs": "PUBs"}
        found = [f"{getattr(self, name):,.0f} {unit}" for name, unit in units.items() if _bounds(getattr(self, name))]
        if _bounds(self.seconds):
            found.append(f"{self.seconds:,.0f} s")
        return ", ".join(found)


def require_limits(limits: object) -> None:
    """Raise SettingError unless it is a `Limits` or None."""
    if not isinstance(limits, Limits | None):
        raise SettingError(f"limits must be a qngd.backends.Limits, such as Limits(circuits=300); got {shown(limits)}")


def _is_whole(number: float) -> bool:
    return bool(np.isinf(number)) or number == int(number)


def _bounds(limit: float | None) -> bool:
    return limit is not None and bool(np.isfinite(limit))


def divided(
    limits: Limits, executions: Sequence[int] | np.ndarray, pubs: Sequence[int] | np.ndarray, seconds: np.ndarray
) -> list[slice]:
    """Which circuits each job holds: consecutive ones, as many as `limits` allow, at least one.

    Args:
        executions: (C,) of each circuit.
        pubs: (C,) the PUB that each circuit is in; those of one PUB stand together.
        seconds: (C,) device time of each circuit.
    """
    bounds = [limits.circuits, limits.executions, limits.pubs, limits.seconds]
    most = np.array([np.inf if bound is None else bound for bound in bounds])
    count = len(executions)
    needs = np.ones((count, 4))
    needs[:, 1], needs[:, 3] = executions, seconds
    needs[1:, 2] = np.diff(pubs) != 0
    jobs, begin, taken = [], 0, np.zeros(4)
    for c in range(count):
        if c > begin and (taken + needs[c] > most).any():
            jobs.append(slice(begin, c))
            begin, taken = c, np.zeros(4)
        taken = taken + needs[c]
        if c == begin:
            taken[2] = 1
    return [*jobs, slice(begin, count)] if count else []
