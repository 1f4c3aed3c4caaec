"""Matrices, states and exponentials in PennyLane circuits: with few digits, sparse, and moved by parameters."""

import math

import numpy as np
import pennylane as qml
import pytest
import scipy.linalg
import scipy.sparse
from pennylane import math as qmath
from pennylane.operation import Operation
from pennylane.pulse import ParametrizedEvolution
from qiskit import QuantumCircuit
from qiskit.circuit.library import UnitaryGate
from scipy.stats import unitary_group

import qngd
from qngd.errors import CircuitError
from qngd.interop import wrap
from qngd.interop.pennylane.reasons import reason_of
from qngd.interop.states import state_turns
from qngd.interop.synthesis import unitary_turns
from tests import dense

ONE, TWO, THREE = (unitary_group.rvs(2**k, random_state=k) for k in (1, 2, 3))
WIRES = 4


def around(gate, theta):
    """The gate between others that no symmetry survives; the first turns with the parameters too."""
    for wire in range(WIRES):
        qml.RY(0.3 + 0.2 * wire + 0.1 * theta[0], wire)
    for wire in range(WIRES - 1):
        qml.CNOT([wire, wire + 1])
    gate(theta)
    for wire in range(WIRES):
        qml.RX(0.5 - 0.3 * wire, wire)


def own_state(gate, theta):
    """PennyLane's statevector, the first wire as the least significant bit."""

    @qml.qnode(qml.device("default.qubit", wires=WIRES))
    def node(theta):
        around(gate, theta)
        return qml.state()

    return node(theta).reshape((2,) * WIRES).transpose().reshape(-1)


def wrapped(gate, theta=(0.3, 0.7)):
    return wrap(lambda x: around(gate, x), np.array(theta))


def assert_same_state(ours, theirs, tolerance):
    assert 1 - abs(np.vdot(ours, theirs)) < tolerance


# ----- few digits -----


@pytest.mark.parametrize(
    "gate",
    [
        lambda u: qml.QubitUnitary(u(THREE), [2, 0, 3]),
        lambda u: qml.ControlledQubitUnitary(u(TWO), [1, 3, 0]),
        lambda u: qml.adjoint(qml.QubitUnitary(u(ONE), 2)),
        lambda u: qml.Select([qml.QubitUnitary(u(ONE), 3), qml.S(3)], control=[1]),
        lambda u: qml.DiagonalQubitUnitary(u(np.exp(1j * np.arange(8) ** 1.5)), [0, 2, 3]),
        lambda u: qml.QubitUnitary(scipy.sparse.csr_matrix(u(TWO)), [3, 1]),
    ],
)
@pytest.mark.parametrize("rounded", [lambda u: u.astype(np.complex64), lambda u: np.round(u, 6)], ids=["single", "six"])
def test_unitaries_with_few_digits_become_unitary(gate, rounded):
    circuit = wrapped(lambda x: gate(rounded))
    ours = dense.statevector(circuit, [0.3, 0.7])
    assert np.linalg.norm(ours) == pytest.approx(1.0, abs=1e-12)
    assert_same_state(ours, own_state(lambda x: gate(lambda u: u), [0.3, 0.7]), 1e-10)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            lambda x: qml.QubitUnitary(np.diag([1, 1.0005]), 0),
            r"not unitary: U†U differs from 1 by 0\.001, where 1e-05",
        ),
        (lambda x: qml.QubitUnitary(np.diag([1, np.nan]), 0), "entries that are not finite"),
        (lambda x: qml.DiagonalQubitUnitary([1, 0.99j], 0), r"absolute value 1, and one is off by 0\.01"),
        (
            lambda x: qml.QubitUnitary(qmath.diag([1.0, x[0]]), 0),
            r"not unitary at all values .*differs from 1 by 0\.91",
        ),
    ],
)
def test_the_deviation_of_what_is_not_unitary_is_named(gate, message):
    with pytest.raises(CircuitError, match=message):
        wrapped(gate)


def test_a_qiskit_unitary_that_was_not_checked_is_checked():
    circuit = QuantumCircuit(2)
    circuit.append(UnitaryGate(np.round(TWO, 6), check_input=False), [1, 0])
    exact = QuantumCircuit(2)
    exact.append(UnitaryGate(TWO), [1, 0])
    assert_same_state(dense.statevector(wrap(circuit), []), dense.statevector(wrap(exact), []), 1e-10)
    circuit.append(UnitaryGate(1.01 * TWO, check_input=False), [1, 0])
    with pytest.raises(CircuitError, match=r"instruction 1, unitary on qubits \(1, 0\): .*differs from 1 by 0\.0201"):
        wrap(circuit)


# ----- states -----


def amplitudes(wires):
    vector = np.random.default_rng(wires).normal(size=(2, 2**wires)) * (np.arange(2**wires) % 3 > 0)
    return (vector[0] + 1j * vector[1]) / np.linalg.norm(vector)


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.coo_matrix, np.complex64])
def test_states_sparse_or_in_single_precision(make):
    state = amplitudes(3)

    def function(x):
        qml.StatePrep(make(state), wires=[2, 0, 1])
        qml.RX(x, 2)

    circuit = wrap(function, 0.0)
    order = [circuit.wires.index(wire) for wire in (1, 0, 2)]  # its least significant bit first
    ours = dense.statevector(circuit, [0.0]).reshape((2,) * 3).transpose([2 - q for q in order[::-1]]).reshape(-1)
    assert_same_state(ours, state, 1e-12)


def test_a_sum_of_slaters():
    def function(x):
        qml.SumOfSlatersPrep(np.array([0.6, 0.8j]), [0, 1, 2], indices=(1, 6))  # |001⟩ and |110⟩, wire 0 first
        qml.RX(x, 0)

    ours = dense.statevector(wrap(function, 0.0), [0.0])
    assert_same_state(ours, np.array([0, 0, 0, 0.8j, 0.6, 0, 0, 0]), 1e-13)  # wire 0 is the least significant bit


def test_a_state_that_is_not_normalised_is_refused():
    with pytest.raises(CircuitError, match=r"amplitudes have the norm 1\.1, not 1; divide them by it"):
        wrap(lambda x: [qml.StatePrep(1.1 * amplitudes(2), wires=[0, 1]), qml.RX(x, 0)], 0.1)
    with pytest.raises(ValueError, match="not finite"):
        state_turns(np.array([np.nan, 1.0]), [0])


# ----- moved by parameters, with constant generators -----


def matrix_of(gate, *angles):
    return gate.compute_matrix(*angles)


def rotated(x, scale=1.0):
    return qmath.dot(qmath.dot(ONE, matrix_of(qml.RX, scale * x)), ONE.conj().T)


# name: the gate as a user writes it, and how many rotations it is
CONSTANT = {
    "IsingXX": (lambda x: qml.QubitUnitary(matrix_of(qml.IsingXX, x[0]), [0, 2]), 1),
    "IsingXX, nonlinear": (lambda x: qml.QubitUnitary(matrix_of(qml.IsingXX, 3 * x[0] + x[1] ** 2), [2, 1]), 1),
    "RY": (lambda x: qml.QubitUnitary(matrix_of(qml.RY, x[1]), 3), 1),
    "PhaseShift": (lambda x: qml.QubitUnitary(matrix_of(qml.PhaseShift, x[1]), 3), 1),
    "phase under a control": (lambda x: qml.ctrl(qml.prod(qml.QubitUnitary(rotated(x[0]), 1), qml.T(1)), 3), None),
    "fixed, then RX": (lambda x: qml.QubitUnitary(qmath.dot(matrix_of(qml.RX, x[0]), ONE), 1), 4),
    "RX, then fixed": (lambda x: qml.QubitUnitary(qmath.dot(ONE, matrix_of(qml.RX, x[0])), 1), 4),
    "RX about another axis": (lambda x: qml.QubitUnitary(rotated(x[0], 5.0), 1), None),
    "CRX": (lambda x: qml.QubitUnitary(matrix_of(qml.CRX, 5 * x[0]), [3, 1]), 2),
    "inverse of CRX": (lambda x: qml.adjoint(qml.QubitUnitary(matrix_of(qml.CRX, x[0]), [3, 1])), 2),
    "ControlledPhaseShift": (lambda x: qml.QubitUnitary(matrix_of(qml.ControlledPhaseShift, x[0]), [3, 1]), 3),
    "SingleExcitation": (lambda x: qml.QubitUnitary(matrix_of(qml.SingleExcitation, x[0]), [1, 2]), 2),
    "FermionicSWAP": (lambda x: qml.QubitUnitary(matrix_of(qml.FermionicSWAP, x[0]), [1, 2]), None),
    "two angles": (
        lambda x: qml.QubitUnitary(qmath.dot(matrix_of(qml.IsingZZ, x[1]), matrix_of(qml.IsingXX, x[0])), [3, 0]),
        2,
    ),
    "a product of two": (
        lambda x: qml.QubitUnitary(qmath.kron(matrix_of(qml.RX, x[0]), matrix_of(qml.RY, x[1])), [3, 0]),
        2,
    ),
    "one letter of four": (
        lambda x: qml.QubitUnitary(qmath.kron(np.eye(4), qmath.kron(matrix_of(qml.RX, x[0]), np.eye(2))), [3, 0, 1, 2]),
        1,
    ),
    "one angle of U3": (lambda x: qml.QubitUnitary(matrix_of(qml.U3, x[0], 0.3, 0.4), 2), None),
    "two words of SpecialUnitary": (
        lambda x: qml.SpecialUnitary(
            qmath.stack([0, 0, 0, 0, x[0], 0, 0, 0, 0, x[1] * x[0], 0, 0, 0, 0, x[1]]), [2, 0]
        ),
        3,
    ),
    "a direction of SpecialUnitary": (lambda x: qml.SpecialUnitary(x[0] * np.linspace(-1, 1, 15), [2, 0]), None),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_constant_generators(name):
    gate, rotations = CONSTANT[name]
    circuit = wrapped(gate)
    if rotations is not None:
        assert len(circuit.angle_map.constant) - 2 * WIRES == rotations
    rng = np.random.default_rng(4)
    for theta in rng.uniform(-7, 7, (6, 2)):  # beyond where phases go around
        assert_same_state(dense.statevector(circuit, theta), own_state(gate, theta), 1e-13)
    assert np.allclose(qngd.metric_tensor(circuit, theta, approx="full"), differences(gate, theta), atol=1e-6)


def differences(gate, theta, step=1e-5):
    """The Fubini–Study metric by differences of PennyLane's states."""
    state = own_state(gate, theta)
    slopes = [
        (own_state(gate, theta + step * unit) - own_state(gate, theta - step * unit)) / (2 * step) for unit in np.eye(2)
    ]
    return [[np.vdot(a, b).real - (np.vdot(a, state) * np.vdot(state, b)).real for b in slopes] for a in slopes]


def test_a_generator_that_changes_is_not_taken_for_constant():
    def gate(x):
        qml.QubitUnitary(matrix_of(qml.U3, x[0], x[1], 0.3 * x[0]), 1)

    circuit = wrapped(gate)
    for theta in np.random.default_rng(4).uniform(-7, 7, (4, 2)):
        assert_same_state(dense.statevector(circuit, theta), own_state(gate, theta), 1e-13)
        assert np.allclose(qngd.metric_tensor(circuit, theta, approx="full"), differences(gate, theta), atol=1e-6)


def test_a_matrix_that_a_branch_chooses():
    def gate(x):
        qml.QubitUnitary(matrix_of(qml.RX if x[0] > 0 else qml.RY, x[1]), 1)

    circuit = wrapped(gate)
    for theta in ([0.4, 0.9], [-0.4, 0.9]):
        assert_same_state(dense.statevector(circuit, theta), own_state(gate, np.array(theta)), 1e-13)


def test_plain_arrays_of_traced_numbers():
    def gate(x):
        qml.QubitUnitary(np.array([[qmath.exp(1j * x[0]), 0], [0, qmath.exp(0.3j * x[1])]]), 0)
        qml.DiagonalQubitUnitary(np.array([qmath.exp(1j * x[1]), 1.0]), 2)

    circuit = wrapped(gate)
    assert_same_state(dense.statevector(circuit, [0.9, -0.4]), plain_state([0.9, -0.4]), 1e-13)


def plain_state(theta):
    return own_state(lambda x: [qml.RZ(0.3 * x[1] - x[0], 0), qml.RZ(-x[1], 2)], np.array(theta))


# ----- products whose factors share wires across each other -----


CROSSING = {
    "Hermitian": lambda: (
        qml.Z(0),
        qml.Hermitian(np.diag([1.0, 0.2, 0.3, -0.5]) + np.kron([[0.3, 0.2j], [-0.2j, -1]], np.ones((2, 2))), [1, 3]),
        qml.Projector([1, 0], [0, 2]),
    ),
    "unitary": lambda: (qml.RX(0.4, 0), qml.CRY(1.0, [1, 3]), qml.CRZ(0.7, [0, 2])),
}


def dense_product(kind):
    """The factors' matrices on all wires, multiplied; PennyLane's matrix of the product is another one."""
    product = np.eye(2**WIRES)
    for factor in CROSSING[kind]():
        product = product @ qml.matrix(factor, wire_order=range(WIRES))
    return product


def exponential_of(operator):
    return lambda theta: qml.exp(operator, -1j * theta[1])


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        (
            exponential_of(qml.prod(*CROSSING["Hermitian"]())),
            lambda: scipy.linalg.expm(-0.7j * dense_product("Hermitian")),
        ),
        (
            exponential_of(qml.sum(qml.X(1), qml.s_prod(0.4, qml.prod(*CROSSING["Hermitian"]())))),
            lambda: scipy.linalg.expm(-0.7j * (qml.matrix(qml.X(1), range(WIRES)) + 0.4 * dense_product("Hermitian"))),
        ),
        (
            lambda theta: qml.pow(qml.prod(*CROSSING["unitary"]()), 0.5),
            lambda: scipy.linalg.sqrtm(dense_product("unitary")),
        ),
        (
            lambda theta: qml.adjoint(qml.pow(qml.prod(*CROSSING["unitary"]()), 0.3)),
            lambda: scipy.linalg.fractional_matrix_power(dense_product("unitary"), 0.3).conj().T,
        ),
    ],
)
def test_products_of_crossing_factors(gate, expected):
    matrix = expected()
    circuit = wrapped(gate)
    truth = own_state(lambda theta: qml.QubitUnitary(matrix, range(WIRES)), (0.3, 0.7))
    assert_same_state(dense.statevector(circuit, [0.3, 0.7]), truth, 1e-12)


def test_an_observable_that_is_a_function_of_such_a_product():
    product = dense_product("Hermitian")
    matrix = scipy.linalg.sqrtm(product @ product + np.eye(2**WIRES))
    crossing = qml.prod(*CROSSING["Hermitian"]())
    observable = qml.pow(qml.sum(qml.pow(crossing, 2), qml.Identity(0)), 0.5)
    circuit = wrapped(lambda theta: None)
    first_wire_lowest = np.arange(16).reshape((2,) * WIRES).transpose().reshape(-1)
    state = own_state(lambda theta: None, (0.3, 0.7))
    truth = np.vdot(state, matrix[np.ix_(first_wire_lowest, first_wire_lowest)] @ state).real
    assert abs(qngd.expectation(circuit, observable, [0.3, 0.7]).value - truth) < 1e-12


# ----- exponentials -----


def test_commuting_sums_of_projectors_and_matrices_are_products():
    hermitian = np.array([[1.0, 2.0], [2.0, -0.5]])

    def operator():
        projectors = [0.1 * (q + 1) * qml.Projector([1, 0], wires=[q, q + 1]) for q in range(7)]
        return qml.sum(*projectors)

    def function(x):
        for q in range(8):
            qml.RY(0.3 + 0.1 * q, q)
        qml.evolve(operator(), x)
        qml.evolve(qml.prod(qml.Hermitian(hermitian, 3), qml.Projector([1], 5)), x)

    circuit = wrap(function, 0.7)
    assert circuit.num_qubits == 8

    @qml.qnode(qml.device("default.qubit", wires=8))
    def node(x):
        for q in range(8):
            qml.RY(0.3 + 0.1 * q, q)
        qml.DiagonalQubitUnitary(np.exp(-1j * x * diagonal), range(8))
        levels, basis = np.linalg.eigh(hermitian)
        qml.ctrl(qml.QubitUnitary((basis * np.exp(-1j * x * levels)) @ basis.T, 3), 5)
        return qml.state()

    bits = np.arange(2**8)[:, None] >> np.arange(8)[::-1] & 1
    diagonal = sum(0.1 * (q + 1) * bits[:, q] * (1 - bits[:, q + 1]) for q in range(7))
    theirs = node(0.7).reshape((2,) * 8).transpose().reshape(-1)
    assert_same_state(dense.statevector(circuit, [0.7]), theirs, 1e-13)


# ----- what the refusals say -----


class InMath(Operation):
    num_wires = 1
    num_params = 1

    @staticmethod
    def compute_matrix(t):
        return np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])


class Filled(Operation):
    num_wires = 1
    num_params = 1

    @staticmethod
    def compute_matrix(t):
        matrix = np.zeros((2, 2), dtype=complex)
        matrix[0, 0] = np.exp(-1j * t)
        matrix[1, 1] = np.exp(1j * t)
        return matrix


class Parts(Operation):
    num_wires = 1
    num_params = 1

    @staticmethod
    def compute_decomposition(t, wires):
        return [qml.RX(math.sin(t), wires)]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (lambda x: InMath(x[0], 0), "the matrix of InMath works on numbers, .*compute_matrix use qml.math"),
        (lambda x: Filled(x[0], 0), "the matrix of Filled works on numbers, .*fill no array in place"),
        (lambda x: Parts(x[0], 0), "the decomposition of Parts works on numbers.*compute_decomposition use qml.math"),
        (lambda x: qml.QDrift(qml.X(0) + 0.3 * qml.Z(1), 0.4, n=3), r"QDrift.*draws its terms at random.*seed=1"),
        (lambda x: qml.exp(qml.X(0), x[0]), r"coefficient in the exponent must be imaginary; write qml\.evolve"),
        (
            lambda x: qml.prod(qml.Projector([1], 0), qml.X(1)),
            "Prod.*an observable, and stands in the circuit as a gate",
        ),
        (lambda x: qml.Hamiltonian([0.5], [qml.X(0)]), r"an observable.*return qml\.expval of it"),
        (lambda x: qml.pow(qml.Rot(x[0], 0.1, 0.2, 0), 0.5), "a power of Rot cannot be followed.*scale the angle"),
        (lambda x: qml.AngleEmbedding(np.ones((3, 2)), [0, 1]), r"for 3 circuits.*node\(theta, data\[0\]\)"),
        (lambda x: qml.AngleEmbedding(qmath.stack([x, x]), [0, 1]), "for 2 circuits; .*for one set of parameters"),
        (
            lambda x: qml.evolve(qml.sum(qml.s_prod(x[0], qml.Projector([1], 0)), qml.Hadamard(1)), 0.3),
            r"parameters of its own and is no sum of Pauli words; put the parameters in front",
        ),
        (
            lambda x: qml.evolve(qml.prod(qml.S(0), qml.Hadamard(1)), x[0]),
            "the operator in the exponent is not Hermitian",
        ),
        (lambda x: qml.evolve(qml.Projector([1] * 4 + [0] * 9, range(13)), x[0]), "sum of 8192 Pauli words"),
    ],
)
def test_the_cause_is_named(gate, message):
    with pytest.raises(CircuitError, match=message):
        wrapped(gate)


def test_numbers_in_plain_numpy_are_fine():
    circuit = wrapped(lambda x: [InMath(0.3, 0), Filled(0.2, 1), Parts(0.1, 2)])
    theirs = own_state(lambda x: [qml.RY(0.6, 0), qml.RZ(0.4, 1), qml.RX(math.sin(0.1), 2)], np.array([0.3, 0.7]))
    assert_same_state(dense.statevector(circuit, [0.3, 0.7]), theirs, 1e-13)


def test_a_pulse_is_called_a_pulse():
    pulse = ParametrizedEvolution.__new__(ParametrizedEvolution)  # to make one in earnest takes JAX
    assert "a pulse" in reason_of(pulse)


def test_turns_of_a_matrix_that_is_not_unitary():
    with pytest.raises(ValueError, match="differs from 1 by 3"):
        unitary_turns(2 * np.eye(2), [0])
