"""Observables as users hand them in, against PennyLane's and Qiskit's own values and explicit matrices."""

import functools
import itertools

import numpy as np
import pennylane as qml
import pytest
import scipy.sparse
from pennylane.bose import BoseSentence, BoseWord
from pennylane.fermi import FermiSentence, FermiWord
from pennylane.pauli import PauliSentence, PauliWord
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, SparseObservable, SparsePauliOp, Statevector

import qngd
from qngd.errors import ObservableError
from qngd.interop import as_observable, wrap
from tests import dense

MANY = 12
THETA = np.random.default_rng(3).normal(size=MANY)
ONE_WIRE = np.array([[1, 2 - 1j], [2 + 1j, -0.5]])
REAL = np.array([[1, 2], [2, -0.5]])


def hermitian(wires, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(2**wires, 2**wires)) + 1j * rng.normal(size=(2**wires, 2**wires))
    return (a + a.conj().T) / 2


def ladder(theta, wires):
    for i, wire in enumerate(wires):
        qml.RY(theta[i], wire)
    for pair in itertools.pairwise(wires):
        qml.CNOT(pair)
    for i, wire in enumerate(wires):
        qml.RX(0.3 * theta[-1 - i] + 0.1 * i, wire)


@qml.qnode(qml.device("default.qubit", wires=MANY))
def own_value(theta, observable):
    ladder(theta, range(MANY))
    return qml.expval(observable)


@functools.cache
def on_many_wires():
    return wrap(lambda theta: ladder(theta, range(MANY)), THETA)


def projectors():
    return [qml.Projector([q % 2, 1], wires=[q, (q + 5) % MANY]) for q in range(MANY)]


def ising():
    return qml.sum(*(qml.Z(q) @ qml.Z(q + 1) + 0.3 * qml.Y(q) for q in range(MANY - 1)))


LARGE = {
    "sum of projectors": lambda: qml.dot(np.arange(1.0, MANY + 1), projectors()),
    "product of projectors": lambda: qml.prod(*(qml.Projector([q % 2], wires=[q]) for q in range(MANY))),
    "projector": lambda: qml.Projector([0, 1] * 6, wires=range(MANY)),
    "projector on a sparse state": lambda: qml.Projector(
        (np.eye(2**MANY)[5] - 1j * np.eye(2**MANY)[9]) / np.sqrt(2), wires=range(MANY)
    ),
    "product of Hermitians": lambda: qml.prod(*(qml.Hermitian(ONE_WIRE, q) for q in range(8))),
    "product of real Hermitians": lambda: qml.prod(*(qml.Hermitian(REAL, q) for q in range(1, 10))),
    "sum of Hermitians": lambda: qml.sum(*(q * qml.Hermitian(ONE_WIRE, q) for q in range(MANY))),
    "Hadamards": lambda: qml.prod(*(qml.Hadamard(q) for q in range(MANY))),
    "Hermitian on seven wires": lambda: qml.Hermitian(hermitian(7), wires=range(6, -1, -1)),
    "sparse and diagonal": lambda: qml.SparseHamiltonian(
        scipy.sparse.diags(np.arange(2.0**MANY)).tocsr(), wires=range(MANY)
    ),
    "sparse": lambda: qml.SparseHamiltonian(ising().sparse_matrix(wire_order=range(MANY)), wires=range(MANY)),
    "exponential of a sum": lambda: qml.exp(qml.sum(*(qml.Z(q) for q in range(9))), 0.3),
    "nested": lambda: qml.dot(
        [0.3, 1.0],
        [
            qml.adjoint(qml.Projector([1], wires=[2])) @ qml.Projector([1], wires=[9]),
            2 * qml.Hermitian(ONE_WIRE, 5) @ qml.X(0) @ qml.sum(qml.X(7), qml.Hermitian(ONE_WIRE, 8)),
        ],
    ),
    "0·X": lambda: 0.0 * qml.X(0),
    "X − X": lambda: qml.X(0) - qml.X(0),
    "no terms": lambda: qml.Hamiltonian([], []),
}


@pytest.mark.parametrize("name", LARGE)
def test_operators_on_many_wires(name):
    operator = LARGE[name]()
    ours = qngd.expectation(on_many_wires(), operator, THETA).value
    assert ours == pytest.approx(float(np.real(own_value(THETA, operator))), rel=1e-10, abs=1e-10)


def test_a_power_of_a_sum_on_many_wires():
    @qml.qnode(qml.device("default.qubit", wires=MANY))
    def probabilities(theta):
        ladder(theta, range(MANY))
        return qml.probs(wires=range(MANY))

    weight = np.bitwise_count(np.arange(2**MANY))  # Σ|1⟩⟨1|, to the third power
    operator = qml.pow(qml.sum(*(qml.Projector([1], wires=[q]) for q in range(MANY))), 3)
    ours = qngd.expectation(on_many_wires(), operator, THETA).value
    assert ours == pytest.approx(float(probabilities(THETA) @ weight**3.0), rel=1e-10)


LABELS = ["c", 0, "b", 7]


def leaf(rng):
    first, second, third = (LABELS[i] for i in rng.permutation(4)[:3])
    matrix = hermitian(1, int(rng.integers(1000)))
    return [
        lambda: qml.X(first),
        lambda: qml.Z(first) @ qml.Y(second),
        lambda: qml.Hermitian(matrix, first),
        lambda: qml.Projector([1, 0], wires=[first, second]),
        lambda: qml.Projector(np.array([0.6, 0, 0, 0.8j]), wires=[first, third]),
        lambda: qml.Hadamard(second),
        lambda: qml.S(first),
        lambda: qml.ctrl(qml.SX(third), [first, second], control_values=[0, 1]),
        lambda: qml.MultiControlledX([second, third, first]),
        lambda: qml.exp(qml.X(first) @ qml.Y(second) + 0.5 * qml.Z(third), 0.3),
        lambda: qml.exp(qml.X(first) + qml.Z(first), 0.2),
        lambda: qml.evolve(qml.X(second) @ qml.Z(first), 0.7),
        lambda: qml.SparseHamiltonian(scipy.sparse.csr_matrix(hermitian(2)), wires=[second, first]),
        lambda: qml.Identity(),
    ][rng.integers(14)]()


def combined(rng, depth):
    if depth == 0:
        return leaf(rng)
    a, b = combined(rng, depth - 1), combined(rng, depth - 1)
    return [
        lambda: qml.sum(a, b),
        lambda: qml.prod(a, b),
        lambda: qml.s_prod(0.4, a),
        lambda: qml.pow(a, int(rng.integers(4))),
        lambda: qml.adjoint(a),
        lambda: qml.Hamiltonian([0.3, -1.2], [a, b]),
    ][rng.integers(6)]()


@pytest.mark.parametrize("seed", range(40))
def test_nested_operators_are_their_matrices(seed):
    operator = combined(np.random.default_rng(seed), 3)
    operator = qml.sum(operator, qml.adjoint(operator))  # Hermitian, and the reader has to find that out
    circuit = wrap(qml.QNode(lambda x: qml.RX(x, "c"), qml.device("default.qubit", wires=LABELS)), 0.1)
    observable = as_observable(operator, circuit)
    terms = dict(zip(observable.strings.labels(), observable.coefficients, strict=True))
    expected = dense_matrix(operator)
    assert np.abs(dense.observable_matrix(terms) - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max())


def dense_matrix(operator):
    """PennyLane's matrix with the first of the labels as the least significant bit."""
    if isinstance(operator, qml.ops.op_math.Sum):
        return sum(dense_matrix(part) for part in operator.operands)
    if isinstance(operator, qml.ops.op_math.Prod):
        return functools.reduce(np.matmul, map(dense_matrix, operator.operands))
    if isinstance(operator, qml.ops.op_math.SProd):
        return operator.scalar * dense_matrix(operator.base)
    if isinstance(operator, qml.ops.op_math.Pow):
        return np.linalg.matrix_power(dense_matrix(operator.base), operator.z)
    if isinstance(operator, qml.ops.op_math.Adjoint):
        return dense_matrix(operator.base).conj().T
    if isinstance(operator, qml.SparseHamiltonian):
        operator = qml.Hermitian(operator.sparse_matrix().toarray(), wires=operator.wires)
    return qml.matrix(operator, wire_order=LABELS[::-1])


# ----- what is no operator of PennyLane's but stands for one -----


def on_three_qubits():
    circuit = QuantumCircuit(3)
    circuit.ry(0.3, 0)
    return wrap(circuit)


def matrix_of(native):
    observable = as_observable(native, on_three_qubits())
    return dense.observable_matrix(dict(zip(observable.strings.labels(), observable.coefficients, strict=True)))


def annihilators(modes):
    """Jordan–Wigner by hand: a_k = Z…Z ⊗ (X + iY)/2, with mode 0 the least significant bit."""
    lower, z = np.array([[0, 1], [0, 0]]), np.diag([1, -1])
    return [
        functools.reduce(np.kron, [np.eye(2)] * (modes - 1 - k) + [lower] + [z] * k, np.eye(1)) for k in range(modes)
    ]


def test_fermionic_operators_go_by_jordan_wigner():
    a = annihilators(3)
    hopping = FermiSentence(
        {
            FermiWord({(0, 0): "+", (1, 2): "-"}): 0.7,
            FermiWord({(0, 2): "+", (1, 0): "-"}): 0.7,
            FermiWord({(0, 1): "+", (1, 1): "-"}): -1.2,
            FermiWord({}): 0.25,
        }
    )
    expected = 0.7 * (a[0].T @ a[2] + a[2].T @ a[0]) - 1.2 * a[1].T @ a[1] + 0.25 * np.eye(8)
    assert np.allclose(matrix_of(hopping), expected, atol=1e-15)
    assert np.allclose(matrix_of(FermiWord({(0, 1): "+", (1, 1): "-"})), a[1].T @ a[1], atol=1e-15)
    with pytest.raises(ObservableError, match="must be Hermitian"):
        matrix_of(FermiWord({(0, 1): "+"}))


@pytest.mark.parametrize("native", [BoseWord({(0, 0): "+", (1, 0): "-"}), BoseSentence({BoseWord({}): 1.0})])
def test_bosons_are_refused_by_name(native):
    with pytest.raises(ObservableError, match=rf"{type(native).__name__} acts on bosonic modes.*qml.binary_mapping"):
        matrix_of(native)


@pytest.mark.parametrize(
    ("native", "terms"),
    [
        (PauliWord({0: "X", 2: "Z"}), {"ZIX": 1.0}),
        (PauliSentence({PauliWord({0: "X", 2: "Z"}): 0.5, PauliWord({}): 2.0}), {"ZIX": 0.5, "III": 2.0}),
        (PauliSentence({}), {"III": 0.0}),
        (qml.expval(qml.X(0) @ qml.Z(1)), {"IZX": 1.0}),
        ({}, {"III": 0.0}),
        ([], {"III": 0.0}),
        ([("ZIX", 0.5), ("III", 2), ("ZIX", 0.25)], {"ZIX": 0.75, "III": 2.0}),
        ([("ZX", [2, 0], 0.5), ("Y", (1,), np.float32(2))], {"ZIX": 0.5, "IYI": 2.0}),
        (SparsePauliOp(["XYZ"], [0.0]), {"XYZ": 0.0}),
        (SparseObservable.zero(3), {"III": 0.0}),
    ],
)
def test_other_ways_to_say_it(native, terms):
    observable = as_observable(native, on_three_qubits())
    assert dict(zip(observable.strings.labels(), observable.coefficients, strict=True)) == terms


@pytest.mark.parametrize(
    ("native", "message"),
    [
        (qml.probs(wires=0), "ProbabilityMP is not an expectation value"),
        (qml.GellMann(0, 1), "qutrits"),
        (qml.QubitUnitary(np.eye(2), 5), r"acts on wires \[5\]"),
        ([qml.X(0), qml.Z(1)], r"term 0 of the list is X\(0\).*sum"),
        ([("XX", 1.0, 2)], "term 0 of the list is"),
        ([("XZ", [0, 7], 0.5)], r"'XZ' stand on qubits \[0, 7\]"),
        ([("XZ", [0, 0], 0.5)], r"'XZ' stand on qubits \[0, 0\]"),
        ([("XYZ", "a")], "coefficient of XYZ is 'a'"),
        (
            np.eye(8),
            r"ndarray is not an observable.*qml.Hermitian\(matrix, wires=\.\.\.\).*SparsePauliOp.from_operator",
        ),
        (scipy.sparse.eye(8).tocsr(), "csr_matrix is not an observable; say which qubit"),
        ("ZZZ", r'str is not an observable.*\{"ZZ": 1.0'),
        (1.0, "float is not an observable"),
    ],
)
def test_what_is_refused_says_what_to_write(native, message):
    with pytest.raises(ObservableError, match=message):
        as_observable(native, on_three_qubits())


def test_a_qiskit_operator_is_its_matrix():
    state = Statevector(hermitian(3)[1] / np.linalg.norm(hermitian(3)[1]))
    for native in (Operator(hermitian(3)), Operator(hermitian(3).astype(np.complex64)), state.to_operator()):
        assert np.allclose(matrix_of(native), native.data, atol=1e-14)


class QubitOperator:
    """What OpenFermion's class of this name shows of itself."""

    __module__ = "openfermion.ops.operators.qubit_operator"

    def __init__(self, terms):
        self.terms = terms


def test_openfermion():
    native = QubitOperator({((0, "X"), (2, "Z")): 0.5, (): 2.0, ((1, "Y"),): 0.25 + 0j})
    observable = as_observable(native, on_three_qubits())
    found = dict(zip(observable.strings.labels(), observable.coefficients, strict=True))
    assert found == {"ZIX": 0.5, "III": 2.0, "IYI": 0.25}
    circuit = wrap(qml.QNode(lambda x: qml.RX(x, 0), qml.device("default.qubit", wires=[2, 0, 1])), 0.1)
    assert as_observable(QubitOperator({((2, "Z"),): 1.0}), circuit).strings.labels() == ["IIZ"]
    with pytest.raises(ObservableError, match="acts on qubit 3"):
        as_observable(QubitOperator({((3, "Z"),): 1.0}), on_three_qubits())
    with pytest.raises(ObservableError, match=r"openfermion.jordan_wigner\(operator\)"):
        as_observable(QubitOperator({((0, 1), (0, 0)): 1.0}), on_three_qubits())


@pytest.mark.parametrize("shots", [None, 50])
def test_zero_is_an_observable_like_any_other(shots):
    circuit = wrap(lambda x: (qml.RX(x[0], 0), qml.RY(x[1], 1)), np.array([0.3, -0.4]))
    zero = qml.X(0) - qml.X(0)
    assert qngd.expectation(circuit, zero, [0.3, -0.4], shots=shots, seed=1).value == 0.0
    assert not qngd.gradient(circuit, zero, [0.3, -0.4], shots=shots, seed=1).value.any()
    result = qngd.minimize(circuit, zero, [0.3, -0.4], shots=shots, seed=1, max_steps=3)
    assert result.energy == 0.0
    assert np.array_equal(result.theta, [0.3, -0.4])
