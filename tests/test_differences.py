"""Gradients of functions of θ from their values, against derivatives of the statevector's energy."""

from __future__ import annotations

import numpy as np
import pytest

import qngd
from qngd.errors import SettingError
from qngd.evaluators.differences import EIGHTH_ORDER, common_divisor, rule_of, rules_at
from qngd.evaluators.given_function import Function
from qngd.evaluators.noise import look_at

TERMS = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25, "XY": 0.7}


def circuit_of(build):
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    build(circuit.h(0).ry(0.4, 1), a, b)
    return qngd.wrap(circuit)


ONCE = circuit_of(lambda c, a, b: c.ry(a, 0).cx(0, 1).rx(b, 1))
SCALED = circuit_of(lambda c, a, b: c.ry(-0.5 * a, 0).cx(0, 1).rx(3 * b, 1))
SHARED = circuit_of(lambda c, a, b: c.ry(a, 0).rz(2 * a, 1).cx(0, 1).rx(b, 1).ry(b, 0).rz(b, 0).rx(0.5 * b, 1))
MANY = circuit_of(lambda c, a, b: [c.ry(a, k % 2).cx(0, 1).rx(b - a, 1) for k in range(4)])
UNEVEN = circuit_of(lambda c, a, b: c.ry(a, 0).rz(np.sqrt(2) * a, 1).cx(0, 1).rx(b, 1).rz(0.3 * b + a, 0))
CURVED = circuit_of(lambda c, a, b: c.ry(a * b, 0).cx(0, 1).rx(np.sin(a) + b * b, 1))
THETA = np.array([0.7, -1.3])


def by_rules(circuit, is_noisy=False):
    def energy(theta):
        return float(qngd.expectation(circuit, TERMS, theta).value)

    rules = rules_at(circuit, THETA, is_noisy)
    found = []
    for unit, rule in zip(np.eye(2), rules, strict=True):
        pairs = zip(rule.shifts, rule.weights, strict=True)
        found.append(sum(w * (energy(THETA + s * unit) - energy(THETA - s * unit)) for s, w in pairs))
    return np.array(found), [rule.is_shift for rule in rules], [len(rule.shifts) for rule in rules]


@pytest.mark.parametrize(
    ("circuit", "shifts", "counts"),
    [
        (ONCE, [True, True], [1, 1]),
        (SCALED, [True, True], [1, 1]),
        (SHARED, [True, False], [3, 4]),
        (MANY, [False, True], [4, 4]),
        (UNEVEN, [False, False], [4, 4]),
        (CURVED, [False, False], [4, 4]),
    ],
    ids=["once", "scaled", "shared", "many", "uneven", "curved"],
)
def test_a_gradient_from_values(circuit, shifts, counts):
    found, is_shift, count = by_rules(circuit)
    assert (is_shift, count) == (shifts, counts)
    exact = np.asarray(qngd.gradient(circuit, TERMS, THETA).value)
    for one, truth, shift in zip(found, exact, is_shift, strict=True):
        assert one == pytest.approx(truth, abs=1e-12 if shift else 1e-9)
    np.testing.assert_allclose(by_rules(circuit, is_noisy=True)[0], exact, atol=2e-2)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_shifts_differentiate_all_their_frequencies(count):
    rule = rule_of(np.full(count, 0.5), True, False)
    assert rule.is_shift
    for k in range(count + 1):
        assert 2 * rule.weights @ np.sin(0.5 * k * rule.shifts) == pytest.approx(0.5 * k, abs=1e-12)


def test_eighth_order():
    x = 0.1
    assert 2 * EIGHTH_ORDER @ np.sin(x * np.arange(1, 5)) / x == pytest.approx(1 - x**8 / 630, abs=1e-13)


@pytest.mark.parametrize(
    ("values", "base"),
    [
        ([2.0], 2.0),
        ([0.3, 0.1], 0.1),
        ([2.0, 3.0], 1.0),
        ([0.7 * 3, 0.7 * 5, 0.7 * 2], 0.7),
        ([1 / 3, 1 / 7], 1 / 21),
        ([1.0, np.sqrt(2)], None),
        ([1.0, 1e-4], None),
        ([], None),
    ],
)
def test_the_largest_common_divisor(values, base):
    found = common_divisor(np.array(values))
    assert found == base if base is None else found == pytest.approx(base, rel=1e-7)


# --- what a function looks like ---


def function_of(energy):
    return Function(energy, None, np.array)


def energy_of(circuit):
    return lambda theta: float(qngd.expectation(circuit, TERMS, theta).value)


@pytest.mark.parametrize("circuit", [ONCE, SHARED, MANY, UNEVEN, CURVED])
def test_an_exact_energy_is_exact_and_its_slope_is_known(circuit):
    look = look_at(function_of(energy_of(circuit)), circuit, THETA, None)
    assert look.stderr == 0
    slope = np.asarray(qngd.gradient(circuit, TERMS, THETA).value) @ look.direction
    assert look.slope == pytest.approx(slope, abs=look.tolerance)
    assert look.tolerance < 1e-3


def test_fresh_noise_is_measured():
    rng, exact = np.random.default_rng(1), energy_of(ONCE)
    found = [
        look_at(function_of(lambda x: exact(x) + 0.02 * rng.normal()), ONCE, THETA, None).stderr for _ in range(20)
    ]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("circuit", [ONCE, SHARED, MANY])
def test_roughness_of_a_fixed_seed_is_measured(circuit):
    """Other numbers at every point, and the same at every call of one."""
    exact = energy_of(circuit)

    def seeded(seed):
        def energy(theta):
            noise = np.random.default_rng([seed, *np.asarray(theta).view(np.uint64).tolist()]).normal()
            return exact(theta) + 0.02 * noise

        return look_at(function_of(energy), circuit, THETA, None).roughness

    assert np.sqrt(np.mean([seeded(seed) ** 2 for seed in range(20)])) == pytest.approx(0.02, rel=0.2)


LAYERED = circuit_of(lambda c, a, b: [c.ry(a, 0).rx(a, 1).cx(0, 1).rz(b, 1).cx(0, 1) for _ in range(2)])


@pytest.mark.parametrize("circuit", [ONCE, SHARED, LAYERED])
def test_noise_of_a_sampler_with_a_fixed_seed_is_measured(circuit):
    """Which compares the same random numbers with the probabilities of every point, so that most of it is smooth."""
    values, shots = np.array([2.0, 0.5, -0.7, -2.0]), 400

    def frozen(seed):
        numbers = np.random.default_rng(seed).random(shots)

        def energy(theta):
            steps = np.cumsum(qngd.probabilities(circuit, theta))[:-1]
            return float(values[np.searchsorted(steps, numbers)].mean())

        return look_at(function_of(energy), circuit, THETA, None)

    looks = [frozen(seed) for seed in range(40)]
    assert all(look.is_frozen for look in looks)
    variances = []
    for theta in np.random.default_rng(1).uniform(-np.pi, np.pi, (200, 2)):
        weights = qngd.probabilities(circuit, theta)
        variances.append((weights @ values**2 - (weights @ values) ** 2) / shots)
    found = np.sqrt(np.mean([look.stderr**2 for look in looks]) / np.mean(variances))
    assert 0.5 < found < 1.7


@pytest.mark.parametrize("circuit", [ONCE, SHARED, LAYERED])
def test_single_precision_is_no_sampler(circuit):
    terms = {"ZZ": 1.0, "XI": 0.3, "II": 50.0}
    energy = lambda theta: float(np.float32(qngd.expectation(circuit, terms, theta)))  # noqa: E731
    look = look_at(function_of(energy), circuit, THETA, None)
    assert not look.is_frozen
    assert look.stderr < 4e-6  # steps of 3.8e-6 at 50


def kinked():
    """A CVaR, its gradient, and its circuit: the quantile jumps from value to value."""
    builder = qngd.CircuitBuilder(2)
    angles = builder.parameters(*"abcd")
    circuit = qngd.wrap(builder.ry(angles[0], 0).ry(angles[1], 1).cx(0, 1).ry(angles[2], 0).ry(angles[3], 1))
    tail = qngd.CVaR({"ZI": 1.0, "IZ": 0.4, "ZZ": -0.7}, 0.3)

    def value(theta):
        return float(qngd.expectation(circuit, tail, theta))

    def slope(theta):
        return np.asarray(qngd.gradient(circuit, tail, theta).value)

    return value, slope, circuit


def test_kinks_are_no_noise_where_the_gradient_is_given():
    value, slope, circuit = kinked()
    starts = np.random.default_rng(2).uniform(-3, 3, (12, 4))
    alone = [look_at(function_of(value), circuit, theta, None).stderr for theta in starts]
    assert np.count_nonzero(alone) > 3  # so that there are kinks to be seen
    for theta in starts:
        assert look_at(Function(value, slope, lambda x: x), circuit, theta, None).stderr == 0


def test_who_says_that_it_is_exact_is_believed():
    value, _, circuit = kinked()
    for theta in np.random.default_rng(2).uniform(-3, 3, (12, 4)):
        assert look_at(function_of(value), circuit, theta, 0.0).stderr == 0


def test_noise_beside_an_exact_gradient_is_seen():
    _, slope, circuit = kinked()
    values, numbers = np.array([0.7, 1.3, -0.1, -2.1]), np.random.default_rng(3).random(300)

    def energy(theta):
        steps = np.cumsum(qngd.probabilities(circuit, theta))[:-1]
        return float(values[np.searchsorted(steps, numbers)].mean())

    assert look_at(Function(energy, slope, lambda x: x), circuit, np.full(4, 0.4), None).is_frozen


def sampled_at_zero(fresh, exact_part=0.0):
    """What `look_at` finds of ⟨Z⟩ of every qubit by 400 shots, a basis state at the start, where they show no noise."""
    circuit = qngd.CircuitBuilder(2)
    angles = circuit.parameters(*"abcdefgh")
    for k in range(0, 8, 2):
        circuit = circuit.ry(angles[k], 0).rx(angles[k + 1], 1).cx(0, 1)
    circuit = qngd.wrap(circuit)
    rng = np.random.default_rng(7)

    def energy(theta):
        weights = qngd.probabilities(circuit, theta)
        counts = (rng if fresh else np.random.default_rng(3)).multinomial(400, weights / weights.sum())
        smooth = exact_part * float(qngd.expectation(circuit, {"XZ": 1.0}, theta))
        return smooth + float(counts @ [2.0, 0.5, -0.5, -2.0]) / 400

    return look_at(function_of(energy), circuit, np.zeros(8), None).stderr


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("exact_part", [0.0, 1.0])
def test_noise_is_found_from_a_start_that_shows_none(fresh, exact_part):
    """Shots of a state in the middle have an error of at most 2/√400."""
    assert 0.02 < sampled_at_zero(fresh, exact_part) < 0.1


def test_what_the_user_says_holds():
    assert look_at(function_of(energy_of(ONCE)), ONCE, THETA, 0.1).stderr == 0.1


def test_noise_that_cannot_be_measured():
    def energy(theta):
        return np.random.default_rng(np.asarray(theta).view(np.uint64).tolist()).normal()

    with pytest.raises(SettingError, match="say its standard error: stderr="):
        look_at(function_of(energy), CURVED, THETA, None)
