"""E(θ) = ½θᵀHθ with a constant metric: what an evaluation says of it, and an evaluator that answers for it."""

from __future__ import annotations

import dataclasses

import numpy as np

from qngd.damping import PseudoInverse
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.metrics import Full, Identity
from qngd.solve.direction import Direction, natural_direction
from qngd.step import Trial
from tests.strategies import Sketch

HESSIAN = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]])
METRIC = np.array([[0.25, 0.05, 0.0], [0.05, 0.2, 0.02], [0.0, 0.02, 0.1]])
START = np.array([1.0, -2.0, 0.5])
ALONE, FULL = Cost(jobs=1, circuits=1), Cost(jobs=1, circuits=3, shots=50)  # an energy, and all there is


# --- one evaluation, for rules that are asked by hand ---


def at(energy=0.0, gradient=(0.3, -0.2), metric=((0.25, 0.05), (0.05, 0.1)), *, stderr=0.0, covariance=None):
    """What an evaluation says; where it was made does not matter to a rule."""
    slope = None
    if gradient is not None:
        gradient = np.array(gradient, dtype=float)
        spread = np.zeros((len(gradient),) * 2) if covariance is None else np.array(covariance, dtype=float)
        slope = Estimate(gradient, np.sqrt(np.diag(spread)), 0 if covariance is None else 100, spread)
    return Evaluation(
        theta=np.zeros(0),
        energy=Estimate(np.float64(energy), np.float64(stderr)),
        gradient=slope,
        metric=None if metric is None else MetricTensor.exact(np.array(metric, dtype=float), "full"),
        cost=Cost(),
    )


def toward(here, damping=None) -> Direction:
    return natural_direction(here.metric, here.gradient, damping or PseudoInverse())


def no_probe(shifts):
    raise AssertionError("this rule asks for no energies")


def tried(rule, here, there, memory=None, damping=None, probe=no_probe) -> Trial:
    """The trial that `rule` makes from `here` and that finds what `there` says."""
    direction = toward(here, damping)
    return Trial(rule.propose(direction, here, memory or rule.start(), probe), direction, here, there)


# --- an evaluator, for optimizers ---


class Parabola(Evaluator):
    """Writes down every question; answers may be spoiled."""

    name = "a parabola"
    is_exact = True

    def __init__(self, hessian=HESSIAN, metric=METRIC):
        self.circuit = Sketch(1, len(hessian)).circuit()
        self.hessian, self.matrix = hessian, metric
        self.asked = []
        self.spoil = {}  # number of the call -> what is wrong with its answer

    def default_metric(self):
        return Full()

    def energies(self, points, seed, spread=None):
        """In one submission, whose cost is that of one energy each, in one job."""
        found = [self.evaluate(theta, gradient=False, metric=None, seed=seed, spread=None).energy for theta in points]
        return found, self.preview_energies(points[0], len(points))

    def preview_energies(self, theta, count, spread=None):
        return dataclasses.replace(ALONE, circuits=count * ALONE.circuits)

    def preview(self, theta, *, gradient, metric, spread):
        return FULL if gradient or metric else ALONE

    def metric_product(self, theta):
        if not self.is_exact:
            raise SettingError("no product here")
        return self.matrix.__matmul__

    def metric(self, theta, metric, seed=None):
        return MetricTensor.exact(self.metric_at(theta), metric.name)

    def metric_at(self, theta):
        """The metric there."""
        return self.matrix

    def evaluate(self, theta, *, gradient, metric, seed, spread):
        self.asked.append((theta.copy(), gradient, None if metric is None else metric.name, seed, spread))
        fault = self.spoil.get(len(self.asked))
        if isinstance(fault, BaseException):
            raise fault
        energy, slope, matrix = 0.5 * theta @ self.hessian @ theta, self.hessian @ theta, self.metric_at(theta)
        if isinstance(metric, Identity):
            matrix = np.eye(len(theta))
        if fault is not None:
            energy, slope, matrix = (
                part * np.nan if name in fault else part
                for name, part in (("energy", energy), ("gradient", slope), ("metric", matrix))
            )
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(energy)),
            gradient=Estimate.exact(slope) if gradient else None,
            metric=None if metric is None else MetricTensor.exact(matrix, metric.name),
            cost=FULL if gradient or metric else ALONE,
        )


class Sampled(Parabola):
    """The same with Gaussian noise that the seed determines, and a spread to hand on."""

    is_exact = False
    covariance = 1e-4 * np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.3]])

    def evaluate(self, theta, *, gradient, metric, seed, spread):
        exact = super().evaluate(theta, gradient=gradient, metric=metric, seed=seed, spread=spread)
        rng = np.random.default_rng(seed)
        energy = Estimate(exact.energy.value + 1e-3 * rng.normal(), np.float64(1e-3), 50)
        slope = exact.gradient
        if slope is not None:
            noisy = rng.multivariate_normal(slope.value, self.covariance)
            slope = Estimate(noisy, np.sqrt(np.diag(self.covariance)), 50, self.covariance)
        seen = Spread(*rng.random((3, 3)))
        return dataclasses.replace(exact, energy=energy, gradient=slope, spread=seen)


class Curved(Parabola):
    """A metric that changes with θ: diag(1/(4 + θ_i²))."""

    def metric_at(self, theta):
        return np.diag(1 / (4 + theta**2))


def walk(optimizer, evaluator, theta, steps, **how):
    """The state and the infos after so many steps."""
    state = optimizer.init(evaluator, np.array(theta, dtype=float), **how)
    infos = []
    for _ in range(steps):
        state, info = optimizer.step(evaluator, state)
        infos.append(info)
    return state, infos
