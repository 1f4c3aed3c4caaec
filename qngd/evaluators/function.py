"""Answers from somebody else's function: its energies and gradients, with the metric of circuits that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from qngd._system.seeds import derived
from qngd.circuit.circuit import Circuit
from qngd.errors import ParameterError, SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.evaluators.differences import Rule, rules_at
from qngd.evaluators.given_function import Function
from qngd.evaluators.noise import Look
from qngd.gradients.base import Asked, require_shifts
from qngd.metrics.base import Metric


class FunctionEvaluator(Evaluator):
    """Energies and gradients of a `Function`; the metric is the mean of those of `metrics`, each an evaluator of a
    circuit with the function's parameters.

    Where the function has no gradient, it is taken by the rules of `differences`, which hold for expectation values of
    one circuit: at the first point of an exact function, where `look` was taken, this is checked.
    """

    is_mean = True  # as far as it is known
    name = "the function given"

    def __init__(self, function: Function, metrics: Sequence[Evaluator], look: Look) -> None:
        self.circuit = metrics[0].circuit
        self.function = function
        self.stderr = look.stderr
        self._metrics = metrics
        self._look = look
        self._unchecked = self.is_exact

    @property
    def is_exact(self) -> bool:
        return self.stderr == 0

    def default_metric(self) -> Metric:
        return self._metrics[0].default_metric()

    def first_metric(self) -> Metric:
        return self._metrics[0].first_metric()

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        """The function's values at several parameter vectors (P,), and what they cost: a call each."""
        found = [self._estimate(self.function.value(theta)) for theta in points]
        return found, Cost(jobs=len(points), circuits=len(points))

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        """What `energies` at so many points would cost."""
        return Cost(jobs=count, circuits=count)

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        before = self.function.num_energies + self.function.num_gradients
        energy = self._estimate(self.function.value(theta))
        slope = self._gradient(theta) if require_shifts(gradient, "a function of yours") else None
        calls = self.function.num_energies + self.function.num_gradients - before
        tensor = None if metric is None else self.metric(theta, metric, seed)
        return Evaluation(theta, energy, slope, tensor, Cost(jobs=calls, circuits=calls))

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        if len(self._metrics) == 1:
            return self._metrics[0].metric(theta, metric, seed)
        # each with a seed of its own, since their errors are added as those of independent estimates
        found = [one.metric(theta, metric, derived(seed, number)) for number, one in enumerate(self._metrics)]
        errors = np.sqrt(np.sum([one.stderr**2 for one in found], axis=0)) / len(found)
        value = np.mean([one.value for one in found], axis=0)
        return MetricTensor(value, errors, metric.name, sum(one.shots for one in found), found[0].note)

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        calls = 1
        if gradient:
            calls += 1 if self.function.gradient else 2 * sum(len(rule.shifts) for rule in self._rules(theta))
        return Cost(jobs=calls, circuits=calls)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        products = [one.metric_product(theta) for one in self._metrics]
        return lambda vector: np.asarray(np.mean([product(vector) for product in products], axis=0))

    def _estimate(self, value: float) -> Estimate:
        return Estimate(np.float64(value), np.float64(self.stderr), shots=0 if self.is_exact else 1)

    def _gradient(self, theta: np.ndarray) -> Estimate:
        if self.function.gradient is not None:
            slope = self.function.slope(theta)
            # by two values of the same precision, as the shift rule of one rotation takes it
            errors = np.full(len(theta), self.stderr / np.sqrt(2))
        else:
            rules = self._rules(theta)
            slope = np.array([self._along(theta, j, rule) for j, rule in enumerate(rules)])
            errors = self._look.roughness * np.sqrt([2 * np.sum(rule.weights**2) for rule in rules])
            if self._unchecked:
                self._check(slope, rules)
        return Estimate(slope, errors, 0 if self.is_exact else 1, None if self.is_exact else np.diag(errors**2))

    def _rules(self, theta: np.ndarray) -> list[Rule]:
        if not self.circuit.angle_map.is_affine:
            return rules_at(self.circuit, theta, not self.is_exact)
        return self._fixed_rules

    @cached_property
    def _fixed_rules(self) -> list[Rule]:
        return rules_at(self.circuit, np.zeros(self.circuit.num_parameters), not self.is_exact)

    def _along(self, theta: np.ndarray, j: int, rule: Rule) -> float:
        unit = np.zeros(len(theta))
        unit[j] = 1.0
        pairs = zip(rule.shifts.tolist(), rule.weights.tolist(), strict=True)
        return sum(
            b * (self.function.value(theta + s * unit) - self.function.value(theta - s * unit)) for s, b in pairs
        )

    def _check(self, slope: np.ndarray, rules: Sequence[Rule]) -> None:
        """Whether the function changes as its gradient by shifts says, at the point that was looked at."""
        look, self._unchecked = self._look, False
        said = float(slope @ look.direction)
        if any(rule.is_shift for rule in rules) and abs(said - look.slope) > look.tolerance:
            raise ParameterError(
                "fun is not an expectation value of this circuit, at these parameters in this order, and so has no "
                f"gradient by shifts: along a direction it changes by {look.slope:.6g}, the shifts say {said:.6g}; "
                "give its gradient: jac=…"
            )


def check_same_parameters(circuits: Sequence[Circuit], count: int) -> None:
    """Raise ParameterError unless every circuit has so many parameters, in the same order.

    Raises:
        SettingError: there is no circuit.
    """
    if not circuits:
        raise SettingError("circuit: the list is empty; give the circuit whose metric is meant")
    for circuit in circuits:
        if circuit.num_parameters != count:
            raise ParameterError(
                f"circuit: it has {circuit.num_parameters} parameters ({', '.join(circuit.parameters[:6])}"
                f"{', …' if circuit.num_parameters > 6 else ''}), and x0 has {count} values; give the circuit that fun "
                "runs, with values assigned to its data (one circuit for every sample, in a list)"
            )
        if circuit.parameters != circuits[0].parameters:
            raise ParameterError("circuit: those of a list must have the same parameters, in the same order")
