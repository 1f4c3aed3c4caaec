"""Shots drawn from light cones have the means and covariances of the state that they stand for."""

import numpy as np
import pytest

import qngd
from experiments.cone_shots import ConeShots, drawn
from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.pauli import unpack_bits
from qngd.interop import as_observable
from qngd.measured.planner import Planner
from qngd.metrics.names import as_metric

EDGES = ((0, 1, 0.7), (1, 2, 1.3), (2, 4, -0.4), (3, 4, 0.9), (0, 5, 1.1))
THETA = np.array([0.4, -0.9, 0.8, 0.35])


def planned():
    """The plan of a step on six qubits: an asymmetric graph, QAOA of depth 2 with another gate at its end."""
    builder = qngd.CircuitBuilder(6)
    for q in range(6):
        builder.h(q)
    for p in range(2):
        gamma, beta = builder.parameters(f"gamma{p}", f"beta{p}")
        for a, b, weight in EDGES:
            builder.rzz(weight * gamma, a, b)
        for q in range(6):
            builder.rx(beta * (1 + 0.1 * q), q)
    builder.cx(1, 3).ry(0.3, 1)
    labels = {"IIIIZZ": 0.5, "IIIZZI": 1.5, "IZZIII": -0.7, "ZIIIII": 0.3, "XIIIIX": 0.4, "IIIXII": -0.2}
    circuit = qngd.wrap(builder)
    planner = Planner(circuit, as_observable(labels, circuit), "qubit-wise", "hadamard", False, None)
    return planner.plan(THETA, gradient=True, metric=as_metric("block-diag"))


def test_moments_are_those_of_the_state():
    plan, backend = planned(), ConeShots()
    runnable = StatevectorSampler().submit(plan.templates, [], None)[0]
    assert {plan.requests[r].template for r in range(plan.num_circuits)} == set(range(len(plan.templates)))
    for request in plan.requests:
        template = plan.templates[request.template]
        program = runnable[request.template]
        weight = program.probabilities(request.angles)
        # what every basis state of the simulator reads, qubit by qubit, and so string by string
        states = np.arange(len(weight), dtype=np.uint64)
        odd = (np.bitwise_count(states[:, None] & program.parity) & 1).astype(bool) ^ program.flip
        bits = np.zeros((len(weight), template.num_qubits), dtype=int)
        bits[:, program.measured] = odd
        reads = unpack_bits(template.basis.z, template.num_qubits).astype(int)
        values = template.basis.sign * (1 - 2 * ((bits @ reads.T) & 1))
        mean = weight @ values
        covariance = (values - mean).T @ (weight[:, None] * (values - mean))
        found = backend.moments(template, request.angles)
        np.testing.assert_allclose(found[0], mean, atol=1e-12)
        np.testing.assert_allclose(found[1], covariance, atol=1e-12)


@pytest.mark.parametrize("shots", [3, 40])
def test_draws_have_the_moments_of_shots(shots):
    """The mean's covariance is C/N; the sample covariance is unbiased and scatters as of normal shots."""
    rng = np.random.default_rng(5)
    mean = np.array([0.3, -0.6, 0.1])
    covariance = np.array([[0.91, 0.3, -0.1], [0.3, 0.64, 0.2], [-0.1, 0.2, 0.99]])
    found = [drawn(mean, covariance, shots, False, rng) for _ in range(4000)]
    seen = np.array([one.values for one in found])
    samples = np.array([one.covariance for one in found]) * shots
    np.testing.assert_allclose(seen.mean(axis=0), mean, atol=5 / np.sqrt(4000 * shots))
    np.testing.assert_allclose(np.cov(seen.T) * shots, covariance, atol=0.1)
    np.testing.assert_allclose(samples.mean(axis=0), covariance, atol=5 * np.sqrt(2 / 4000 / (shots - 1)))
    variances = (np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / (shots - 1)
    np.testing.assert_allclose(samples.var(axis=0), variances, rtol=0.15)


def test_products_of_a_layer_give_its_sample_covariance():
    rng = np.random.default_rng(2)
    mean, covariance = np.array([0.2, 0.5]), np.array([[0.96, 0.25], [0.25, 0.75]])
    found = [drawn(mean, covariance, 50, True, rng) for _ in range(2000)]
    products = np.array([one.values[2] - one.values[0] * one.values[1] for one in found])
    assert abs(products.mean() - 0.25 * 49 / 50) < 5 * products.std() / np.sqrt(2000)
    assert all(one.covariance is None for one in found)


def test_a_run_is_the_same_with_the_same_seed():
    problem = qngd.CircuitBuilder(3)
    a, b = problem.parameters("a", "b")
    problem.h(0).h(1).h(2).rzz(a, 0, 1).rzz(2 * a, 1, 2).rx(b, 0).rx(b, 1).rx(b, 2)
    cost = {"IZZ": 1.0, "ZZI": 2.0}
    runs = [
        qngd.minimize(problem, cost, [0.2, 0.3], backend=ConeShots(), shots=100, seed=3, max_steps=4) for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].history, runs[1].history)
    assert runs[0].energy < runs[0].history[0]
