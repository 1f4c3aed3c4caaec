"""What a run may spend, in the units that its user pays in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, counted, require_range, settle_whole, shown
from qngd.estimates.estimate import format_seconds
from qngd.estimates.evaluation import UNITS, Cost
from qngd.estimates.prices import Prices
from qngd.evaluators.meter import Meter

_ROUNDING = 1e-9  # of a limit: sums of seconds and money are no exact numbers
_NO_PRICES = Prices()
_OF_SHOTS = ("shots", "seconds", "money")
_HOW_TO_KNOW = {
    "seconds": "the backend gives no times; say what a shot takes, Budget(…, "
    "prices=qngd.Prices(seconds_per_shot=0.0003)), or limit something else",
    "money": "it needs prices; write Budget(money=…, prices=qngd.Prices(per_shot=…)), for a price per second on a "
    "backend that gives no times with seconds_per_shot=…",
}


@hinted
@dataclass(frozen=True)
class Budget:
    """Limits on what a run may spend; None means no limit. What would exceed one is not sent.

    Args:
        jobs, circuits, shots: as the backend counts them.
        seconds: device seconds: as the provider reports them, and where it does not by the device's times of gates,
            readout and the delay between shots.
        money: by the `prices`, in their currency.
        wall: seconds of the clock since the call began. A step is begun only if the longest so far would still fit; one
            that has begun is waited for.
        prices: what the provider charges.

    Raises:
        SettingError: a limit is no whole number, or no number, of at least 0.

    >>> Budget(shots=100_000, seconds=600)
    Budget(shots=100000, seconds=600)
    """

    jobs: int | None = None
    circuits: int | None = None
    shots: int | None = None
    seconds: float | None = None
    money: float | None = None
    wall: float | None = None
    prices: Prices | None = None

    def __post_init__(self) -> None:
        settle_whole(self, {"jobs": 0, "circuits": 0, "shots": 0})
        for name in ("seconds", "money", "wall"):
            if getattr(self, name) is not None:
                require_range(getattr(self, name), name, "a number of at least 0", lambda limit: 0 <= limit < np.inf)
        if not isinstance(self.prices, (Prices, type(None))):
            raise SettingError(f"prices: write prices=qngd.Prices(per_shot=0.001); got {shown(self.prices)}")

    def __repr__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"Budget({', '.join(f'{name}={value!r}' for name, value in given if value is not None)})"

    @property
    def is_open(self) -> bool:
        """Whether the budget sets no limit."""
        return self.wall is None and not self._limits

    @property
    def table(self) -> Prices:
        """The prices, none of which is more than 0 where none were given."""
        return self.prices or _NO_PRICES

    @property
    def weights(self) -> dict[str, float]:
        """What a unit is worth of those that shots take: where several are limited, each as much as its limit has fewer
        of it. Without any limit it is money alone, where there are prices."""
        if not self._limits and self.table.are_given:
            return {"money": 1.0}
        return {name: 1 / limit for name, limit in self._limits.items() if name in _OF_SHOTS and limit > 0}

    def meter(self, spent: Cost, allows: Callable[[Cost, Cost], bool] | None = None) -> Meter:
        """What counts by its prices on from what was `spent`, and refuses what `allows` does; nothing without it."""
        return Meter(self.table, spent, allows, weights=self.weights)

    @property
    def _limits(self) -> dict[str, float]:
        return {name: limit for name in UNITS if (limit := getattr(self, name)) is not None}

    def limits(self, spent: Cost) -> bool:
        """Whether it limits anything of which this was spent, or the time."""
        return self.wall is not None or any(getattr(spent, name) for name in self._limits)

    def allows(self, spent: Cost, ahead: Cost) -> bool:
        """Whether what is `ahead` can still be paid after what was `spent`, as far as a cost tells: `wall` is for a
        `Clock`.

        Raises:
            SettingError: a limited unit of either is not known.
        """
        return not self._exceeded(spent, ahead)

    def lacking(self, spent: Cost, ahead: Cost) -> str:
        """What is `ahead` beside what is left, in every unit that is limited, those that do not suffice first."""
        used, asked = (_amounts(cost, self._limits) for cost in (spent, ahead))
        parts, exceeded = [], self._exceeded(spent, ahead)
        for name in sorted(self._limits, key=lambda name: name not in exceeded):
            left = max(0, self._limits[name] - used[name])
            takes, there = self._text(name, asked[name]), self._text(name, left)
            if takes == there and asked[name] > left:
                parts.append(f"{takes} where a little less is left")
            else:
                parts.append(f"{takes} where {there} {'is' if left == 1 else 'are'} left")
        return ", ".join(parts)

    def steps(self, start: Cost, step: Cost, end: Cost | None = None) -> int | None:
        """How many steps it buys beside the start and the end; None where it does not limit them.

        Raises:
            SettingError: as `allows`.
        """
        fixed, each = (_amounts(cost, self._limits) for cost in (start if end is None else start + end, step))
        counts = []
        for name, limit in self._limits.items():
            left = limit * (1 + _ROUNDING) - fixed[name]
            if left < 0:
                counts.append(0)
            elif each[name] > 0:
                counts.append(int(left / each[name]))
        return min(counts, default=None)

    def used(self, before: Cost, spent: Cost, kept: Cost) -> float | None:
        """The part, from 0 to 1, that was `spent` of what was there after what was spent `before` and without what is
        `kept`, in the unit of which most of it was; None where nothing that was spent is limited.

        Raises:
            SettingError: as `allows`.
        """
        taken, other = _amounts(spent, self._limits), _amounts(before + kept, self._limits)
        there = {name: limit - other[name] for name, limit in self._limits.items() if taken[name]}
        return max((taken[name] / max(amount, taken[name]) for name, amount in there.items()), default=None)

    def part(self, spent: Cost, elapsed: float, count: int) -> Budget:
        """What the next of `count` runs may spend, which share alike what is left after what was `spent` and `elapsed`
        by the clock; as limits on the sum of both, as this budget's are.

        Raises:
            SettingError: as `allows`.
        """
        used = _amounts(spent, self._limits)
        own = {name: used[name] + max(limit - used[name], 0) / count for name, limit in self._limits.items()}
        found: dict[str, Any] = {n: limit if n in ("seconds", "money") else int(limit) for n, limit in own.items()}
        if self.wall is not None:
            found["wall"] = elapsed + max(self.wall - elapsed, 0) / count
        return replace(self, **found)

    def _exceeded(self, spent: Cost, ahead: Cost) -> list[str]:
        total = _amounts(spent + ahead, self._limits)
        return [name for name, limit in self._limits.items() if total[name] > limit * (1 + _ROUNDING)]

    def _text(self, name: str, amount: float) -> str:
        if name == "seconds":
            return f"{format_seconds(amount)} of device time"
        return self.table.text(amount) if name == "money" else counted(amount, name[:-1], ",")


def as_budget(given: object) -> Budget:
    """The budget that a `budget` argument stands for; None limits nothing.

    Raises:
        SettingError: it is none.
    """
    if not isinstance(given, (Budget, type(None))):
        raise SettingError(f"budget: write budget=qngd.Budget(shots=100_000); got {shown(given)}")
    return given or Budget()


def _amounts(cost: Cost, names: dict[str, float]) -> dict[str, float]:
    """What is limited of a cost; SettingError where that is not known."""
    found = {name: getattr(cost, name) for name in names}
    for name, amount in found.items():
        if amount is None:
            raise SettingError(
                f"budget: it limits {name}, and what is spent or comes next is not known: {_HOW_TO_KNOW[name]}"
            )
    return found


class Clock:
    """The clock of one call, which may make several runs: when it began, and how long its longest step has taken."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self._now = time.monotonic if now is None else now
        self._began = self._now()
        self._longest = 0.0

    def timed(self, since: float) -> None:
        """Count a step that began when `elapsed` was so much."""
        self._longest = max(self._longest, self.elapsed - since)

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._now() - self._began

    def allows(self, wall: float | None, steps: int = 1) -> bool:
        """Whether so many steps still fit into `wall` seconds, if each takes as long as the longest."""
        if wall is None:
            return True
        return self.elapsed < wall and self.elapsed + steps * self._longest <= wall

    def lacking(self, wall: float, steps: int = 1) -> str:
        """What a step may take beside what is left."""
        left = max(0.0, wall - self.elapsed)
        return f"about {format_seconds(steps * self._longest)} by the clock where {format_seconds(left)} are left"
