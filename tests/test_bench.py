"""The benchmark measures what it says: numbers are compared before they are timed, limits hold, tables are fair."""

import ast
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector

from experiments import bench_cones, bench_report
from experiments.bench_exact import QNGD
from experiments.bench_peers import PEERS
from experiments.bench_plots import STYLES
from experiments.peers import environments, protocol
from experiments.peers.launch import OVER_LIMIT, Row, measure
from experiments.peers.qiskit import ansatz
from experiments.peers.qngd import METHODS, gradient, observable, state, step

FOLDER = Path(protocol.__file__).parent
MODULES = {contender.module for contender in (*PEERS, *bench_cones.PEERS)}


def row(label, kind="full_metric", n=8, times=(1.0, 1.0, 1.0), first=2.0, status="ok", **rest):
    return Row(label, kind, n, 4, status, first=first, times=times, **rest)


@pytest.mark.parametrize("module", [*sorted(MODULES - {"qngd"}), "protocol"])
def test_what_runs_beside_a_peer_does_not_import_the_package(module):
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.split(".")[0] == "qngd"]
    assert {name for name in imported if name.startswith("experiments")} <= {"experiments.peers.protocol"}


@pytest.mark.parametrize("module", sorted(MODULES - {"qngd"}))
def test_requirements_are_pinned(module):
    lines = (FOLDER / "requirements" / f"{module}.txt").read_text().splitlines()
    assert all("==" in line for line in lines if not line.startswith("#"))


def test_every_contender_has_a_style_of_its_own():
    labels = [contender.label for contender in (QNGD, *PEERS)]
    assert sorted(STYLES) == sorted(labels)
    assert len(set(STYLES.values())) == len(labels)


def test_an_environment_is_made_once_for_its_requirements(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "CACHE", tmp_path / ".bench")
    monkeypatch.setattr(environments, "_run", lambda command: commands.append(command))
    requirements = tmp_path / "experiments" / "peers" / "requirements" / "toy.txt"
    for folder in (requirements.parent, tmp_path / ".bench" / "toy"):
        folder.mkdir(parents=True)
    for pinned in ("a==1", "a==1", "a==2"):
        requirements.write_text(pinned)
        environments.python_of("toy")
    assert len(commands) == 4  # a venv and an installation, for each of two sets of requirements


def test_qngds_worker_computes_what_qiskit_does():
    n, layers = 3, 2
    theta = np.random.default_rng(5).uniform(0, 2 * np.pi, 2 * n * layers)
    circuit = ansatz(n, layers)
    operator = SparsePauliOp.from_list(list(observable(n).items()))

    def energy(at):
        return Statevector(circuit.assign_parameters(at)).expectation_value(operator).real

    h = 1e-5
    shifts = h * np.eye(len(theta))
    slope = np.array([energy(theta + e) - energy(theta - e) for e in shifts]) / (2 * h)
    assert gradient(n, layers)(theta) == pytest.approx(slope, abs=1e-8)
    assert state(n, layers)(theta) == pytest.approx(Statevector(circuit.assign_parameters(theta)).probabilities())
    assert step(n, layers)(theta)[0] == pytest.approx(energy(theta))


def test_low_probabilities_of_both_qubit_orders():
    amplitudes = np.zeros(8)
    amplitudes[0b001] = 1
    assert np.flatnonzero(protocol.low_probabilities(amplitudes)) == [0b001]
    assert np.flatnonzero(protocol.low_probabilities(amplitudes, qubit_0_is_lowest=False)) == [0b100]


@pytest.mark.parametrize("values", [[1.0], [1.0, np.nan]])
def test_missing_and_undefined_numbers_never_agree(values):
    assert protocol.deviation(np.array(values), [1.0, 2.0]) == np.inf


def test_wrong_numbers_are_not_timed():
    got, _ = measure(QNGD, sys.executable, "gradient", (2, 1), 0.01, 60.0, expected=[9.0] * 4)
    assert (got.status, got.times) == ("wrong", ())


def test_a_measurement_is_stopped_at_its_limit():
    got, values = measure(QNGD, sys.executable, "gradient", (2, 1), 0.01, 0.05)
    assert (got.status, got.note, values) == (OVER_LIMIT, "> 0.05 s", None)


def ratio_to(peer, *theirs, wanted=5.0):
    own = row("qngd", times=(0.1,) * 3, first=0.5)
    size = ("full_metric", 8, 4)
    return bench_report._ratio([own, *theirs], size, "qngd", peer, lambda r: r.median, wanted, "what")


def test_a_target_compares_with_the_fastest_of_a_peers_ways():
    target = ratio_to("Peer", row("Peer a", times=(0.9,) * 3), row("Peer b", times=(0.4,) * 3), row("Other"))
    assert (target.measured, target.reached) == ("4× (Peer b)", False)
    assert ratio_to("Peer", row("Peer", times=(0.6,) * 3)).reached


@pytest.mark.parametrize(
    ("status", "says"), [(OVER_LIMIT, "over the limit"), ("failed", "failed"), ("wrong", "failed")]
)
def test_a_target_without_a_time_is_not_reached(status, says):
    times = (9.0,) if status == "wrong" else ()
    target = ratio_to("Peer", row("Peer", times=times, status=status))
    assert (target.measured, target.reached) == (says, None)


def test_the_report_names_winners_and_losers(tmp_path):
    rows = [row("qngd"), row("qulacs", times=(0.5,) * 3, deviation=1e-16)]
    rows += [replace(r, num_qubits=12) for r in rows]
    rows += [row("Qiskit", n=12, times=(), first=None, status=OVER_LIMIT, note="> 60 s")]
    about = {"processor": "x", "cores": 2, "load_at_start": 0.0, "python": "3", "limit": 60.0}
    data = {"machine": about, "complete": False, "claims": {}, "rows": [asdict(r) for r in rows]}
    (tmp_path / "measurements.json").write_text(json.dumps(data))
    bench_report.write(tmp_path)
    table = (tmp_path / "table.md").read_text()
    assert "**0.5, faster**" in table
    assert "over limit: > 60 s" in table
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["first_call_over_qubits.png", "time_over_qubits.png"]


def test_verdicts_name_who_is_faster_and_who_gave_up():
    rows = [
        row("qngd, light cones", "gradient", times=(0.1,) * 3),
        row("qngd, Pauli propagation", "gradient", times=(4.0,) * 3),
        row("Aer MPS estimator, shift rule", "gradient", times=(2.0,) * 3),
        row("TensorCircuit-ng, light cones", "gradient", times=(), status=OVER_LIMIT, note="> 60 s"),
    ]
    data = json.loads(json.dumps({"limit": 60.0, "rows": [asdict(each) for each in rows]}))
    said = {verdict.claim: verdict for verdict in bench_cones.judge(data)}
    mps = said["a gradient takes Aer MPS estimator, shift rule at least 10 times as long as light cones"]
    assert (mps.holds, mps.found) == (True, "20× on 8 qubits, 4 layers")
    beside = said["a gradient by Aer MPS estimator, shift rule beside Pauli propagation"]
    assert (beside.holds, beside.found.split(":")[0]) == (None, "0.5× on 8 qubits, 4 layers")
    assert "is faster" in beside.found
    missed = said["what TensorCircuit-ng, light cones has not done in 60 s"]
    assert missed.found == "gradient of 8 qubits, 4 layers (> 60 s)"
    rows[2] = replace(rows[2], times=(0.5,) * 3)
    data["rows"] = json.loads(json.dumps([asdict(each) for each in rows]))
    assert not all(verdict.holds is not False for verdict in bench_cones.judge(data))


@pytest.mark.parametrize("name", ["cone_gradient", "propagated_gradient", "cone_step"])
def test_qngds_worker_of_shallow_circuits_computes_what_qiskit_does(name):
    n, layers = 5, 2
    theta = np.random.default_rng(6).uniform(0, 2 * np.pi, 2 * n * layers)
    circuit = shallow(n, layers)
    operator = SparsePauliOp.from_list(list(observable(n).items()))

    def energy(at):
        return Statevector(circuit.assign_parameters(at)).expectation_value(operator).real

    shifts = np.pi / 2 * np.eye(len(theta))
    slope = np.array([energy(theta + e) - energy(theta - e) for e in shifts]) / 2
    assert METHODS[name](n, layers)(theta) == pytest.approx(slope, abs=1e-9)
    way = name.replace("gradient", "energy").replace("step", "energy")
    assert METHODS[way](n, layers)(theta) == pytest.approx(energy(theta), abs=1e-9)


def shallow(num_qubits, layers):
    """The brickwork that all are given, written with Qiskit's own gates."""
    circuit, angles = QuantumCircuit(num_qubits), iter(ParameterVector("t", 2 * num_qubits * layers))
    for _ in range(layers):
        for gate in (circuit.ry, circuit.rz):
            for q in range(num_qubits):
                gate(next(angles), q)
        for first in (0, 1):
            for q in range(first, num_qubits - 1, 2):
                circuit.cx(q, q + 1)
    return circuit
