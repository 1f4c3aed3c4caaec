"""Circuits that are written for a device: on which qubits they run, and with which gates. What a recording device is
sent, and values against Qiskit's statevector of the circuit as it was before it was transpiled."""

from functools import cache

import numpy as np
import pennylane as qml
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import CouplingMap, Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_aer.primitives import EstimatorV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2, FakeNairobiV2

import qngd
from qngd.backends import resolve
from qngd.backends.qiskit.choice import QiskitSettings, from_object
from tests.qiskit_devices import SERIAL, Counting

pytestmark = pytest.mark.filterwarnings("ignore:max_circuits is deprecated:DeprecationWarning")
LAYOUT = [5, 3, 1]  # of the circuit's qubits, a line on these seven-qubit devices
THETA = np.array([0.3, 0.5, 0.7, 1.1])
HAMILTONIAN = SparsePauliOp.from_list([("XIZ", 1), ("IYY", 0.5), ("ZZI", -0.3), ("XXX", 0.4)])


def circuit():
    """Asymmetric; it ends in a CX folded into three."""
    a, b, c, d = map(Parameter, "abcd")
    made = QuantumCircuit(3)
    made.h(0)
    made.ry(a, 0)
    made.cx(0, 1)
    made.barrier()
    made.rx(d * a, 1)
    made.rzz(b, 1, 2)
    made.ry(c + 0.2, 2)
    made.delay(160, 0)
    for _ in range(3):
        made.barrier()
        made.cx(0, 1)
    return made


def truth(theta, native=None):
    native = circuit() if native is None else native
    return Statevector(native.assign_parameters(theta)).expectation_value(HAMILTONIAN).real


def slopes(native=None, theta=THETA):
    step = 1e-5 * np.eye(len(theta))
    return np.array([(truth(theta + s, native) - truth(theta - s, native)) / 2e-5 for s in step])


def metric():
    """4 Re⟨∂_iψ|(1 − |ψ⟩⟨ψ|)|∂_jψ⟩/4 by differences."""

    def state(theta):
        return Statevector(circuit().assign_parameters(theta)).data

    step, here = 1e-5 * np.eye(4), state(THETA)
    tangents = np.array([(state(THETA + s) - state(THETA - s)) / 2e-5 for s in step])
    overlaps = tangents.conj() @ here
    return (tangents.conj() @ tangents.T - np.outer(overlaps, overlaps.conj())).real


@cache
def target(kind="nairobi"):
    coupling = FakeNairobiV2().coupling_map
    return FakeNairobiV2().target if kind == "nairobi" else GenericBackendV2(7, coupling_map=coupling, seed=3).target


@cache
def isa(kind="nairobi"):
    return transpile(circuit(), target=target(kind), initial_layout=LAYOUT, optimization_level=1)


def observable(native):
    return HAMILTONIAN.apply_layout(native.layout)


def exact_estimator(device):
    """Aer's estimator without shots, on this device: what it is sent is what the device would be."""
    estimator = EstimatorV2()
    estimator._backend = device
    return estimator


def sent(device):
    """All circuits that the device was given, in order."""
    return [circuit for run in device.runs for circuit in run["circuits"] if isinstance(circuit, QuantumCircuit)]


def skeleton(native, without=()):
    """Names and qubits of all instructions."""
    return [
        (instruction.name, tuple(native.find_bit(qubit).index for qubit in instruction.qubits))
        for instruction in native.data
        if instruction.name not in without
    ]


def used(native):
    return {qubit for name, qubits in skeleton(native, ("barrier", "delay")) for qubit in qubits}


# --- what is sent ---


@pytest.mark.parametrize("kind", ["nairobi", "generic"])
@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
def test_energies_run_the_users_gates_then_the_measurement(kind, grouping):
    device = Counting(target(kind))
    native = isa(kind)
    found = qngd.gradient(native, observable(native), THETA, backend=device, shots=4000, seed=1, grouping=grouping)
    circuits = sent(device)
    own = skeleton(native)
    assert {name for name, _ in own} >= {"barrier", "delay", "rz", "sx", "cx"}
    for made in circuits:
        assert skeleton(made)[: len(own)] == own
        assert {name for name, _ in skeleton(made)[len(own) :]} <= set(target(kind).operation_names)
        assert used(made) == set(LAYOUT)
    assert np.all(np.abs(found.value - slopes()) < 4.5 * found.stderr)


@pytest.mark.parametrize("make", [lambda device: device, lambda device: BackendSamplerV2(backend=device)])
def test_angles_are_the_users(make):
    device = Counting(target())
    native = isa()
    qngd.expectation(native, observable(native), THETA, backend=make(device), shots=10, seed=1)
    bound = native.assign_parameters(THETA)
    for made in sent(device):
        for own, other in zip(bound.data, made.data, strict=False):
            turns = (np.array(own.params, float) - np.array(other.params, float)) / (2 * np.pi)
            assert turns == pytest.approx(np.round(turns), abs=1e-12)


@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
def test_an_estimator_reads_the_users_qubits(grouping):
    device = Counting(target())
    native, estimator = isa(), exact_estimator(device)
    found = qngd.expectation(native, observable(native), THETA, backend=estimator, grouping=grouping)
    assert found.value == pytest.approx(truth(THETA), abs=1e-10)
    found = qngd.gradient(native, observable(native), THETA, backend=estimator, grouping=grouping)
    assert found.value == pytest.approx(slopes(), abs=1e-8)


def test_an_estimator_is_given_the_users_gates():
    device = Counting(target())
    native = isa()
    estimator = BackendEstimatorV2(backend=device)
    found = qngd.expectation(native, observable(native), THETA, backend=estimator, shots=4000, seed=1)
    own = skeleton(native)
    assert sent(device)
    assert all(skeleton(made)[: len(own)] == own for made in sent(device))
    assert abs(found.value - truth(THETA)) < 4.5 * found.stderr


@pytest.mark.parametrize("cross", ["hadamard", "mid-circuit", "overlap"])
def test_the_metric_runs_on_the_same_qubits(cross):
    device = Counting(target())
    found = qngd.metric_tensor(isa(), THETA, approx="full", backend=device, shots=4000, seed=1, cross=cross)
    everywhere = set.union(*map(used, sent(device)))
    # the ancilla of the Hadamard test is a neighbour
    assert everywhere == set(LAYOUT) | ({0} if cross == "hadamard" else set())
    assert np.all(np.abs(np.asarray(found) - metric()) < 4.5 * found.stderr + 1e-8)


def test_the_metric_of_an_estimator():
    estimator = exact_estimator(Counting(target()))
    found = qngd.metric_tensor(isa(), THETA, approx="full", backend=estimator)
    assert np.asarray(found) == pytest.approx(metric(), abs=1e-8)


def test_samples_of_the_users_circuit():
    device = Counting(target())
    native = isa()
    counts = qngd.sample(native, THETA, shots=4000, backend=device, seed=1)
    (made,) = sent(device)
    assert skeleton(made)[: len(native.data)] == skeleton(native)
    probabilities = Statevector(circuit().assign_parameters(THETA)).probabilities()
    for index, probability in enumerate(probabilities):
        bits = ["0"] * 7
        for qubit, place in enumerate(LAYOUT):
            bits[place] = str(index >> qubit & 1)
        share = counts["".join(reversed(bits))] / 4000
        assert share == pytest.approx(probability, abs=4.5 * 0.5 / np.sqrt(4000))


def test_a_run_and_what_it_costs():
    device = Counting(target())
    native = isa()
    result = qngd.minimize(native, observable(native), THETA, backend=device, shots=200, max_steps=1, seed=1)
    assert result.cost.depth > native.depth()
    assert {frozenset(used(made)) for made in sent(device)} <= {frozenset(LAYOUT), frozenset(LAYOUT[:2])}
    price = qngd.cost(native, observable(native), THETA, backend=Counting(target()), shots=200)
    assert price.two_qubit_gates == result.cost.two_qubit_gates


def test_delays_take_time():
    native = isa()
    longer = native.copy_empty_like()
    longer.delay(3, LAYOUT[0], unit="ms")
    longer.compose(native, inplace=True)
    brief, long = (
        qngd.cost(each, observable(native), THETA, backend=FakeNairobiV2(), shots=1, approx="diag").seconds
        for each in (native, longer)
    )
    energies = 4 + 26  # the circuits of the metric leave delays out
    assert long - brief == pytest.approx(energies * 3e-3, rel=0.01)


def test_final_measurements_of_the_users_give_way():
    device = Counting(target())
    native = circuit()
    native.measure_all()
    native = transpile(native, target=target(), initial_layout=LAYOUT, optimization_level=1)
    qngd.expectation(native, observable(native), THETA, backend=device, shots=10, seed=1)
    own = skeleton(native, ("measure",))
    for made in sent(device):
        assert skeleton(made)[: len(own)] == own
        assert made.num_clbits == made.count_ops()["measure"] <= 3


def test_an_openqasm_program_on_physical_qubits():
    device = Counting(target())
    program = """OPENQASM 3.0; include "stdgates.inc"; input float a;
        sx $5; rz(2 * a) $5; sx $5; barrier $5, $3; delay[160dt] $3; cx $5, $3; cx $5, $3; cx $5, $3;"""
    found = qngd.expectation(program, {"ZIIIII": 1.0, "IIYIII": 0.5}, [0.4], backend=device, shots=2000, seed=1)
    own = ["sx", "rz", "sx", "barrier", "delay", "cx", "cx", "cx"]
    for made in sent(device):
        assert [name for name, _ in skeleton(made)][: len(own)] == own
        assert used(made) <= {3, 5}
    twin = QuantumCircuit(2)  # qubit 1 for $5
    twin.sx(1)
    twin.rz(0.8, 1)
    twin.sx(1)
    twin.cx(1, 0)
    sought = Statevector(twin).expectation_value(SparsePauliOp.from_list([("ZI", 1.0), ("IY", 0.5)])).real
    assert abs(found.value - sought) < 4.5 * found.stderr


# --- gates of other devices ---

BASES = {
    "IQM's": (["r", "cz"], True),
    "IBM's old": (["u", "cx"], True),
    "older": (["u3", "cz"], True),
    "with RZZ": (["rz", "sx", "x", "rzz", "cz"], True),
    "with ECR": (["rx", "rz", "ecr"], True),
    "with RXX": (["rxx", "u"], True),
    "with CRX": (["crx", "cx", "u"], False),  # one angle for two rotations: written out
}


@pytest.mark.parametrize("name", BASES)
def test_gates_of_other_devices(name):
    basis, as_it_is = BASES[name]
    line = CouplingMap.from_line(5)
    device = Counting(Target.from_configuration([*basis, "measure", "delay", "reset"], 5, line))
    before, theta = circuit(), THETA
    if not as_it_is:
        before.crx(0.5 * Parameter("e"), 0, 1)
        theta = np.append(THETA, 0.9)
    native = transpile(before, target=device.target, initial_layout=[4, 3, 2], optimization_level=0)
    assert resolve(device).runs_whole(qngd.wrap(native))
    found = qngd.gradient(native, observable(native), theta, backend=exact_estimator(device))
    assert found.value == pytest.approx(slopes(before, theta), abs=1e-8)
    device.runs.clear()
    qngd.expectation(native, observable(native), theta, backend=device, shots=10, seed=1)
    own = skeleton(native)
    assert sent(device)
    for made in sent(device):
        assert used(made) == {2, 3, 4}
        if as_it_is:
            assert skeleton(made)[: len(own)] == own
        else:  # CRX, the last gate, is written out
            assert skeleton(made)[: len(own) - 1] == own[:-1]
            assert own[-1][0] == "crx" not in made.count_ops()


def test_gates_with_several_angles():
    """R's second angle turns before and after the first; the rest of the circuit stays as it is."""
    a, b, c = map(Parameter, "abc")
    native = QuantumCircuit(5)
    native.r(0.4, a, 4)
    native.cp(0 * a, 0, 1)  # nothing, on qubits that nothing else acts on
    native.cz(4, 3)
    native.cz(4, 3)
    native.u(b, 2 * a, c * b, 3)
    native.cp(c, 3, 2)
    native.r(b, 0.3, 2)
    native.cz(2, 3)
    gates = ["r", "cz", "u", "cp", "measure"]
    device = Counting(Target.from_configuration(gates, 5, CouplingMap.from_line(5)))
    like_a_device = QiskitSettings(is_noisy=True)
    terms = {"XIIII": 1.0, "ZYZII": 0.5, "IXXII": -0.7}
    theta = np.array([0.3, 0.8, 0.5])
    found = qngd.gradient(native, terms, theta, backend=from_object(exact_estimator(device), like_a_device))

    def energy(at):
        state = Statevector(native.assign_parameters(at))
        return state.expectation_value(SparsePauliOp.from_list(list(terms.items()))).real

    step = 1e-5 * np.eye(3)
    sought = [(energy(theta + s) - energy(theta - s)) / 2e-5 for s in step]
    assert found.value == pytest.approx(sought, abs=1e-8)
    device.runs.clear()
    qngd.expectation(native, terms, theta, backend=from_object(device, like_a_device), shots=10, seed=1)
    own = [("cz", (4, 3)), ("cz", (4, 3)), ("u", (3,))]
    for made in sent(device):
        rows = skeleton(made)
        place = rows.index(own[0])
        assert rows[place : place + 3] == own


def test_a_gate_of_the_users_own_with_a_name_of_the_devices():
    """A user's "sx" that is an RX is no gate of the device's."""
    inner = QuantumCircuit(1, name="sx")
    inner.rx(0.4, 0)
    native = QuantumCircuit(2)
    native.append(inner.to_gate(), [0])
    native.rz(Parameter("a"), 0)
    native.sx(0)
    assert not resolve(FakeManilaV2()).runs_whole(qngd.wrap(native))
    found = qngd.expectation(native, {"IZ": 1.0}, [0.7], backend=exact_estimator(Counting(target())))
    bound = native.assign_parameters([0.7])
    assert found.value == pytest.approx(Statevector(bound).expectation_value(SparsePauliOp("IZ")).real, abs=1e-10)


def test_folding_on_a_noise_model():
    """Three CX are noisier than one, and so is the energy."""
    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), ["cx"])
    energies = []
    for folds in (1, 3):
        native = QuantumCircuit(2)
        native.x(0)
        native.rz(Parameter("a"), 0)
        for _ in range(folds):
            native.cx(0, 1)
        device = AerSimulator(noise_model=model, **SERIAL)
        energies.append(qngd.expectation(native, {"ZI": 1.0}, [0.2], backend=device, shots=20_000, seed=1))
    for folds, found in zip((1, 3), energies, strict=True):
        assert abs(found.value + 0.9**folds) < 4.5 * found.stderr


# --- initial_layout, and what does not fit ---


@pytest.mark.parametrize("cross", ["hadamard", "mid-circuit"])
def test_initial_layout(cross):
    device = Counting(target())
    backend = from_object(device, QiskitSettings(initial_layout=[6, 5, 4]))
    found = qngd.gradient(circuit(), HAMILTONIAN, THETA, backend=backend, shots=4000, seed=1)
    tensor = qngd.metric_tensor(circuit(), THETA, approx="full", backend=backend, shots=4000, seed=1, cross=cross)
    everywhere = set.union(*map(used, sent(device)))
    assert everywhere == {4, 5, 6} | ({3} if cross == "hadamard" else set())
    assert np.all(np.abs(found.value - slopes()) < 4.5 * found.stderr)
    assert np.all(np.abs(np.asarray(tensor) - metric()) < 4.5 * tensor.stderr + 1e-8)


def test_initial_layout_of_a_qnode_counts_its_wires():
    @qml.qnode(qml.device("default.qubit", wires=3))
    def node(x):
        qml.RY(x, wires=1)
        qml.CNOT(wires=[1, 2])
        return qml.expval(qml.Z(2))

    device = Counting(target())
    backend = from_object(device, QiskitSettings(initial_layout=[0, 3, 5]))
    found = qngd.expectation(node, None, 0.7, backend=backend, shots=2000, seed=1)
    assert set.union(*map(used, sent(device))) == {3, 5}
    assert abs(found.value - np.cos(0.7)) < 4.5 * found.stderr


def test_a_circuit_written_for_the_device_goes_before_initial_layout():
    device = Counting(target())
    native = isa()
    backend = from_object(device, QiskitSettings(initial_layout=[0, 1, 2, 3, 4, 5, 6][::-1]))
    qngd.expectation(native, observable(native), THETA, backend=backend, shots=10, seed=1)
    assert all(used(made) == set(LAYOUT) for made in sent(device))


def test_a_transpiled_circuit_with_other_gates_keeps_its_qubits():
    native = transpile(circuit(), basis_gates=["rzz", "ry", "rx", "cx"], coupling_map=target().build_coupling_map(),
                       initial_layout=LAYOUT, optimization_level=1)  # fmt: skip
    device = Counting(target())
    found = qngd.expectation(native, observable(native), THETA, backend=device, shots=4000, seed=1)
    assert set.union(*map(used, sent(device))) == set(LAYOUT)
    assert abs(found.value - truth(THETA)) < 4.5 * found.stderr


def test_circuits_before_transpilation_leave_the_qubits_to_qiskit():
    backend = resolve(FakeNairobiV2())
    assert not backend.runs_whole(qngd.wrap(circuit()))
    ideal = QuantumCircuit(2)
    ideal.rz(Parameter("a"), 0)
    ideal.cx(0, 1)
    assert not resolve("aer").runs_whole(qngd.wrap(ideal))  # it has every gate on every qubit
    assert resolve(FakeNairobiV2()).runs_whole(qngd.wrap(ideal))


def test_a_circuit_for_a_larger_device():
    native = isa()
    with pytest.raises(qngd.BackendError, match=r"transpiled onto qubit 5, and fake_manila has 5 qubits; give the"):
        qngd.expectation(native, observable(native), THETA, backend=FakeManilaV2(), shots=10)
    small = AerSimulator(n_qubits=3, **SERIAL)  # ideal: any qubit will do
    found = qngd.expectation(native, observable(native), THETA, backend=small, shots=4000, seed=1)
    assert abs(found.value - truth(THETA)) < 4.5 * found.stderr


@pytest.mark.parametrize("layout", [[0, 0], [-1, 2], "ab", 3, [0.5, 1]])
def test_a_layout_is_distinct_numbers(layout):
    with pytest.raises(qngd.SettingError, match="initial_layout is one physical qubit for each of the circuit's"):
        QiskitSettings(initial_layout=layout)


@pytest.mark.parametrize(
    ("layout", "words"),
    [([0, 1], r"places 2 qubits, and the circuit uses qubit 2"), ([0, 1, 12], r"qubit 12, and .* has 7 qubits")],
)
def test_a_layout_fits_circuit_and_device(layout, words):
    backend = from_object(Counting(target()), QiskitSettings(initial_layout=layout))
    with pytest.raises(qngd.BackendError, match=words):
        qngd.expectation(circuit(), HAMILTONIAN, THETA, backend=backend, shots=10)


@pytest.mark.parametrize("layout", [None, [0, 1]])
def test_a_part_of_the_device_without_room_for_an_ancilla(layout):
    """Two qubits apart from three: the one more that they take is coupled to neither."""
    device = GenericBackendV2(5, coupling_map=[[0, 1], [1, 0], [2, 3], [3, 2], [3, 4], [4, 3]], seed=1)
    made = qngd.CircuitBuilder(2)
    a, b = made.parameters("a", "b")
    given = (made.ry(a, 0).cx(0, 1).rx(b, 0), [0.3, -0.7])
    settings = {"approx": "full", "shots": 400, "seed": 1}
    backend = from_object(device, QiskitSettings(initial_layout=layout))
    with pytest.raises(qngd.BackendError, match=r"stands on the qubits ., ., and the full metric takes"):
        qngd.metric_tensor(*given, backend=backend, **settings)
    for other in ({"cross": "overlap"}, {"approx": "block-diag"}):
        assert qngd.metric_tensor(*given, backend=backend, **(settings | other)).value.shape == (2, 2)
    elsewhere = from_object(device, QiskitSettings(initial_layout=[2, 3]))
    assert qngd.metric_tensor(*given, backend=elsewhere, **settings).value.shape == (2, 2)
