"""The stochastic metric of QN-SPSA."""

import numpy as np
import pytest

import qngd
from qngd.metrics.spsa import SIGNS, STEP, Pair, absolute, metric_from, random_pairs
from tests import dense
from tests.strategies import Sketch
from tests.three_qubits import THETA, ansatz


def exact_metric(circuit: qngd.Circuit) -> np.ndarray:
    return dense.metric(lambda theta: dense.statevector(circuit, theta), THETA)


def test_a_sample_of_a_quadratic_overlap_is_what_its_derivation_says():
    """F = 1 − δᵀgδ exactly: −D/(4ε²) = Δ₁ᵀgΔ₂, and only the symmetric outer product remains."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    g = root @ root.T
    pair = Pair(rng.choice((-1.0, 1.0), 5), rng.choice((-1.0, 1.0), 5))
    sample = pair.sample([1 - shift @ g @ shift for shift in pair.shifts])
    outer = np.outer(pair.first, pair.second)
    assert np.allclose(sample, (pair.first @ g @ pair.second) * (outer + outer.T) / 2, atol=1e-10)
    assert sum(SIGNS) == 0
    assert STEP > 0


def test_over_all_signs_the_mean_is_the_metric():
    """With two parameters there are only 16 pairs: their mean is g, not just near it."""
    g = np.array([[0.2, 0.05], [0.05, 0.1]])
    signs = [np.array([a, b]) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    pairs = [Pair(first, second) for first in signs for second in signs]
    samples = [pair.sample([1 - shift @ g @ shift for shift in pair.shifts]) for pair in pairs]
    assert np.allclose(np.mean(samples, axis=0), g, atol=1e-12)


def dense_samples(circuit: qngd.Circuit, seed: int) -> list[np.ndarray]:
    """Samples from overlaps of dense statevectors."""
    here = dense.statevector(circuit, THETA)
    return [
        pair.sample([abs(np.vdot(here, dense.statevector(circuit, THETA + d))) ** 2 for d in pair.shifts])
        for pair in random_pairs(4, seed)
    ]


def test_samples_average_to_the_exact_metric():
    circuit = ansatz()
    samples = np.array([m for seed in range(60) for m in dense_samples(circuit, seed)])
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(axis=0) - exact_metric(circuit)) < 5 * error + STEP**2)


def test_the_metric_is_the_mean_of_its_samples_made_positive():
    circuit = ansatz()
    for seed in range(3):
        samples = np.array(dense_samples(circuit, seed))
        mean = samples.mean(axis=0)
        value, _ = absolute(mean)
        exact = qngd.metric_tensor(circuit, THETA, approx="qn-spsa", seed=seed)
        assert np.allclose(exact, value, atol=1e-9)
        assert np.allclose(exact.raw, mean, atol=1e-9)
        error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
        assert np.allclose(exact.raw_stderr, error, atol=1e-9)
        assert np.allclose(exact.stderr, np.hypot(error, value - mean), atol=1e-9)
        sampled = qngd.metric_tensor(circuit, THETA, approx="qn-spsa", seed=seed, shots=200_000)
        assert np.abs(np.asarray(sampled) - value).max() < 0.15  # shot noise over 4ε² of ten samples: about 0.04
        assert np.linalg.eigvalsh(np.asarray(sampled)).min() > -1e-12


def test_a_circuit_of_one_layer_is_sampled_too():
    program = """OPENQASM 3.0; include "stdgates.inc"; input float a; input float b; qubit[2] q;
    ry(a) q[0]; cx q[0], q[1]; rx(2*b) q[1];"""
    circuit = qngd.wrap(program)
    assert circuit.num_layers == 1
    exact = qngd.metric_tensor(circuit, [0.3, -0.7], approx="qn-spsa", seed=2)
    sampled = qngd.metric_tensor(circuit, [0.3, -0.7], approx="qn-spsa", seed=2, shots=200_000)
    assert np.abs(np.asarray(sampled) - np.asarray(exact)).max() < 0.15


def test_the_seed_decides():
    circuit = ansatz()
    one, same, other = (qngd.metric_tensor(circuit, THETA, approx="qn-spsa", shots=100, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert "QN-SPSA" in one.note
    assert 0 < one.shots <= 40 * 100  # directions that repeat are run once
    assert one.shots % 100 == 0
    assert [p.first.tolist() for p in random_pairs(4, 5)] == [p.first.tolist() for p in random_pairs(4, 5)]


def test_negative_eigenvalues_are_folded_and_counted():
    metric = metric_from([np.diag([1.0, -0.5]), np.diag([1.0, -0.3])], shots=7)
    assert np.allclose(metric, np.diag([1.0, 0.4]))
    assert np.allclose(np.diag(metric.raw_stderr), [0.0, 0.1])
    assert np.allclose(np.diag(metric.stderr), [0.0, np.hypot(0.1, 0.8)])
    assert "1 of 2 eigenvalues" in metric.note
    assert "2 random samples" in metric.note
    assert np.allclose(metric.raw, np.diag([1.0, -0.4]))
    assert (metric.approx, metric.shots) == ("qn-spsa", 7)


def test_the_absolute_value_is_the_root_of_the_square():
    root = np.random.default_rng(1).normal(size=(5, 5))
    matrix = root + root.T
    positive, note = absolute(matrix)
    assert np.allclose(positive @ positive, matrix @ matrix, atol=1e-12)
    assert np.linalg.eigvalsh(positive).min() > 0
    assert f"{(np.linalg.eigvalsh(matrix) < 0).sum()} of 5" in note


def test_it_minimizes():
    sketch = Sketch(1, 2)
    sketch("ry", 0, sketch.t[0])("rz", 0, sketch.t[1])
    result = qngd.minimize(
        sketch.circuit(),
        {"X": 1.0, "Z": 0.5},
        [0.3, 0.4],
        optimizer=qngd.QNG(approx="qn-spsa", damping=0.1),
        seed=0,
    )
    assert result.energy == pytest.approx(-np.hypot(1.0, 0.5), abs=1e-6)
