"""Qiskit's circuits and observables against Qiskit's own statevectors and matrices."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import scipy.linalg
from qiskit import QuantumCircuit
from qiskit.circuit import (
    AnnotatedOperation,
    ControlModifier,
    Gate,
    Instruction,
    InverseModifier,
    Parameter,
    ParameterVector,
    PowerModifier,
    library,
)
from qiskit.circuit.library import standard_gates
from qiskit.quantum_info import (
    Clifford,
    Kraus,
    Operator,
    Pauli,
    PauliList,
    SparseObservable,
    SparsePauliOp,
    Statevector,
    random_clifford,
    random_unitary,
)
from qiskit.synthesis import LieTrotter, MatrixExponential, QDrift, SuzukiTrotter

from qngd.circuit.circuit import Circuit
from qngd.errors import CircuitError, ObservableError, ParameterError, QngdWarning
from qngd.interop import as_observable, wrap
from tests import dense

# Qiskit's own matrix of an evolution gate
pytestmark = pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")

A, B, C = Parameter("a"), Parameter("b"), Parameter("c")
# one expression of each kind: plain, affine in two parameters, products, functions
EXPRESSIONS = (A, 2 * B - A / 3 + 0.4, A * B, (A + 0.2 * C).sin() * C)


def qiskit_state(circuit: QuantumCircuit, theta: np.ndarray) -> np.ndarray:
    """Qiskit's own statevector, measurements left out; θ in the order of the circuit's parameters."""
    names = [parameter.name for parameter in circuit.parameters]
    return qiskit_state_at(circuit, dict(zip(names, theta, strict=True)))


def qiskit_state_at(circuit: QuantumCircuit, values: dict[str, float]) -> np.ndarray:
    bound = circuit.assign_parameters({p: values[p.name] for p in circuit.parameters})
    bound.remove_final_measurements()
    return Statevector(bound).data


def random_theta(circuit: QuantumCircuit, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.3, 1.5, circuit.num_parameters)


def assert_same_state(circuit: QuantumCircuit, reference: QuantumCircuit | None = None) -> Circuit:
    """The wrapped circuit prepares the state that Qiskit says (of `reference`, if another)."""
    wrapped = wrap(circuit)
    theta = random_theta(circuit)
    values = dict(zip(wrapped.parameters, theta, strict=True))
    expected = qiskit_state_at(reference or circuit, values)
    assert dense.overlap_error(dense.statevector(wrapped, theta), expected) < 1e-10
    return wrapped


def entangled(num_qubits: int) -> QuantumCircuit:
    """A fixed state without symmetry, not a stabiliser state."""
    circuit = QuantumCircuit(num_qubits)
    for q in range(num_qubits):
        circuit.ry(0.4 + 0.3 * q, q)
        circuit.rz(0.9 - 0.2 * q, q)
    for q in range(num_qubits - 1):
        circuit.cx(q, q + 1)
    circuit.t(0)
    return circuit


def surrounded(gate, qubits) -> QuantumCircuit:
    """A gate between parametrised and T gates on an entangled state, with one idle qubit."""
    circuit = entangled(max(qubits, default=0) + 2)
    circuit.rx(A, 0)
    circuit.append(gate, qubits)
    circuit.t(circuit.num_qubits - 1)
    circuit.ry(0.5 * A + B, 0)
    return circuit


def standard_gates_with_expressions() -> list[Gate]:
    gates = []
    for name, gate in standard_gates.get_standard_gate_name_mapping().items():
        if name in {"measure", "reset", "delay"}:
            continue
        if gate.params:
            gate = type(gate)(*EXPRESSIONS[: len(gate.params)])
        gates.append(gate)
    return gates


def orders(num_qubits: int) -> list[tuple[int, ...]]:
    """Some orders of a gate's qubits: ascending, descending, and mixed."""
    if num_qubits > 3:
        return [tuple(range(num_qubits)), (2, 0, 3, 1, 4)[:num_qubits]]
    return list(itertools.permutations(range(num_qubits)))[:4]


@pytest.mark.parametrize("gate", standard_gates_with_expressions(), ids=lambda gate: gate.name)
def test_every_standard_gate_in_several_qubit_orders(gate):
    for qubits in orders(gate.num_qubits):
        assert_same_state(surrounded(gate, qubits))


@pytest.mark.parametrize("state", range(4))
@pytest.mark.parametrize(
    "gate",
    [
        standard_gates.RXGate(A),
        standard_gates.PhaseGate(A * B),
        standard_gates.UGate(A, B, A + B),
        standard_gates.RZZGate(2 * A),
        standard_gates.XXPlusYYGate(A, B),
        standard_gates.HGate(),
        standard_gates.SwapGate(),
    ],
    ids=lambda gate: gate.name,
)
def test_controlled_gates_of_any_control_state(gate, state):
    controlled = gate.control(2, ctrl_state=state, annotated=False)
    assert_same_state(surrounded(controlled, (3, 0, 2, 1)[: controlled.num_qubits]))


MATRIX_4 = random_unitary(4, seed=3).data
MATRIX_8 = random_unitary(8, seed=4).data
HERMITIAN = np.array([[0.3, 0.1 - 0.7j, 0, 0.2], [0.1 + 0.7j, -1, 0.4j, 0], [0, -0.4j, 0.2, 1], [0.2, 0, 1, 0]])
LIBRARY_GATES = [
    library.RVGate(0.3, -0.2, 0.9),
    library.MCXGate(4),
    library.MCXGate(3, ctrl_state=2),
    library.MCPhaseGate(A * B, 3),
    library.C3XGate(),
    library.C4XGate(),
    library.MSGate(3, A),
    library.PauliGate("XYZ"),
    library.PauliEvolutionGate(SparsePauliOp(["XYZ"], [0.7]), A * B),
    library.PermutationGate([2, 0, 1]),
    library.DiagonalGate(np.exp(1j * np.arange(8) ** 2)),
    library.UnitaryGate(random_unitary(2, seed=2).data),
    library.UnitaryGate(MATRIX_4),
    library.UnitaryGate(MATRIX_8),
    library.UCGate([random_unitary(2, seed=s).data for s in range(4)]),
    library.UCGate([random_unitary(2, seed=s).data for s in range(4)], up_to_diagonal=True),
    library.UCRXGate([0.1, -0.4, 0.7, 2.0]),
    library.UCRYGate([0.1, -0.4, 0.7, 2.0]),
    library.UCRZGate([0.1, -0.4, 0.7, 2.0]),
    library.HamiltonianGate(HERMITIAN, 0.4),
    library.Isometry(MATRIX_4[:, :2], 0, 0),
    library.StatePreparation(MATRIX_8[0]),
    library.StatePreparation(MATRIX_8[0]).inverse(),
    library.StatePreparation("1+r"),
    library.QFTGate(3),
    library.LinearFunction([[1, 1, 0], [0, 1, 0], [1, 0, 1]]),
    library.MCMTGate(standard_gates.RXGate(0.3), 2, 2),
    library.GraphStateGate([[0, 1, 1], [1, 0, 0], [1, 0, 0]]),
    library.ModularAdderGate(2),
    library.LinearPauliRotationsGate(2, 0.3, 0.4),
    library.ExactReciprocalGate(2, 0.3),
    library.IntegerComparatorGate(2, 2),
    library.AndGate(2),
    library.InnerProductGate(2),
    random_clifford(3, seed=5).to_instruction(),
]


@pytest.mark.parametrize("gate", LIBRARY_GATES, ids=lambda gate: gate.name)
def test_gates_of_the_library(gate):
    n = gate.num_qubits
    for qubits in (tuple(range(n)), tuple(reversed(range(n)))):
        assert_same_state(surrounded(gate, qubits))


@pytest.mark.skipif(not hasattr(library, "PauliProductRotationGate"), reason="needs Qiskit 2.4 or later")
def test_pauli_product_rotation():
    gate = library.PauliProductRotationGate(Pauli("-XYIZ"), A * B)
    circuit = surrounded(gate, (3, 1, 0, 2))
    reference = surrounded(library.PauliEvolutionGate(Pauli("XYIZ"), -A * B / 2), (3, 1, 0, 2))
    assert_same_state(circuit, reference)


@pytest.mark.parametrize("exponent", [3, 5, 7])
def test_a_matrix_close_to_a_special_one_is_not_rounded_to_it(exponent):
    """Qiskit's two-qubit decomposition does so, up to an error of 1e-5; also under a control."""
    small = scipy.linalg.expm(-1j * 10.0**-exponent * dense.label_matrix("ZX"))
    gate = library.UnitaryGate(small)
    assert_same_state(surrounded(gate, (1, 0)))
    circuit = surrounded(gate.control(2, ctrl_state=1, annotated=False), (2, 0, 3, 1))
    assert_same_state(circuit, surrounded(controlled_matrix(small, 2, 1), (2, 0, 3, 1)))


def controlled_matrix(matrix: np.ndarray, count: int, state: int) -> library.UnitaryGate:
    """A matrix on the later qubits where the first `count` hold `state`."""
    size = len(matrix)
    picked = [2**count * j + state for j in range(size)]
    controlled = np.eye(2**count * size, dtype=complex)
    controlled[np.ix_(picked, picked)] = matrix
    return library.UnitaryGate(controlled)


def test_a_matrix_inside_a_controlled_gate_keeps_its_phase():
    inner = QuantumCircuit(2, name="inner", global_phase=0.7)
    inner.h(0)
    inner.unitary(MATRIX_4, [1, 0])
    inner.rz(A, 1)
    for state in range(4):
        gate = inner.to_gate().control(2, ctrl_state=state, annotated=False)
        circuit = surrounded(gate, (2, 0, 3, 1))
        matrix = Operator(inner.assign_parameters({A: random_theta(circuit)[0]})).data
        assert_same_state(circuit, surrounded(controlled_matrix(matrix, 2, state), (2, 0, 3, 1)))


def test_annotated_operations():
    custom = QuantumCircuit(2, name="custom", global_phase=0.3 + A)
    custom.rx(A, 0)
    custom.cx(0, 1)
    custom.ry(2 * B, 1)
    bases = [
        standard_gates.RYGate(A),
        standard_gates.UGate(A, B, A * B),
        standard_gates.SXGate(),
        custom.to_gate(),
        library.PermutationGate([2, 0, 1]),
        Clifford(standard_gates.iSwapGate()),
        library.UnitaryGate(MATRIX_4),
        library.PauliEvolutionGate(SparsePauliOp(["XX", "ZZ"], [1, 0.3]), B),
    ]
    modifiers = [
        [ControlModifier(2, ctrl_state=1)],
        [InverseModifier()],
        [PowerModifier(3)],
        [PowerModifier(-2), ControlModifier(1, ctrl_state=0)],
    ]
    for base, modifier in itertools.product(bases, modifiers):
        operation = AnnotatedOperation(base, modifier)
        qubits = tuple(reversed(range(operation.num_qubits)))
        circuit = surrounded(operation, qubits)
        plain = QuantumCircuit(base.num_qubits)
        plain.append(base, plain.qubits)
        values = dict(zip(circuit.parameters, random_theta(circuit), strict=True))
        fixed = Operator(plain.assign_parameters({p: values[p] for p in plain.parameters}))
        exact = AnnotatedOperation(fixed.to_instruction(), modifier).to_matrix()
        assert_same_state(circuit, surrounded(library.UnitaryGate(exact), qubits))


def test_annotated_evolutions_with_a_parameter():
    """Qiskit defines a HamiltonianGate for numbers alone, and can put no other under modifiers."""
    for modifier in ([InverseModifier()], [ControlModifier(2, ctrl_state=1)], [PowerModifier(-3), ControlModifier(1)]):
        operation = AnnotatedOperation(library.HamiltonianGate(HERMITIAN, A / 2), modifier)
        qubits = tuple(reversed(range(operation.num_qubits)))
        circuit = surrounded(operation, qubits)
        values = dict(zip(circuit.parameters, random_theta(circuit), strict=True))
        fixed = Operator(scipy.linalg.expm(-0.5j * values[A] * HERMITIAN))
        exact = AnnotatedOperation(fixed.to_instruction(), modifier).to_matrix()
        assert_same_state(circuit, surrounded(library.UnitaryGate(exact), qubits))


def test_an_annotated_inverse_of_a_diagonal_gate():
    """To which Qiskit 2 gives the class InverseModifier in the place of a modifier."""
    phases = np.exp(1j * np.array([0.3, 1.1, -0.4, 2.0]))
    circuit = surrounded(library.DiagonalGate(phases).inverse(annotated=True), (1, 0))
    assert_same_state(circuit, surrounded(library.UnitaryGate(np.diag(phases.conj())), (1, 0)))


def test_an_angle_that_comes_to_a_negative_number():
    """Qiskit has no hash of such an expression."""
    circuit, plain = entangled(2), entangled(2)
    circuit.rx(A - A - 1.3, 0)
    circuit.crz(0 * A - 2, 0, 1)
    circuit.ry(A, 1)
    plain.rx(-1.3, 0)
    plain.crz(-2.0, 0, 1)
    plain.ry(A, 1)
    assert_same_state(circuit, plain)


def test_a_fractional_power_of_a_fixed_gate():
    operation = AnnotatedOperation(library.UnitaryGate(MATRIX_4), [PowerModifier(0.3)])
    assert_same_state(surrounded(operation, (1, 0)))


class MatrixAlone(Gate):
    """A gate that says no more of itself than its matrix."""

    def __init__(self, angle, scale=1.0):
        super().__init__("matrix_alone", 2, [angle])
        self.scale = scale

    def __array__(self, dtype=None, copy=None):
        return self.scale * scipy.linalg.expm(1j * float(self.params[0]) * HERMITIAN)


def test_a_gate_with_a_matrix_and_no_definition():
    matrix = MatrixAlone(0.7).to_matrix()
    assert_same_state(surrounded(MatrixAlone(0.7), (2, 0)), surrounded(library.UnitaryGate(matrix), (2, 0)))
    for modifier in (InverseModifier(), ControlModifier(1, ctrl_state=0), PowerModifier(0.3), PowerModifier(-2)):
        operation = AnnotatedOperation(MatrixAlone(0.7), modifier)
        qubits = (3, 0, 2)[: operation.num_qubits]
        exact = library.UnitaryGate(AnnotatedOperation(library.UnitaryGate(matrix), modifier).to_matrix())
        assert_same_state(surrounded(operation, qubits), surrounded(exact, qubits))


def test_hamiltonian_gate_with_a_parameter():
    circuit = surrounded(library.HamiltonianGate(HERMITIAN, A), (0, 1))
    theta = random_theta(circuit)
    fixed = surrounded(library.HamiltonianGate(HERMITIAN, float(theta[0])), (0, 1))
    assert_same_state(circuit, fixed)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ansatz_functions_and_classes():
    cost = SparsePauliOp(["ZZI", "IZZ", "ZIZ", "IIZ"], [1, 0.5, -0.3, 0.2])
    circuits = [
        library.real_amplitudes(3, reps=2),
        library.efficient_su2(3, entanglement="circular", reps=1),
        library.n_local(3, ["ry", "rz"], "crx", reps=1),
        library.excitation_preserving(3, reps=1),
        library.pauli_two_design(3, reps=1, seed=2),
        library.zz_feature_map(3, reps=1),
        library.pauli_feature_map(3, reps=1, paulis=["Z", "XY"]),
        library.qaoa_ansatz(cost, reps=2),
        library.RealAmplitudes(3, reps=2),
        library.EfficientSU2(3, reps=1),
        library.TwoLocal(3, ["ry", "rzz"][:1], "cz", reps=2),
        library.NLocal(3, library.RXGate(A), library.CRYGate(B), reps=1),
        library.ExcitationPreserving(3, reps=1),
        library.PauliTwoDesign(3, reps=1, seed=2),
        library.ZZFeatureMap(3, reps=1),
        library.QAOAAnsatz(cost, reps=2),
        library.EvolvedOperatorAnsatz([SparsePauliOp("XYZ"), SparsePauliOp("ZZI")], reps=2),
        library.hamiltonian_variational_ansatz(cost, reps=1),
        library.evolved_operator_ansatz([SparsePauliOp("XYZ"), SparsePauliOp("ZZI")], reps=2),
        library.quantum_volume(3, 2, seed=1),
        library.random_iqp(3, seed=1),
        library.fourier_checking([1, -1, 1, 1], [1, 1, -1, 1]),
        library.QFT(3),
        library.GMS(3, [[0, A, B], [0, 0, A * B], [0, 0, 0]]),
        library.GR(3, 0.3, 0.4),
        library.GRZ(3, A),
    ]
    for circuit in circuits:
        assert_same_state(circuit)


def test_parameters_are_in_the_order_of_the_circuit():
    t = ParameterVector("t", 12)
    circuit = QuantumCircuit(1)
    for angle in reversed(t):
        circuit.rz(angle, 0)
    circuit.rx(Parameter("another"), 0)
    assert wrap(circuit).parameters == tuple(p.name for p in circuit.parameters)
    assert wrap(circuit).parameters[-1] == "t[11]"


def test_values_can_be_given_by_parameter():
    circuit = surrounded(standard_gates.RZGate(A * B), (0,))
    wrapped = wrap(circuit)
    assert np.array_equal(wrapped.flatten({B: 2.0, A: 1.0}), [1.0, 2.0])
    assert np.array_equal(wrapped.flatten({"b": 2.0, "a": 1.0}), [1.0, 2.0])


@pytest.mark.parametrize("by_name", [False, True])
def test_values_can_be_given_by_vector(by_name):
    """By the vector, as Qiskit's assign_parameters takes it, or by its name."""
    t = ParameterVector("t", 11)
    circuit = entangled(2)
    for angle in t:
        circuit.ry(angle, 0)
    circuit.rx(A, 1)
    wrapped = wrap(circuit)
    values = np.arange(11) + 0.5
    key = "t" if by_name else t
    given = {key: values, A: -1.0}
    flat = wrapped.flatten(given)
    assert dict(zip(wrapped.parameters, flat, strict=True)) == {"a": -1.0} | {f"t[{i}]": i + 0.5 for i in range(11)}
    back = wrapped.unflatten(2 * flat, given)
    assert back.keys() == given.keys()
    assert back[A] == -2.0
    assert np.array_equal(back[key], 2 * values)
    with pytest.raises(ParameterError, match=r"theta: t has 11 elements; got values of shape \(3,\)"):
        wrapped.flatten({key: [1, 2, 3], A: 0.0})
    with pytest.raises(ParameterError, match=r"missing \['a'\]"):
        wrapped.flatten({t: values})
    with pytest.raises(ParameterError, match=r"theta: t\[3\] has two values; give it alone or in its array"):
        wrapped.flatten({key: values, A: 0.0, "t[3]": 1.0})
    with pytest.raises(ParameterError, match="theta: t: its values are no array, as their lengths differ"):
        wrapped.flatten({key: [[1.0], [2.0, 3.0]], A: 0.0})


def test_a_vector_with_gaps_has_no_values_by_its_name():
    """Whether the second of two is that of t[1] or of t[2] is not known."""
    t, tt = ParameterVector("t", 3), ParameterVector("tt", 2)
    circuit = QuantumCircuit(1)
    for angle in (t[0], t[2], *tt):
        circuit.rx(angle, 0)
        circuit.h(0)
    for values in ([1.0, 2.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ParameterError, match=r"missing \['t\[0\]', 't\[2\]'\], unknown \['t'\]"):
            wrap(circuit).flatten({"t": values, "tt": [4.0, 5.0]})
    found = wrap(circuit).flatten({"t[0]": 1.0, "t[2]": 3.0, "tt": [4.0, 5.0]})
    assert dict(zip(wrap(circuit).parameters, found, strict=True)) == {"t[0]": 1, "t[2]": 3, "tt[0]": 4, "tt[1]": 5}


def shared_and_nonlinear() -> QuantumCircuit:
    """Parameters shared, scaled, and combined; one enters linearly and nonlinearly."""
    circuit = entangled(3)
    circuit.ry(A, 0)
    circuit.crx(2 * A - B, 0, 2)
    circuit.rzz(A * B, 1, 2)
    circuit.t(1)
    circuit.append(library.XXPlusYYGate((A / 2).exp(), C**2), [2, 0])
    circuit.cx(2, 1)
    circuit.u(A, B.cos(), -C / 3 + 1, 1)
    circuit.append(library.PauliEvolutionGate(SparsePauliOp(["XY", "YX"], [0.3, -1]), B * C), [1, 2])
    circuit.rx(A.arctan() + C, 2)
    return circuit


def test_jacobian_of_the_angles_is_exact():
    circuit = shared_and_nonlinear()
    angles = wrap(circuit).angle_map
    theta = random_theta(circuit)
    _, jacobian = angles.linearize(theta)
    step = 1e-5
    for i, e in enumerate(np.eye(3) * step):
        difference = (8 * (angles(theta + e) - angles(theta - e)) - angles(theta + 2 * e) + angles(theta - 2 * e)) / (
            12 * step
        )
        assert np.abs(jacobian.toarray()[:, i] - difference).max() < 1e-9
    assert np.array_equal(angles.pattern.toarray() != 0, jacobian.toarray() != 0)


def test_metric_and_gradient_against_differences_of_qiskits_state():
    circuit = shared_and_nonlinear()
    wrapped = wrap(circuit)
    theta = random_theta(circuit)
    observable = SparsePauliOp(["XIZ", "YYI", "IZX"], [0.3, -0.7, 1.1]).to_matrix()

    def ours(point):
        return fixed_phase(dense.statevector(wrapped, point))

    def qiskits(point):
        return fixed_phase(qiskit_state(circuit, point))

    assert np.abs(dense.metric(ours, theta) - dense.metric(qiskits, theta)).max() < 1e-9
    ours_gradient = dense.gradient(ours, observable, theta)
    assert np.abs(ours_gradient - dense.gradient(qiskits, observable, theta)).max() < 1e-9


def fixed_phase(state: np.ndarray) -> np.ndarray:
    return state * np.exp(-1j * np.angle(state[0]))


def test_an_affine_circuit_has_a_constant_jacobian():
    circuit = surrounded(standard_gates.RZGate((2 * A - B) / 3 + 1), (1,))
    wrapped = wrap(circuit)
    assert wrapped.angle_map.is_affine
    angles, jacobian = wrapped.angle_map.linearize(np.array([0.3, 0.6]))
    (row,) = {r.index for r in wrapped.rotations if r.gate == "rz" and r.moves}
    assert angles[row] == pytest.approx(1.0, abs=1e-15)
    assert jacobian.toarray()[row] == pytest.approx([2 / 3, -1 / 3], abs=1e-15)


def test_a_parameter_in_the_global_phase_alone_still_counts():
    circuit = QuantumCircuit(1, global_phase=A)
    circuit.rx(B, 0)
    wrapped = wrap(circuit)
    assert wrapped.parameters == ("a", "b")
    assert wrapped.angle_map.linearize(np.ones(2))[1].toarray().tolist() == [[0.0, 1.0]]


def test_a_circuit_without_parameters():
    wrapped = wrap(entangled(2))
    assert wrapped.num_parameters == 0
    assert wrapped.num_layers == 0


def test_gates_without_effect_and_final_measurements_are_dropped():
    circuit = QuantumCircuit(2, global_phase=0.3)
    circuit.reset([0, 1])
    circuit.h(0)
    circuit.barrier()
    circuit.id(1)
    circuit.delay(100, 0)
    circuit.append(library.GlobalPhaseGate(A), [])
    circuit.rx(A, 1)
    circuit.measure_all()
    circuit.append(library.PauliProductMeasurement(Pauli("XZ")), [0, 1], [0])
    bare = QuantumCircuit(2)
    bare.h(0)
    bare.rx(A, 1)
    wrapped = assert_same_state(circuit, bare)
    assert len(wrapped.ops) == 2
    assert [g.name for g in wrapped.gates] == [i.name for i in circuit.data]


def test_a_rotation_knows_its_gate_and_its_place():
    circuit = surrounded(library.XXPlusYYGate(A, 0), (2, 0))
    rotations = [r for r in wrap(circuit).rotations if r.gate == "xx_plus_yy" and r.moves]
    assert len(rotations) == 2
    assert rotations[0].gate_qubits == (2, 0)
    assert circuit.data[rotations[0].position].name == "xx_plus_yy"


def test_a_users_gate_named_like_a_standard_gate_goes_by_its_definition():
    class Impostor(Gate):
        def __init__(self, angle):
            super().__init__("rx", 1, [angle])

        def _define(self):
            self.definition = QuantumCircuit(1)
            self.definition.ry(2 * self.params[0], 0)

    circuit = QuantumCircuit(1)
    circuit.append(Impostor(A), [0])
    (rotation,) = wrap(circuit).rotations
    assert (rotation.gate, rotation.pauli, rotation.angle) == ("rx", "Y", "2*a")
    circuit = surrounded(AnnotatedOperation(Impostor(A), ControlModifier(2)), (2, 0, 1))
    assert_same_state(circuit, surrounded(library.RYGate(2 * A).control(2, annotated=False), (2, 0, 1)))


def test_nested_definitions_keep_expressions():
    inner = QuantumCircuit(2, name="inner")
    inner.rx(A + B, 0)
    inner.cp(A * B, 0, 1)
    outer = QuantumCircuit(3, name="outer")
    outer.append(inner.to_gate({A: 2 * C, B: C}), [2, 0])
    outer.append(inner.to_instruction(), [1, 2])
    assert_same_state(surrounded(outer.to_instruction(), (0, 2, 1)))


def test_boxes_and_loops_over_fixed_values_are_unrolled():
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    with circuit.box():
        circuit.cx(1, 0)
    loop = Parameter("k")
    with circuit.for_loop([1, 3], loop):
        circuit.rx(loop * A, 0)
    with circuit.for_loop(range(2)):
        circuit.rzz(B, 0, 1)
    flat = QuantumCircuit(2)
    flat.h([0, 1])
    flat.cx(1, 0)
    flat.rx(4 * A, 0)
    flat.rzz(2 * B, 0, 1)
    assert_same_state(circuit, flat)


def test_clifford_operations():
    circuit = surrounded(random_clifford(3, seed=1), (2, 0, 1))
    reference = surrounded(random_clifford(3, seed=1).to_instruction(), (2, 0, 1))
    assert_same_state(circuit, reference)


@pytest.mark.parametrize(
    "amplitudes",
    [
        MATRIX_8[0],
        MATRIX_8[0].real / np.linalg.norm(MATRIX_8[0].real),
        np.eye(8)[5] * 1j,
        np.array([1, 0, 0, 0, 0, 0, 0, -1]) / np.sqrt(2),
        np.array([1, 1e-9, 0, 1e-6j, 0, 0, 0, 0]) / np.sqrt(1 + 1e-12 + 1e-18),
    ],
)
def test_initialize_is_exact_at_the_start(amplitudes):
    circuit = QuantumCircuit(4)
    circuit.ry(A, 1)
    circuit.initialize(amplitudes, [3, 0, 2])
    wrapped = wrap(circuit)
    state = dense.statevector(wrapped, [0.7])
    vector = amplitudes.reshape(2, 2, 2)  # axes: qubits 2, 0, 3
    turned = np.array([np.cos(0.35), np.sin(0.35)])
    expected = np.einsum("abc,d->cadb", vector, turned).reshape(-1)
    assert dense.overlap_error(state, expected) < 1e-15


def test_initialize_from_labels_and_numbers():
    for given in ("r1+", 5):
        circuit = QuantumCircuit(4)
        circuit.initialize(given, [1, 3, 2])
        circuit.rx(A, 3)
        assert_same_state(circuit)


def test_a_basis_state_is_initialized_by_few_rotations():
    circuit = QuantumCircuit(6)
    circuit.initialize(np.eye(64)[37], circuit.qubits)
    assert len(wrap(circuit).ops) <= 6


def commuting_evolutions() -> list[library.PauliEvolutionGate]:
    commuting = SparsePauliOp(["XX", "ZZ", "YY", "II"], [0.7, -0.4, 1.3, 2.0])
    return [
        library.PauliEvolutionGate(commuting, A * B),
        library.PauliEvolutionGate(commuting, A, synthesis=SuzukiTrotter(order=4, reps=2)),
        library.PauliEvolutionGate(commuting, A, synthesis=MatrixExponential()),
        library.PauliEvolutionGate([commuting, SparsePauliOp("ZZ")], 2 * A),
        library.PauliEvolutionGate(Pauli("-XY"), A + B),
        library.PauliEvolutionGate(SparseObservable.from_list([("01", 0.4), ("0Z", 1)]), A),
        library.PauliEvolutionGate(Pauli("XY"), A).control(2, ctrl_state=1, annotated=False),
        library.PauliEvolutionGate(Pauli("X"), A).control(6, annotated=False),
    ]


@pytest.mark.parametrize("gate", commuting_evolutions(), ids=lambda gate: str(gate.num_qubits))
def test_evolution_under_commuting_terms_is_exact(gate):
    assert_same_state(surrounded(gate, tuple(reversed(range(gate.num_qubits)))))


def test_evolution_is_one_rotation_a_term():
    gate = library.PauliEvolutionGate(SparsePauliOp(["XIX", "ZZZ"], [0.5, 2.0]), A)
    circuit = QuantumCircuit(4)
    circuit.append(gate, [2, 0, 3])
    rotations = wrap(circuit).rotations
    assert [(r.pauli, r.qubits, r.angle) for r in rotations] == [
        ("XX", (2, 3), "a"),
        ("ZZZ", (2, 0, 3), "4*a"),
    ]
    assert len(wrap(circuit).layers) == 1


@pytest.mark.parametrize("formula", [LieTrotter(reps=2), SuzukiTrotter(order=2), QDrift(reps=3)])
def test_evolution_under_terms_that_do_not_commute_is_its_product_formula(formula):
    hamiltonian = SparsePauliOp(["XX", "ZI", "IY"], [0.7, -0.4, 1.3])
    time = 0.3 if isinstance(formula, QDrift) else A * B
    gate = library.PauliEvolutionGate(hamiltonian, time, synthesis=formula)
    circuit = surrounded(gate, (0, 2))
    written_out = surrounded(gate.definition.to_gate(), (0, 2))
    with pytest.warns(QngdWarning, match="PauliEvolutionGate at instruction 13 do not all"):
        wrapped = wrap(circuit)
    theta = random_theta(circuit)
    expected = qiskit_state(written_out, theta)
    assert dense.overlap_error(dense.statevector(wrapped, theta), expected) < 1e-10


@pytest.mark.parametrize("time", [0.3, A * B])
def test_exact_synthesis_of_terms_that_do_not_commute(time):
    hamiltonian = SparsePauliOp(["XX", "ZI", "IY"], [0.7, -0.4, 1.3])
    gate = library.PauliEvolutionGate(hamiltonian, time, synthesis=MatrixExponential())
    assert_same_state(surrounded(gate, (0, 2)))


def test_wrapping_many_gates_is_linear():
    t = ParameterVector("t", 2000)
    circuit = QuantumCircuit(100)
    for i in range(2000):
        circuit.ry(t[i] + 2 * t[i - 1], i % 100)
        circuit.cx(i % 100, (7 * i + 3) % 100 if (7 * i + 3 - i) % 100 else (i + 1) % 100)
    wrapped = wrap(circuit)
    assert wrapped.angle_map.linearize(np.zeros(2000))[1].nnz == 4000


# errors


def bad(build) -> QuantumCircuit:
    """H on both of two qubits, then what `build` does."""
    circuit = QuantumCircuit(2, 2)
    circuit.h([0, 1])
    build(circuit)
    return circuit


def opaque(circuit):
    circuit.append(Gate("mystery", 2, []), [1, 0])


def nested_opaque(circuit):
    inner = QuantumCircuit(2, name="wrapper")
    inner.append(Gate("mystery", 1, []), [1])
    circuit.append(inner.to_gate(), [0, 1])


def hidden_parameter(circuit):
    gate = Gate("hider", 1, [])
    gate.definition = QuantumCircuit(1)
    gate.definition.rx(A, 0)
    circuit.append(gate, [1])


def middle_measurement(circuit):
    circuit.measure(0, 0)
    circuit.cx(0, 1)


def conditioned(circuit):
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)


def middle_reset(circuit):
    circuit.reset(1)


def late_initialize(circuit):
    circuit.initialize([1, 0], 1)


def while_loop(circuit):
    with circuit.while_loop((0, 0)):
        circuit.x(1)


def store(circuit):
    variable = circuit.add_var("flag", False)
    circuit.store(variable, True)


def channel(circuit):
    circuit.append(Kraus([np.sqrt(0.9) * np.eye(2), np.sqrt(0.1) * dense.PAULI["X"]]), [1])


def simulator_state(circuit):
    instruction = Instruction("set_statevector", 2, 0, [])
    instruction._directive = True  # as Aer's are
    circuit.append(instruction, [0, 1])


def complex_angle(circuit):
    circuit.rx(A * (1 + 1j), 1)


def complex_nonlinear_coefficient(circuit):
    circuit.rx(float("nan"), 1)


def unbound_rv(circuit):
    circuit.rv(A, B, 0, 1)


def fractional(circuit):
    circuit.append(AnnotatedOperation(standard_gates.RXGate(A), PowerModifier(0.5)), [1])


def matrix_of_a_parameter(circuit):
    circuit.append(MatrixAlone(A), [1, 0])


def matrix_not_unitary(circuit):
    circuit.append(MatrixAlone(0.3, scale=0.9), [1, 0])


def matrix_not_unitary_under_control(circuit):
    circuit.append(AnnotatedOperation(MatrixAlone(0.3, scale=0.9), InverseModifier()), [1, 0])


def random_draws_of_a_parameter(circuit):
    circuit.append(library.PauliEvolutionGate(SparsePauliOp(["XX", "ZI"]), A, synthesis=QDrift()), [0, 1])


def after_a_product_measurement(circuit):
    circuit.append(library.PauliProductMeasurement(Pauli("XZ")), [0, 1], [0])
    circuit.x(1)


def a_break(circuit):
    circuit.break_loop()


def plain_instruction(circuit):
    circuit.append(Instruction("signal", 1, 0, []), [0])


@pytest.mark.parametrize(
    ("build", "place", "advice"),
    [
        (opaque, r"instruction 2, mystery on qubits \(1, 0\)", "give it a definition"),
        (nested_opaque, r"instruction 2, wrapper on qubits \(0, 1\), which contains mystery", "give"),
        (hidden_parameter, r"instruction 2, hider on qubits \(1\).*parameter a", "params"),
        (middle_measurement, r"instruction 3, cx on qubits \(0, 1\).*instruction 2", "to the end"),
        (conditioned, r"instruction 3, if_else on qubits \(1\)", "write out the branch"),
        (middle_reset, r"instruction 2, reset on qubits \(1\)", "fresh qubit"),
        (late_initialize, r"instruction 2, initialize on qubits \(1\)", "fresh qubit"),
        (while_loop, r"instruction 2, while_loop on qubits \(1\)", "classical control"),
        (store, r"instruction 2, store on qubits \(\)", "classical control"),
        (channel, r"instruction 2, kraus on qubits \(1\)", "noise to the backend"),
        (simulator_state, r"instruction 2, set_statevector on", "with initialize"),
        (complex_angle, r"instruction 2, rx on qubits \(1\).*complex", "must be real"),
        (complex_nonlinear_coefficient, r"instruction 2, rx on qubits \(1\).*nan", "finite"),
        (unbound_rv, r"instruction 2, rv on qubits \(1\)", "such as rx, ry, rz, u"),
        (fractional, r"instruction 2, annotated on qubits \(1\).*power 0.5 of rx", "scale its angle"),
        (matrix_of_a_parameter, r"instruction 2, matrix_alone on qubits \(1, 0\).*unbound a", "give it a definition"),
        (
            matrix_not_unitary,
            r"instruction 2, matrix_alone on qubits \(1, 0\)",
            "counts as rounding; give it with at least six digits; correct its __array__",
        ),
        (matrix_not_unitary_under_control, r"instruction 2, annotated.*matrix_alone", "correct its __array__"),
        (random_draws_of_a_parameter, r"instruction 2, PauliEvolution.*QDrift", "synthesis=LieTrotter()"),
        (after_a_product_measurement, r"instruction 3, x on qubits \(1\).*instruction 2", "to the end"),
        (a_break, r"instruction 2, break_loop", "classical control"),
        (plain_instruction, r"instruction 2, signal on qubits \(0\)", "give it a definition"),
    ],
)
def test_what_cannot_be_wrapped_is_named(build, place, advice):
    with pytest.raises(CircuitError, match=place) as caught:
        wrap(bad(build))
    assert advice in str(caught.value)


def test_an_angle_without_a_value_or_derivative_is_named_when_it_is_met():
    circuit = QuantumCircuit(1)
    circuit.rx(A.arcsin(), 0)
    circuit.rz(abs(B), 0)
    wrapped = wrap(circuit)
    with pytest.raises(ParameterError, match=r"asin\(a\) of instruction 0 \(rx\).*value at a = 2"):
        wrapped.angle_map.linearize(np.array([2.0, 1.0]))
    with pytest.raises(ParameterError, match=r"instruction 1 \(rz\).*derivative at b = 0"):
        wrapped.angle_map.linearize(np.array([0.2, 0.0]))


def test_what_is_not_a_circuit_is_named():
    with pytest.raises(CircuitError, match="RXGate is not a circuit"):
        wrap(standard_gates.RXGate(0.3))
    with pytest.raises(CircuitError, match="no example arguments"):
        wrap(entangled(2), 1.0)
    with pytest.raises(CircuitError, match="no qubits"):
        wrap(QuantumCircuit())


# observables


def observable_matrix(observable) -> np.ndarray:
    terms = dict(zip(observable.strings.labels(), observable.coefficients, strict=True))
    return dense.observable_matrix(terms)


@pytest.mark.parametrize(
    "native",
    [
        SparsePauliOp(["XIZ", "YYI", "IIX", "ZIZ", "III"], [0.3, -0.7, 1.1, 2.0, -4.0]),
        SparsePauliOp(["XIZ", "YYI", "XIZ"], [0.3, -0.7, 1.0]),
        Pauli("-XYZ"),
        SparseObservable.from_list([("0X+", 0.3), ("rl1", -0.7), ("IYZ", 1.1)]),
    ],
    ids=lambda native: type(native).__name__,
)
def test_observables_against_their_matrices(native):
    observable = as_observable(native, wrap(entangled(3)))
    if isinstance(native, SparseObservable):
        native = SparsePauliOp.from_sparse_observable(native)
    assert np.abs(observable_matrix(observable) - native.to_matrix()).max() < 1e-15


def test_observables_on_many_qubits():
    rng = np.random.default_rng(1)
    labels = ["".join(row) for row in rng.choice(list("IXYZ"), (300, 130))]
    observable = as_observable(SparsePauliOp(labels, rng.normal(size=300)), wrap(entangled(130)))
    assert set(observable.strings.labels()) == set(labels)


def test_coefficients_in_bound_expressions():
    operator = SparsePauliOp(["XZ"], np.array([A])).assign_parameters([0.4])
    assert as_observable(operator, wrap(entangled(2))).coefficients.tolist() == [0.4]


@pytest.mark.parametrize(
    ("native", "problem"),
    [
        (SparsePauliOp(["XZ", "YY"], [1, 1j]), r"coefficient of YY is .*1j"),
        (SparsePauliOp(["XZ", "YY"], np.array([1, A])), "coefficient of YY is a.*assign_parameters"),
        (Pauli("iXZ"), "must be real"),
        (PauliList(["XZ", "YY"]), r"PauliList is not read as one; if their sum is meant, give SparsePauliOp\(paulis\)"),
        (Statevector([1, 0, 0, 0]), r"projector on the state is meant, give .to_operator"),
        (Clifford(QuantumCircuit(2)), r"give .to_operator"),
        (QuantumCircuit(2), "QuantumCircuit is not read as one; make it a SparsePauliOp"),
        (Operator(np.eye(4) + 2e-6j), r"Operator: its matrix M is not Hermitian.*up to 2e-06"),
        (Operator(np.eye(3)), r"dimensions \[3\], not on qubits"),
        (SparsePauliOp("XZY"), "acts on 3 qubits, the circuit has 2"),
        (SparseObservable("0" * 25), r"sum of 3.36e\+07 Pauli strings, more than 1048576"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_an_observable_is_named(native, problem):
    with pytest.raises(ObservableError, match=problem):
        as_observable(native, wrap(entangled(2)))


def test_nothing_else_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrap(shared_and_nonlinear())
