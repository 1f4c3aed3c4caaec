"""The circuits that measure an observable's energy: groups of its strings, each with its shift rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, partial

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.measured.cutting import observable_cone, observable_template
from qngd.measured.gradient import MeasuredGroup, Rules
from qngd.measured.grouping import Grouping, group, random_paulis, spread_over
from qngd.measured.random_bases import biases, random_bases
from qngd.measured.shifts import ShiftKind, shift_rules
from qngd.measured.spectra import Spectra


class EnergyCircuits:
    """Those of one circuit, without idle qubits, and an observable, or none. See `Planner` for the arguments."""

    def __init__(
        self,
        circuit: Circuit,
        observable: Observable | None,
        grouping: Grouping,
        *,
        whole: bool,
        overlap: bool,
        of_values: bool,
    ) -> None:
        self._circuit = circuit
        self._observable = observable
        self._grouping: Grouping = grouping
        self._whole = whole
        self._overlap = overlap
        self._of_values = of_values

    @property
    def is_random(self) -> bool:
        """Whether the seed decides what is measured."""
        return random_paulis(self._grouping) is not None

    def groups_at(self, seed: int | None) -> list[MeasuredGroup]:
        """The groups of a plan with this seed, which decides where bases are drawn."""
        drawn = random_paulis(self._grouping)
        if drawn is None or self._observable is None or not len(acts := self._observable.acting):
            return self.groups
        strings, weights = self._observable.strings[acts], self._observable.coefficients[acts]
        bias, inside, rules = self._of_all
        found = []
        for rows, parts in random_bases(strings, weights, bias, drawn.bases, seed):
            template = observable_template(self._circuit, strings[rows], self._whole, inside)
            found.append(MeasuredGroup(template, parts, inside, rules))
        return found

    @cached_property
    def groups(self) -> list[MeasuredGroup]:
        """The groups where nothing is drawn."""
        if self._observable is None:
            return []
        strings, weights = self._observable.strings, self._observable.coefficients
        acts = self._observable.acting

        def circuits(rows: np.ndarray) -> int:
            return self._circuits_of(strings[acts[rows]])

        # a basis may add as many gates as the circuit has, or two a qubit
        gates = max(2 * self._circuit.num_qubits, int((np.diff(self._circuit.ops.start) > 1).sum()))
        sets = group(strings[acts], weights[acts], self._grouping, circuits, gates)
        if self._grouping != "auto" or not self._overlap or len(sets) < 2:
            return [self._group(strings[acts[rows]], weights[acts[rows]]) for rows in sets]

        def same(few: np.ndarray, more: np.ndarray) -> bool:
            return circuits(few) == circuits(more)

        shared = [(acts[rows], parts) for rows, parts in spread_over(strings[acts], sets, same)]
        return [self._group(strings[rows], weights[rows] * parts) for rows, parts in shared]

    def _group(self, strings: PauliStrings, weights: np.ndarray) -> MeasuredGroup:
        inside = observable_cone(self._circuit, strings)
        template = observable_template(self._circuit, strings, self._whole, inside)
        return MeasuredGroup(template, weights, inside, self._rules_by_kind(template.strings, inside))

    @cached_property
    def _of_all(self) -> tuple[np.ndarray, np.ndarray, Callable[[ShiftKind], Rules]]:
        """What bases are drawn by, and what counts of every basis as if it measured all strings, since at every seed
        there must be as many circuits: the rotations inside, and their rules."""
        assert self._observable is not None
        acts = self._observable.acting
        strings = self._observable.strings[acts]
        inside = observable_cone(self._circuit, strings)
        return biases(strings, self._observable.coefficients[acts]), inside, self._rules_by_kind(strings, inside)

    def _circuits_of(self, strings: PauliStrings) -> int:
        """What the energy of these strings and its gradient take."""
        rules, _ = self._rules_of(strings, observable_cone(self._circuit, strings), "auto")
        return 1 + sum(2 * len(each.shifts) for each in rules)

    def _rules_by_kind(self, strings: PauliStrings, inside: np.ndarray) -> Callable[[ShiftKind], Rules]:
        """The shift rules of these strings for every kind, found when it is asked for first."""
        return cache(partial(self._rules_of, strings, inside))

    def _rules_of(self, strings: PauliStrings, inside: np.ndarray, kind: ShiftKind) -> Rules:
        """Those of a kind for the energy of these strings, which depends on the rotations `inside`."""

        def spectrum(members: np.ndarray, coefficients: np.ndarray) -> np.ndarray | None:
            return self._spectra.of(strings, members, coefficients)

        # of a CVaR it is the distribution that must follow, not the mean of each string
        known = None if self._of_values else spectrum
        return shift_rules(self._circuit, self._circuit.angle_map.linear, inside, known, kind)

    @cached_property
    def _spectra(self) -> Spectra:
        return Spectra(self._circuit)
