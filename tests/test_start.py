"""Starts: ramps against schedules written out by hand, interpolation against the published formula."""

import importlib.util
from fractions import Fraction

import networkx as nx
import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from pennylane import qaoa
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import efficient_su2, qaoa_ansatz
from qiskit.quantum_info import SparsePauliOp

import qngd
from tests import fake_torch

EDGES = ((0, 1), (0, 3), (1, 2), (1, 3), (3, 4))
WEIGHTS = (1.0, -0.5, 0.8, 1.3, -0.7)
FIELDS = (0.3, 0.0, -0.4, 0.0, 0.0)
N = 5


def label(letters, qubits, n=N):
    made = ["I"] * n
    for letter, qubit in zip(letters, qubits, strict=True):
        made[n - 1 - qubit] = letter
    return "".join(made)


PLAIN = {label("ZZ", edge): 0.5 for edge in EDGES} | {"IIIII": -2.5}
WEIGHTED = {label("ZZ", edge): w for edge, w in zip(EDGES, WEIGHTS, strict=True)}
WEIGHTED |= {label("Z", [q]): w for q, w in enumerate(FIELDS) if w}


def energy_of_schedule(gammas, betas, observable=PLAIN):
    """⟨H⟩ after exp(−iβΣX) exp(−iγH) …|+…+⟩, by dense arrays."""
    index = np.arange(2**N)
    diagonal = sum(
        c * np.prod([1 - 2 * (index >> (N - 1 - i) & 1) for i, letter in enumerate(key) if letter == "Z"], axis=0)
        for key, c in observable.items()
    )
    state = np.full(2**N, 2 ** (-N / 2), dtype=complex)
    for gamma, beta in zip(gammas, betas, strict=True):
        state = np.exp(-1j * gamma * diagonal) * state
        for q in range(N):
            state = np.cos(beta) * state - 1j * np.sin(beta) * state[index ^ (1 << q)]
    return float(np.abs(state) ** 2 @ diagonal)


def annealed(depth, width=0.7, observable=PLAIN):
    """The ramp's γ and β of QAOA for this observable; −ΣX is the mixer whose ground state is |+…+⟩."""
    s = (np.arange(depth) + 0.5) / depth
    squares = [
        sum(c**2 for key, c in observable.items() if key[N - 1 - q] == "Z") for q in range(N)
    ]  # of the terms that a mixer on q turns
    strength = np.sqrt(np.mean([square for square in squares if square]))
    return width * s / strength, -width * (1 - s)


# --- ways to write the same circuit; each takes the number of rounds ---


def by_qiskit(depth):
    """Parameters sorted by name: all β, then all γ; angles 2β and 2γw."""
    operator = SparsePauliOp.from_list(list(PLAIN.items()))
    return qaoa_ansatz(operator, reps=depth), operator, None


def by_pennylane(depth):
    cost = qml.Hamiltonian([0.5] * len(EDGES) + [-2.5], [qml.Z(i) @ qml.Z(j) for i, j in EDGES] + [qml.Identity(0)])
    mixer = qaoa.x_mixer(range(N))

    @qml.qnode(qml.device("default.qubit", wires=N))
    def node(angles, offset):
        for wire in range(N):
            qml.Hadamard(wire)
        for gamma, beta in angles:
            qaoa.cost_layer(gamma, cost)
            qaoa.mixer_layer(beta, mixer)
        return qml.expval(cost)

    start = (pnp.zeros((depth, 2), requires_grad=True), pnp.array(1.0, requires_grad=False))
    return node, None, start


def by_openqasm(depth):
    """CX·RZ·CX, the mixer by −2β, names that say nothing."""
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";']
    lines += [f"input float x{k};" for k in range(2 * depth)]
    lines += [f"qubit[{N}] q;", "h q;"]
    for k in range(depth):
        lines += [f"cx q[{i}], q[{j}]; rz(0.5*x{k}) q[{j}]; cx q[{i}], q[{j}];" for i, j in EDGES]
        lines += [f"rx(-2*x{depth + k}) q[{q}];" for q in range(N)]
    return "\n".join(lines), PLAIN, None


def by_builder(depth):
    """Gates of neighbouring rounds interwoven where they commute, and one angle for each gate."""
    circuit = qngd.CircuitBuilder(N)
    for q in range(N):
        circuit.ry(np.pi / 2, q)  # no Clifford gate: H would show that |+…+⟩ is the mixers' eigenstate
    for k in range(depth):
        late = []
        for e, (i, j) in enumerate(EDGES):
            circuit.rzz(circuit.parameter(f"g{e}_{k}"), i, j)
            last = [q for q in (i, j) if all(q not in edge for edge in EDGES[e + 1 :])]
            for q in last:
                circuit.rx(circuit.parameter(f"b{q}_{k}"), q)
            late += last
        assert sorted(late) == list(range(N))
    return circuit, PLAIN, None


def by_schedule(depth):
    """Four parameters in all: γ and β are straight lines."""
    circuit = qngd.CircuitBuilder(N)
    a, b, c, d = circuit.parameters("a", "b", "c", "d")
    for q in range(N):
        circuit.h(q)
    for k in range(depth):
        for i, j in EDGES:
            circuit.rzz(a + k * b, i, j)
        for q in range(N):
            circuit.rx(c - k * d, q)
    return circuit, PLAIN, None


@pytest.mark.parametrize("write", [by_qiskit, by_pennylane, by_openqasm, by_builder, by_schedule])
def test_a_ramp_is_the_annealing_schedule_however_the_circuit_is_written(write):
    circuit, observable, like = write(3)
    start = qngd.start.ramp(circuit, observable, like, width=0.7)
    expected = energy_of_schedule(*annealed(3))
    assert expected < -2.9
    given = (circuit, observable, start)
    assert qngd.expectation(*given).value == pytest.approx(expected, abs=1e-9)


def test_a_ramp_has_the_structure_of_the_arguments():
    node, _, like = by_pennylane(2)
    angles, offset = qngd.start.ramp(node, like)
    assert angles.shape == (2, 2)
    assert angles.requires_grad
    assert not offset.requires_grad
    assert offset == 1.0
    gammas, betas = annealed(2, width=0.7)
    found = qngd.start.ramp(qngd.Problem(node, theta0=like), width=0.7)[0]
    assert np.allclose(found, np.transpose([gammas, betas]))
    flat = qngd.start.ramp(qngd.wrap(node, *like), width=0.7)
    assert np.allclose(flat[0], found)


def test_the_steepness_is_the_best_of_those_tried():
    circuit, observable, _ = by_qiskit(3)
    found = qngd.expectation(circuit, observable, qngd.start.ramp(circuit, observable)).value
    tried = [energy_of_schedule(*annealed(3, width)) for width in (0.35, 0.5, 0.7, 0.9)]
    assert found == pytest.approx(min(tried), abs=1e-9)


def test_a_ramp_for_a_cvar_is_chosen_by_the_cvar():
    circuit, observable, _ = by_qiskit(3)
    target = qngd.CVaR(observable, 0.3)
    found = qngd.expectation(circuit, target, qngd.start.ramp(circuit, target)).value
    tried = [np.concatenate(annealed(3, width)[::-1]) for width in (0.35, 0.5, 0.7, 0.9)]
    assert found == pytest.approx(min(qngd.expectation(circuit, target, each).value for each in tried), abs=1e-9)
    assert found < energy_of_schedule(*annealed(3))


@pytest.mark.parametrize("signs", [(1, -1), (-1, 1), (-1, -1)])
def test_signs_are_measured_where_the_structure_does_not_tell(signs):
    """The initial state is prepared by fixed rotations, and the cost is another than the observable."""
    of_cost, of_mixer = signs

    def circuit(depth=2):
        made = qngd.CircuitBuilder(N)
        for q in range(N):
            made.ry(np.pi / 2, q)
        for k in range(depth):
            gamma, beta = made.parameters(f"x{k}", f"y{k}")
            for i, j in EDGES:
                made.rzz(of_cost * gamma, i, j)
            for q in range(N):
                made.rx(2 * of_mixer * beta, q)
        return made

    # Σ over pairs, none of them an edge's string by itself: products of two edges
    proxy = {"ZIIIZ": 1.0, "IZIZI": 0.3}
    start = qngd.start.ramp(circuit(), proxy, width=0.6)
    found = qngd.expectation(circuit(), proxy, start).value
    flipped = [qngd.expectation(circuit(), proxy, start * np.array([a, b] * 2)).value for a in (1, -1) for b in (1, -1)]
    assert found == pytest.approx(min(flipped), abs=1e-12)
    assert max(flipped) > min(flipped) + 1e-3
    plain = qngd.start.ramp(circuit(), PLAIN, width=0.7)
    gammas, betas = annealed(2)
    for value, sign in ((plain, 1), (plain, -1)):  # H and |+…+⟩ are real: the conjugate has the same energy
        if np.allclose(sign * value, np.ravel(np.transpose([of_cost * gammas, of_mixer * betas]))):
            break
    else:
        pytest.fail(f"{plain}")


def test_weights_and_fields_set_the_cost_angles():
    operator = SparsePauliOp.from_list(list(WEIGHTED.items()))
    start = qngd.start.ramp(qaoa_ansatz(operator, reps=4), operator, width=0.7)
    gammas, betas = annealed(4, observable=WEIGHTED)
    assert np.allclose(start, [*betas, *gammas])
    found = qngd.expectation(qaoa_ansatz(operator, reps=4), operator, start).value
    assert found == pytest.approx(energy_of_schedule(gammas, betas, WEIGHTED), abs=1e-9)


def test_a_mixer_that_keeps_the_number_of_ones():
    """An XY ring from a state with two ones: not of one qubit, and no eigenstate of its rotations."""
    circuit = qngd.CircuitBuilder(4).x(0).x(2)
    for k in range(3):
        gamma, beta = circuit.parameters(f"g{k}", f"b{k}")
        for q, weight in enumerate((0.9, -0.3, 0.4, 0.1)):
            circuit.rz(weight * gamma, q)
        for q in range(4):
            circuit.rxx(beta, q, (q + 1) % 4).ryy(beta, q, (q + 1) % 4)
    energy = {label("Z", [q], 4): w / 2 for q, w in enumerate((0.9, -0.3, 0.4, 0.1))}
    start = qngd.start.ramp(circuit, energy)
    gammas, betas = start[::2], start[1::2]
    assert np.all(np.diff(np.abs(gammas)) > 0)
    assert np.all(np.diff(np.abs(betas)) < 0)
    flipped = [qngd.expectation(circuit, energy, start * np.array([a, b] * 3)).value for a in (1, -1) for b in (1, -1)]
    assert qngd.expectation(circuit, energy, start).value == pytest.approx(min(flipped), abs=1e-12)


def test_mixers_controlled_by_their_neighbours():
    """Independent sets of a path: bits flip where no neighbour is 1, by gates of several strings each."""
    edges = [(0, 1), (1, 2), (2, 3)]
    cost, mixer = qaoa.max_independent_set(nx.Graph(edges), constrained=True)

    @qml.qnode(qml.device("default.qubit", wires=4))
    def node(gammas, betas):
        for gamma, beta in zip(gammas, betas, strict=True):
            qaoa.cost_layer(gamma, cost)
            qaoa.mixer_layer(beta, mixer)
        return qml.expval(cost)

    gammas, betas = qngd.start.ramp(node, (np.zeros(3), np.zeros(3)), width=0.7)
    assert np.all(np.diff(np.abs(gammas)) > 0)
    assert np.all(np.diff(np.abs(betas)) < 0)
    # a mixer turns by 2β·X where it may: as far as X mixers turn
    assert 0.5 < abs(betas[0]) / abs(annealed(3)[1][0]) < 2


def test_a_driver_that_is_part_of_the_observable():
    """The Hamiltonian variational circuit of a spin chain: no rotation commutes with H, and annealing goes on with
    both; slow enough it ends in the ground state."""
    n, depth = 4, 40
    field = 0.6
    energy = {label("ZZ", [q, q + 1], n): -1.0 for q in range(n - 1)} | {label("X", [q], n): -field for q in range(n)}
    circuit = qngd.CircuitBuilder(n)
    for q in range(n):
        circuit.h(q)
    for k in range(depth):
        a, b = circuit.parameters(f"a{k}", f"b{k}")
        for q in range(n - 1):
            circuit.rzz(a, q, q + 1)
        for q in range(n):
            circuit.rx(b, q)
    start = qngd.start.ramp(circuit, energy)
    matrix = SparsePauliOp.from_list(list(energy.items())).to_matrix()
    assert qngd.expectation(circuit, energy, start).value < 0.97 * np.linalg.eigvalsh(matrix)[0]


def test_a_nonlinear_angle_gets_the_ramps_rotation():
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    circuit.h(0).h(1).rzz(a**2, 0, 1).rx(2 * b, 0).rx(2 * b, 1)
    start = qngd.start.ramp(circuit, {"ZZ": -1.0}, width=0.7)
    plain = qngd.CircuitBuilder(2)
    a, b = plain.parameters("a", "b")
    plain.h(0).h(1).rzz(a, 0, 1).rx(2 * b, 0).rx(2 * b, 1)
    ramp = qngd.start.ramp(plain, {"ZZ": -1.0}, width=0.7)
    reached = qngd.expectation(plain, {"ZZ": -1.0}, [start[0] ** 2, start[1]]).value
    assert reached == pytest.approx(qngd.expectation(plain, {"ZZ": -1.0}, ramp).value, abs=1e-6)


def test_signs_from_shots():
    circuit, observable, _ = by_openqasm(2)
    exact = qngd.start.ramp(circuit, observable, width=0.7)
    found = [qngd.start.ramp(circuit, observable, width=0.7, shots=400, seed=seed) for seed in (3, 3, 4)]
    assert np.array_equal(found[0], found[1])
    assert all(np.allclose(np.abs(start), np.abs(exact)) for start in found)
    energies = [qngd.expectation(circuit, observable, start).value for start in (exact, *found)]
    assert np.allclose(energies, energies[0])


def turned():
    circuit = qngd.CircuitBuilder(1)
    return circuit.ry(circuit.parameter("a"), 0)


@pytest.mark.parametrize(
    ("circuit", "observable", "text"),
    [
        (turned(), {"X": 1.0, "Z": 0.5}, "near_zero"),
        (qngd.CircuitBuilder(1).h(0), {"Z": 1.0}, "no gate depends on a parameter"),
        (by_qiskit(1)[0], {"IIIII": 1.0}, "none mixes"),
        (by_pennylane(1)[0], None, "example_args"),
        (by_qiskit(1)[0], {"ZZ": 1.0}, "2 qubits"),
        (by_qiskit(1)[0], None, "brings none of its own"),
    ],
)
def test_no_ramp(circuit, observable, text):
    with pytest.raises(qngd.QngdError, match=text):
        qngd.start.ramp(circuit, observable)


@pytest.mark.parametrize("width", [0, -0.3, np.inf, "wide"])
def test_a_width_is_positive(width):
    with pytest.raises(qngd.SettingError, match="width"):
        qngd.start.ramp(*by_qiskit(1)[:2], width=width)


# --- interpolated ---


def published(angles):
    """INTERP with exact numbers, as the paper writes it."""
    p = len(angles)
    u = [Fraction(0), *(Fraction(float(angle)) for angle in angles), Fraction(0)]
    return [float(Fraction(i - 1, p) * u[i - 1] + Fraction(p - i + 1, p) * u[i]) for i in range(1, p + 2)]


GAMMAS, BETAS = (0.25, 0.5, 0.875), (0.75, 0.375, 0.125)
NEW_GAMMAS, NEW_BETAS = published(GAMMAS), published(BETAS)


@pytest.mark.parametrize("write", [by_qiskit, by_openqasm])
def test_interpolated_where_one_kind_stands_before_the_other(write):
    first, second = (BETAS, GAMMAS) if write is by_qiskit else (GAMMAS, BETAS)
    found = qngd.start.interpolated([*first, *second], write(4)[0])
    assert np.allclose(found, [*published(first), *published(second)])


def test_interpolated_in_alphabetical_order():
    """Twelve rounds of parameters whose names sort as text: b0, b1, b10, b11, b2 …"""

    def circuit(depth):
        made = QuantumCircuit(2)
        made.h([0, 1])
        for k in range(depth):
            made.rzz(Parameter(f"g{k}"), 0, 1)
            made.rx(2 * Parameter(f"b{k}"), [0, 1])
        return made

    rng = np.random.default_rng(2)
    values = {f"{kind}{k}": rng.normal() for kind in "bg" for k in range(11)}
    shallow = [values[p.name] for p in circuit(11).parameters]
    start = qngd.start.interpolated(shallow, circuit(12))
    found = {p.name: value for p, value in zip(circuit(12).parameters, start, strict=True)}
    for kind in "bg":
        expected = published([values[f"{kind}{k}"] for k in range(11)])
        assert np.allclose([found[f"{kind}{k}"] for k in range(12)], expected)
    by_name = qngd.start.interpolated(values, circuit(12))
    assert by_name == pytest.approx(found)
    assert circuit(12).assign_parameters(by_name).num_parameters == 0


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="a stand-in for torch is used")
def test_interpolated_by_vectors_of_parameters_and_from_tensors(monkeypatch):
    torch = fake_torch.installed(monkeypatch)
    circuit = by_qiskit(4)[0]
    names = [str(parameter) for parameter in circuit.parameters]
    beta, gamma = (ParameterVector(name, 3) for name in (names[0][0], names[-1][0]))
    found = qngd.start.interpolated({gamma: GAMMAS, beta: np.array(BETAS)}, circuit)
    assert [found[name] for name in names] == pytest.approx([*NEW_BETAS, *NEW_GAMMAS])
    tensor = torch.tensor(np.array([*BETAS, *GAMMAS]), dtype=torch.float64, requires_grad=True)
    found = qngd.start.interpolated(tensor, circuit)
    assert isinstance(found, fake_torch.Tensor)
    assert found.requires_grad
    assert found.detach().numpy() == pytest.approx([*NEW_BETAS, *NEW_GAMMAS])


def rows(angles):
    return _layers(angles)


def columns(angles):
    return _layers(zip(*angles, strict=True))


def two_lists(gammas, betas):
    return _layers(zip(gammas, betas, strict=True))


def a_dict(angles):
    return _layers(zip(angles["gamma"], angles["beta"], strict=True))


def _layers(pairs):
    for wire in range(2):
        qml.Hadamard(wire)
    for gamma, beta in pairs:
        qml.IsingZZ(gamma, [0, 1])
        for wire in range(2):
            qml.RX(2 * beta, wire)
    return qml.expval(qml.Z(0) @ qml.Z(1))


@pytest.mark.parametrize(
    ("function", "shallow", "expected"),
    [
        (rows, np.transpose([GAMMAS, BETAS]), np.transpose([NEW_GAMMAS, NEW_BETAS])),
        (columns, np.array([GAMMAS, BETAS]), np.array([NEW_GAMMAS, NEW_BETAS])),
        (two_lists, (np.array(GAMMAS), list(BETAS)), (np.array(NEW_GAMMAS), NEW_BETAS)),
        (rows, [list(pair) for pair in zip(GAMMAS, BETAS, strict=True)], [*zip(NEW_GAMMAS, NEW_BETAS, strict=True)]),
        (
            a_dict,
            {"gamma": np.array(GAMMAS), "beta": np.array(BETAS)},
            {"gamma": np.array(NEW_GAMMAS), "beta": np.array(NEW_BETAS)},
        ),
        (rows, np.array([[0.25, 0.5]]), np.array([[0.25, 0.5]] * 2)),
        (columns, np.array([[0.25], [0.5]]), np.array([[0.25] * 2, [0.5] * 2])),
    ],
    ids=["rows", "columns", "arrays and lists", "lists of lists", "dict", "one row", "one column"],
)
def test_interpolated_for_a_function_of_arrays_of_any_length(function, shallow, expected):
    node = qml.QNode(function, qml.device("default.qubit", wires=2))
    found = qngd.start.interpolated(shallow, node)
    flat_found, flat_expected = (qml.math.hstack(qml.pytrees.flatten(part)[0]) for part in (found, expected))
    assert np.allclose(flat_found, flat_expected)
    assert type(found) is type(shallow)
    qngd.expectation(node, found)  # the node takes it


def test_interpolated_from_a_result():
    circuit, observable, _ = by_qiskit(2)
    result = qngd.minimize(circuit, observable, qngd.start.ramp(circuit, observable))
    deeper = by_qiskit(3)[0]
    start = qngd.start.interpolated(result, deeper)
    assert qngd.expectation(deeper, observable, start).value < 0.9 * result.energy < -3.4
    assert np.allclose(start, [*published(result.theta[:2]), *published(result.theta[2:])])
    node, _, like = by_pennylane(2)
    result = qngd.minimize(node, qngd.start.ramp(node, like), max_steps=2)
    angles, offset = qngd.start.interpolated(result, node)
    assert np.allclose(angles, np.transpose([published(part) for part in np.transpose(result.theta[0])]))
    assert angles.requires_grad
    assert not offset.requires_grad
    explicit = qngd.start.interpolated(result, node, (np.zeros((3, 2)), offset))
    assert np.allclose(explicit[0], angles)


@pytest.mark.parametrize(
    ("function", "shallow", "deep", "expected"),
    [
        (columns, np.array([GAMMAS, BETAS]), np.zeros((2, 4)), np.array([NEW_GAMMAS, NEW_BETAS])),
        (rows, np.transpose([GAMMAS, BETAS]), np.zeros((4, 2)), np.transpose([NEW_GAMMAS, NEW_BETAS])),
        (rows, np.ravel(np.transpose([GAMMAS, BETAS])), np.zeros((4, 2)), np.transpose([NEW_GAMMAS, NEW_BETAS])),
        (two_lists, (np.array(GAMMAS), np.array(BETAS)), (np.zeros(4), np.zeros(4)), (NEW_GAMMAS, NEW_BETAS)),
        (two_lists, np.array([*GAMMAS, *BETAS]), (np.zeros(4), np.zeros(4)), (NEW_GAMMAS, NEW_BETAS)),
    ],
    ids=["columns", "rows", "flat rows", "arrays", "flat arrays"],
)
def test_interpolated_for_functions_that_each_make_so_many_rounds(function, shallow, deep, expected):
    """As `qml.layer(layer, 4, *params)` does, which refuses arrays of another length."""

    def four_rounds(*args):
        if any(len(part) != 4 for part in (np.transpose(args[0]) if function is columns else args[0],)):
            raise ValueError("four rounds are wanted")
        return function(*args)

    def one(params):
        return four_rounds(params)

    def two(gammas, betas):
        return four_rounds(gammas, betas)

    node = qml.QNode(two if function is two_lists else one, qml.device("default.qubit", wires=2))
    found = qngd.start.interpolated(shallow, node, deep)
    for part, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, wanted)
    qngd.expectation(node, found)  # the node takes it
    with pytest.raises(Exception, match=r"four rounds are wanted|do not fit") as failed:
        qngd.start.interpolated(shallow, node)
    assert "fixed number of rounds, give theta=" in failed.value.__notes__[0]


def test_interpolated_over_two_rounds_is_one_after_the_other():
    found = qngd.start.interpolated([*BETAS, *GAMMAS], by_qiskit(5)[0])
    assert np.allclose(found, [*published(NEW_BETAS), *published(NEW_GAMMAS)])


def test_interpolated_with_an_angle_for_every_gate():
    """Edges whose CX·RZ·CX turns the same qubit are told apart."""

    def circuit(depth):
        made = qngd.CircuitBuilder(3)
        for k in range(depth):
            for i in (0, 1):
                made.cx(i, 2).rz(made.parameter(f"g{i}_{k}"), 2).cx(i, 2)
            for q in range(3):
                made.rx(made.parameter(f"b{q}_{k}"), q)
        return made

    values = np.random.default_rng(1).normal(size=(2, 5))
    found = qngd.start.interpolated(values.ravel(), circuit(3)).reshape(3, 5)
    assert np.allclose(found, np.transpose([published(column) for column in values.T]))


@pytest.mark.parametrize("reps", [1, 2])
def test_interpolated_for_a_hardware_efficient_circuit(reps):
    """Entangling gates make all generators different, and there is a last layer of rotations: reps + 1 in all."""
    values = np.random.default_rng(1).normal(size=(reps + 1, 6))
    found = qngd.start.interpolated(values.ravel(), efficient_su2(3, reps=reps + 1)).reshape(reps + 2, 6)
    assert np.allclose(found, np.transpose([published(column) for column in values.T]))


def test_interpolated_of_vectors_by_name():
    def made(rounds):
        gamma, beta = ParameterVector("g", rounds), ParameterVector("b", rounds)
        circuit = QuantumCircuit(2)
        circuit.h([0, 1])
        for k in range(rounds):
            circuit.rzz(gamma[k], 0, 1)
            circuit.rx(beta[k], [0, 1])
        return circuit

    found = qngd.minimize(made(2), {"ZZ": 1.0, "ZI": 0.3}, {"g": [0.3, 0.5], "b": [0.4, 0.2]}, max_steps=1)
    betas, gammas = found.theta["b"], found.theta["g"]
    start = qngd.start.interpolated(found, made(3))
    names = [f"{name}[{k}]" for name in "bg" for k in range(3)]
    assert start == pytest.approx(dict(zip(names, [*published(betas), *published(gammas)], strict=True)))


def _unequal():
    angles = ParameterVector("a", 3)
    made = QuantumCircuit(1)
    made.rx(angles[0], 0)
    made.ry(angles[1], 0)
    made.rz(angles[2], 0)
    return made


@pytest.mark.parametrize(
    ("theta", "circuit", "text"),
    [
        ([0.1, 0.2, 0.3, 0.4], by_qiskit(2)[0], "more rounds"),
        ([0.1, 0.2, 0.3], by_qiskit(2)[0], "1 parameter more"),
        ([0.1, 0.2], _unequal(), "repeats its rounds"),
        ([], by_qiskit(1)[0], "at least one"),
        (["a", 0.2], by_qiskit(2)[0], "real numbers"),
    ],
)
def test_nothing_to_interpolate(theta, circuit, text):
    with pytest.raises(qngd.ParameterError, match=text):
        qngd.start.interpolated(theta, circuit)


def test_a_function_whose_arguments_do_not_show_how_to_grow():
    node = qml.QNode(lambda gamma, beta: _layers([(gamma, beta)]), qml.device("default.qubit", wires=2))
    with pytest.raises(qngd.ParameterError, match=r"argument gamma has no axis.*give theta="):
        qngd.start.interpolated((0.1, 0.2), node)


# --- random starts ---


def test_random_starts_are_seeded_and_keep_the_structure():
    node, _, like = by_pennylane(2)
    for draw in (qngd.start.near_zero, qngd.start.uniform):
        one, again, other = (draw(node, like, seed=seed)[0] for seed in (1, 1, 2))
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)
        assert one.shape == (2, 2)
        assert one.requires_grad
        assert not np.array_equal(draw(node, like)[0], draw(node, like)[0])
    circuit, observable, _ = by_qiskit(1)
    assert qngd.start.uniform(qngd.Problem(circuit, observable), seed=1).shape == (2,)


def test_random_starts_have_their_distributions():
    circuit = qngd.CircuitBuilder(1)
    for k in range(4000):
        circuit.rx(circuit.parameter(f"a{k}"), 0)
    near = qngd.start.near_zero(circuit, scale=0.2, seed=1)
    assert abs(near.mean()) < 0.015
    assert abs(near.std() - 0.2) < 0.01
    anywhere = qngd.start.uniform(circuit, low=-1, high=3, seed=1)
    assert anywhere.min() > -1
    assert anywhere.max() < 3
    assert abs(np.mean(anywhere < 1) - 0.5) < 0.03
    assert abs(qngd.start.uniform(circuit, seed=1)).max() == pytest.approx(np.pi, abs=0.01)


@pytest.mark.parametrize("given", [{"low": 1.0, "high": 1.0}, {"low": "a"}, {"high": np.nan}, {"seed": -1}])
def test_wrong_settings_of_random_starts(given):
    with pytest.raises(qngd.SettingError):
        qngd.start.uniform(by_qiskit(1)[0], **given)
    with pytest.raises(qngd.SettingError, match="scale"):
        qngd.start.near_zero(by_qiskit(1)[0], scale=0)


def test_random_starts_of_an_objective_are_of_its_parameters_without_its_data():
    made = qngd.CircuitBuilder(1)
    x, a, b = made.parameters("x", "a", "b")
    made = made.ry(x + a, 0).rx(b, 0)
    more = {"data": [[0.1], [0.7]], "inputs": ["x"]}
    objective = qngd.Objective(made, {"Z": 1.0}, np.mean, **more)
    found = qngd.start.near_zero(objective, scale=0.2, seed=3)
    np.testing.assert_array_equal(found, np.random.default_rng(3).normal(scale=0.2, size=2))
    frozen = qngd.Objective(made, {"Z": 1.0}, np.mean, frozen="b", **more)
    found = qngd.start.uniform(frozen, {"a": 0.0, "b": 0.4}, low=1.0, high=2.0, seed=3)
    assert found == {"a": np.random.default_rng(3).uniform(1.0, 2.0), "b": 0.4}

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(weights, x):
        qml.AmplitudeEmbedding(x, wires=[0, 1], normalize=True)
        qml.StronglyEntanglingLayers(weights, wires=[0, 1])
        return qml.expval(qml.Z(0))

    fit = qngd.Objective(node, None, np.mean, data={"x": np.eye(4) + 0.1})
    found = qngd.start.uniform(fit, np.zeros((2, 2, 3)), seed=3)
    np.testing.assert_array_equal(found.ravel(), np.random.default_rng(3).uniform(-np.pi, np.pi, 12))
    assert qngd.minimize(qngd.Problem(fit, None, found), max_steps=0).theta.shape == (2, 2, 3)
    np.testing.assert_array_equal(qngd.start.uniform(qngd.Problem(fit, None, found), seed=3), found)
