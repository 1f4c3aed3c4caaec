"""The mean of the lowest part of the energies that an observable's measurement gives."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qngd._system.keywords import hinted
from qngd.errors import SettingError, is_number, shown, unboxed

_WANTED = "alpha must be a number above 0 and up to 1, or an ascending list of such numbers"


@hinted
@dataclass(frozen=True, eq=False)
class CVaR:
    """The conditional value at risk: the mean of the lowest share `alpha` of an observable's measured values
    (Barkoutsos et al., arXiv:1907.04769). It goes wherever an observable goes.

    For a search for the best bit string it asks for a good tail where the mean asks for good averages. alpha=1 is the
    mean, alpha → 0 the lowest value seen. With q the α-quantile of the values at θ, its gradient is that of the
    observable min(H − q, 0)/α + q: no other circuits are run than for the mean, and the metric is the same.

    From N shots it is estimated too high on average, by about 1/(αN) of the tail's spread where values lie densely,
    less where they have gaps: take αN of 50 or more. Standard errors hold the error of the quantile too.

    Args:
        observable: anything `expectation` takes, whose strings all commute, so that one measurement gives its values;
            from shots they must have one common basis of the `grouping` asked for.
        alpha: 0 < α ≤ 1; or an ascending list: a run of `minimize` goes through them one after the other, each for an
            equal part of max_steps or until it comes to rest (arXiv:2105.11766). A loop of one's own and an `Objective`
            take one α; at a single θ, as in `expectation`, the last one counts.

    Raises:
        SettingError: alpha is out of range, or its list does not ascend.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> round(float(qngd.expectation(circuit, qngd.CVaR({"Z": 1.0}, 0.5), [1.0])), 6)
    0.080605
    """

    observable: Any
    alpha: float | Sequence[float] = 0.25

    def __post_init__(self) -> None:
        given = unboxed(self.alpha)
        if is_number(given):
            values: tuple[Any, ...] = (given,)
        else:
            try:
                values = tuple(unboxed(value) for value in given)  # type: ignore[attr-defined]
            except TypeError:
                values = ()
        if not values or not all(is_number(value) and 0 < value <= 1 for value in values):
            raise SettingError(f"{_WANTED}; got {shown(self.alpha)}")
        if any(after <= before for before, after in itertools.pairwise(values)):
            raise SettingError(f"{_WANTED}; got {shown(self.alpha)}, which does not ascend")
        if isinstance(self.observable, CVaR):
            raise SettingError("observable: a CVaR is already one; give its observable, as in CVaR(H, alpha)")
        object.__setattr__(self, "alpha", float(values[0]) if is_number(given) else tuple(map(float, values)))

    @property
    def stages(self) -> tuple[float, ...]:
        """The numbers α that a run goes through."""
        return (self.alpha,) if isinstance(self.alpha, float) else tuple(self.alpha)
