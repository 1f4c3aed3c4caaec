"""A loop of one's own: every optimizer asked step by step, with θ as the user writes it."""

from __future__ import annotations

import numpy as np
import pytest

import qngd
from qngd.baselines import SPSA, Adam, GradientDescent, SciPy
from qngd.errors import ParameterError, SettingError

CIRCUIT = qngd.CircuitBuilder(2)
A, B, C = CIRCUIT.parameters("a", "b", "c")
CIRCUIT.ry(A, 0).cx(0, 1).rz(2 * B, 1).rx(C, 0).ry(B, 1)
TERMS = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25}
START = [0.3, -0.7, 1.1]
OPTIMIZERS = [
    qngd.QNG(),
    qngd.QNG(0.1, approx="block-diag", damping=1e-3),
    qngd.QNG(approx="matrix-free"),
    GradientDescent(0.2),
    Adam(),
    SPSA(a=0.1),
    SciPy("L-BFGS-B"),
    SciPy("COBYLA"),
]


def walked(optimizer, asked, steps, **how):
    state, infos = optimizer.init(asked, **how), []
    for _ in range(steps):
        state, info = optimizer.step(asked, state)
        infos.append(info)
    return state, infos


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("shots", [None, 50])
def test_a_loop_takes_the_steps_of_a_run(optimizer, shots):
    if shots and getattr(optimizer, "approx", "") == "matrix-free":
        pytest.skip("exact only")
    asked = qngd.evaluator(CIRCUIT, TERMS, START, shots=shots)
    state, infos = walked(optimizer, asked, 4, seed=3)
    run = qngd.minimize(CIRCUIT, TERMS, START, optimizer=optimizer, shots=shots, seed=3, max_steps=4, tol=0)
    assert [info.energy for info in infos] == run.history[1:].tolist()
    assert state.cost == run.cost
    np.testing.assert_array_equal(infos[-1].theta, run.infos[-1].theta)


def test_theta_is_in_the_structure_of_the_start():
    named = {"c": 1.1, "a": 0.3, "b": -0.7}
    for start in (named, None):
        problem = qngd.Problem(CIRCUIT, TERMS, named)
        _, infos = walked(qngd.QNG(), qngd.evaluator(problem, theta0=start), 3)
        assert list(infos[-1].theta) == ["c", "a", "b"]
        assert qngd.expectation(CIRCUIT, TERMS, infos[-1].theta).value == pytest.approx(infos[-1].energy, abs=1e-12)


@pytest.mark.parametrize("optimizer", [qngd.QNG(), Adam(), SPSA(a=0.1), SciPy("COBYLA")], ids=repr)
def test_a_qnodes_arguments(optimizer):
    qml = pytest.importorskip("pennylane")
    pnp = qml.numpy

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(weights, scale, angle):
        qml.RY(weights[0, 0], 0)
        qml.CNOT([0, 1])
        qml.RX(scale * weights[0, 1], 1)
        qml.RZ(angle, 0)
        return qml.expval(qml.Z(0) @ qml.Y(1) + 0.3 * qml.X(0))

    args = (pnp.array([[0.1, 0.2]]), pnp.array(2.0, requires_grad=False), pnp.array(0.4))
    _, infos = walked(optimizer, qngd.evaluator(node, theta0=args), 3, seed=1)
    weights, scale, angle = infos[-1].theta
    assert (weights.shape, scale, angle.shape) == ((1, 2), 2.0, ())
    assert weights.requires_grad
    assert float(node(weights, scale, angle)) == pytest.approx(infos[-1].energy, abs=1e-9)


def test_init_takes_another_start_in_any_form():
    asked = qngd.evaluator(CIRCUIT, TERMS, START)
    by_name = qngd.QNG().init(asked, {"a": 0.1, "b": 0.2, "c": 0.3})
    by_order = qngd.QNG().init(asked, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(by_name.theta, by_order.theta)
    np.testing.assert_array_equal(qngd.QNG().init(asked).theta, START)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_what_is_no_evaluator(optimizer):
    problem = qngd.Problem(CIRCUIT, TERMS, START)
    with pytest.raises(SettingError, match=r"evaluator: Problem is none; write evaluator = qngd.evaluator\(problem\)"):
        optimizer.init(problem)
    with pytest.raises(ParameterError, match="shape"):
        optimizer.init(qngd.evaluator(problem), [0.1])


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_what_is_no_state(optimizer):
    """Such as all that a step returns."""
    asked = qngd.evaluator(CIRCUIT, TERMS, START)
    for wrong in (None, optimizer.step(asked, optimizer.init(asked, seed=1))):
        with pytest.raises(SettingError, match=r"state: got .*; write .*, info = optimizer.step\(evaluator, state\)"):
            optimizer.step(asked, wrong)


def test_an_evaluator_without_a_start():
    with pytest.raises(ParameterError, match="theta0 is missing"):
        qngd.evaluator(CIRCUIT, TERMS)


def test_a_schedule_of_alphas_is_refused():
    """A loop has no end by which it could be divided, and must not take the last one alone in silence."""
    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)
    with pytest.raises(SettingError, match=r"no schedule, and this CVaR has alpha=\(0.2, 1.0\); make"):
        qngd.evaluator(circuit, qngd.CVaR({"Z": 1.0}, [0.2, 1]), [0.3])
    one, other = (qngd.evaluator(circuit, qngd.CVaR({"Z": 1.0}, alpha), [0.3]) for alpha in (0.2, 1))
    optimizer = qngd.QNG(learning_rate=0.1)
    state, _ = optimizer.step(one, optimizer.init(one))
    following = optimizer.init(other, state.theta)
    assert following.evaluation.energy.value == pytest.approx(np.cos(state.theta[0]))
