"""The metric: full, block and diagonal against derivative states, and what changes nothing."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import qngd
from qngd._system import threads as _threads
from qngd.damping import PseudoInverse
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.exact import tangents
from qngd.exact.simulator import Simulator
from qngd.interop import as_observable
from qngd.metrics import Full
from qngd.solve.direction import natural_direction
from tests import dense
from tests.expected_metrics import expected_metrics
from tests.strategies import (
    GATES,
    GateUse,
    Program,
    Sketch,
    ansatz,
    examples,
    observables,
    programs,
    random_observable,
    random_program,
)

APPROX = ["full", "block-diag", "diag"]
GENERIC = list(enumerate([1, 2, 3, 4, 5, 6, 7, 8]))


def metric(circuit, theta, approx):
    return np.asarray(qngd.metric_tensor(circuit, theta, approx=approx))


def check_metrics(program):
    circuit = program.circuit()
    expected = expected_metrics(circuit, program.theta)
    truth = dense.Truth(program.states, program.theta)
    assert np.allclose(expected["full"], truth.metric, rtol=0, atol=1e-8)
    scale = 1 + np.abs(truth.metric).max(initial=0)
    for approx in APPROX:
        found = metric(circuit, program.theta, approx)
        assert found.shape == (program.num_parameters,) * 2
        assert np.allclose(found, expected[approx], rtol=0, atol=1e-12 * scale), approx
        assert np.allclose(found, found.T, rtol=0, atol=1e-14 * scale), approx
        assert np.linalg.eigvalsh(found).min(initial=0) > -1e-13 * scale, approx


@given(programs())
@examples(60)
def test_metrics_of_programs(program):
    check_metrics(program)


@pytest.mark.parametrize(("seed", "num_qubits"), GENERIC)
def test_metrics_of_generic_programs(seed, num_qubits):
    program = random_program(100 + seed, num_qubits, 50, 4, bend=0.1 * (seed % 2))
    check_metrics(program)


@pytest.mark.parametrize("num_qubits", range(1, 9))
def test_metrics_over_rotations(num_qubits):
    """Every rotation its own parameter: nothing is hidden by a sum."""
    circuit = random_program(num_qubits, num_qubits, 40, 5).circuit()
    phi = np.random.default_rng(0).normal(size=len(circuit.moving))
    identity = sparse.csr_array(np.diag(circuit.moving.astype(float)))
    expected = dense.rotation_metric(circuit, phi)
    both = circuit.moving[:, None] & circuit.moving[None]
    same = circuit.level[:, None] == circuit.level[None]
    diagonal = np.eye(len(phi), dtype=bool)
    simulator = Simulator(circuit)
    for name, found, mask in (
        ("full", simulator.full_metric(phi, identity), both),
        ("block", simulator.block_metric(phi, identity)[0], both & same),
        ("diag", simulator.block_metric(phi, identity, diagonal=True)[0], both & diagonal),
    ):
        assert np.allclose(found, expected * mask, rtol=0, atol=1e-13), name


@pytest.mark.parametrize("num_qubits", range(1, 9))
@pytest.mark.parametrize("density", [0.03, 0.3])
def test_a_full_metric_of_many_parameters_in_many_layers(num_qubits, density):
    """Derivatives that begin at different places, in one layer some that have begun before and many that have not."""
    circuit = random_program(num_qubits, num_qubits, 60, 5).circuit()
    count = len(circuit.moving)
    rng = np.random.default_rng(num_qubits)
    phi = rng.normal(size=count)
    jacobian = rng.normal(size=(count, 25)) * (rng.random((count, 25)) < density) * circuit.moving[:, None]
    expected = jacobian.T @ dense.rotation_metric(circuit, phi) @ jacobian
    found = Simulator(circuit).full_metric(phi, sparse.csr_array(jacobian))
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def alternating(num_qubits, num_rounds, shared):
    """Couplings of a ring and a mixer in turn, as in QAOA; all rounds `shared` two parameters, or each has its own."""
    circuit = qngd.CircuitBuilder(num_qubits)
    for q in range(num_qubits):
        circuit = circuit.h(q)
    names = [(f"coupling{k}", f"mixer{k}") for k in range(1 if shared else num_rounds)]
    angles = {name: circuit.parameter(name) for pair in names for name in pair}
    for k in range(num_rounds):
        coupling, mixer = names[k % len(names)]
        for q in range(num_qubits):
            circuit = circuit.rzz((0.4 + 0.1 * q) * angles[coupling], q, (q + 1) % num_qubits)
        for q in range(num_qubits):
            circuit = circuit.rx((1 - 0.05 * q) * angles[mixer], q)
    return qngd.wrap(circuit)


@pytest.mark.parametrize("num_qubits", [4, 7, 8])
@pytest.mark.parametrize("shared", [True, False])
def test_full_metrics_where_parameters_move_many_commuting_gates(num_qubits, shared):
    """Also of an evaluation, which gives the metric the state that the energy has taken, with and without a trial's
    energy before it."""
    circuit = alternating(num_qubits, 3, shared)
    theta = np.linspace(0.3, 1.1, circuit.num_parameters)
    phi, jacobian = circuit.angle_map.linearize(theta)
    expected = jacobian.T @ dense.rotation_metric(circuit, phi) @ jacobian
    assert np.allclose(Simulator(circuit).full_metric(phi, jacobian), expected, rtol=0, atol=1e-12)
    observable = as_observable({"Z" * num_qubits: 1.0, "I" * (num_qubits - 2) + "XY": 0.5}, circuit)
    evaluator = evaluator_for(circuit, observable, Setup("statevector"))
    alone = evaluator.evaluate(theta)
    for with_a_trial in (False, True):
        if with_a_trial:
            evaluator.evaluate(theta, gradient=False)
        found = evaluator.evaluate(theta, metric=Full())
        assert np.allclose(found.metric.value, expected, rtol=0, atol=1e-12)
        assert np.allclose(found.gradient.value, alone.gradient.value, rtol=0, atol=1e-13)
        assert float(found.energy.value) == pytest.approx(float(alone.energy.value), abs=1e-13)


@pytest.mark.parametrize("num_qubits", range(1, 9))
@pytest.mark.parametrize("split_from", [1, 1 << 15])
def test_products_with_the_full_metric(num_qubits, split_from, monkeypatch):
    """Without the metric: g·v over rotations and, with shared parameters, over parameters."""
    monkeypatch.setenv("QNGD_NUM_THREADS", "2")
    monkeypatch.setattr(_threads, "_SPLIT_FROM", split_from)
    program = random_program(40 + num_qubits, num_qubits, 40, 5, bend=0.1 * (num_qubits % 2))
    circuit = program.circuit()
    phi, jacobian = circuit.angle_map.linearize(program.theta)
    identity = sparse.csr_array(np.diag(circuit.moving.astype(float)))
    expected = dense.rotation_metric(circuit, phi) * (circuit.moving[:, None] & circuit.moving[None])
    rng = np.random.default_rng(num_qubits)
    simulator = Simulator(circuit)
    for matrix in (identity, jacobian):
        vector = rng.normal(size=matrix.shape[1])
        found = simulator.metric_product(phi, matrix, vector)
        assert np.allclose(found, matrix.T @ (expected @ (matrix @ vector)), rtol=0, atol=1e-12)
    assert np.array_equal(simulator.metric_product(phi, identity, np.zeros(len(phi))), np.zeros(len(phi)))


@pytest.mark.parametrize("threads_from", [1, 1 << 30])
def test_a_full_metric_tells_how_far_it_is(threads_from, monkeypatch):
    """In the thread that asked, whoever does the work; what is told may use the engine itself."""
    monkeypatch.setenv("QNGD_NUM_THREADS", "2")
    monkeypatch.setattr(tangents, "_THREADS_FROM", threads_from)
    monkeypatch.setattr(_threads, "_SPLIT_FROM", 1)
    circuit, theta, parts = ansatz(4, 6), np.random.default_rng(3).normal(size=48), []

    def told(part):
        parts.append(part)
        assert threading.current_thread() is threading.main_thread()
        qngd.metric_tensor(circuit, theta, approx="full")

    expected = metric(circuit, theta, "full")
    found = qngd.metric_tensor(circuit, theta, approx="full", progress=told)
    assert np.array_equal(found, expected)
    assert len(parts) > 1
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_nothing_is_told_after_an_error(monkeypatch):
    monkeypatch.setenv("QNGD_NUM_THREADS", "2")
    monkeypatch.setattr(tangents, "_THREADS_FROM", 1)
    parts = []

    def refuse(part):
        parts.append(part)
        raise KeyError(part)

    theta = np.random.default_rng(3).normal(size=48)
    with pytest.raises(KeyError):
        qngd.metric_tensor(ansatz(4, 6), theta, approx="full", progress=refuse)
    assert len(parts) == 1


def test_blocks_hold_the_correlations_of_rotation_layers():
    """RY layer after an entangler: correlations within a layer, none between layers."""
    circuit = ansatz(4, 2)
    theta = np.random.default_rng(3).normal(size=16)
    block, full = (metric(circuit, theta, a) for a in ("block-diag", "full"))
    layer = np.repeat(np.arange(4), 4)
    mask = layer[:, None] == layer[None]
    assert np.allclose(block, full * mask, atol=1e-13)
    assert np.abs(block[8:12, 8:12] - np.diag(np.diag(block)[8:12])).max() > 1e-2
    assert np.abs(full * ~mask).max() > 1e-2


def test_a_shared_parameter_has_the_variance_of_its_summed_generator():
    """RX(θ) on both qubits of a Bell state: Var(X0 + X1)/4 = ¼·(1 + 1 + 2) for XX = 1, and 0 for RY − …"""
    for first, second, sign, expected in (
        ("rx", "rx", 1, 1.0),
        ("rx", "rx", -1, 0.0),
        ("ry", "ry", 1, 0.0),
        ("rz", "rz", 1, 1.0),
        ("rx", "rz", 1, 0.5),
    ):
        sketch = Sketch(2, 1)
        sketch("h", 0)("cx", 0, 1)
        sketch(first, 0, sketch.t[0])(second, 1, sign * sketch.t[0])
        circuit = sketch.circuit()
        for approx in ("full", "block-diag"):
            assert metric(circuit, [0.0], approx) == pytest.approx(expected, abs=1e-14)
        # the diagonal over rotations forgets the correlation
        assert metric(circuit, [0.0], "diag") == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("approx", APPROX)
@pytest.mark.parametrize("factor", [2.0, -0.5, 3.7])
def test_a_scaled_parameter_scales_the_metric_by_its_square(approx, factor):
    sketch = Sketch(1, 1)
    circuit = sketch("ry", 0, factor * sketch.t[0]).circuit()
    assert metric(circuit, [0.3], approx) == pytest.approx(0.25 * factor**2)


@pytest.mark.parametrize("approx", APPROX)
def test_one_qubit_by_hand(approx):
    """RY(a) then RZ(b) on |0⟩: g = diag(¼, ¼ sin²a), the sphere of radius ½."""
    sketch = Sketch(1, 2)
    circuit = sketch("ry", 0, sketch.t[0])("rz", 0, sketch.t[1]).circuit()
    found = metric(circuit, [0.7, 1.3], approx)
    assert np.allclose(found, np.diag([0.25, 0.25 * np.sin(0.7) ** 2]), atol=1e-15)


@pytest.mark.parametrize("approx", APPROX)
def test_without_parameters_or_rotations(approx):
    assert metric(Sketch(2)("h", 0)("t", 0).circuit(), [], approx).shape == (0, 0)
    assert np.array_equal(metric(Sketch(2, 3)("h", 0).circuit(), [1, 2, 3], approx), np.zeros((3, 3)))
    assert np.array_equal(metric(Sketch(2, 1).circuit(), [0.4], approx), np.zeros((1, 1)))


@pytest.mark.parametrize("approx", APPROX)
def test_parameters_that_nothing_uses(approx):
    sketch = Sketch(2, 4)
    sketch("ry", 0, sketch.t[2])("cx", 0, 1)("rx", 1, sketch.t[0])
    found = metric(sketch.circuit(), [0.3, 9.0, 0.4, 9.0], approx)
    assert not found[[1, 3]].any()
    assert not found[:, [1, 3]].any()
    assert found[0, 0] > 0.01
    assert found[2, 2] == pytest.approx(0.25)


@pytest.mark.parametrize("approx", APPROX)
def test_a_jacobian_that_vanishes_at_this_theta(approx):
    """θ² at θ = 0: the rotation moves, its slope is zero here."""
    program = Program(2, (GateUse("ry", (0,), ((1.0,),), (-5.0,)),), np.array([0.0]), bend=0.1)
    assert np.allclose(metric(program.circuit(), program.theta, approx), 0, atol=1e-15)


# --- what changes nothing ---


def all_numbers(circuit, theta, terms):
    return {
        "energy": float(qngd.expectation(circuit, terms, theta)),
        "gradient": qngd.gradient(circuit, terms, theta).value,
        "full": metric(circuit, theta, "full"),
        "diag": metric(circuit, theta, "diag"),
        "block-diag": metric(circuit, theta, "block-diag"),
    }


def assert_same(found, expected, names):
    for name in names:
        assert np.allclose(found[name], expected[name], rtol=0, atol=1e-11), name


CLIFFORDS = ["h", "s", "sdg", "x", "y", "z", "sx", "cx", "cy", "cz", "swap", "dcx", "ecr", "iswap"]
INVERSE = {"s": ("sdg",), "sdg": ("s",), "sx": ("sxdg",), "iswap": ("iswap",) * 3, "dcx": ("dcx",) * 2}


@st.composite
def with_an_identity(draw):
    """A program, and the same with a Clifford gate and its inverse put in somewhere."""
    program = draw(programs(min_qubits=2, max_qubits=5))
    names = draw(st.lists(st.sampled_from(CLIFFORDS), min_size=1, max_size=4))
    qubits = [tuple(draw(st.permutations(range(program.num_qubits)))) for _ in names]
    there = [GateUse(name, q[: GATES[name].num_qubits]) for name, q in zip(names, qubits, strict=True)]
    back = [GateUse(inverse, use.qubits) for use in reversed(there) for inverse in INVERSE.get(use.name, (use.name,))]
    place = draw(st.integers(0, len(program.gates)))
    return program, program.inserted(place, *there, *back), draw(observables(program.num_qubits))


@given(with_an_identity())
@examples(40)
def test_cliffords_and_their_inverse_change_nothing(case):
    """The blocks may change: layers follow the user's circuit, and it has become another."""
    program, longer, terms = case
    assert dense.same_state(longer.states(program.theta[None])[0], program.states(program.theta[None])[0])
    expected = all_numbers(program.circuit(), program.theta, terms)
    found = all_numbers(longer.circuit(), program.theta, terms)
    assert_same(found, expected, ["energy", "gradient", "full", "diag"])


@given(programs(min_qubits=1, max_qubits=5, min_parameters=1), st.data())
@examples(40)
def test_rotations_that_do_not_act_change_nothing(program, data):
    """RZ and RZZ with a parameter of their own on |0…0⟩: a row of zeros, everything else as before."""
    count = program.num_parameters
    own = (*([0.0] * count), 1.0)
    idle = [GateUse("rz", (data.draw(st.integers(0, program.num_qubits - 1)),), (own,), (0.4,))]
    if program.num_qubits > 1:
        idle.append(GateUse("rzz", (1, 0), (own,), (-0.2,)))
    longer_rows = tuple(
        GateUse(use.name, use.qubits, tuple((*row, 0.0) for row in use.rows), use.offsets) for use in program.gates
    )
    theta = np.append(program.theta, 0.9)
    longer = Program(program.num_qubits, (*idle, *longer_rows), theta, program.bend)
    terms = data.draw(observables(program.num_qubits))
    expected = all_numbers(program.circuit(), program.theta, terms)
    found = all_numbers(longer.circuit(), theta, terms)
    for name, value in found.items():
        if name != "energy":
            assert np.allclose(np.delete(value, slice(0, count), 0), 0, atol=1e-13), name
            found[name] = value[(slice(0, count),) * value.ndim]
    assert_same(found, expected, ["energy", "gradient", "full", "diag"])


@pytest.mark.parametrize("seed", range(4))
def test_a_last_clifford_changes_the_observable_alone(seed):
    program = random_program(seed, 4, 40, 4)
    last = [GateUse("h", (1,)), GateUse("cx", (1, 3)), GateUse("s", (3,)), GateUse("ecr", (0, 2))]
    longer = program.inserted(len(program.gates), *last)
    terms = random_observable(seed, 4)
    before = all_numbers(program.circuit(), program.theta, terms)
    after = all_numbers(longer.circuit(), program.theta, terms)
    assert_same(after, before, ["full", "diag", "block-diag"])
    assert abs(after["energy"] - before["energy"]) > 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_renaming_qubits_changes_nothing(seed):
    program = random_program(seed, 5, 40, 4)
    names = np.random.default_rng(seed).permutation(5)
    gates = tuple(
        GateUse(use.name, tuple(int(names[q]) for q in use.qubits), use.rows, use.offsets) for use in program.gates
    )
    renamed = Program(5, gates, program.theta)
    terms = random_observable(seed, 5)
    moved = {}
    for label, c in terms.items():
        letters = [""] * 5
        for q, letter in enumerate(reversed(label)):
            letters[names[q]] = letter
        moved["".join(reversed(letters))] = c
    expected = all_numbers(program.circuit(), program.theta, terms)
    assert_same(all_numbers(renamed.circuit(), program.theta, moved), expected, expected)


# --- reparametrization ---


@pytest.mark.parametrize("approx", ["full", "block-diag"])
@pytest.mark.parametrize("seed", range(8))
def test_the_undamped_step_does_not_see_a_linear_reparametrization(seed, approx):
    """θ = Bη: the state moves the same way, and so do the angles that are not a gauge."""
    n = 2 + seed % 4
    program = random_program(seed, n, 30, 4)
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(4, 4)) + 2 * np.eye(4)
    other = program.reparametrized(matrix)
    terms = random_observable(seed, n)
    moves = []
    for this, back in ((program, np.eye(4)), (other, matrix)):
        circuit = this.circuit()
        g = qngd.metric_tensor(circuit, this.theta, approx=approx)
        slope = qngd.gradient(circuit, terms, this.theta)
        direction = natural_direction(g, slope, PseudoInverse()).vector
        moves.append((back @ direction, slope.value @ direction))
    truth = dense.Truth(program.states, program.theta)
    horizontal = truth.tangents - np.outer(truth.tangents @ truth.state.conj(), truth.state)
    ways = [move @ horizontal for move, _ in moves]
    size = np.linalg.norm(ways[0])
    assert size > 1e-3
    assert np.allclose(ways[0], ways[1], rtol=0, atol=1e-8 * size)
    assert moves[0][1] == pytest.approx(moves[1][1], rel=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_the_undamped_direction_is_the_projected_gradient(seed):
    """Σ d_i ∂_iψ is the projection of 2(H − E)ψ onto the tangent space: no metric is needed to say so."""
    n = 3 + seed % 3
    program = random_program(50 + seed, n, 30, 4)
    terms = random_observable(seed, n)
    truth = dense.Truth(program.states, program.theta, terms)
    g = qngd.metric_tensor(program.circuit(), program.theta, approx="full")
    slope = qngd.gradient(program.circuit(), terms, program.theta)
    direction = natural_direction(g, slope, PseudoInverse()).vector
    horizontal = truth.tangents - np.outer(truth.tangents @ truth.state.conj(), truth.state)
    hpsi = dense.observable_matrix(terms) @ truth.state
    force = 2 * (hpsi - truth.energy * truth.state)
    real = np.concatenate([horizontal.real, horizontal.imag], axis=1)
    target = np.concatenate([force.real, force.imag])
    weights = np.linalg.lstsq(real.T, target, rcond=1e-9)[0]
    assert np.allclose(direction @ real, weights @ real, rtol=0, atol=1e-7 * np.linalg.norm(target))


@pytest.mark.parametrize("seed", range(12))
def test_the_pseudo_inverse_knows_the_rank_of_singular_metrics(seed):
    """Each parameter of a generic circuit doubled: rank P, not 2P, and a step that rounding does not rule."""
    n = 2 + seed % 5
    program = random_program(200 + seed, n, 40, 5)
    doubled = tuple(
        GateUse(u.name, u.qubits, tuple((*r, *(-0.7 * np.array(r))) for r in u.rows), u.offsets) for u in program.gates
    )
    theta = np.concatenate([program.theta, np.zeros(5)])
    twice = Program(n, doubled, theta)
    terms = random_observable(seed, n)
    single = dense.Truth(program.states, program.theta, terms)
    rank = np.linalg.matrix_rank(single.metric, tol=1e-9)
    slope = qngd.gradient(twice.circuit(), terms, theta)
    found = natural_direction(qngd.metric_tensor(twice.circuit(), theta, approx="full"), slope, PseudoInverse())
    assert found.spectrum.rank == rank
    best = np.linalg.lstsq(single.metric, single.gradient, rcond=1e-9)[0]
    assert slope.value @ found.vector == pytest.approx(single.gradient @ best, rel=1e-6)


# --- settings ---


@pytest.mark.parametrize("approx", ["blockdiag", "Full", "", None])
def test_unknown_approximations_are_named(approx):
    with pytest.raises(qngd.SettingError, match="approx"):
        qngd.metric_tensor(Sketch(1).circuit(), [], approx=approx)


def test_block_diag_is_the_default():
    circuit = ansatz(3, 2)
    theta = np.linspace(0.1, 2, circuit.num_parameters)
    found = qngd.metric_tensor(circuit, theta)
    assert found.approx == "block-diag"
    assert found.is_exact
    assert np.array_equal(found, metric(circuit, theta, "block-diag"))
