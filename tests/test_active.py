"""Idle qubits are left out and nothing else changes: programs on a few of many qubits, against dense matrices of the
few."""

from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector

import qngd
from qngd.circuit.active import active_qubits, as_measured, moved_qubits, without_idle
from qngd.circuit.observable import Observable
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.exact import ExactEvaluator
from qngd.interop.given import read_given
from qngd.report.circuits import describe_circuit, step_measurements
from qngd.run.pricing.planned import planned_step
from tests import dense
from tests.strategies import GateUse, Program, Sketch, examples, programs, random_program

PLACES = (101, 3, 64)  # of qubits 0, 1, 2: out of order, and in different words of a mask
WIDTH = 120
TERMS = {"ZZI": 0.7, "XIY": -0.4, "IYX": 0.9, "IIZ": 0.3, "III": 0.2}
SMALL = random_program(3, 3, 14, 4)


def widened(program: Program, width: int, places: tuple[int, ...]) -> Program:
    gates = tuple(replace(use, qubits=tuple(places[q] for q in use.qubits)) for use in program.gates)
    return replace(program, num_qubits=width, gates=gates)


def wide_label(label: str, width: int, places: tuple[int, ...], **others: str) -> str:
    letters = ["I"] * width
    for letter, place in zip(reversed(label), places, strict=True):
        letters[place] = letter
    for name, letter in others.items():
        letters[int(name[1:])] = letter
    return "".join(reversed(letters))


def wide_terms(width=WIDTH, places=PLACES):
    """The terms on the wide register, with Z on idle qubits, which is 1, and X and Y there, which are 0."""
    found = {wide_label(label, width, places): c for label, c in TERMS.items()}
    found[wide_label("ZIX", width, places, q1="Z", q2="Z")] = 0.5
    found[wide_label("III", width, places, q0="Z")] = -0.8
    found[wide_label("IZI", width, places, q1="Z", q2="X")] = 3.0
    found[wide_label("III", width, places, q4="Y")] = 2.0
    return found


NARROW = {**TERMS, "ZIX": 0.5, "III": 0.2 - 0.8}
CIRCUIT = widened(SMALL, WIDTH, PLACES).circuit()
THETA = SMALL.theta


def energy(thetas):
    states = SMALL.states(np.atleast_2d(thetas))
    return np.einsum("bi,ij,bj->b", states.conj(), dense.observable_matrix(NARROW), states).real


def slope():
    step = 1e-5 * np.eye(len(THETA))
    return (energy(THETA + step) - energy(THETA - step)) / 2e-5


def metric():
    return dense.metric(lambda theta: SMALL.states(theta[None])[0], THETA)


def test_energy_gradient_and_metric_are_those_of_the_active_qubits():
    assert qngd.expectation(CIRCUIT, wide_terms(), THETA).value == pytest.approx(energy(THETA)[0], abs=1e-12)
    assert qngd.gradient(CIRCUIT, wide_terms(), THETA).value == pytest.approx(slope(), abs=1e-8)
    assert np.asarray(qngd.metric_tensor(CIRCUIT, THETA, approx="full")) == pytest.approx(metric(), abs=1e-9)


@pytest.mark.parametrize("approx", ["diag", "block-diag", "qn-spsa", "random-basis"])
def test_every_metric_is_that_of_the_circuit_without_them(approx):
    order = np.argsort(PLACES)
    narrow = widened(SMALL, 3, tuple(int(p) for p in np.argsort(order))).circuit()
    found, sought = (qngd.metric_tensor(c, THETA, approx=approx, seed=4) for c in (CIRCUIT, narrow))
    assert np.asarray(found) == pytest.approx(np.asarray(sought), abs=1e-9)


def test_a_run_and_products_with_the_metric():
    lowest = np.linalg.eigvalsh(dense.observable_matrix(NARROW))[0]
    plain = qngd.minimize(CIRCUIT, wide_terms(), THETA, max_steps=30)
    free = qngd.minimize(CIRCUIT, wide_terms(), THETA, max_steps=30, optimizer=qngd.QNG(approx="matrix-free"))
    assert plain.energy == pytest.approx(float(energy(plain.theta)[0]), abs=1e-10)
    assert lowest - 1e-9 < free.energy < energy(THETA)[0] - 0.1
    product = ExactEvaluator(CIRCUIT, None).metric_product(THETA)
    vector = np.arange(1.0, 1 + len(THETA))
    assert product(vector) == pytest.approx(metric() @ vector, abs=1e-9)


@examples(30)
@given(programs(max_qubits=3), st.permutations(range(7)), st.sampled_from("XYZ"), st.integers(0, 6))
def test_the_wide_circuit_has_the_state_and_energies_of_the_narrow_one(program, order, letter, qubit):
    n = program.num_qubits
    places = tuple(order[:n])
    wide = widened(program, 7, places).circuit()
    narrow = program.states(program.theta[None])[0]
    truth = np.zeros(2**7, dtype=complex)
    for index, amplitude in enumerate(narrow):
        truth[sum((index >> q & 1) << place for q, place in enumerate(places))] = amplitude
    assert abs(np.vdot(truth, qngd.statevector(wide, program.theta))) == pytest.approx(1.0, abs=1e-10)
    label = wide_label("I" * n, 7, places, **{f"q{qubit}": letter})
    sought = np.vdot(truth, dense.label_matrix(label) @ truth).real
    assert qngd.expectation(wide, {label: 1.0}, program.theta).value == pytest.approx(sought, abs=1e-10)


def test_nothing_changes_where_all_qubits_are_active():
    circuit = random_program(5, 3, 12, 3).circuit()
    observable = Observable.from_mapping({"XYZ": 1.0})
    assert without_idle(circuit) is circuit
    assert as_measured(observable, circuit) is observable


def test_a_circuit_without_gates():
    wide = Program(90, (), np.zeros(0)).circuit()
    assert active_qubits(wide).tolist() == [0]
    assert qngd.expectation(wide, {"Z" * 90: 1.0, "X" * 90: 5.0}, []).value == 1.0
    assert qngd.sample(wide, [], shots=3) == {"0" * 90: 3}


# --- qubits that only Clifford gates and turns about Z touch ---


@examples(40)
@given(programs(max_qubits=4), st.integers(0, 3), st.integers(0, 2**16))
def test_qubits_that_stay_zero_before_the_last_frame(program, more, seed):
    """Clifford gates in front, behind and beside, on qubits that no rotation may reach."""
    n = program.num_qubits + more
    rng = np.random.default_rng(seed)
    names = ["h", "s", "x", "cx", "swap", "rz"] if n > 1 else ["h", "s", "x", "rz"]

    def layer():
        for name in rng.choice(names, size=5):
            count = 2 if name in ("cx", "swap") else 1
            qubits = tuple(int(q) for q in rng.choice(n, size=count, replace=False))
            yield GateUse(name, qubits, *(((0.0,) * program.num_parameters,), (0.3,)) if name == "rz" else ())

    dressed = replace(program, num_qubits=n, gates=(*layer(), *program.gates, *layer()))
    circuit, theta = dressed.circuit(), dressed.theta
    state = dressed.states(theta[None])[0]
    label = "".join(rng.choice(list("IXYZ"), size=n))
    sought = np.vdot(state, dense.label_matrix(label) @ state).real
    assert qngd.expectation(circuit, {label: 1.0}, theta).value == pytest.approx(sought, abs=1e-10)
    if len(theta):
        truth = dense.metric(lambda at: dressed.states(at[None])[0], theta)
        assert np.asarray(qngd.metric_tensor(circuit, theta, approx="full")) == pytest.approx(truth, abs=1e-8)
        product = ExactEvaluator(circuit, None).metric_product(theta)
        assert product(np.ones(len(theta))) == pytest.approx(truth.sum(axis=1), abs=1e-8)


def greenberger(n):
    """RZ(t) on the last qubit of a GHZ state, which SWAP gates have carried around."""
    sketch = Sketch(n, 1)
    sketch("h", 0)
    for q in range(n - 1):
        sketch("cx", q, q + 1)
    for q in range(0, n - 1, 3):
        sketch("swap", q, n - 1)
    sketch("rz", n - 1, sketch.t[0])
    return sketch.circuit()


def test_a_wide_state_with_few_moving_qubits():
    """⟨X⋯X⟩ = cos t, ⟨Y X⋯X⟩ = sin t, ⟨ZZ⟩ = 1, and the metric is ¼."""
    circuit, n = greenberger(60), 60
    terms = {"X" * n: 1.0, "Y" + "X" * (n - 1): 2.0, "Z" + "I" * (n - 2) + "Z": 0.5, "Z" + "I" * (n - 1): 7.0}
    assert len(moved_qubits(circuit.generators)) == 1
    assert qngd.expectation(circuit, terms, [0.4]).value == pytest.approx(np.cos(0.4) + 2 * np.sin(0.4) + 0.5)
    assert qngd.gradient(circuit, terms, [0.4]).value == pytest.approx([2 * np.cos(0.4) - np.sin(0.4)])
    for approx in ("full", "block-diag", "diag"):
        assert np.asarray(qngd.metric_tensor(circuit, [0.4], approx=approx)) == pytest.approx(0.25)
    counts = qngd.sample(circuit, [0.4], shots=100, seed=1)
    assert set(counts) == {"0" * n, "1" * n}
    # more bits than a word holds
    assert set(qngd.sample(greenberger(150), [0.4], shots=100, seed=1)) == {"0" * 150, "1" * 150}


# --- with shots ---


def test_bit_strings_have_the_users_width():
    counts = qngd.sample(CIRCUIT, THETA, shots=4000, seed=1)
    ones = np.array([[letter == "1" for letter in reversed(bits)] for bits in counts])
    weights = np.array(list(counts.values())) / 4000
    assert ones.shape[1] == WIDTH
    assert np.flatnonzero(ones.any(axis=0)).tolist() == sorted(PLACES)
    probabilities = np.abs(SMALL.states(THETA[None])[0]) ** 2
    for qubit, place in enumerate(PLACES):
        sought = probabilities[(np.arange(8) >> qubit & 1) == 1].sum()
        assert weights @ ones[:, place] == pytest.approx(sought, abs=4.5 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize("backend", [None, "aer", "default.qubit", "lightning.qubit"])
def test_devices_are_asked_for_the_active_qubits(backend):
    found = qngd.expectation(CIRCUIT, wide_terms(), THETA, backend=backend, shots=4000, seed=2)
    assert 0 < found.stderr < 0.1
    assert abs(found.value - energy(THETA)[0]) < 4.5 * found.stderr
    sampled = qngd.metric_tensor(CIRCUIT, THETA, backend=backend, shots=4000, seed=2)
    exact = np.asarray(qngd.metric_tensor(CIRCUIT, THETA))
    assert np.all(np.abs(np.asarray(sampled) - exact) < 4.5 * sampled.stderr + 1e-9)


def test_a_users_device_keeps_its_wires():
    asked = []

    class Noting(qml.devices.DefaultQubit):
        def execute(self, circuits, execution_config=None):
            asked.extend(circuits)
            return super().execute(circuits, execution_config)

    device = Noting(wires=[f"w{q}" for q in range(WIDTH)])
    found = qngd.metric_tensor(CIRCUIT, THETA, approx="full", backend=device, shots=100, seed=1)
    wires = {wire for script in asked for wire in script.wires}
    assert {f"w{q}" for q in PLACES} < wires <= {f"w{q}" for q in (*PLACES, 0)}  # the ancilla takes a free one
    assert found.shots


# --- each way in ---


def test_a_qnode_on_a_device_with_many_wires():
    @qml.qnode(qml.device("default.qubit", wires=60))
    def circuit(x):
        qml.RX(x[0], wires=40)
        qml.CNOT(wires=[40, 7])
        qml.RY(x[1], wires=7)
        qml.IsingXY(x[2], wires=[7, 23])
        return qml.expval(qml.Z(40) @ qml.X(7) + 0.3 * qml.Z(23) + 0.2 * qml.Z(0) + 0.7 * qml.X(3))

    x = np.array([0.3, 0.5, 0.9])
    assert qngd.wrap(circuit, x).num_qubits == 60
    assert qngd.expectation(circuit, None, x).value == pytest.approx(float(circuit(x)), abs=1e-12)
    step = 1e-5 * np.eye(3)
    slopes = [(circuit(x + s) - circuit(x - s)) / 2e-5 for s in step]
    assert qngd.gradient(circuit, None, x).value == pytest.approx(slopes, abs=1e-8)


def test_physical_qubits_of_openqasm():
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; ry(a) $70; cx $70, $41; rx(2 * a) $41;'
    circuit = qngd.wrap(program)
    assert circuit.num_qubits == 71
    label = "Z" + "I" * 28 + "Y" + "I" * 41
    sought = qngd.expectation(program, {label: 1.0}, [0.4]).value
    twin = QuantumCircuit(2)  # qubit 1 for $70
    twin.ry(0.4, 1)
    twin.cx(1, 0)
    twin.rx(0.8, 0)
    assert sought == pytest.approx(Statevector(twin).expectation_value(SparsePauliOp("ZY")).real, abs=1e-12)


# --- what is said of size and cost ---


def test_choices_and_costs_see_the_active_qubits():
    evaluator = evaluator_for(CIRCUIT, Observable.from_mapping(wide_terms()))
    assert evaluator.default_metric().name == "full"
    assert describe_circuit(CIRCUIT).startswith("120 qubits (3 active), 4 parameters, ")
    given = read_given(CIRCUIT, wide_terms(), THETA)
    rows = step_measurements(planned_step(given, given.observable))
    assert "for 5 Pauli terms" in rows["energy"]
    narrow = qngd.cost(SMALL.circuit(), NARROW, THETA).step
    assert qngd.cost(CIRCUIT, wide_terms(), THETA).step == narrow


def test_a_statevector_that_cannot_be():
    with pytest.raises(qngd.MemoryLimitError, match=r"2\^120 amplitudes .* gates act on 3 of the qubits"):
        qngd.statevector(CIRCUIT, THETA)


def test_an_observable_of_the_circuit_before_it_was_transpiled():
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("a"), 0)
    circuit.cx(0, 1)
    isa = transpile(circuit, GenericBackendV2(20, seed=1), initial_layout=[13, 6], optimization_level=1)
    hamiltonian = SparsePauliOp.from_list([("ZX", 1.0), ("IZ", 0.4)])
    with pytest.raises(qngd.ObservableError, match=r"2 qubits, the circuit has 20;.*H\.apply_layout\(isa\.layout\)"):
        qngd.expectation(isa, hamiltonian, [0.3])
    bound = circuit.assign_parameters([0.3])
    sought = Statevector(bound).expectation_value(hamiltonian).real
    assert qngd.expectation(isa, hamiltonian.apply_layout(isa.layout), [0.3]).value == pytest.approx(sought, abs=1e-12)
