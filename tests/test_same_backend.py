"""Backends of one name that give other results: a stored run tells them apart, and knows its own again."""

import pytest

import qngd
from qngd.backends.statevector import StatevectorSampler
from tests.known_runs import FIXED
from tests.qiskit_devices import new_estimator


def pennylane(strength):
    qml = pytest.importorskip("pennylane")
    model = qml.NoiseModel({qml.noise.op_in([qml.RY]): qml.noise.partial_wires(qml.DepolarizingChannel, strength)})
    return qml.noise.add_noise(qml.device("default.mixed", wires=2), model)


def inserted(strength):
    qml = pytest.importorskip("pennylane")
    return qml.noise.insert(qml.device("default.mixed", wires=2), qml.AmplitudeDamping, strength, position="end")


def placed(qubits):
    provider = pytest.importorskip("qiskit_ibm_runtime.fake_provider")
    return qngd.backends.resolve(provider.FakeManilaV2(), initial_layout=list(qubits))


def mitigated(level):
    provider = pytest.importorskip("qiskit_ibm_runtime.fake_provider")
    estimator = new_estimator(provider.FakeManilaV2())
    estimator.options.resilience_level = level
    return estimator


def corrected(shots):
    return qngd.backends.ReadoutCorrected(StatevectorSampler(), shots=shots)


def selected(parity):
    return qngd.backends.PostSelected(StatevectorSampler(), parities=[parity])


NOISE = r"noise of the backend: was 'noisy \w+', is 'noisy \w+'"
ALIKE = {
    "noise model": (pennylane, 0.01, 0.02, NOISE),
    "inserted noise": (inserted, 0.01, 0.02, NOISE),
    "layout": (placed, (0, 1), (3, 4), r"backend: was 'initial_layout=\(0, 1\)', is 'initial_layout=\(3, 4\)'"),
    "mitigation": (mitigated, 0, 2, "backend: was 'resilience_level=0', is 'resilience_level=2'"),
    "correction": (corrected, 10, 20, "backend: was 'shots=10', is 'shots=20'"),
    "symmetry": (selected, "ZZ", "IZ", "settings of the backend: was .*'ZZ'.*, is .*'IZ'"),
}


def circuit():
    """Conserves ZZ and IZ."""
    sketch = qngd.CircuitBuilder(2)
    a, b = sketch.parameters("a", "b")
    return sketch.x(0).rz(a, 0).rzz(b, 0, 1)


def go(backend, run_dir):
    how = {"shots": 20, "seed": 1, "max_steps": 0, "optimizer": FIXED}
    return qngd.minimize(circuit(), {"ZZ": 1.0, "XI": 0.4}, [0.3, -0.6], backend=backend, run_dir=run_dir, **how)


@pytest.mark.parametrize("name", ALIKE)
def test_a_backend_of_the_same_name_that_gives_other_results_is_refused(name, tmp_path):
    make, one, other, words = ALIKE[name]
    first = go(make(one), tmp_path)
    with pytest.raises(qngd.SettingError, match=words):
        go(make(other), tmp_path)
    assert go(make(one), tmp_path).energy == first.energy


def test_what_is_as_usual_is_not_said(tmp_path):
    """So that a run that was begun before such settings were known goes on."""
    go(StatevectorSampler(), tmp_path)
    assert "settings of the backend" not in qngd.load(tmp_path).settings
