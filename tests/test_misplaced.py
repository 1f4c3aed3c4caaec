"""Arguments in each other's place and states of other runs: understood, or the line to write is shown."""

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

import qngd
from qngd.errors import CircuitError, ParameterError, SettingError

PROGRAM = """
OPENQASM 3.0; include "stdgates.inc";
input float a; input float b; qubit[2] q;
ry(a) q[0]; cx q[0], q[1]; rx(b) q[1];
"""
ENERGY = {"ZZ": 1.0, "XI": 0.5}
THETA = [0.3, -0.7]


@qml.qnode(qml.device("default.qubit", wires=2))
def node(w):
    qml.RY(w[0], 0)
    qml.CNOT([0, 1])
    qml.RX(w[1], 1)
    return qml.expval(qml.Z(0) @ qml.X(1) + 0.5 * qml.Z(0))


def test_a_start_after_a_problem_is_its_start():
    problem = qngd.Problem(PROGRAM, ENERGY, [2.0, 2.0])
    ours = qngd.minimize(problem, THETA, max_steps=2)
    assert ours.history == pytest.approx(qngd.minimize(PROGRAM, ENERGY, THETA, max_steps=2).history)
    assert qngd.cost(problem, THETA, shots=10) == qngd.cost(PROGRAM, ENERGY, THETA, shots=10)


@pytest.mark.parametrize("function", [qngd.expectation, qngd.gradient])
def test_a_problem_is_given_by_its_parts_to_functions_of_one_theta(function):
    problem = qngd.Problem(PROGRAM, ENERGY, THETA)
    for arguments in ((problem,), (problem, THETA), (problem, None, THETA)):
        with pytest.raises((CircuitError, ParameterError), match=r"\(problem\.circuit, problem\.observable, "):
            function(*arguments)
    parts = (problem.circuit, problem.observable, problem.theta0)
    assert np.isfinite(function(*parts).value).all()


@pytest.mark.parametrize("start", [THETA, tuple(THETA), np.array(THETA), pnp.array(THETA)])
def test_parameters_in_the_circuits_place_are_named(start):
    for wrong in (
        lambda: qngd.minimize(start, node),
        lambda: qngd.minimize(start, ENERGY, PROGRAM),
        lambda: qngd.expectation(start, ENERGY, PROGRAM),
        lambda: qngd.wrap(start),
    ):
        with pytest.raises((CircuitError, ParameterError), match="parameter values stand in its place"):
            wrong()


def test_a_result_is_no_problem():
    result = qngd.minimize(PROGRAM, ENERGY, THETA, max_steps=1)
    with pytest.raises(SettingError, match=r"minimize\(problem, state=result\.state\)"):
        qngd.minimize(result)


def test_a_state_goes_on_with_its_own_circuit_and_observable_only(tmp_path):
    result = qngd.minimize(PROGRAM, ENERGY, THETA, max_steps=1)
    other = PROGRAM.replace("rx(b)", "rz(b)")
    for circuit, observable in ((PROGRAM, {"XX": 1.0}), (other, ENERGY)):
        with pytest.raises(SettingError, match=r"another circuit or observable.*theta0=result\.theta"):
            qngd.minimize(circuit, observable, THETA, state=result.state)
        anew = qngd.minimize(circuit, observable, theta0=result.theta, max_steps=0)
        assert anew.energy == qngd.expectation(circuit, observable, result.theta).value
    straight = qngd.minimize(PROGRAM, ENERGY, THETA, max_steps=3)
    kept = qngd.minimize(PROGRAM, ENERGY, THETA, max_steps=1, run_dir=tmp_path)
    for state in (result.state, kept.state):
        on = qngd.minimize(qngd.wrap(PROGRAM), dict(reversed(ENERGY.items())), THETA, state=state, max_steps=2)
        assert on.energy == straight.energy


def test_an_empty_run_dir_is_not_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match="run_dir must be the path of a folder"):
        qngd.minimize(PROGRAM, ENERGY, THETA, run_dir="")
    assert not list(tmp_path.iterdir())


def test_elements_of_arrays_are_coefficients():
    weights = pnp.array([1.0, 0.5])
    found = qngd.expectation(PROGRAM, {"ZZ": weights[0], "XI": weights[1]}, THETA)
    assert found.value == qngd.expectation(PROGRAM, ENERGY, THETA).value
    with pytest.raises(qngd.ObservableError, match="coefficient of ZZ"):
        qngd.expectation(PROGRAM, {"ZZ": np.array("1")}, THETA)


@pytest.mark.parametrize(("theta", "shown"), [([None, 1.0], "None"), (["a", "b"], "'a', 'b'"), ([1j, 2], "1j")])
def test_what_is_no_number_in_theta_is_shown(theta, shown):
    with pytest.raises(ParameterError, match=f"theta must be 2 real numbers; got .*{shown}"):
        qngd.expectation(PROGRAM, ENERGY, theta)


def test_split_wants_a_value_for_every_parameter():
    for circuit in (qngd.wrap(PROGRAM), qngd.wrap(node, np.array(THETA))):
        assert np.array_equal(circuit.split([1.0, 2.0]), [1.0, 2.0])
        with pytest.raises(ParameterError, match=r"\(2,\); got \(3,\)"):
            circuit.split([1.0, 2.0, 3.0])


def test_derivatives_of_a_framework_through_our_functions_are_refused():
    with pytest.raises(ParameterError, match=r"qngd\.gradient"):
        qml.grad(lambda w: qngd.expectation(node, w).value)(pnp.array(THETA, requires_grad=True))


@pytest.mark.parametrize("layout", [{0: 3, 1: 4}, {3, 4}])
def test_a_layout_without_order_is_refused(layout):
    from qngd.backends.qiskit.choice import QiskitSettings

    with pytest.raises(SettingError, match=r"initial_layout is one physical qubit .* such as \[3, 5, 4\]"):
        QiskitSettings(initial_layout=layout)


def test_a_class_in_the_place_of_a_backend_is_named():
    from qiskit_aer import AerSimulator

    with pytest.raises(qngd.BackendError, match=r"the class AerSimulator; write AerSimulator\(…\)"):
        qngd.expectation(PROGRAM, ENERGY, THETA, backend=AerSimulator)


@pytest.mark.parametrize("callback", [lambda: None, lambda count, theta: None, lambda count, theta, value, error: None])
def test_a_callback_of_other_arguments_is_refused_before_anything_runs(callback):
    with pytest.raises(SettingError, match="callback=lambda info"):
        qngd.minimize(PROGRAM, ENERGY, THETA, callback=callback)


@pytest.mark.parametrize(
    ("name", "content"), [("a.qpy", b""), ("a.qpy", b"QISKIT\x0e"), ("a.qasm", b""), ("a.qasm", b"// x\n")]
)
def test_files_that_hold_no_circuit_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CircuitError, match=rf"the file .*{name}' (is empty|is no QPY)"):
        qngd.wrap(tmp_path / name)


def test_stored_runs_cut_to_nothing_are_named(tmp_path):
    qngd.minimize(PROGRAM, ENERGY, THETA, max_steps=1, run_dir=tmp_path)
    (tmp_path / "run.sqlite").write_bytes(b"")
    with pytest.raises(qngd.errors.StorageError, match=r"^run_dir: \S*run\.sqlite .* or it is damaged"):
        qngd.minimize(PROGRAM, ENERGY, THETA, max_steps=2, run_dir=tmp_path)


def test_included_files_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "my.inc").write_bytes(b"\xef\xbb\xbfgate turn(t) q { ry(t) q; }")
    (tmp_path / "a.qasm").write_text(
        'OPENQASM 3.0; include "stdgates.inc"; include "my.inc"; input float a; qubit q; turn(a) q;'
    )
    assert qngd.expectation(tmp_path / "a.qasm", {"Z": 1.0}, [0.3]).value == pytest.approx(np.cos(0.3))


def test_arguments_of_a_qnode_by_name_or_in_a_list():
    @qml.qnode(qml.device("default.qubit", wires=1))
    def two(a, b):
        qml.RY(a, 0)
        qml.RX(b, 0)
        return qml.expval(qml.Z(0))

    @qml.qnode(qml.device("default.qubit", wires=1))
    def one(w):
        qml.RY(w[0], 0)
        return qml.expval(qml.Z(0))

    @qml.qnode(qml.device("default.qubit", wires=1))
    def either(a, b=0.1):
        qml.RY(a, 0)
        qml.RX(b, 0)
        return qml.expval(qml.Z(0))

    theta = [0.3, 0.4]
    with pytest.raises(CircuitError, match=r"write tuple\(theta\)"):
        qngd.expectation(two, theta)
    assert qngd.expectation(two, tuple(theta)).value == pytest.approx(np.cos(0.3) * np.cos(0.4))
    named = {"w": [0.3]}
    with pytest.raises(CircuitError, match=r"tuple\(theta.values\(\)\)"):
        qngd.expectation(one, named)
    assert qngd.expectation(one, tuple(named.values())).value == pytest.approx(np.cos(0.3))
    with pytest.raises(CircuitError, match=r"RY on wires .*which is no number"):
        qngd.expectation(either, {"a": 0.3, "b": 0.4})


def test_energies_that_a_qnode_returned_are_targets_and_references():
    energy = node(pnp.array(THETA))  # an array without axes
    assert qngd.Problem(node, None, THETA, reference_energy=energy).reference_energy == float(energy)
    result = qngd.minimize(node, np.array(THETA), target=energy - 0.1)
    assert result.status == "target"
    assert result.energy <= float(energy) - 0.1


@pytest.mark.parametrize("shots", [50, "auto", qngd.TargetError(0.2)])
def test_a_step_that_needs_no_circuit_needs_no_shots(shots):
    result = qngd.minimize(
        PROGRAM, {"II": 2.0}, THETA, optimizer=qngd.QNG(approx="identity"), shots=shots, seed=1, max_steps=1
    )
    assert (result.energy, result.stderr, result.cost.shots) == (2.0, 0.0, 0)
