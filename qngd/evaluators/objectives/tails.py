"""Outputs that are a CVaR: the mean of the lowest share of an observable's values, with each sample's own quantile.

With the quantile q at θ, the output is ⟨h⟩ of h(x) = min(E(x) − q, 0)/α + q, and its derivative that of ⟨h⟩ with q held
fixed (see `qngd.estimates.tail`): such outputs have a chain rule and errors as all others do. An error of q moves the
derivatives of an output alone, and all its circuits together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError
from qngd.estimates.tail import tail_function
from qngd.evaluators.tail import Distribution
from qngd.exact.batch import BatchAngles, BatchSimulator, Kind
from qngd.measured.outcomes import Counts, Outcome
from qngd.measured.plan import Plan
from qngd.measured.tail import Tail, counts_of, energies_of
from qngd.measured.template import Template


class WithTails:
    """A `BatchSimulator` with the outputs in the columns of `shares`, by their α, read as a CVaR of the circuit's
    `observables` (K)."""

    def __init__(
        self,
        inner: BatchSimulator,
        circuit: Circuit,
        observables: Sequence[Observable],
        shares: Mapping[int, float],
    ) -> None:
        self.inner = inner
        self.simulator = inner.simulator
        self._tails = {k: Distribution(circuit, observables[k], share) for k, share in shares.items()}

    def forward(
        self, angles: BatchAngles, kind: Kind | None
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[[np.ndarray], np.ndarray]]:
        """As `BatchSimulator.forward`."""
        values, metric, of_means = self.inner.forward(angles, kind)
        for k, tail in self._tails.items():
            values[:, k] = [tail.value(phi)[0] for phi in angles.phi]

        def gradients(weights: np.ndarray) -> np.ndarray:
            others = weights.copy()
            others[:, list(self._tails)] = 0.0
            over_rotations = np.zeros_like(angles.phi)
            for k, tail in self._tails.items():
                for row in np.flatnonzero(weights[:, k]):
                    over_rotations[row] += weights[row, k] * tail.value_and_slope(angles.phi[row])[2]
            found: np.ndarray = of_means(others) + angles.over_parameters(over_rotations)
            return found

        return values, metric, gradients


class _Reader(Protocol):
    """What tells the coefficients (K, m) of outputs over a template's strings, and their constants (K,)."""

    @property
    def constants(self) -> np.ndarray: ...

    def coefficients(self, template: Template) -> np.ndarray: ...


class MeasuredTails:
    """The tails of some outputs in what came back for a sample: `shares` gives their α by their number k."""

    def __init__(self, plan: Plan, outcomes: Sequence[Outcome], reader: _Reader, shares: Mapping[int, float]) -> None:
        self._weights = [
            None if known is None else reader.coefficients(template)
            for template, known in zip(plan.templates, plan.coefficients, strict=True)
        ]
        self._constants = reader.constants
        readings = [plan.reading(r) for r in range(plan.num_circuits)]
        self._tails = {k: self._tail(plan, outcomes, readings, k, share) for k, share in shares.items()}
        self.correlation = self._correlation(plan, outcomes, readings)

    @property
    def outputs(self) -> list[int]:
        """Their numbers."""
        return list(self._tails)

    def _own(self, plan: Plan, k: int) -> Plan:
        """The plan of one output alone."""
        coefficients = tuple(None if each is None or not each[k].any() else each[k] for each in self._weights)
        own = np.array([coefficients[request.template] is not None for request in plan.requests], dtype=bool)
        return replace(
            plan, coefficients=coefficients, energy_weights=np.where(own, plan.energy_weights, 0.0),
            constant=float(self._constants[k]),
        )  # fmt: skip

    def _tail(self, plan: Plan, outcomes: Sequence[Outcome], readings: list[Template], k: int, share: float) -> Tail:
        return Tail.of(replace(self._own(plan, k), share=share), outcomes, readings)

    def of(self, k: int) -> Tail:
        """That of output k."""
        return self._tails[k]

    def read(self, k: int, counts: Counts, template: Template, weights: np.ndarray) -> tuple[np.ndarray, float]:
        """Of output k, whose strings have these weights (m,): h of every distinct outcome (U,) without the constant,
        and what an error of the quantile of one standard error moves its mean by."""
        tail = self._tails[k]
        energies = tail.constant + energies_of(counts, template, weights)
        low, here, high = (tail_function(energies, q, tail.share) for q in (tail.between[0], tail.q, tail.between[1]))
        moved = 0.5 * float(counts.counts @ (high - low)) / counts.shots
        return here - tail.constant, moved

    def _correlation(self, plan: Plan, outcomes: Sequence[Outcome], readings: list[Template]) -> np.ndarray:
        """Of the errors of the quantiles (n, n), of which those of one circuit come from the same shots: that of being
        below them."""
        found = np.eye(len(self._tails))
        below: list[tuple[int, np.ndarray] | None] = []
        for k, tail in self._tails.items():
            own = self._own(plan, k)
            places = np.flatnonzero(own.energy_weights)
            if not len(places):
                below.append(None)
                continue
            place = int(places[0])
            counts, weights = counts_of(outcomes[place]), own.coefficients[plan.requests[place].template]
            assert weights is not None
            inside = tail.constant + energies_of(counts, readings[place], weights) <= tail.q
            below.append((place, inside - float(counts.counts @ inside) / counts.shots))
        for i, one in enumerate(below):
            for j, other in enumerate(below[:i]):
                if one is not None and other is not None and one[0] == other[0]:
                    seen = counts_of(outcomes[one[0]]).counts
                    sizes = np.sqrt((seen @ one[1] ** 2) * (seen @ other[1] ** 2))
                    found[i, j] = found[j, i] = seen @ (one[1] * other[1]) / sizes if sizes > 0 else 0.0
        return found


def check_one_circuit(templates: Sequence[np.ndarray], shares: Mapping[int, float], grouping: object) -> None:
    """Raise ObservableError unless the strings of every such output are measured by one circuit; of every template its
    coefficients (K, m)."""
    for k in shares:
        if sum(bool(weights[k].any()) for weights in templates) > 1:
            raise ObservableError(
                f"observables: output {k} is a CVaR, which needs all values from the same shots, and its strings are "
                f"measured by several circuits with grouping={grouping!r}; "
                + ('take grouping="commuting", or ' if grouping != "commuting" else "")
                + "give it a circuit of its own: Objective([circuit, circuit], [others, CVaR(…)], loss)"
            )
