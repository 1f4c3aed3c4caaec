"""What was not seen: no error bar claims certainty that neither the shots nor algebra give."""

import numpy as np
import pytest
from hypothesis import given

import qngd
from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.estimates.evaluation import Cost
from qngd.measured.assemble import assemble
from qngd.measured.auto_shots import AutoShots
from qngd.measured.correlations import correlations
from qngd.measured.covariances import covariance, diagonal
from qngd.measured.outcomes import Counts, Means, energy, means, sample_energy, unseen, zeros_frequency
from qngd.measured.planner import Planner
from qngd.measured.readout import Readout
from qngd.metrics import BlockDiagonal, Full, as_metric
from qngd.metrics.names import METRICS
from tests import dense
from tests.dense_templates import state, string_matrices
from tests.strategies import Sketch, examples, programs, random_observable, random_program

TERMS = {"Z": 1.0, "X": 0.5}


def tilted():
    """RY(a) and RZ(b): at a small a the generator Z of b is nearly always seen as 1."""
    sketch = Sketch(1, 2)
    return sketch("ry", 0, sketch.t[0])("rz", 0, sketch.t[1]).circuit()


def bell(*more):
    """A Bell pair, then what `more` adds."""
    sketch = Sketch(2, 2)
    sketch("h", 0)("cx", 0, 1)
    for name, *where in more:
        sketch(name, *where, sketch.t[0] if name.startswith("r") else None)
    return sketch


# --- what algebra alone says ---


@given(programs(max_qubits=4, max_gates=12))
@examples(15)
def test_what_is_called_certain_is_so_at_all_angles(program):
    """And strings of one class have the same value, up to their signs; in matrices, at random angles."""
    circuit = program.circuit()
    planner = Planner(circuit, Observable.from_mapping(random_observable(3, program.num_qubits, 6)), "commuting")
    plan = planner.plan(program.theta, metric=Full())
    rng = np.random.default_rng(0)
    for template in plan.templates:
        place, sign = template.independent
        if template.num_qubits > program.num_qubits:  # of a circuit with an ancilla
            continue
        for _ in range(2):
            psi = state(template, rng.uniform(-3, 3, len(template.rotations)))
            moved = np.array([matrix @ psi for matrix in string_matrices(template.strings)])
            for k, row in enumerate(moved):
                if place[k] < 0:
                    assert abs(np.vdot(psi, row)) == pytest.approx(1, abs=1e-9)
                first = int(np.flatnonzero(place == place[k])[0])
                if place[k] >= 0:
                    assert np.allclose(row, sign[k] * sign[first] * moved[first], atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_at_its_angles_a_template_knows_more(seed):
    """At angle 0 rotations are none: everything is certain, or random in the same way, as on the Clifford circuit."""
    program = random_program(seed, 3, 20, 4)
    circuit = program.circuit()
    planner = Planner(circuit, Observable.from_mapping(random_observable(seed, 3)))
    plan = planner.plan(program.theta, metric=BlockDiagonal())
    for template in plan.templates:
        zeros = np.zeros(len(template.rotations))
        at_zero, anywhere = template.at(zeros).independent[0], template.independent[0]
        assert np.all((at_zero < 0) | (anywhere >= 0))
        psi = state(template, zeros)
        values = [np.vdot(psi, matrix @ psi).real for matrix in string_matrices(template.strings)]
        assert np.array_equal(at_zero < 0, np.isclose(np.abs(values), 1, atol=1e-9))
        turned = template.at(np.full(len(template.rotations), 2 * np.pi)).independent[0]
        assert np.array_equal(turned, at_zero)


@pytest.mark.parametrize("approx", ["diag", "block-diag", "full"])
def test_what_is_certain_has_no_error(approx):
    """RZ on |0⟩ moves nothing, whatever the shots: exactly 0 ± 0, and so its correlation with others."""
    sketch = Sketch(2, 2)
    circuit = sketch("rz", 0, sketch.t[0])("ry", 1, sketch.t[1]).circuit()
    found = qngd.metric_tensor(circuit, [0.3, 0.8], approx=approx, shots=50, seed=1)
    assert found.value[0, 0] == found.stderr[0, 0] == found.stderr[0, 1] == 0
    assert qngd.expectation(circuit, {"IZ": 2.0, "II": 0.5}, [0.3, 0.8], shots=50, seed=1).stderr == 0
    assert qngd.expectation(circuit, {"ZI": 2.0}, [0.3, 1e-3], shots=50, seed=1).stderr == 4 / 50


def test_a_difference_that_entanglement_makes_certain_has_no_error():
    """Z₀ − Z₁ is 0 on a Bell pair, though Z₀ and Z₁ are as random as can be; a small rotation ends that."""
    terms = {"IZ": 1.0, "ZI": -1.0}
    certain = qngd.expectation(bell(("rz", 0)).circuit(), terms, [0.4, 0.0], shots=100, seed=3)
    assert (certain.value, certain.stderr) == (0, 0)
    nearly = qngd.expectation(bell(("rx", 0)).circuit(), terms, [1e-3, 0.0], shots=100, seed=3)
    assert nearly.value == 0
    assert nearly.stderr == pytest.approx(2 / 100 * np.sqrt(2))


class Noisy(StatevectorSampler):
    """Says that it is noisy; its noise has not shown yet."""

    name = "noisy"
    is_noisy = True


def test_on_a_noisy_device_nothing_is_certain():
    sketch = Sketch(2, 2)
    circuit = sketch("rz", 0, sketch.t[0])("ry", 1, sketch.t[1]).circuit()
    for approx in ("diag", "block-diag", "full"):
        found = qngd.metric_tensor(circuit, [0.3, 0.8], approx=approx, shots=50, seed=1, backend=Noisy())
        assert found.stderr[0, 0] == pytest.approx(1 / 50)
    terms = {"IZ": 2.0, "II": 0.5}
    assert qngd.expectation(circuit, terms, [0.3, 0.8], shots=50, seed=1, backend=Noisy()).stderr == 4 / 50


# --- honest where outcomes are rare ---


def runs(circuit, theta, shots, times, seed, metric, terms=None):
    """Evaluations, their metrics with directions and bases of the same seed."""
    observable = None if terms is None else Observable.from_mapping(terms)
    plan = Planner(circuit, observable).plan(
        theta, energy=terms is not None, gradient=terms is not None, metric=metric and as_metric(metric), seed=5
    )
    plan = plan.with_shots(np.full(plan.num_circuits, shots))
    device, count = StatevectorSampler(), plan.num_circuits
    outcomes = device.collect(device.submit(plan.templates, plan.requests * times, seed))
    return [assemble(plan, outcomes[count * k : count * (k + 1)], theta, Cost()) for k in range(times)]


@pytest.mark.parametrize("angle", [0.06, 0.12, 0.2, 0.25])
@pytest.mark.parametrize("approx", ["diag", "block-diag", "full"])
def test_a_metric_entry_whose_rare_outcome_was_not_seen(approx, angle):
    """¼(1 − cos²a): in a share of the runs no shot of 100 shows the other value."""
    theta, shots = np.array([angle, 0.5]), 100
    found = [e.metric for e in runs(tilted(), theta, shots, 300, 7, approx)]
    values = np.array([m.raw[1, 1] for m in found])
    errors = np.array([m.raw_stderr[1, 1] for m in found])
    truth = 0.25 * np.sin(angle) ** 2
    assert np.count_nonzero(values == 0) > 0.05 * len(found) or angle > 0.2
    assert errors[values == 0] == pytest.approx(1 / shots, rel=1e-9)  # the probability is 0 ± 1/N
    assert errors.min() > 0.95 / shots
    assert np.mean(np.abs(values - truth) <= 2 * errors) > 0.9


@pytest.mark.parametrize("probability", [0.001, 0.005, 0.012, 0.022, 0.031, 0.041, 0.06])
def test_an_expectation_value_whose_rare_outcome_was_not_seen(probability):
    """Over all numbers of times that the outcome may be seen, the value is within two errors 85 times in a hundred, and
    the errors are right in the mean square."""
    shots, theta = 100, np.array([2 * np.arcsin(np.sqrt(probability)), 0.0])
    found = [e.energy for e in runs(tilted(), theta, shots, 1000, 11, None, {"Z": 1.0})]
    off = np.array([abs(float(e.value) - (1 - 2 * probability)) for e in found])
    errors = np.array([float(e.stderr) for e in found])
    assert errors.min() == pytest.approx(2 / shots)
    assert np.mean(off <= 2 * errors + 1e-12) > 0.84  # known to 1 %
    assert np.mean(off**2) < 1.1 * np.mean(errors**2)


@pytest.mark.parametrize("approx", [name for name in METRICS if name != "identity"])
def test_no_approximation_says_zero_without_an_error(approx):
    """Where θ is so small that hardly a shot shows anything, also in gradients."""
    theta = np.array([0.01, 0.5])
    for found in runs(tilted(), theta, 10, 20, 3, approx, TERMS):
        assert np.all(np.diag(found.metric.stderr) > 0)
        assert np.all(found.gradient.stderr > 0)
        assert np.all(np.diag(found.gradient.covariance) > 0)
        assert found.energy.stderr > 0


def test_rare_flips_of_all_strings_at_once():
    """Between |00⟩ and a bit of |11⟩ ZI and IZ flip together; nearly all runs of 50 shots see none of it."""
    sketch = Sketch(2, 1)
    circuit = sketch("ry", 0, sketch.t[0])("cx", 0, 1).circuit()
    terms = {"ZI": 1.0, "IZ": 1.0}
    theta = np.array([2 * np.arcsin(np.sqrt(0.01))])
    found = [e.energy for e in runs(circuit, theta, 50, 400, 2, None, terms)]
    off = np.array([abs(float(e.value) - 1.96) for e in found])
    errors = np.array([float(e.stderr) for e in found])
    assert np.mean(off <= 2 * errors) > 0.9


# --- and nothing where they are common ---


@pytest.mark.parametrize("seed", range(4))
def test_common_outcomes_keep_the_error_of_the_sample(seed):
    """With 100 shots at generic angles: all that is added is less than 3 % of the errors."""
    program = random_program(seed + 20, 3, 30, 4)
    observable = Observable.from_mapping(random_observable(seed, 3))
    shots = 100
    for metric in ("diag", "block-diag", "full"):
        plan = Planner(program.circuit(), observable).plan(program.theta, metric=as_metric(metric))
        plan = plan.with_shots(np.full(plan.num_circuits, shots))
        device = StatevectorSampler()
        outcomes = device.collect(device.submit(plan.templates, plan.requests, seed))
        plain, bars = [], []
        for r, request in enumerate(plan.requests):
            coefficients = plan.coefficients[request.template]
            if coefficients is not None:
                plain.append(sample_energy(outcomes[r], plan.reading(r), coefficients)[1])
                bars.append(energy(outcomes[r], plan.reading(r), coefficients)[1])
        assert np.sqrt(np.sum(bars) / np.sum(plain)) < 1.03
        parts = [part.influence for part in plan.metric.parts(Readout(plan, outcomes))]
        plain = sum(float((i.first_order + i.bend).sum()) for i in parts)
        assert np.sqrt(sum(float(i.variance.sum()) for i in parts) / plain) < 1.03


# --- the pieces by hand ---


def reading(strings="Z"):
    """A template of two rotated qubits that reads Z₀ and Z₁, or Z₀ alone."""
    sketch = Sketch(2, 2)
    circuit = sketch("ry", 0, sketch.t[0])("ry", 1, sketch.t[1]).circuit()
    terms = {"IZ": 1.0, "ZI": 1.0} if strings == "both" else {"IZ": 1.0}
    return Planner(circuit, Observable.from_mapping(terms)).plan(np.ones(2), gradient=False).templates[0]


@pytest.mark.parametrize("shots", [2, 10, 1000])
def test_the_rule_of_succession(shots):
    """Of a value that was seen in none or one of N shots the probability has the variance 1/N² and 2/N²; of one that
    was seen five times or in half of them, that of the sample."""
    template = reading()
    bits = np.array([[0], [1]], dtype=np.uint64)
    one = Counts(bits, np.array([shots - 1, 1]))
    none = Counts(bits[:1], np.array([shots]))
    weights = np.array([3.0])
    assert energy(none, template, weights) == (3.0, pytest.approx(36 / shots**2))
    assert energy(one, template, weights)[1] == pytest.approx(72 / shots**2)
    assert sample_energy(one, template, weights)[1] == pytest.approx(36 / shots**2)
    if shots == 1000:
        half = Counts(bits, np.array([shots // 2] * 2))
        assert energy(half, template, weights)[1] == sample_energy(half, template, weights)[1]
        assert means(half, template)[1] == pytest.approx([1 / (shots - 1)])
        five = Counts(bits, np.array([shots - 5, 5]))
        assert energy(five, template, weights)[1] == sample_energy(five, template, weights)[1]
    assert means(none, template)[1] == pytest.approx([4 / shots**2])
    assert zeros_frequency(none) == (1.0, pytest.approx(1 / shots**2))
    assert zeros_frequency(one)[1] == pytest.approx(2 / shots**2)
    assert unseen(1) == 1


def test_the_least_errors_of_the_metric_are_those_of_independent_means():
    """From counts that agree, and from means with errors 2/N: the same variances, entry by entry."""
    template, shots = reading("both"), 40
    agree = Counts(np.zeros((1, 1), dtype=np.uint64), np.array([shots]))
    stated = Means(np.ones(3), np.full(3, 2 / shots), 0)
    silent = Means(np.ones(3), np.zeros(3), shots)  # an estimator that saw no spread
    jacobian, elsewhere = np.array([[0.5, 0.2, 0.0], [-0.3, 0.7, 0.4]]), np.array([0.6, -0.2, 0.3])
    own, products = np.array([0.3, -1.0, 0.2]), np.array([0.1, 0.2])
    for estimate in (
        lambda o: covariance(o, template, jacobian),
        lambda o: covariance(o, template, jacobian, elsewhere),
        lambda o: diagonal(o, template, jacobian, np.arange(2)),
        lambda o: diagonal(o, template, jacobian, np.zeros(2)),
        lambda o: diagonal(o, template, jacobian, np.zeros(2), elsewhere),
        lambda o: correlations(o, template, jacobian, own, products),
    ):
        known = estimate(stated)
        expected = known.first_order  # of which the second order, known there, is taken off
        assert np.allclose(known.variance, expected - known.bend, rtol=1e-12)
        assert np.count_nonzero(expected) >= 3
        assert np.allclose(estimate(agree).variance, expected, rtol=1e-12)
        assert np.allclose(estimate(silent).variance, expected, rtol=1e-12)
    assert energy(silent, template, np.array([1.0, 2.0]))[1] == pytest.approx(5 * 4 / shots**2)
    assert energy(Means(np.ones(3), np.zeros(3), 0), template, np.array([1.0, 2.0]))[1] == 0


def test_auto_shots_look_again_at_what_seemed_certain():
    """A block of the metric whose shots all agreed still counts in the error of the step."""
    theta = np.array([0.02, 0.5])
    plan = Planner(tilted(), Observable.from_mapping(TERMS)).plan(theta, metric=BlockDiagonal())
    plan = plan.with_shots(np.full(plan.num_circuits, 10))
    device = StatevectorSampler()
    outcomes = device.collect(device.submit(plan.templates, plan.requests, 1))
    spread = assemble(plan, outcomes, theta, Cost(), with_spread=True).spread
    block = plan.terms.blocks[1].request
    assert len(outcomes[block].counts) == 1
    assert spread.step[block] > 0
    assert AutoShots(10**4).shots(plan, spread)[block] > 10**4 // (2 * plan.num_circuits)


def test_the_truth_of_the_examples():
    exact = qngd.metric_tensor(tilted(), [0.2, 0.5])
    truth = dense.Truth(lambda ts: np.array([dense.statevector(tilted(), t) for t in ts]), np.array([0.2, 0.5]))
    assert exact.value[1, 1] == pytest.approx(0.25 * np.sin(0.2) ** 2)
    assert exact.value[1, 1] == pytest.approx(truth.metric[1, 1], abs=1e-7)
