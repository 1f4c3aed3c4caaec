"""From a circuit and θ to a plan: which circuits to run, with which angles."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from qngd.circuit.active import active_qubits, as_measured, flips_zeros, without_idle
from qngd.circuit.angles import AngleMap
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError, SettingError
from qngd.measured.book import Book
from qngd.measured.cross import CrossMethod, check_cross, overlap_template
from qngd.measured.deflation import Penalties
from qngd.measured.draft import Draft
from qngd.measured.energy_circuits import EnergyCircuits
from qngd.measured.gradient import AskedGradient, MeasuredGradient, MeasuredGroup, Rules, all_shifts
from qngd.measured.grouping import Grouping, check_grouping
from qngd.measured.metric import MeasuredMetric
from qngd.measured.plan import Overlaps, Plan
from qngd.measured.shifts import ShiftKind, shift_rules


def require_all_values(observable: Observable, circuit: Circuit) -> None:
    """Raise ObservableError where strings of an observable are not measured, whose values a CVaR would miss. A Z where
    no gate acts is 1 in every shot, and misses nothing."""
    if flips_zeros(observable, active_qubits(circuit)):
        raise ObservableError(
            "observable: a string of it has X or Y on a qubit that no gate acts on, whose values this CVaR would "
            "miss; put a gate there (a rotation by 0), or leave the string out"
        )


class Planner:
    """Plans steps of one circuit and observable, on the circuit's active qubits. The templates are made once; a plan
    only adds angles.

    `observable` may be None where only a metric is wanted. With `whole`, energies are measured with the whole circuit,
    for a backend that runs it as the user wrote it. With a `share` energies are those of a CVaR with this α. Without
    `overlap` no string is measured by two circuits. With `of_values`, shifted circuits are to tell the distribution of
    the values, as a CVaR needs it, and not only their mean.

    Raises:
        ObservableError: a CVaR of strings that no one circuit measures.
    """

    def __init__(
        self,
        circuit: Circuit,
        observable: Observable | None,
        grouping: Grouping = "qubit-wise",
        cross: CrossMethod = "hadamard",
        whole: bool = False,
        share: float | None = None,
        overlap: bool = True,
        of_values: bool = False,
    ) -> None:
        check_grouping(grouping)
        check_cross(cross)
        self.circuit = without_idle(circuit)
        self.observable = None if observable is None else as_measured(observable, circuit)
        self._grouping: Grouping = grouping
        self._cross: CrossMethod = cross
        self._kept: dict[Any, Any] = {}
        self._kept_of_angles: dict[Any, Any] = {}
        self._share = share
        self._lifts: list[MeasuredGroup] = []
        self._of_energy = EnergyCircuits(
            self.circuit, self.observable, grouping,
            whole=whole, overlap=overlap, of_values=of_values or share is not None,
        )  # fmt: skip
        if share is not None:
            self._require_one_basis(circuit, observable)

    def lifted(self, penalties: Penalties) -> Planner:
        """The same planner, with penalties on the overlaps with these states in the energy."""
        circuit, found = self.circuit, copy.copy(self)
        template = overlap_template(circuit, circuit.num_layers - 1)
        back = np.split(template.rotations, 2)[1]
        nothing, everything = np.zeros(len(template.strings)), np.ones(len(circuit.level), dtype=bool)
        rules = cache(self._rules_of_overlaps)
        lifts = [
            MeasuredGroup(template, nothing, everything, rules, float(weight), -circuit.angle_map(theta)[back])
            for theta, weight in zip(penalties.thetas, penalties.weights, strict=True)
        ]
        vars(found).update(_lifts=lifts, _kept={}, _kept_of_angles={})
        return found

    @property
    def is_random(self) -> bool:
        """Whether the seed decides what is measured of the observable."""
        return self._of_energy.is_random

    def at_angles(self, angle_map: AngleMap) -> Planner:
        """The same planner for other angles that the same parameters move, as those of another sample of data: it has
        the same templates."""
        _ = self._rules
        found = copy.copy(self)
        vars(found).update(circuit=self.circuit.with_angles(angle_map), _kept_of_angles={})
        return found

    def _require_one_basis(self, circuit: Circuit, given: Observable | None) -> None:
        if self.is_random:
            raise SettingError('grouping: a CVaR needs all values from the same shots; take grouping="commuting"')
        if given is None or self.observable is None:
            raise ObservableError("observable: a CVaR needs one, and none was given")
        require_all_values(given, circuit)
        groups = self._of_energy.groups
        if len(groups) > 1:
            labels = [group.template.strings[[0]].labels()[0] for group in groups[:2]]
            raise ObservableError(
                f"observable: a CVaR needs all values from the same shots, and {labels[0]} and {labels[1]} are "
                f'measured by different circuits with grouping="{self._grouping}"'
                + ('; take grouping="commuting"' if self._grouping == "qubit-wise" else "")
            )

    @cached_property
    def _rules(self) -> Rules:
        """Those for whatever may be measured. The same at every θ, so that every step takes the same circuits."""
        return shift_rules(self.circuit, self.circuit.angle_map.linear)

    def _rules_of_overlaps(self, kind: ShiftKind) -> Rules:
        return self._rules if kind == "auto" else shift_rules(self.circuit, self.circuit.angle_map.linear, kind=kind)

    def draft(self, theta: np.ndarray, seed: int | None = None) -> Draft:
        """An empty plan at `theta` (P,), to be filled."""
        angle_map = self.circuit.angle_map
        phi, inner = angle_map.chain(theta)
        return Draft(
            self.circuit, theta, phi, inner, angle_map.jacobian(inner), self._rules, self._cross, seed, Book(),
            self._kept, self._kept_of_angles,
        )  # fmt: skip

    def plan(
        self,
        theta: np.ndarray,
        *,
        energy: bool = True,
        gradient: bool | MeasuredGradient = True,
        metric: MeasuredMetric | None = None,
        seed: int | None = None,
    ) -> Plan:
        """The requests of one step at the flat parameter vector `theta` (P,), without shots; `seed` is for the random
        circuits of some metrics and gradients.

        Raises:
            SettingError: the metric needs an observable, or circuits that this gradient does not run.
        """
        if metric is not None:
            metric.require(self.observable)
            gradient = gradient or metric.needs_gradient
            self._check_grouping(metric)
        if not isinstance(gradient, bool) and (refusal := self.refusal(gradient, metric)):
            raise SettingError(refusal)
        draft = self.draft(theta, seed)
        groups, lifts = self._numbered(draft.book, seed) if energy or gradient else ([], [])
        measured, book = [*groups, *lifts], draft.book
        energies = [book.request(each.number, each.angles(draft.phi)) for each in measured if energy]
        counts = [each.weight for each in measured if energy]
        asked = _asked(draft, measured, gradient)
        terms = None if metric is None else metric.asked(draft)
        return Plan(
            templates=tuple(book.templates),
            coefficients=tuple(book.coefficients),
            requests=tuple(book.requests),
            constant=self.observable.identity_coefficient if self.observable else 0.0,
            energy_weights=np.bincount(energies, counts, len(book.requests)).astype(float),
            slopes=draft.slope_matrix(asked.entries, asked.mixing.shape[1]),
            mixing=asked.mixing if gradient else None,
            chance=asked.chance,
            bases=len(groups) if self.is_random else None,
            overlaps=Overlaps(lifts[0].number, tuple(energies[len(groups) :])) if lifts else None,
            jacobian=draft.jacobian,
            metric=metric,
            terms=terms,
            share=self._share,
        )

    def _numbered(self, book: Book, seed: int | None) -> tuple[list[MeasuredGroup], list[MeasuredGroup]]:
        """What measures the energy, entered into the book: groups of the observable, and overlaps, which have one
        template."""
        groups = [
            replace(each, number=book.template(each.template, each.coefficients))
            for each in self._of_energy.groups_at(seed)
        ]
        if not self._lifts:
            return groups, []
        number = book.template(self._lifts[0].template, self._lifts[0].coefficients)
        return groups, [replace(each, number=number) for each in self._lifts]

    def refusal(self, gradient: MeasuredGradient, metric: MeasuredMetric | None) -> str:
        """Why this way to take gradients does not go with what is measured; empty where it does."""
        if not gradient.is_random:
            return ""
        if metric is not None and metric.needs_gradient:
            return (
                f'approx="{metric.name}" is estimated from all circuits of the shift rules, and '
                f'gradient="{gradient.name}" runs a random part; take gradient="shift", or another approx'
            )
        if self.is_random:
            return (
                f'grouping: the error of random measurements and of gradient="{gradient.name}" together is not known; '
                'take gradient="shift", or grouping="auto"'
            )
        if self._share is not None:
            return f'gradient="{gradient.name}" is that of a mean, and this is a CVaR; take gradient="shift"'
        return ""

    def _check_grouping(self, metric: MeasuredMetric) -> None:
        if metric.needs_gradient and self._grouping not in ("qubit-wise", "commuting"):
            raise SettingError(
                f'approx="{metric.name}" measures every string in one circuit; take grouping="qubit-wise" or '
                '"commuting", or another approx'
            )


def _asked(draft: Draft, groups: Sequence[MeasuredGroup], gradient: bool | MeasuredGradient) -> AskedGradient:
    if not gradient:
        return AskedGradient([], draft.mixed([]))
    return all_shifts(draft, groups) if gradient is True else gradient.asked(draft, groups)
