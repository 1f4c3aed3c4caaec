"""The plans of all samples and circuits as one submission. The samples of a circuit share its templates, so that a
device compiles each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.bound import AffineAngles
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import SettingError
from qngd.evaluators.objectives.model import DataCircuit
from qngd.evaluators.objectives.tails import check_one_circuit
from qngd.gradients.base import Asked
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping, random_paulis
from qngd.measured.metric import MeasuredMetric
from qngd.measured.plan import OF_TAILS, Plan, Request, Starts, Submission
from qngd.measured.planner import Planner, require_all_values
from qngd.measured.template import Template
from qngd.metrics.full import Full
from qngd.metrics.layers import BlockDiagonal, Diagonal

_OF_ANGLES = (Diagonal, BlockDiagonal, Full)  # metrics whose circuits take the angles as they are


class DataPlanner:
    """Plans the samples of a part; all its outputs are measured by the same circuits."""

    def __init__(self, part: DataCircuit, grouping: Grouping, cross: CrossMethod, whole: bool) -> None:
        self.part = part
        active = without_idle(part.circuit)
        self._cross = cross
        self._own = [as_measured(each, part.circuit) for each in part.observables]
        self._mixing, union = _union(self._own)
        self._place = {key: row for row, key in enumerate(_keys(union.strings))}
        if random_paulis(grouping) is not None:
            raise SettingError('grouping: an Objective measures all outputs together; take grouping="auto"')
        for k in part.shares:
            require_all_values(part.observables[k], part.circuit)
        self._first = Planner(active, union, grouping, cross, whole, overlap=False, of_values=bool(part.shares))
        self._grouping = grouping
        self._at: dict[int, Planner] = {}
        self._read: dict[int, np.ndarray] = {}

    @property
    def constants(self) -> np.ndarray:
        """What every output (K,) is without measuring."""
        return np.array([each.identity_coefficient for each in self._own])

    def plans(
        self, theta: np.ndarray, rows: np.ndarray, gradient: Asked, metric: Any, seeds: Sequence[int | None]
    ) -> list[Plan]:
        """The plans of these samples at θ (p,), each with a seed of its own.

        Where all have one Jacobian, so that only their angles differ, and the metric takes these as they are, the plan
        of the first sample is that of all, its angles shifted by φ_b − φ_0.
        """
        if not self._differs_in_angles(metric):
            pairs = zip(rows, seeds, strict=True)
            found = [self.planner(int(b)).plan(theta, gradient=gradient, metric=metric, seed=s) for b, s in pairs]
            self._check(found[0])
            return found
        first = self.planner(int(rows[0])).plan(theta, gradient=gradient, metric=metric, seed=seeds[0])
        self._check(first)
        phi, _ = self.part.bound.angles.linearize(theta, rows)
        return [_shifted(first, shift) for shift in phi - phi[0]]

    def _check(self, plan: Plan) -> None:
        """Raise ObservableError where a CVaR has its values from several circuits."""
        if self.part.shares:
            pairs = zip(plan.templates, plan.coefficients, strict=True)
            own = [self.coefficients(template) for template, known in pairs if known is not None]
            check_one_circuit(own, self.part.shares, self._grouping)

    def _differs_in_angles(self, metric: Any) -> bool:
        known = metric is None or (self._cross != "overlap" and isinstance(metric, _OF_ANGLES))
        own = self.part
        return known and isinstance(own.bound.angles, AffineAngles) and not len(own.circuit.split_gates)

    def planner(self, row: int) -> Planner:
        """That of one sample."""
        if row not in self._at:
            self._at[row] = self._first.at_angles(self.part.bound.angles.of(row))
        return self._at[row]

    def coefficients(self, template: Template) -> np.ndarray:
        """C (K, m) for the strings of a template."""
        found = self._read.get(id(template))
        if found is None:
            rows = [self._place[key] for key in _keys(template.strings)]
            found = self._read[id(template)] = self._mixing[:, rows]
        return found


def _shifted(plan: Plan, shift: np.ndarray) -> Plan:
    """The plan at angles that are larger by `shift` (K,)."""
    own = [shift[template.rotations] for template in plan.templates]
    requests = tuple([Request(r.template, r.angles + own[r.template], r.shots) for r in plan.requests])
    return replace(plan, requests=requests)


def _union(observables: Sequence[Observable]) -> tuple[np.ndarray, Observable]:
    """The coefficients (K, T) over all strings, and an observable of these, with their largest weights."""
    joined = PauliStrings.joined([each.strings for each in observables])
    place: dict[bytes, int] = {}
    columns = np.array([place.setdefault(key, len(place)) for key in _keys(joined)], dtype=np.int64)
    mixing = np.zeros((len(observables), len(place)))
    owner = np.repeat(np.arange(len(observables)), [len(each) for each in observables])
    np.add.at(mixing, (owner, columns), np.concatenate([each.coefficients for each in observables]))
    first = np.unique(columns, return_index=True)[1]
    return mixing, Observable(joined[first], np.abs(mixing).max(axis=0))


def _keys(strings: PauliStrings) -> list[bytes]:
    return [x.tobytes() + z.tobytes() for x, z in zip(strings.x, strings.z, strict=True)]


@dataclass(frozen=True, eq=False)
class Piece:
    """The plan of one sample of a part: its place in the batch, and where its requests begin in the submission."""

    planner: DataPlanner
    sample: int
    place: int
    plan: Plan
    start: int

    @property
    def columns(self) -> slice:
        return self.planner.part.columns

    @property
    def parameters(self) -> np.ndarray:
        return self.planner.part.parameters


@dataclass(frozen=True, eq=False)
class JointPlan(Submission):
    """All pieces as one; `energy_weights` (R,) are nonzero for the requests of outputs."""

    pieces: tuple[Piece, ...]
    energy_weights: np.ndarray
    mixing = None  # of one energy: a loss has others
    averages_gradients = False
    is_curved = True
    least_shots: int = 1
    starts: Starts = field(default_factory=Starts)

    @property
    def metric(self) -> MeasuredMetric | None:
        """The metric that is measured, or None."""
        return self.pieces[-1].plan.metric

    @property
    def has_gradient(self) -> bool:
        return any(piece.plan.has_gradient for piece in self.pieces)

    @property
    def share(self) -> float | None:
        """The smallest α of outputs that are a CVaR, or None."""
        return min((α for piece in self.pieces for α in piece.planner.part.shares.values()), default=None)

    @property
    def of_single_shots(self) -> str:
        if any(piece.planner.part.shares for piece in self.pieces):
            return OF_TAILS
        return next(filter(None, (piece.plan.of_single_shots for piece in self.pieces)), "")

    def shots_for_metric(self, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        """As of a `Plan`, for the average over the samples: with M pieces that add to an entry and B samples, errors of
        B/√M in each make one of 1 in the average."""
        own = [piece for piece in self.pieces if piece.plan.metric is not None]
        count = len({piece.place for piece in own})
        found = needed.copy()
        for piece in own:
            rows = slice(piece.start, piece.start + piece.plan.num_circuits)
            part = piece.plan.shots_for_metric(seen[rows], error * count / np.sqrt(len(own)), found[rows])
            found[rows] = part
        return found

    @classmethod
    def of(cls, pieces: Sequence[tuple[DataPlanner, int, int, Plan]]) -> JointPlan:
        """From planner, sample, place and plan of every piece."""
        number: dict[int, int] = {}
        templates: list[Template] = []
        coefficients: list[np.ndarray | None] = []
        requests: list[Request] = []
        made = []
        for planner, sample, place, plan in pieces:
            own = []
            for template, weights in zip(plan.templates, plan.coefficients, strict=True):
                if id(template) not in number:
                    number[id(template)] = len(templates)
                    templates.append(template)
                    coefficients.append(weights)
                own.append(number[id(template)])
            made.append(Piece(planner, sample, place, plan, len(requests)))
            requests += [Request(own[r.template], r.angles, r.shots) for r in plan.requests]
        of_energy = np.concatenate([np.zeros(0), *(plan.energy_weights for *_, plan in pieces)])
        return cls(tuple(templates), tuple(coefficients), tuple(requests), tuple(made), of_energy)
