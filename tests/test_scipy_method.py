"""qngd as a method of scipy.optimize.minimize."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector
from scipy.optimize import Bounds, OptimizeResult, minimize

import qngd
from qngd.errors import CircuitError, ParameterError, SettingError

H = SparsePauliOp(["ZZI", "IZZ", "XII", "IXI", "IIX", "IIY"], [1.0, 0.7, 0.5, 0.4, 0.3, -0.2])


def ansatz(repeated=1):
    t = ParameterVector("t", 9)
    circuit = QuantumCircuit(3)
    for layer in range(3):
        for qubit in range(3):
            for _ in range(repeated):
                circuit.ry(t[3 * layer + qubit] / repeated, qubit)
            circuit.rz(0.3 * (qubit + 1), qubit)
        circuit.cx(0, 1)
        circuit.cx(1, 2)
    return circuit


CIRCUIT = ansatz()
X0 = np.random.default_rng(5).uniform(-1, 1, 9)


def layer_without_turns():
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.rz(0.3 * (qubit + 1), qubit)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    return Operator(circuit).data


REST, MATRIX = layer_without_turns(), H.to_matrix()


def turn(angle):
    cos, sin = np.cos(angle / 2), np.sin(angle / 2)
    return np.array([[cos, -sin], [sin, cos]])


def energy(x):
    """By matrices of Qiskit, in a thirtieth of the time of its statevector."""
    state = np.eye(8)[0]
    for a, b, c in np.reshape(x, (3, 3)):
        state = REST @ np.einsum("ai,bj,ck,ijk", turn(c), turn(b), turn(a), state.reshape(2, 2, 2)).ravel()
    return float((state.conj() @ MATRIX @ state).real)


def test_the_energy_is_qiskits():
    assert energy(X0) == pytest.approx(Statevector(CIRCUIT.assign_parameters(X0)).expectation_value(H).real, abs=1e-12)


def slope(x):
    """The shift rule by it alone."""
    return np.array([(energy(x + e) - energy(x - e)) / 2 for e in np.pi / 2 * np.eye(9)])


@cache
def ground():
    """As low as the ansatz leads from there."""
    return float(minimize(energy, X0, jac=slope, method="BFGS").fun)


# of a function nobody knows the unit, and its rate begins at 0.1
AT_A_TENTH = qngd.QNG(step=qngd.step.Adaptive(near=qngd.step.QuasiNewton(initial=0.1)))
OURS = qngd.minimize(CIRCUIT, H, X0, optimizer=AT_A_TENTH)


def test_it_takes_the_steps_of_minimize():
    found = minimize(energy, X0, jac=slope, method=qngd.scipy.method(CIRCUIT))
    assert isinstance(found, OptimizeResult)
    assert found.success
    assert found.status == 0
    assert found.fun == pytest.approx(OURS.energy, abs=1e-9)
    assert energy(found.x) == pytest.approx(found.fun, abs=1e-12)
    assert found.fun - ground() < 1e-6
    assert found.nit == found.result.steps == len(found.result.history) - 1
    assert found.njev >= found.nit
    assert np.linalg.norm(found.jac) < 1e-3
    np.testing.assert_allclose(found.result.history[:8], OURS.history[:8], atol=1e-8)


def test_the_gradient_by_shifts_takes_the_same_steps():
    found = minimize(energy, X0, method=qngd.scipy.method(CIRCUIT))
    np.testing.assert_allclose(found.result.history[:8], OURS.history[:8], atol=1e-8)
    assert found.njev == 0
    assert found.nfev > 18 * found.nit


def test_jac_true_and_args():
    def both(x, scale, shift):
        return scale * energy(x) + shift, scale * slope(x)

    found = minimize(both, X0, args=(2.0, 1.0), jac=True, method=qngd.scipy.method(CIRCUIT))
    assert found.fun == pytest.approx(2 * ground() + 1, abs=1e-5)


@pytest.mark.parametrize("name", ["adam", "l-bfgs-b", "cobyla", "qng"])
def test_every_optimizer_of_ours_runs(name):
    method = qngd.scipy.method(CIRCUIT, optimizer=name, max_steps=5, tol=0)
    found = minimize(energy, X0, jac=slope, method=method)
    same = AT_A_TENTH if name == "qng" else name
    run = qngd.minimize(CIRCUIT, H, X0, optimizer=same, max_steps=5, tol=0)
    np.testing.assert_allclose(found.result.history, run.history, atol=1e-9)
    assert (found.success, found.status) == (False, 1)


def test_options_and_callbacks():
    method = qngd.scipy.method(CIRCUIT)
    ours, points, results = [], [], []
    short = minimize(energy, X0, jac=slope, method=method, options={"maxiter": 3, "disp": False}, tol=0)
    assert short.nit == 3
    minimize(
        energy, X0, jac=slope, method=qngd.scipy.method(CIRCUIT, max_steps=4, tol=0, callback=ours.append),
        callback=points.append,
    )  # fmt: skip
    assert [info.step for info in ours] == [1, 2, 3, 4]
    np.testing.assert_array_equal(points, [info.theta for info in ours])

    def stop(intermediate_result):
        results.append(intermediate_result.fun)
        if len(results) == 2:
            raise StopIteration

    stopped = minimize(energy, X0, jac=slope, method=method, callback=stop)
    assert (stopped.nit, stopped.status, stopped.success) == (2, 99, False)
    assert results == stopped.result.history[1:].tolist()


def test_a_sampled_energy():
    rng = np.random.default_rng(3)
    found = minimize(lambda x: energy(x) + 0.01 * rng.normal(), X0, method=qngd.scipy.method(CIRCUIT, seed=2))
    assert 0.004 < found.stderr < 0.02
    assert energy(found.x) - ground() < 0.05
    assert found.success
    assert "statistical error" in found.message


def test_bounds_of_a_period_hold_by_turning():
    start = X0 + 2 * np.pi * np.array([2, -1, 0, 0, 0, 0, 0, 0, 3])
    asked = []

    def watched(x):
        asked.append(x)
        return energy(x)

    infinite = np.inf
    mixed = [(0, None), (None, 0.0), (None, None), *[(-np.pi, np.pi)] * 6]
    half = np.array([0, -infinite, -infinite, *[-np.pi] * 6]), np.array([infinite, 0, infinite, *[np.pi] * 6])
    for bounds, (low, high) in (
        ([(-np.pi, np.pi)] * 9, (-np.pi, np.pi)),
        (Bounds(-np.pi, np.pi), (-np.pi, np.pi)),
        (mixed, half),
    ):
        asked.clear()
        method = qngd.scipy.method(CIRCUIT, max_steps=8, tol=0)
        found = minimize(watched, start, jac=slope, method=method, bounds=bounds)
        np.testing.assert_allclose(found.result.history, OURS.history[:9], atol=1e-8)
        assert np.all((np.array([*asked, found.x]) >= low) & (np.array([*asked, found.x]) <= high))
        assert energy(found.x) == pytest.approx(found.fun, abs=1e-12)


def test_scaled_parameters_have_longer_periods():
    halved = ansatz(repeated=2)
    method = qngd.scipy.method(halved, max_steps=2, tol=0)
    minimize(lambda x: 0.0 * x[0] + energy(x), X0, method=method, bounds=[(-2 * np.pi, 2 * np.pi)] * 9)
    with pytest.raises(ParameterError, match=r"bounds: those of t\[0\].*narrower than its period \(12.5664\)"):
        minimize(energy, X0, method=method, bounds=[(-np.pi, np.pi)] * 9)


def test_the_metric_is_averaged_over_circuits():
    """Two samples of data in the same ansatz; the loss is a square of each, its gradient is given."""

    def circuit_at(angle):
        circuit = QuantumCircuit(3)
        circuit.rx(angle, 0)
        circuit.rx(-2 * angle, 2)
        return circuit.compose(CIRCUIT)

    circuits = [circuit_at(0.4), circuit_at(1.3)]

    def outputs(x):
        return np.array([float(qngd.expectation(one, H, x).value) for one in circuits])

    def loss(x):
        return float(np.mean((outputs(x) + 1) ** 2))

    def loss_slope(x):
        rows = np.array([qngd.gradient(one, H, x).value for one in circuits])
        return np.mean(2 * (outputs(x) + 1)[:, None] * rows, axis=0)

    optimizer = qngd.QNG(0.1, approx="full", damping=1e-2)
    found = minimize(
        loss, X0, jac=loss_slope, method=qngd.scipy.method(circuits, optimizer=optimizer, max_steps=1, tol=0)
    )
    metric = np.mean([np.asarray(qngd.metric_tensor(one, X0, approx="full")) for one in circuits], axis=0)
    np.testing.assert_allclose(
        found.result.infos[0].theta, X0 - 0.1 * np.linalg.solve(metric + 1e-2 * np.eye(9), loss_slope(X0)), atol=1e-9
    )
    with pytest.raises(SettingError, match="jac is missing"):
        minimize(loss, X0, method=qngd.scipy.method(circuits))


def test_metrics_that_are_averaged_have_errors_of_their_own():
    """Those of one circuit that is given twice: with the same errors their mean would be the metric of one."""
    optimizer = qngd.QNG(0.1, approx="block-diag")
    how = {"optimizer": optimizer, "shots": 100, "seed": 1, "max_steps": 1, "tol": 0, "stderr": 0}
    slope = np.linspace(-1, 1, 9)
    first, second = (
        minimize(lambda x: float(slope @ x), X0, jac=lambda x: slope, method=qngd.scipy.method(circuits, **how))
        for circuits in (CIRCUIT, [CIRCUIT, CIRCUIT])
    )
    assert np.max(np.abs(first.x - second.x)) > 1e-3


@pytest.mark.parametrize("outer", [lambda e: np.sin(3 * e), lambda e: max(e, 0.2)])
def test_what_is_no_expectation_value_is_refused(outer):
    with pytest.raises(ParameterError, match="fun is not an expectation value of this circuit"):
        minimize(lambda x: outer(energy(x)), X0, method=qngd.scipy.method(CIRCUIT))


@pytest.mark.parametrize("wrong", [lambda g: -g, lambda g: 0.5 * g, lambda g: g[::-1], lambda g: 0 * g])
def test_a_gradient_of_something_else_is_refused(wrong):
    with pytest.raises(ParameterError, match=r"jac is not the gradient of fun: .* changes by -?\d.*, jac says"):
        minimize(energy, X0, jac=lambda x: wrong(slope(x)), method=qngd.scipy.method(CIRCUIT))


def test_a_gradient_by_differences_and_an_estimate_said_to_be_one_are_taken():
    def forward(x):
        return np.array([(energy(x + 1e-6 * unit) - energy(x)) / 1e-6 for unit in np.eye(9)])

    assert minimize(energy, X0, jac=forward, method=qngd.scipy.method(CIRCUIT)).success
    rng = np.random.default_rng(1)

    def noisy(x):
        return slope(x) + 0.1 * rng.normal(size=9)

    method = qngd.scipy.method(CIRCUIT, stderr=0.1, max_steps=2)
    assert minimize(energy, X0, jac=noisy, method=method).nit == 2


@pytest.mark.parametrize(
    ("fun", "how", "error", "text"),
    [
        (energy, {"x0": X0[:4]}, ParameterError, "it has 9 parameters .* x0 has 4 values"),
        (energy, {"constraints": [{"type": "eq", "fun": sum}]}, SettingError, "constraints: .* penalty"),
        (energy, {"options": {"maxitr": 3}}, SettingError, "'maxitr' is none of .* Did you mean 'maxiter'"),
        (energy, {"bounds": [(0, 1)] * 4}, ParameterError, "bounds must be 9 pairs"),
        (energy, {"jac": lambda x: x[:2]}, ParameterError, "jac must return 9 real numbers"),
        (lambda x: x, {}, ParameterError, "fun must return one real number"),
        (lambda x: 1j, {}, ParameterError, "fun must return one real number"),
    ],
)
def test_what_does_not_fit(fun, how, error, text):
    how = {"x0": X0, **how}
    with pytest.raises(error, match=text):
        minimize(fun, method=qngd.scipy.method(CIRCUIT), **how)


def test_settings_are_checked_before_a_run():
    with pytest.raises(SettingError, match="max_steps"):
        qngd.scipy.method(CIRCUIT, max_steps=-1)
    with pytest.raises(SettingError, match="stderr must be"):
        qngd.scipy.method(CIRCUIT, stderr=-0.1)
    with pytest.raises(SettingError, match="'adams' is none of"):
        qngd.scipy.method(CIRCUIT, optimizer="adams")
    with pytest.raises(CircuitError, match="not a circuit"):
        qngd.scipy.method(qngd.Problem(CIRCUIT, H, X0))


def test_not_finite_values_end_a_run():
    found = minimize(lambda x: np.nan, X0, jac=lambda x: np.zeros(9), method=qngd.scipy.method(CIRCUIT))
    assert not found.success
    assert found.result.status == "not_finite"
