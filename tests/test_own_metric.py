"""A metric of a user's own: everything that takes the name of a metric takes it, and nothing else knows of it."""

import numpy as np
import pytest

import qngd
from qngd.errors import SettingError
from qngd.metrics import Metric, as_metric
from qngd.metrics.names import HOMES, METRICS
from tests import dense
from tests.own_backends import ExactDevice
from tests.pages import shown
from tests.strategies import Sketch

ByOverlaps = shown("howto/add-a-metric.md").ByOverlaps

# --- what it is asked for ---

TERMS = {"XXI": 0.7, "ZIZ": -0.4, "IZZ": 0.3, "YIX": 0.2, "IIZ": 0.5, "ZZI": 0.6}
THETA = np.array([0.3, -0.7, 1.1, 0.4])


def ansatz():
    """With fixed gates, a parameter that two layers share, and one that turns backwards at half the speed."""
    sketch = Sketch(3, 4)
    a, b, c, d = sketch.t
    sketch("u", 0, 0.9, 1.2, 0.3)("u", 1, 1.4, -0.8, 0.3)("u", 2, 2.1, 0.7, 0.1)
    sketch("ry", 0, a)("rx", 1, -0.5 * b)("cx", 0, 1)("t", 1)("ry", 2, a)("cx", 1, 2)("rz", 2, c)("ry", 1, d)
    return sketch.circuit()


def truth():
    circuit = ansatz()
    phi, jacobian = circuit.angle_map.linearize(THETA)
    rows = jacobian.toarray()
    return rows.T @ np.diag(np.diag(dense.rotation_metric(circuit, phi))) @ rows


def test_it_is_exact():
    found = qngd.metric_tensor(ansatz(), THETA, approx=ByOverlaps(0.01))
    assert found.is_exact
    assert found.approx == "by-overlaps"
    assert np.allclose(found, truth() + 0.01 * np.eye(4), atol=1e-12)


@pytest.mark.parametrize("backend", ["statevector", "aer"])
def test_it_is_measured(backend):
    if backend == "aer":
        pytest.importorskip("qiskit_aer")
    found = qngd.metric_tensor(ansatz(), THETA, approx=ByOverlaps(), backend=backend, shots=4000, seed=3)
    off = np.asarray(found) - truth()
    moved = found.stderr > 0
    assert np.abs(off[~moved]).max(initial=0.0) < 1e-12
    assert 0 < np.abs(off[moved] / found.stderr[moved]).max() < 4
    assert found.shots == 5 * 4000


def test_its_errors_are_those_of_repetitions():
    metrics = [qngd.metric_tensor(ansatz(), THETA, approx=ByOverlaps(), shots=300, seed=s) for s in range(150)]
    spread = np.std([np.asarray(m) for m in metrics], axis=0, ddof=1)
    stderr = np.sqrt(np.mean([m.stderr**2 for m in metrics], axis=0))
    assert np.all(spread <= 1.3 * stderr)
    assert np.allclose(np.diag(spread)[:2], np.diag(stderr)[:2], rtol=0.25)  # overlaps that are neither 0 nor 1


@pytest.mark.parametrize("shots", [None, 400, "auto", qngd.TargetError(0.1)])
def test_it_minimizes(shots):
    circuit, optimizer = ansatz(), qngd.QNG(approx=ByOverlaps(1e-3))
    steps = 60 if shots == "auto" else 15  # whose first steps take few shots
    result = qngd.minimize(circuit, TERMS, THETA, optimizer=optimizer, shots=shots, max_steps=steps, tol=0, seed=1)
    plain = qngd.minimize(circuit, TERMS, THETA, optimizer=qngd.QNG(approx="diag"), max_steps=60)
    assert result.state.evaluation.metric.approx == "by-overlaps"
    assert float(qngd.expectation(circuit, TERMS, result.theta)) == pytest.approx(plain.energy, abs=0.05)


@pytest.mark.parametrize("shots", [100, "auto", qngd.TargetError(0.1)])
def test_its_price_is_what_is_asked_for(shots):
    price = qngd.cost(ansatz(), TERMS, THETA, shots=shots, approx=ByOverlaps())
    device = ExactDevice()
    qngd.minimize(
        ansatz(), TERMS, THETA, backend=device, shots=shots, optimizer=qngd.QNG(0.01, ByOverlaps()), max_steps=0
    )
    _, requests, _ = device.submissions[0]
    assert (price.step.circuits, price.step.shots) == (len(requests), sum(r.shots for r in requests))
    assert price.metric_circuits == 5


def test_automatic_shots_reach_its_circuits():
    """Of circuits whose shots' worth is not known, each gets what one of the gradient's gets on average."""
    device = ExactDevice()
    optimizer = qngd.QNG(0.01, ByOverlaps())
    qngd.minimize(ansatz(), TERMS, THETA, backend=device, shots="auto", optimizer=optimizer, max_steps=1, tol=0)
    _, requests, _ = device.submissions[-1]
    own, others = [r.shots for r in requests[-5:]], [r.shots for r in requests[:-5]]
    assert len(set(own)) == 1
    assert np.mean(others) / 2 < own[0] < 2 * np.mean(others)


@pytest.mark.parametrize("shots", [None, "auto"])
def test_a_run_with_it_goes_on_to_the_same_digits(tmp_path, shots):
    def run(steps, floor=0.01, **how):
        optimizer = qngd.QNG(approx=ByOverlaps(floor), refresh=qngd.refresh.Refresh(average=0.5))
        return qngd.minimize(
            ansatz(), TERMS, THETA, optimizer=optimizer, max_steps=steps, tol=0, seed=7, shots=shots, **how
        )

    straight = run(5)
    run(2, run_dir=tmp_path)
    resumed = run(5, run_dir=tmp_path)
    assert np.array_equal(resumed.theta, straight.theta)
    assert np.array_equal(resumed.state.evaluation.metric, straight.state.evaluation.metric)
    with pytest.raises(SettingError, match="holds another run: optimizer"):
        run(6, floor=0.02, run_dir=tmp_path)


def test_a_metric_that_cannot_be_written_down_is_not_stored(tmp_path):
    class Plain(Metric):
        name, exact, asked, estimate = "plain", ByOverlaps.exact, ByOverlaps.asked, ByOverlaps.estimate

    with pytest.raises(SettingError, match="frozen dataclasses"):
        qngd.minimize(ansatz(), TERMS, THETA, optimizer=qngd.QNG(approx=Plain()), max_steps=1, run_dir=tmp_path)


# --- choosing ---


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        (ByOverlaps, r"the class ByOverlaps; write ByOverlaps\(…\)"),
        ("by-overlaps", "none of diag, block-diag"),
        (np.eye(4), "no qngd.metrics.Metric"),
        ("Full", "Did you mean 'full'"),
        (None, "none of diag"),
    ],
)
def test_what_is_no_metric_is_refused(wrong, answer):
    circuit = ansatz()
    calls = [lambda: qngd.metric_tensor(circuit, THETA, approx=wrong)]
    calls.append(lambda: qngd.cost(circuit, TERMS, THETA, approx=wrong))
    if wrong is not None:
        calls.append(lambda: qngd.QNG(approx=wrong))
    for call in calls:
        with pytest.raises(SettingError, match=f"^approx: .*{answer}"):
            call()


def test_a_metric_has_a_name_and_answers_all_questions():
    class Nameless(Metric):
        def exact(self, point):
            """Nothing."""

    with pytest.raises(TypeError, match=r"asked.*estimate.*name"):
        Nameless()


@pytest.mark.parametrize("name", METRICS)
def test_names_and_objects_are_the_same(name):
    metric = as_metric(name)
    assert metric.name == name
    assert type(metric).__name__ == HOMES[name][1]
    assert getattr(qngd.metrics, HOMES[name][1])() == metric
    for shots in (None, 60):
        by_name, by_object = (
            qngd.metric_tensor(ansatz(), THETA, approx=approx, observable=TERMS, shots=shots, seed=2)
            for approx in (name, metric)
        )
        assert by_name.approx == name
        assert np.array_equal(by_name, by_object)
        assert np.array_equal(by_name.stderr, by_object.stderr)


def test_the_identity_asks_for_no_circuits():
    found = qngd.metric_tensor(ansatz(), THETA, approx="identity", shots=10)
    assert found.is_exact
    assert np.array_equal(found, np.eye(4))
    assert qngd.cost(ansatz(), TERMS, THETA, approx="identity").metric_circuits == 0
