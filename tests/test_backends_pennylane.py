"""PennyLane devices as backends: values against the embedded simulator, seeds, wires, and what is refused."""

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from pennylane.devices.capabilities import DeviceCapabilities, ExecutionCondition
from pennylane.exceptions import DeviceError

import qngd
from qngd.backends import resolve
from qngd.backends.pennylane.backend import PennyLaneBackend, default_for, from_object
from qngd.backends.retry import Retry
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import BackendError, MissingPackageError
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.setup import Setup
from qngd.measured.cutting import observable_template
from qngd.measured.outcomes import Counts, Means
from qngd.measured.plan import Request
from qngd.metrics import BlockDiagonal, Diagonal
from tests.pennylane_devices import FakeQPU
from tests.strategies import Sketch, ansatz, examples, programs

WITHIN = 5.0  # standard errors


def observable(num_qubits, terms=6, seed=3):
    rng = np.random.default_rng(seed)
    labels = ["".join(rng.choice(list("IXYZ"), num_qubits)) for _ in range(terms)]
    return Observable.from_mapping({label: float(rng.normal()) for label in labels})


def mixed_circuit():
    """Every Clifford gate, quarter turns and rotations of one to three letters, on qubits out of order."""
    sketch = Sketch(4, 5)
    t = sketch.t
    sketch("ry", 2, 0.4)("ry", 0, t[0])("h", 3)("cx", 2, 0)("s", 0)("sdg", 2)("cz", 3, 1)("swap", 1, 2)
    sketch("x", 3)("y", 1)("z", 0)("rx", 1, t[1] * 0.7)("rz", 3, t[2])
    rotation = sketch.builder.rotation
    rotation("XYZ", (3, 0, 2), t[3])
    rotation("ZX", (1, 3), t[4] * -1.3)
    rotation("YY", (0, 3), t[0] * 0.5)
    rotation("ZZZ", (0, 1, 3), t[1])
    for turns, letters, qubits in (
        (1, "X", (2,)),
        (2, "YZ", (0, 1)),
        (3, "XYX", (1, 2, 3)),
        (1, "ZZ", (3, 0)),
    ):
        rotation(letters, qubits, turns * np.pi / 2)
    return sketch("ry", 2, t[2])("rx", 0, t[3]).circuit()


THETA = np.array([0.7, -1.1, 0.4, 2.0, -0.6])


def zero_template(circuit, label):
    return observable_template(circuit, PauliStrings.from_labels([label]))


class Derived(qml.devices.DefaultQubit):
    """A class of the user's own, under its base's name."""


def counting_executes(device, monkeypatch):
    calls = []
    original = device.execute

    def execute(circuits, execution_config=None):
        calls.append(len(circuits))
        return original(circuits, execution_config)

    monkeypatch.setattr(device, "execute", execute)
    return calls


# --- values ---

NAMES = ["default.qubit", "lightning.qubit", "default.mixed"]


def assert_exact(circuit, theta, backend):
    hamiltonian = observable(circuit.num_qubits)
    sought = ExactEvaluator(circuit, hamiltonian).evaluate(theta, metric=BlockDiagonal())
    found = evaluator_for(circuit, hamiltonian, Setup(backend)).evaluate(theta, gradient=True, metric=BlockDiagonal())
    assert found.energy.value == pytest.approx(sought.energy.value, abs=1e-10)
    assert found.energy.stderr == 0
    np.testing.assert_allclose(found.gradient.value, sought.gradient.value, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.metric, sought.metric, rtol=0, atol=1e-10)
    assert not found.metric.stderr.any()


@pytest.mark.parametrize("name", NAMES)
def test_exact_values_of_every_kind_of_gate(name):
    assert_exact(mixed_circuit(), THETA, name)


@examples(12)
@given(programs(min_qubits=1, max_qubits=4, min_parameters=1, max_parameters=3, max_gates=10))
def test_exact_values_of_random_circuits(program):
    assert_exact(program.circuit(), program.theta, "lightning.qubit")


DEVICES = {
    "without wires": lambda: qml.device("default.qubit"),
    "lightning without wires": lambda: qml.device("lightning.qubit"),
    "wires in another order": lambda: qml.device("default.qubit", wires=[2, 0, 3, 1]),
    "lightning in another order": lambda: qml.device("lightning.qubit", wires=["b", 0, "a", -1]),
    "more wires than qubits": lambda: qml.device("default.mixed", wires=["b", 0, "a", -1, "unused"]),
    "counts instead of samples": lambda: Derived(wires=4),
}


@pytest.mark.parametrize("make", DEVICES.values(), ids=DEVICES)
def test_sampled_values_lie_within_their_errors(make):
    circuit, hamiltonian = mixed_circuit(), observable(4)
    sought = ExactEvaluator(circuit, hamiltonian).evaluate(THETA, metric=BlockDiagonal())
    evaluator = evaluator_for(circuit, hamiltonian, Setup(make(), 2000))
    found = evaluator.evaluate(THETA, gradient=True, metric=BlockDiagonal(), seed=5)
    pairs = [(getattr(found, part), getattr(sought, part)) for part in ("energy", "gradient", "metric")]
    for estimate, exact in pairs:
        error = np.maximum(estimate.stderr, 1e-9)  # what cannot vary must be right
        assert np.all(np.abs(np.asarray(estimate.value) - np.asarray(exact.value)) < WITHIN * error)
    assert found.energy.stderr > 0


def test_the_metric_is_never_indefinite():
    evaluator = evaluator_for(ansatz(4), None, Setup("lightning.qubit", 20))
    for seed in range(5):
        found = np.asarray(evaluator.metric(np.linspace(-1, 1, 16), BlockDiagonal(), seed=seed))
        assert np.linalg.eigvalsh(found).min() > -1e-12


def test_bits_stand_at_their_qubits():
    circuit = Sketch(4)("x", 1)("x", 2)("swap", 2, 3).circuit()
    for device in (
        qml.device("default.qubit", wires=["d", "c", "b", "a"]),
        "lightning.qubit",
        Derived(wires=4),
    ):
        assert qngd.sample(circuit, [], shots=30, backend=device) == {"1010": 30}


def test_nothing_is_of_exponential_size():
    n = 100
    sketch = Sketch(n, 3)
    for qubit in range(n):
        sketch("ry", qubit, sketch.t[qubit % 3])
    for qubit in range(n - 1):
        sketch("cz", qubit, qubit + 1)
    circuit = sketch("rx", n - 1, sketch.t[0]).circuit()
    device = FakeQPU(wires=n)
    evaluator = evaluator_for(
        circuit, Observable.from_mapping({"Z" * n: 2.0, "X" + "I" * (n - 1): 1.0}), Setup(device, 50)
    )
    found = evaluator.evaluate(np.zeros(3), gradient=False, metric=BlockDiagonal(), seed=1)
    assert found.energy.value == 3.0  # every shot reads 0
    assert (
        evaluator_for(circuit, Observable.from_mapping({"Z" * n: 2.0}), Setup(device))
        .evaluate(np.zeros(3), gradient=False, metric=None, seed=1)
        .energy.value
        == 2.0
    )
    assert qngd.sample(circuit, np.zeros(3), shots=7, backend=device) == {"0" * n: 7}


def test_identities_and_empty_plans():
    circuit = ansatz(2)
    empty = evaluator_for(circuit, Observable.from_mapping({"II": 1.5}), Setup("default.qubit", 10))
    assert empty.evaluate(np.zeros(8), gradient=False, metric=None, seed=0).energy.value == 1.5
    same_generator = Sketch(1, 2)
    same_generator("rx", 0, same_generator.t[0])("rx", 0, same_generator.t[1])
    metric = qngd.metric_tensor(same_generator.circuit(), [0.1, 0.2], backend="default.qubit")
    np.testing.assert_allclose(metric, np.full((2, 2), 0.25), atol=1e-12)


# --- as PennyLane's users write ---


def node_on(device, **options):
    @qml.qnode(device, **options)
    def circuit(x):
        qml.RY(x[0], wires="a")
        qml.CNOT(wires=["a", 0])
        qml.RX(x[1] * x[0], wires="b")
        qml.IsingXY(x[2], wires=[0, "b"])
        return qml.expval(qml.Z("a") @ qml.Y("b") + 0.5 * qml.X(0) - 0.2 * qml.Z(0))

    return circuit


X = np.array([0.3, -0.8, 1.9])


def test_a_device_with_noise_gives_what_the_node_gives():
    noise = qml.NoiseModel({qml.noise.op_eq("RY"): qml.noise.partial_wires(qml.AmplitudeDamping, 0.3)})
    device = qml.add_noise(qml.device("default.mixed", wires=["b", "a", 0]), noise)

    @qml.qnode(device)
    def circuit(x):
        qml.RY(x[0], wires="a")
        qml.RY(x[1], wires="b")
        qml.CNOT(wires=["a", "b"])
        return qml.expval(qml.Z("a") @ qml.Z("b") + 0.5 * qml.Z("b"))

    noisy = float(circuit(X[:2]))
    assert abs(noisy - float(circuit.update(device=qml.device("default.qubit"))(X[:2]))) > 0.05
    assert qngd.expectation(circuit, None, X[:2], backend=device).value == pytest.approx(noisy, abs=1e-10)
    sampled = qngd.expectation(circuit, None, X[:2], backend=device, shots=20000, seed=1)
    assert abs(sampled.value - noisy) < WITHIN * sampled.stderr
    own = qngd.expectation(circuit, None, X[:2])
    assert own.value == pytest.approx(noisy, abs=1e-10)


def test_a_node_runs_on_its_own_device_with_its_own_shots():
    device = qml.device("lightning.qubit", wires=["b", "a", 0])
    exact = node_on(device)
    assert qngd.expectation(exact, None, X).value == pytest.approx(float(exact(X)), abs=1e-10)
    node = qml.set_shots(exact, 5000)
    estimate = qngd.expectation(node, None, X, seed=2)
    assert estimate.shots == 5000 * 2  # two measurement groups
    assert abs(estimate.value - float(exact(X))) < WITHIN * estimate.stderr


def test_minimize_on_a_device():
    node = node_on(qml.device("lightning.qubit", wires=["b", "a", 0]))
    start = X + np.array([0.8, 0.0, -1.0])
    settings = {"optimizer": qngd.QNG(learning_rate=0.5, damping=0.02), "max_steps": 8, "seed": 4}
    result = qngd.minimize(node, None, start, backend="default.qubit", shots=1000, **settings)
    again = qngd.minimize(node, None, start, backend="default.qubit", shots=1000, **settings)
    assert result.energy < result.history[0] - 0.2
    np.testing.assert_array_equal(result.history, again.history)


# --- one submission ---


@pytest.mark.parametrize("shots", [None, 30])
def test_an_evaluation_is_one_execute(shots, monkeypatch):
    device = qml.device("default.qubit", wires=4)
    calls = counting_executes(device, monkeypatch)
    evaluator = evaluator_for(mixed_circuit(), observable(4), Setup(device, shots))
    found = evaluator.evaluate(THETA, gradient=True, metric=BlockDiagonal(), seed=0)
    assert calls == [found.cost.circuits]
    assert found.cost.shots == found.cost.circuits * (shots or 0)


@qml.transform
def twice(tape):
    return (tape, tape), lambda results: results[1]


@pytest.mark.parametrize("shots", [None, 30])
def test_a_batch_that_the_device_expands(shots, monkeypatch):
    device = twice(qml.device("default.qubit", wires=4))
    calls = counting_executes(device, monkeypatch)
    circuit, hamiltonian = mixed_circuit(), observable(4)
    found = evaluator_for(circuit, hamiltonian, Setup(device, shots)).evaluate(THETA, gradient=False, seed=0)
    assert calls == [2 * found.cost.circuits]
    if shots is None:
        sought = ExactEvaluator(circuit, hamiltonian).evaluate(THETA, gradient=False)
        assert found.energy.value == pytest.approx(sought.energy.value, abs=1e-10)


@pytest.mark.parametrize("name", ["default.qubit", "lightning.qubit"])
def test_every_request_has_its_own_shots(name):
    circuit = mixed_circuit()
    template = zero_template(circuit, "IZIX")
    angles = circuit.angle_map(THETA)[template.rotations]
    requests = [Request(0, angles, shots) for shots in (7, None, 1, 200, 7)]
    backend = resolve(name)
    outcomes = backend.collect(backend.submit([template], requests, 3))
    assert [outcome.shots for outcome in outcomes] == [7, 0, 1, 200, 7]
    assert [type(outcome) for outcome in outcomes] == [Counts, Means, Counts, Counts, Counts]
    assert outcomes[3].bits.dtype == np.uint64
    assert np.all(outcomes[3].counts > 0)


@pytest.mark.filterwarnings("ignore:Setting shots on device is deprecated")
def test_shots_of_the_device_itself():
    device = qml.device("default.qubit", wires=4, shots=40)
    assert from_object(device).default_shots == 40
    template = zero_template(mixed_circuit(), "IZIX")
    backend = from_object(device)
    for asked, taken in ((None, 40), (25, 25)):
        request = Request(0, np.zeros(len(template.rotations)), asked)
        (outcome,) = backend.collect(backend.submit([template], [request], 1))
        assert outcome.shots == taken == backend.preview([request]).shots


# --- random numbers ---


def drawn(backend, seed):
    circuit = ansatz(3)
    template = zero_template(circuit, "XYZ")
    request = Request(0, np.linspace(0.2, 2, len(template.rotations)), 200)
    outcomes = backend.collect(backend.submit([template], [request, request], seed))
    return [tuple(map(tuple, (*o.bits.T, o.counts))) for o in outcomes]


SEEDED = ["default.qubit", "lightning.qubit", "default.mixed", "reference.qubit"]


@pytest.mark.parametrize("name", SEEDED)
def test_the_same_seed_gives_the_same_samples(name):
    one, other = PennyLaneBackend(name), PennyLaneBackend(qml.device(name, wires=3))
    first = drawn(one, 11)
    assert first[0] != first[1]  # requests are independent
    assert drawn(one, 12) != first
    assert drawn(one, None) != drawn(one, None)
    assert drawn(one, 11) == first == drawn(other, 11)


@pytest.mark.parametrize("name", SEEDED)
def test_the_devices_own_random_numbers_go_on_undisturbed(name):
    plain, disturbed = (PennyLaneBackend(qml.device(name, wires=3, seed=8)) for _ in range(2))
    first = drawn(plain, None)
    assert drawn(disturbed, None) == first
    drawn(disturbed, 1)
    assert drawn(disturbed, None) == drawn(plain, None) != first


def test_a_generator_of_the_users_own():
    device = qml.device("default.qubit", wires=3, seed=np.random.Generator(np.random.MT19937(4)))
    backend = PennyLaneBackend(device)
    assert drawn(backend, 5) == drawn(backend, 5) != drawn(backend, 6)


def test_a_jax_key_does_not_repeat_the_noise():
    device = qml.device("default.qubit", wires=3)
    key = device._prng_key = device._prng_seed = object()
    backend = PennyLaneBackend(device)
    assert drawn(backend, None) != drawn(backend, None)
    assert drawn(backend, 5) == drawn(backend, 5)
    assert device._prng_key is key
    assert device._prng_seed is key


# --- what is known of devices ---


def noisy_mixed():
    model = qml.NoiseModel({qml.noise.op_eq("RX"): qml.noise.partial_wires(qml.BitFlip, 0.1)})
    return qml.add_noise(qml.device("default.mixed", wires=2), model)


def damped_mixed():
    return qml.noise.insert(qml.device("default.mixed", wires=2), qml.PhaseDamping, 0.1)


KINDS = {
    "default.qubit": (lambda: qml.device("default.qubit"), False, True),
    "lightning.qubit": (lambda: qml.device("lightning.qubit", wires=2), False, True),
    "default.mixed": (lambda: qml.device("default.mixed", wires=2), False, True),
    "default.clifford": (lambda: qml.device("default.clifford", wires=2), False, False),
    "null.qubit": (lambda: qml.device("null.qubit", wires=2), False, False),
    "readout error": (lambda: qml.device("default.mixed", wires=2, readout_prob=0.1), True, False),
    "noise model": (noisy_mixed, True, False),
    "inserted noise": (damped_mixed, True, False),
    "noise below a transform": (lambda: qml.transforms.cancel_inverses(noisy_mixed()), True, False),
    "transform": (lambda: qml.transforms.cancel_inverses(qml.device("default.qubit")), False, False),
    "derived class": (lambda: Derived(wires=2), True, False),
    "unknown": (lambda: FakeQPU(2), True, False),
}


@pytest.mark.parametrize(("make", "noisy", "embedded"), KINDS.values(), ids=KINDS)
def test_noise_and_the_default_backend(make, noisy, embedded):
    device = make()
    assert from_object(device).is_noisy is noisy
    backend, shots = default_for(device)
    assert shots is None
    assert (backend is None) is embedded
    assert backend is None or backend.name == device.name
    backend, shots = default_for(device, 300)
    assert backend.name == device.name
    assert shots == 300


@pytest.mark.filterwarnings("ignore:Setting shots on device is deprecated")
def test_default_backend_of_a_device_with_shots():
    backend, shots = default_for(qml.device("default.qubit", wires=1, shots=70))
    assert (backend.name, shots) == ("default.qubit", 70)


def test_a_name_becomes_a_device_when_the_number_of_qubits_is_known():
    backend = resolve("lightning.qubit")
    assert (backend.name, backend.is_noisy, backend.default_shots) == ("lightning.qubit", False, None)
    for n in (2, 4, 3):
        assert qngd.sample(Sketch(n)("x", n - 1).circuit(), [], shots=5, backend=backend) == {"1" + "0" * (n - 1): 5}


# --- what is refused, and what fails ---


def run(backend, shots=10, label="IZ"):
    template = zero_template(ansatz(2), label)
    request = Request(0, np.zeros(len(template.rotations)), shots)
    return backend.collect(backend.submit([template], [request, request], 0))


def submitted(backend, shots=10):
    template = zero_template(ansatz(2), "IZ")
    return backend.submit([template], [Request(0, np.zeros(len(template.rotations)), shots)], 0)


def test_unknown_names_and_objects():
    with pytest.raises(
        BackendError, match=r"no device 'lightening\.qubit'\. Did you mean 'lightning\.qubit'\? Installed are .*null"
    ):
        resolve("lightening.qubit")
    with pytest.raises(BackendError, match="PauliZ is not a PennyLane device"):
        resolve(qml.Z(0))


def test_devices_that_cannot_be_made_from_a_name(monkeypatch):
    def missing(*args, **kwargs):
        raise ImportError("needs the package quimb")

    with pytest.raises(BackendError, match=r"default\.mixed cannot be made .* more than 23 wires"):
        evaluator_for(ansatz(24), None, Setup("default.mixed", 5)).metric(np.zeros(96), Diagonal(), seed=0)
    monkeypatch.setattr(qml, "device", missing)
    with pytest.raises(MissingPackageError, match="quimb"):
        submitted(resolve("default.tensor"))


def test_too_few_wires():
    with pytest.raises(BackendError, match=r"default\.qubit has 1 wire, the circuit needs 2"):
        submitted(from_object(qml.device("default.qubit", wires=1)))


def test_devices_with_one_mode_only(monkeypatch):
    device = FakeQPU(2)
    finite = {"ExpectationMP": [ExecutionCondition.FINITE_SHOTS_ONLY], "CountsMP": []}
    device.capabilities = DeviceCapabilities(measurement_processes=finite)
    with pytest.raises(BackendError, match=r"fake\.qpu gives no exact expectation values; give a number of shots"):
        submitted(from_object(device), None)
    monkeypatch.setattr(FakeQPU, "name", "default.tensor")
    with pytest.raises(BackendError, match=r"default\.tensor takes no shots"):
        submitted(from_object(FakeQPU(2)))


def test_gates_that_the_device_refuses():
    with pytest.raises(BackendError, match=r"default\.clifford refuses the circuits: DeviceError: .*RY"):
        submitted(from_object(qml.device("default.clifford", wires=2)))


@pytest.mark.parametrize("error", [DeviceError("queue closed"), RuntimeError("queue closed"), OSError("queue closed")])
def test_a_failure_says_what_the_provider_said(error):
    def fail(script):
        raise error

    device = FakeQPU(2, fail)
    with pytest.raises(BackendError, match=rf"fake\.qpu failed: {type(error).__name__}: queue closed"):
        run(from_object(device))
    assert len(device.batches) == 1


def test_a_bug_in_the_devices_code_is_a_failure_too():
    with pytest.raises(BackendError, match=r"fake\.qpu failed: ZeroDivisionError: division by zero") as caught:
        run(from_object(FakeQPU(2, lambda script: 1 / 0)))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_lost_connection_is_tried_again():
    waited = []
    failures = iter([ConnectionError("reset"), TimeoutError("slow")])

    def answer(script):
        if error := next(failures, None):
            raise error
        return FakeQPU.zeros(script)

    device = FakeQPU(2, answer)
    backend = PennyLaneBackend(device, Retry(sleep=waited.append))
    assert [outcome.shots for outcome in run(backend)] == [10, 10]
    assert len(device.batches) == 3
    assert len(waited) == 2


class Forgetful(FakeQPU):
    def execute(self, circuits, execution_config=None):
        return super().execute(circuits)[:-1]


HALF_RESULTS = {
    "a circuit missing": (Forgetful(2), 10, "returned 1 results for 2 circuits"),
    "shots missing": (FakeQPU(2, lambda s: {"0": 6}), 10, "returned 6 of 10 shots"),
    "samples missing": (FakeQPU(2, lambda s: np.zeros((4, 1))), 10, "returned 4 of 10 shots"),
    "bits missing": (
        FakeQPU(2, lambda s: {"": 10}),
        10,
        "the outcome '' of 0 bits where outcomes of 1 bits were expected",
    ),
    "no bits": (
        FakeQPU(2, lambda s: {"2": 10}),
        10,
        "the outcome '2' where outcomes of 1 bits were expected, 0 and 1 alone",
    ),
    "a value missing": (
        FakeQPU(2, lambda s: ()),
        None,
        r"an array of float64 of shape \(0,\) where real expectation values of shape \(1,\) were expected",
    ),
    "no number": (FakeQPU(2, lambda s: np.nan), None, "nan among its expectation values"),
}


@pytest.mark.parametrize(("device", "shots", "said"), HALF_RESULTS.values(), ids=HALF_RESULTS)
def test_half_a_result_is_an_error(device, shots, said):
    with pytest.raises(BackendError, match=rf"fake\.qpu returned {said.removeprefix('returned ')}"):
        run(from_object(device), shots)
