"""Light cones against the statevector, closed forms, and circuits too wide for one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from scipy import optimize

import qngd
from qngd.backends import resolve
from qngd.circuit.cones import Cones
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings, anticommute
from qngd.errors import BackendError, MemoryLimitError, SettingError
from qngd.evaluators.light_cone import LightConeEvaluator
from qngd.exact.cones import derivatives, simulator, trails
from qngd.exact.cones.simulator import ConeSimulator
from qngd.exact.cones.terms import terms_of
from qngd.exact.kernels.elimination import forgetful_order
from qngd.exact.simulator import Simulator
from tests.dense import observable_matrix
from tests.layered_circuits import CHAIN, GRAPHS, qaoa, real_amplitudes
from tests.pages import shown
from tests.strategies import Sketch, ansatz, examples, programs, random_program, random_terms

APPROXIMATIONS = ("diag", "block-diag", "full")


def check_equal(circuit, terms, theta):
    """All that both engines give is equal."""
    for function, *arguments in [
        (qngd.expectation, terms, theta),
        (qngd.gradient, terms, theta),
        *((qngd.metric_tensor, theta, approx) for approx in APPROXIMATIONS),
    ]:
        more = {} if function is not qngd.metric_tensor else {"approx": arguments.pop()}
        expected, found = (function(circuit, *arguments, backend=b, **more) for b in (None, "light-cone"))
        values = [np.asarray(each if more else each.value) for each in (expected, found)]
        np.testing.assert_allclose(values[1], values[0], atol=1e-10, rtol=0)


@given(programs(max_qubits=5))
@examples(60)
def test_random_circuits_of_clifford_gates_and_rotations(program):
    terms = random_terms(1, program.num_qubits, 6)
    check_equal(program.circuit(), terms, program.theta)
    (state,) = program.states(program.theta[None])
    expected = np.vdot(state, observable_matrix(terms) @ state).real
    found = qngd.expectation(program.circuit(), terms, program.theta, backend="light-cone")
    assert float(found) == pytest.approx(expected, abs=1e-10)
    assert found.stderr == 0


def ising(num_qubits, depth):
    sketch = Sketch(num_qubits, 2 * depth)
    for q in range(num_qubits):
        sketch("h", q)
    for p in range(depth):
        for q in range(num_qubits - 1):
            sketch("rzz", q, q + 1, sketch.t[2 * p])
        for q in range(num_qubits):
            sketch("rx", q, sketch.t[2 * p + 1])
    return sketch.circuit()


CIRCUITS = {
    **{f"qaoa {name}": qaoa(n, edges, 2, "cx") for name, (n, edges) in GRAPHS.items()},
    "real amplitudes": real_amplitudes(4, 2, CHAIN),
    "ansatz": ansatz(6),
    "ising": ising(7, 2),
}


@pytest.mark.parametrize("name", CIRCUITS)
def test_the_usual_circuits(name):
    circuit = CIRCUITS[name]
    theta = np.random.default_rng(2).normal(size=circuit.num_parameters)
    check_equal(circuit, random_terms(3, circuit.num_qubits, 8), theta)


def test_the_hamiltonian_metric_and_products_with_the_full_metric():
    circuit, terms = ansatz(4), random_terms(5, 4, 5)
    theta = np.random.default_rng(4).normal(size=circuit.num_parameters)
    expected, found = (
        np.asarray(qngd.metric_tensor(circuit, theta, approx="hamiltonian", observable=terms, backend=backend))
        for backend in (None, "light-cone")
    )
    np.testing.assert_allclose(found, expected, atol=1e-10)
    product = LightConeEvaluator(circuit, Observable.from_mapping(terms)).metric_product(theta)
    vector = np.random.default_rng(6).normal(size=len(theta))
    full = np.asarray(qngd.metric_tensor(circuit, theta, approx="full"))
    np.testing.assert_allclose(product(vector), full @ vector, atol=1e-10)


def test_the_cones_of_single_terms_are_planned_once(monkeypatch):
    circuit, terms = ansatz(4), random_terms(5, 4, 5)
    planned = []

    def counted(*arguments):
        planned.append(arguments)
        return terms_of(*arguments)

    monkeypatch.setattr(simulator, "terms_of", counted)
    for seed in range(3):
        theta = np.random.default_rng(seed).normal(size=circuit.num_parameters)
        qngd.metric_tensor(circuit, theta, approx="hamiltonian", observable=terms, backend="light-cone")
    assert len(planned) == 1 + len(set(terms) - {"IIII"})  # all together, and each alone


def one_layer_cut(edges, num_nodes, gamma, beta):
    """Σ⟨Z_uZ_v⟩ after RZZ(γ) on all edges and RX(β) on all nodes of |+…+⟩: arXiv:1706.02998, eq. 14, with
    γ → −γ and 2β → β."""
    near = [set() for _ in range(num_nodes)]
    for u, v in edges:
        near[u].add(v)
        near[v].add(u)
    total = 0.0
    c, s = np.cos(gamma), np.sin(gamma)
    for u, v in edges:
        d, e, f = len(near[u]) - 1, len(near[v]) - 1, len(near[u] & near[v])
        total += 0.5 * np.sin(2 * beta) * s * (c**d + c**e)
        total += 0.5 * np.sin(beta) ** 2 * c ** (d + e - 2 * f) * (1 - np.cos(2 * gamma) ** f)
    return total


def test_one_layer_of_maxcut_on_two_hundred_nodes_has_a_closed_form():
    rng = np.random.default_rng(7)
    edges = {tuple(sorted(rng.choice(200, 2, replace=False).tolist())) for _ in range(260)}
    triangles = [(3, 70, 141), (5, 6, 199), (5, 6, 64)]
    edges = sorted(edges | {tuple(sorted(pair)) for nodes in triangles for pair in itertools.combinations(nodes, 2)})
    sketch = Sketch(200, 2)
    for q in range(200):
        sketch("h", q)
    for u, v in edges:
        sketch("rzz", u, v, sketch.t[0])
    for q in range(200):
        sketch("rx", q, sketch.t[1])
    terms = cut(200, edges)
    for theta in rng.normal(size=(3, 2)):
        found = qngd.expectation(sketch.circuit(), terms, theta, backend="light-cone")
        assert float(found) == pytest.approx(one_layer_cut(edges, 200, *theta), abs=1e-10)
        slope = qngd.gradient(sketch.circuit(), terms, theta, backend="light-cone").value
        expected = [
            (one_layer_cut(edges, 200, *(theta + step)) - one_layer_cut(edges, 200, *(theta - step))) / 2e-5
            for step in 1e-5 * np.eye(2)
        ]
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-6)


def cut(num_nodes, edges, weights=None):
    labels = []
    for u, v in edges:
        letters = ["I"] * num_nodes
        letters[u] = letters[v] = "Z"
        labels.append("".join(reversed(letters)))
    return dict(zip(labels, weights if weights is not None else [1.0] * len(labels), strict=True))


def spread(num_qubits, gates, rng):
    """A builder with Clifford gates that leave |0…0⟩ alone and take single letters to long strings."""
    builder = qngd.CircuitBuilder(num_qubits)
    for _ in range(gates):
        name = str(rng.choice(["cx", "cx", "cz", "s"]))
        builder.gate(name, *rng.choice(num_qubits, 1 if name == "s" else 2, replace=False).tolist())
    return builder


def placed(label, places, num_qubits):
    """The letters of a label at these places among so many qubits."""
    letters = np.full(num_qubits, "I")
    letters[places] = list(reversed(label))
    return "".join(reversed(letters))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_wide_on_wires_may_be_narrow(seed):
    """A circuit on six qubits among 130, seen through Clifford gates on all of them."""
    rng = np.random.default_rng(seed)
    small, large = qngd.CircuitBuilder(6), spread(130, 900, rng)
    frame, places = large.build().frame, rng.permutation(130)[:6]

    def carried(label):
        strings = frame.carry(PauliStrings.from_labels([placed(label, places, 130)]))
        return int(strings.sign[0]), strings.labels()[0]

    names = [f"a{k}" for k in range(14)]
    of_small, of_wide = small.parameters(*names), large.parameters(*names)
    longest = 0
    for k in range(14):
        label = "".join(rng.choice(list("IXYZ"), 6)).replace("IIIIII", "IIXIYI")
        sign, there = carried(label)
        small.rotation(label, of_small[k], *reversed(range(6)))
        large.rotation(there, sign * of_wide[k], *reversed(range(130)))
        longest = max(longest, 130 - there.count("I"))
    assert longest > 60
    terms = random_terms(seed, 6, 5)
    far: dict[str, float] = {}
    for label, weight in terms.items():
        sign, there = carried(label)
        far[there] = sign * weight
    theta = rng.normal(size=14)
    near = qngd.expectation(small, terms, theta), qngd.gradient(small, terms, theta)
    found = [f(large, far, theta, backend="light-cone") for f in (qngd.expectation, qngd.gradient)]
    for one, other in zip(near, found, strict=True):
        np.testing.assert_allclose(other.value, one.value, atol=1e-10)
    # their layers may differ, as the gates do: only the full metric must be equal
    full = [np.asarray(qngd.metric_tensor(circuit, theta, approx="full")) for circuit in (small, large)]
    np.testing.assert_allclose(full[1], full[0], atol=1e-10)


def test_cones_hold_what_matters_and_no_more():
    circuit = ansatz(5)
    cones, generators = Cones(circuit.generators), circuit.generators
    meets = anticommute(generators, generators)
    strings = PauliStrings.from_labels(["XIIIZ", "IIYII", "IIIII"])
    for string, found in zip(range(3), cones.of(strings), strict=True):
        expected = set()
        for k in reversed(range(len(generators))):
            if anticommute(strings[[string]], generators[[k]])[0, 0] or any(meets[k, j] for j in expected):
                expected.add(k)
        assert found.tolist() == sorted(expected)


def brickwork(num_qubits, reps):
    """RY and RZ on every qubit of a ring around layers of CX."""
    sketch = Sketch(num_qubits, 2 * num_qubits * (reps + 1))
    angles = iter(sketch.t)
    for rep in range(reps + 1):
        for q in range(num_qubits):
            sketch("ry", q, next(angles))("rz", q, next(angles))
        for start in (0, 1) if rep < reps else ():
            for q in range(start, num_qubits, 2):
                sketch("cx", q, (q + 1) % num_qubits)
    return sketch.circuit()


def test_equal_cones_are_computed_once_and_different_ones_are_not():
    ring = [(q, (q + 1) % 70) for q in range(70)]
    circuit = qaoa(70, ring, 2, "rzz")
    theta = np.array([0.3, 0.5, -0.7, 0.2])

    def terms_of(weights):
        simulator = ConeSimulator(circuit)
        return simulator, simulator.terms(circuit.pull(Observable.from_mapping(cut(70, ring, weights))))

    simulator, equal = terms_of(np.ones(70))
    assert len(equal.bundle.which) == 70
    assert len(equal.bundle.copies) == 1
    assert (
        len(simulator.derivatives.bundle.copies) <= 6
    )  # layers by two kinds, and the last gates of the ring come otherwise
    phi, _ = circuit.angle_map.linearize(theta)
    weights = np.ones(70)
    weights[11] = 1.5
    _, unequal = terms_of(weights)
    assert len(unequal.bundle.copies) == 2
    one = simulator.expectation(phi, equal) / 70
    assert simulator.expectation(phi, unequal) == pytest.approx(70.5 * one, abs=1e-10)


@pytest.mark.parametrize("approx", APPROXIMATIONS)
def test_many_qubits_that_are_two_circuits_side_by_side(approx):
    """40 copies of an asymmetric circuit: its numbers in blocks."""
    part = ansatz(3)
    count, n = part.num_parameters, 120
    sketch = Sketch(n, count)
    for copy in range(0, n, 3):
        sketch("ry", copy, 0.3)
        angles = iter(sketch.t)
        for _ in range(2):
            for name in ("ry", "rz"):
                for q in range(3):
                    sketch(name, copy + q, next(angles))
            sketch("t", copy + 1)
            for q in range(2):
                sketch("cx", copy + q, copy + q + 1)
    circuit = sketch.circuit()
    terms = random_terms(9, 3, 5)
    far = {placed(label, np.arange(k, k + 3), n): c for k in (0, 63) for label, c in terms.items()}
    far["I" * n] = 2 * terms["III"]
    theta = np.random.default_rng(8).normal(size=count)
    assert float(qngd.expectation(circuit, far, theta)) == pytest.approx(
        2 * float(qngd.expectation(part, terms, theta))
    )
    found = np.asarray(qngd.metric_tensor(circuit, theta, approx=approx))
    np.testing.assert_allclose(found, 40 * np.asarray(qngd.metric_tensor(part, theta, approx=approx)), atol=1e-9)


def test_minimize_takes_light_cones_where_a_statevector_does_not_fit():
    circuit, n = brickwork(80, 1), 80
    terms = {placed("ZZ", np.array([q, (q + 1) % n]), n): 1.0 for q in range(n)}
    terms |= {placed("X", np.array([q]), n): 0.7 for q in range(n)}
    theta = np.random.default_rng(1).normal(size=circuit.num_parameters) * 0.3
    result = qngd.minimize(circuit, terms, theta, max_steps=3)
    assert result.energy < result.history[0]
    assert "80 qubits, computed exactly by light cones" in result.note


def test_no_light_cones_where_a_statevector_fits():
    result = qngd.minimize(real_amplitudes(4, 1, CHAIN), {"ZZII": 1.0}, np.full(8, 0.3), max_steps=1)
    assert "light cones" not in result.note


def test_a_cone_that_is_too_wide_is_refused_by_name():
    circuit = brickwork(90, 12)
    theta = np.zeros(circuit.num_parameters)
    for backend in (None, "light-cone"):
        with pytest.raises(MemoryLimitError):
            qngd.expectation(circuit, {placed("ZY", np.array([64, 3]), 90): 1.0}, theta, backend=backend)
    with pytest.raises(MemoryLimitError, match=r"the term Y_3 Z_64 .* qubits together.*fewer layers"):
        qngd.expectation(circuit, {placed("ZY", np.array([3, 64]), 90): 1.0}, theta, backend="light-cone")
    with pytest.raises(MemoryLimitError, match=r"the metric's entries of gate r[yz] on qubits"):
        qngd.metric_tensor(circuit, theta, backend="light-cone")


def linear(num_qubits):
    """RY and RZ on every qubit, a chain of CX, RY and RZ: the last qubit's light cone by wires is the whole circuit."""
    sketch = Sketch(num_qubits, 4 * num_qubits)
    angles = iter(sketch.t)
    for rep in range(2):
        for q in range(num_qubits):
            sketch("ry", q, next(angles))("rz", q, next(angles))
        for q in range(num_qubits - 1) if rep == 0 else ():
            sketch("cx", q, q + 1)
    return sketch.circuit()


@pytest.fixture
def by_paths(monkeypatch):
    """All cones count as too wide for states."""
    monkeypatch.setattr(trails, "_SMALL", 0)
    monkeypatch.setattr(trails, "_STRING", 1e-6)
    monkeypatch.setattr(derivatives, "_NARROW", -1)
    monkeypatch.setattr(derivatives, "_SHARE", 1 << 60)


@pytest.mark.parametrize("name", ["linear", "qaoa ring", "random"])
def test_paths_in_place_of_states(name, by_paths):
    circuit = {"linear": linear(6), "random": random_program(3, 4, 30, 5).circuit()}.get(name) or CIRCUITS[name]
    rng = np.random.default_rng(12)
    theta, terms = rng.normal(size=circuit.num_parameters), random_terms(13, circuit.num_qubits, 8)
    pulled = circuit.pull(Observable.from_mapping(terms))
    phi, jacobian = circuit.angle_map.linearize(theta)
    simulator, exact = ConeSimulator(circuit), Simulator(circuit)
    found = simulator.terms(pulled)
    assert len(found.trails)
    assert not len(found.states)
    assert not len(simulator.derivatives.narrow)
    energy, slope = simulator.energy_and_gradient(phi, found)
    expected, expected_slope = exact.energy_and_gradient(phi, exact.terms(pulled))
    assert energy == pytest.approx(expected, abs=1e-10)
    np.testing.assert_allclose(slope[circuit.moving], expected_slope[circuit.moving], atol=1e-10)
    for diagonal in (False, True):
        np.testing.assert_allclose(
            simulator.block_metric(phi, jacobian, diagonal=diagonal)[0],
            exact.block_metric(phi, jacobian, diagonal=diagonal)[0],
            atol=1e-10,
        )
    with pytest.raises(MemoryLimitError, match="approx='block-diag' may take less"):
        simulator.full_metric(phi, jacobian)


REGULAR = [
    (0, 5), (0, 9), (0, 11), (1, 4), (1, 8), (1, 10), (2, 3), (2, 6), (2, 11), (3, 7), (3, 8), (4, 6), (4, 9),
    (5, 7), (5, 10), (6, 8), (7, 9), (10, 11),
]  # fmt: skip


def test_what_is_forgotten_early_was_not_needed():
    """A random graph of degree 3 and weights of its own on every edge, of which no cone equals another."""
    depth = 2
    sketch = Sketch(12, 2 * depth)
    rng = np.random.default_rng(depth)
    for q in range(12):
        sketch("ry", q, 0.4 + 0.1 * q) if q % 5 == 0 else sketch("h", q)
    for p in range(depth):
        for u, v in REGULAR:
            sketch("rzz", u, v, sketch.t[2 * p])
        for q in range(12):
            sketch("rx", q, sketch.t[2 * p + 1])
    circuit, theta = sketch.circuit(), rng.normal(size=2 * depth)
    terms = cut(12, REGULAR, rng.normal(size=len(REGULAR))) | {placed("XY", np.array([3, 7]), 12): 0.4}
    found = ConeSimulator(circuit).terms(circuit.pull(Observable.from_mapping(terms)))
    assert len(found.trails)
    for function in (qngd.expectation, qngd.gradient):
        by_state, by_cones = (function(circuit, terms, theta, backend=each).value for each in (None, "light-cone"))
        np.testing.assert_allclose(by_cones, by_state, atol=1e-10)


def test_a_cone_of_29_qubits_takes_few_strings():
    """The tree of a graph of degree 3 around one edge, at depth 3, whose largest cut is known: .7924 of the edges
    (arXiv:2107.00677)."""
    edges, ends = [(0, 1)], [0, 1]
    for _ in range(3):
        fresh = []
        for node in ends:
            for _ in range(2):
                edges.append((node, len(edges) + 1))
                fresh.append(edges[-1][1])
        ends = fresh
    circuit, terms = qaoa(30, edges, 3, "rzz"), {placed("ZZ", np.array([0, 1]), 30): 0.5}

    def energy_and_slope(theta):
        return [f(circuit, terms, theta, backend="light-cone").value for f in (qngd.expectation, qngd.gradient)]

    start = np.array([0.4, -0.6, 0.8, -0.5, 0.9, -0.2])
    best = optimize.minimize(energy_and_slope, start, jac=True, method="BFGS", options={"gtol": 1e-6})
    assert 0.5 - best.fun == pytest.approx(0.7924, abs=5e-5)
    found = ConeSimulator(circuit).terms(circuit.pull(Observable.from_mapping(terms)))
    assert found.bundle.largest == 29
    assert found.trails.num_strings < 100_000


def test_rotations_change_places_only_where_they_commute():
    strings = random_program(3, 4, 30, 5).circuit().generators
    order = forgetful_order(strings.x, strings.z, 99)
    assert sorted(order.tolist()) == list(range(len(strings)))
    place = np.argsort(order)
    first, second = np.nonzero(np.triu(anticommute(strings, strings), 1))
    assert (place[first] > place[second]).all()  # the last comes first
    assert not len(forgetful_order(strings.x, strings.z, 0))


def test_a_chain_whose_cones_hold_the_whole_circuit_is_minimized():
    n = 60
    circuit = linear(n)
    theta = np.random.default_rng(1).normal(size=circuit.num_parameters) * 0.3
    terms = {placed("ZZ", np.array([q, q + 1]), n): 1.0 for q in range(n - 1)}
    terms |= {placed("X", np.array([q]), n): 0.7 for q in range(n)}
    result = qngd.minimize(circuit, terms, theta, backend="light-cone", max_steps=2)
    assert result.history[0] > result.history[1] > result.history[2]
    # the first qubits see little of the chain: a circuit of eight of them gives their energies
    near, few = linear(8), {label[-8:]: weight for label, weight in terms.items() if set(label[:-7]) == {"I"}}
    own = np.r_[theta[:16], theta[2 * n : 2 * n + 16]]
    wide_terms = {"I" * (n - 8) + label: weight for label, weight in few.items()}
    values = [float(qngd.expectation(*each)) for each in ((near, few, own), (circuit, wide_terms, theta))]
    assert values[1] == pytest.approx(values[0], abs=1e-10)


def test_the_price_of_a_step():
    ring = [(q, (q + 1) % 70) for q in range(70)]
    price = qngd.cost(qaoa(70, ring, 2, "rzz"), cut(70, ring), np.full(4, 0.2), backend="light-cone", steps=3)
    assert (price.energy.count, price.energy.different, price.energy.qubits) == (70, 1, 5)
    assert price.metric is not None
    assert price.metric.count == 280
    assert price.run.jobs == 4
    assert price.run_seconds == pytest.approx(4 * price.seconds)
    assert "70 light cones, 1 of them different" in price.rows()["energy, gradient"]
    with pytest.raises(SettingError, match="whole states"):
        qngd.cost(linear(4), {"ZZII": 1.0}, np.zeros(16), backend="light-cone", approx="qn-spsa")
    with pytest.raises(BackendError, match="leave out shots"):
        qngd.cost(linear(4), {"ZZII": 1.0}, np.zeros(16), backend="light-cone", shots=10)


@pytest.mark.parametrize("approx", ["qn-spsa", "random-basis"])
def test_metrics_of_whole_states_are_refused(approx):
    with pytest.raises(SettingError, match="whole states"):
        qngd.metric_tensor(ansatz(3), np.zeros(12), approx=approx, backend="light-cone")


def test_light_cones_give_no_shots():
    with pytest.raises(BackendError, match="leave out shots"):
        qngd.expectation(ansatz(3), {"ZZZ": 1.0}, np.zeros(12), backend="light-cone", shots=10)
    with pytest.raises(BackendError, match="runs no circuits"):
        resolve("light-cone")
    with pytest.raises(BackendError, match="Did you mean 'light-cone'"):
        qngd.expectation(ansatz(3), {"ZZZ": 1.0}, np.zeros(12), backend="lightcone")


def test_light_cones_give_no_distribution():
    with pytest.raises(SettingError, match="a CVaR takes the distribution"):
        qngd.expectation(ansatz(3), qngd.CVaR({"ZZZ": 1.0}, 0.2), np.zeros(12), backend="light-cone")


def test_what_takes_whole_states_is_refused_where_none_fits():
    circuit, terms = linear(60), {placed("ZZ", np.array([3, 7]), 60): 1.0}
    with pytest.raises(MemoryLimitError, match="a CVaR's distribution of energies over 60 qubits needs"):
        qngd.expectation(circuit, qngd.CVaR(terms, 0.2), np.zeros(240))
    for backend in (None, "light-cone", "pauli-propagation"):
        with pytest.raises(MemoryLimitError, match="overlaps of whole states"):
            qngd.excited_states(qngd.Problem(circuit, terms, np.full(240, 0.1)), 2, backend=backend, max_steps=1)


def test_the_page_finds_a_cut_of_a_hundred_nodes(capsys):
    page = shown("light-cones.md")
    printed = capsys.readouterr().out
    assert "120 light cones, 4 of them different" in printed
    assert "Pauli strings, up to" in printed
    assert page.neighbours.sum() == pytest.approx(1)
    assert page.counts.total() == 1000
    approximate = qngd.expectation(page.circuit, page.cut, page.result.theta, backend=page.backend)
    assert float(approximate) == pytest.approx(page.result.energy, abs=5 * approximate.stderr)
    assert 0 < approximate.stderr < 1
    assert page.result.energy < page.result.history[0]
    assert page.result.energy == pytest.approx(
        float(qngd.expectation(page.circuit, page.cut, page.result.theta, backend="light-cone")), abs=1e-10
    )


def test_a_chain_of_sixty_against_aers_matrix_product_states():
    primitives = pytest.importorskip("qiskit_aer.primitives")
    library = pytest.importorskip("qiskit.circuit.library")
    operator = pytest.importorskip("qiskit.quantum_info").SparsePauliOp
    n = 60
    circuit = library.efficient_su2(n, reps=1, entanglement="linear")
    theta = np.random.default_rng(3).normal(size=circuit.num_parameters)
    terms = {placed("ZZ", np.array([q, q + 1]), n): 1.0 for q in range(n - 1)}
    terms |= {placed("XY", np.array([q, q + 2]), n): 0.7 for q in range(n - 2)}
    options = {"backend_options": {"method": "matrix_product_state"}, "default_precision": 0.0}
    job = primitives.EstimatorV2(options=options).run([(circuit, operator.from_list(list(terms.items())), theta)])
    found = qngd.expectation(circuit, terms, theta, backend="light-cone")
    assert float(found) == pytest.approx(float(job.result()[0].data.evs), abs=1e-10)


@pytest.mark.parametrize("approx", ["diag", "block-diag"])
def test_entries_with_too_many_paths_are_taken_from_states(approx, monkeypatch):
    """Which of the derivative states there are is found out while the entries are planned."""
    from qngd.exact.cones import derivatives

    monkeypatch.setattr(derivatives, "_NARROW", 2)
    monkeypatch.setattr(derivatives, "trail_of", lambda cone: None)
    circuit = qngd.CircuitBuilder(5)
    a, b, c = circuit.parameters("a", "b", "c")
    for q in range(5):
        circuit.ry((1 + 0.3 * q) * a, q)
    for q in range(4):
        circuit.rotation("ZZ", b * (q + 1), q, q + 1)
    for q in range(5):
        circuit.rx(c - 0.2 * q * a, q)
    theta = [0.3, -0.4, 0.7]
    found = qngd.metric_tensor(circuit, theta, approx=approx, backend="light-cone")
    expected = qngd.metric_tensor(circuit, theta, approx=approx, backend="statevector")
    assert np.allclose(found.value, expected.value, atol=1e-12)
