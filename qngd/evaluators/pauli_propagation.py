"""Answers by Pauli propagation: approximate, for circuits whose light cones are too wide."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from qngd.circuit.active import without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import QngdWarning
from qngd.estimates.estimate import Estimate
from qngd.evaluators.engine import EngineEvaluator
from qngd.evaluators.light_cone import cone_simulator_of, metric_outlook, require_mean
from qngd.exact.cones.outlook import Crowd
from qngd.exact.point import Point
from qngd.exact.propagation import LeftOut, PauliPropagation, Propagator
from qngd.metrics.base import Metric
from qngd.metrics.names import as_metric

NAME = "pauli-propagation"  # of the backend

_METRIC_WORK = 1e10  # amplitudes that the cones' rotations touch: a metric that takes more is none by default


def truncation_of(backend: Any) -> PauliPropagation | None:
    """What is left out, if a backend is Pauli propagation."""
    if isinstance(backend, str) and backend == NAME:
        return PauliPropagation()
    return backend if isinstance(backend, PauliPropagation) else None


class PropagationEvaluator(EngineEvaluator):
    """Answers by Pauli propagation, metrics by light cones. The standard error of an energy is √Σc² over the strings
    that were left out; a gradient is that of the energy that is computed, and has none.

    Warns:
        QngdWarning: what was left out adds up to more than the observable's own range, so that nothing bounds the
            error; once.
    """

    _engine: Propagator

    def __init__(self, circuit: Circuit, observable: Observable | None, truncation: PauliPropagation) -> None:
        self._truncation = truncation
        engine = Propagator(without_idle(circuit), truncation, cone_simulator_of(circuit))
        super().__init__(circuit, observable, engine)
        self._most = LeftOut()  # of all energies so far
        self._has_warned = False

    @property
    def name(self) -> str:  # type: ignore[override]
        t = self._truncation
        weight = "" if t.weight is None else f", weight={t.weight}"
        return f"Pauli propagation (coefficient={t.coefficient:g}, count={t.count}{weight})"

    @property
    def note(self) -> str:  # type: ignore[override]
        """How far energies may be off."""
        if not self._most.strings:
            return ""
        plain = "" if self._has_metric else "; light cones of a metric are too wide, so that the default is none"
        return f"approximate, by Pauli propagation: {self.left_out_text(self._most)}{plain}"

    def left_out_text(self, left_out: LeftOut) -> str:
        """What was left out, in words."""
        if left_out.bound == 0:
            return "no string was left out of an energy"
        held = "" if self._bounds(left_out) else ", more than the observable's range, so that this is no bound"
        return (
            f"the strings that were left out of an energy add up to {left_out.bound:.2g} at most{held}; "
            f"it is off by about {left_out.norm:.2g} if their signs are random"
        )

    def default_metric(self) -> Metric:
        """Block-diagonal where its light cones are narrow, else none: plain gradients."""
        return as_metric("block-diag" if self._has_metric else "identity")

    @cached_property
    def _has_metric(self) -> bool:
        found = self._engine.cones.derivatives
        return bool(found.have_states and found.states.work.sum() <= _METRIC_WORK)

    def outlook(self, theta: np.ndarray) -> LeftOut:
        """What an energy with its gradient leaves out and takes at θ."""
        self._require_terms()
        self._engine.energy_and_gradient(self.circuit.angle_map(theta), self._terms)
        return self._engine.left_out

    def metric_outlook(self, metric: Metric) -> Crowd | None:
        """As the function of that name."""
        return metric_outlook(self._engine.cones, metric)

    def _as_estimate(self, energy: float) -> Estimate:
        seen = self._engine.left_out
        self._most = self._most | seen
        if not self._bounds(seen) and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"backend: {NAME}: {self.left_out_text(seen)}; compare with a smaller coefficient, as in "
                f"backend=qngd.PauliPropagation(coefficient={self._truncation.coefficient / 10:g}), or a larger count",
                QngdWarning,
                stacklevel=2,
            )
        return Estimate(np.float64(energy), np.float64(seen.norm))

    def _bounds(self, left_out: LeftOut) -> bool:
        """Whether Σ|c| says more than that no energy is further from the mean than the observable's norm."""
        return self._pulled is None or left_out.bound <= self._pulled.norm_bound

    def _point(self, point: Point) -> Point:
        return replace(point, other_engine=self._engine)


def evaluator(
    circuit: Circuit, target: Observable | CVaR | None, shots: object, truncation: PauliPropagation
) -> PropagationEvaluator:
    """Pauli propagation, which the user asked for.

    Raises:
        SettingError: the target is no expectation value.
        BackendError: it is to give shots.
    """
    return PropagationEvaluator(circuit, require_mean(circuit, target, shots, NAME), truncation)
