"""The full metric from shots: every way to its entries between layers, against derivative states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.observable import Observable
from qngd.circuit.ops import Op, concatenate, select
from qngd.errors import BackendError, SettingError
from qngd.estimates.evaluation import Cost
from qngd.measured.assemble import assemble
from qngd.measured.cross import CROSS_METHODS, correlation_template, inverse, overlap_template
from qngd.measured.cutting import layer_members
from qngd.measured.planner import Planner
from qngd.metrics import Full
from tests import dense
from tests.dense_templates import outcome_probabilities, states, string_values
from tests.expected_metrics import expected_metrics
from tests.layered_circuits import crossed
from tests.own_backends import assembled
from tests.strategies import Sketch, ansatz, examples, phi_of, programs, random_program
from tests.widened import narrowed, widened

CORRELATIONS = ["hadamard", "mid-circuit"]
GENERIC = [(29, 2), (366, 2), (226, 3), (54, 3), (380, 4)]  # of three to five layers, with entries between them


def measured_midway(template, angles):
    """The mean of the recorded bit's value times each string, with the measurement as two projections."""
    n = template.num_qubits - 1
    (place,) = np.flatnonzero(template.ops.kind == Op.RECORD)
    qubit, bit = (int(q) for q in template.ops.qubits_of(place))
    assert bit == n
    before = np.arange(len(template.ops)) < place
    after = np.arange(len(template.ops)) > place
    first, second = select(template.ops, before), select(template.ops, after)
    count = len(first.rotations)
    psi = states(n, first, [angles[:count]])[0]
    total = np.zeros(len(template.strings))
    for sign in (1, -1):
        projected = (psi + sign * dense.apply(dense.PAULI["Z"], [qubit], psi)) / 2
        later = run_on(projected, n, second, angles[count:])
        labels = [label[1:] for label in template.strings.labels()]
        for t, (label, s) in enumerate(zip(labels, template.strings.sign, strict=True)):
            total[t] += sign * s * np.vdot(later, dense.label_matrix(label) @ later).real
    return total


def run_on(psi, num_qubits, ops, angles):
    """Operations on a state other than |0…0⟩: on every basis state, by flips before them."""
    columns = []
    for index in range(2**num_qubits):
        flips = OpsBuilder(num_qubits)
        for q in range(num_qubits):
            if index >> q & 1:
                flips.clifford("x", q)
        columns.append(states(num_qubits, concatenate(flips.ops(), ops), [angles])[0])
    return np.array(columns).T @ psi


def correlations(circuit, phi):
    """C_ik = Re⟨ψ|P_k P_i|ψ⟩ at their places over all rotations, and the means, from derivative states."""
    metric = dense.rotation_metric(circuit, phi)
    psi = dense.run_ops(circuit, phi[None])[0]
    tangents = 0.5 * dense.run_ops(circuit, phi + np.pi * np.eye(len(phi)))
    means = 2 * (tangents.conj() @ psi).imag  # ∂ψ = −½i·P_k at its place
    return 4 * metric + np.outer(means, means), means


def pairs(circuit):
    for i in np.flatnonzero(circuit.moving):
        for layer in range(circuit.level[i] + 1, circuit.num_layers):
            yield int(i), layer


@pytest.mark.parametrize("method", CORRELATIONS)
@given(programs(max_qubits=3, min_parameters=1, max_gates=10))
@examples(30)
def test_correlations_of_programs(method, program):
    check_correlations(program.circuit(), phi_of(program), method)


@pytest.mark.parametrize("method", CORRELATIONS)
@pytest.mark.parametrize(("seed", "num_qubits"), GENERIC)
def test_correlations_of_generic_programs(seed, num_qubits, method):
    program = random_program(seed, num_qubits, 14, 3)
    check_correlations(program.circuit(), phi_of(program), method)


@pytest.mark.parametrize("method", CORRELATIONS)
def test_a_rotation_beside_the_later_layer_keeps_the_gates_before_it(method):
    """RX after H, where nothing else leads: its string is Z, and certain."""
    sketch = Sketch(2, 3)
    sketch("h", 0)("rx", 0, sketch.t[0])("ry", 1, sketch.t[1])("rz", 1, sketch.t[2])
    circuit = sketch.circuit()
    phi = np.array([0.4, 0.7, 1.1])
    assert correlations(circuit, phi)[0][0, 2] == pytest.approx(np.cos(0.7))
    assert (0, 1) in pairs(circuit)
    check_correlations(circuit, phi, method)


def check_correlations(circuit, phi, method):
    n = circuit.num_qubits
    expected = correlations(circuit, phi)[0] if len(phi) else None
    for i, layer in pairs(circuit):
        template = correlation_template(circuit, i, layer, method)
        members = layer_members(circuit, layer)
        assert template.num_qubits == n + 1
        assert len(template.rotations) == len(template.ops.rotations)
        angles = phi[template.rotations]
        found = string_values(template) @ outcome_probabilities(template, angles)
        assert np.allclose(found, expected[i, members], rtol=0, atol=1e-10)
        if method == "mid-circuit":
            assert np.allclose(measured_midway(template, angles), expected[i, members], rtol=0, atol=1e-10)


# --- overlaps ---


@given(programs(max_qubits=4, min_parameters=1), st.integers(0, 99))
@examples(40)
def test_overlaps_of_programs(program, seed):
    """Forward with some angles and back with others: all zeros as often as |⟨ψ(φ')|ψ(φ)⟩|²."""
    circuit = program.circuit()
    phi = phi_of(program)
    other = phi + np.random.default_rng(seed).normal(size=len(phi))
    for layer in range(circuit.num_layers):
        template = overlap_template(circuit, layer)
        half = len(template.rotations) // 2
        there, back = template.rotations[:half], template.rotations[half:]
        assert np.array_equal(back, there[::-1])
        zeros = outcome_probabilities(template, np.concatenate([phi[there], -other[back]]))[0]
        upto = circuit.level <= layer
        a, b = dense.run_ops(circuit, np.where(upto, [phi, other], 0.0))
        assert zeros == pytest.approx(abs(np.vdot(b, a)) ** 2, abs=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_inverse_undoes_every_operation(seed):
    rng = np.random.default_rng(seed)
    builder = OpsBuilder(3)
    for name in ("h", "s", "sdg", "x", "y", "z", "cx", "cz", "swap"):
        builder.clifford(name, *(int(q) for q in rng.permutation(3)[: 2 if name in ("cx", "cz", "swap") else 1]))
        builder.rotation("".join(rng.choice(list("XYZ"), 2)), rng.permutation(3)[:2].tolist(), 0.3)
        builder.rotation("".join(rng.choice(list("XYZ"), 3)), (0, 1, 2), int(rng.integers(1, 4)) * np.pi / 2)
    ops = builder.ops()
    assert set(ops.turns[ops.kind == Op.QUARTER]) == {1, 2, 3}
    angles = rng.normal(size=len(ops.rotations))
    whole = concatenate(ops, inverse(ops))
    ended = states(3, whole, [np.concatenate([angles, -angles[::-1]])])[0]
    assert abs(ended[0]) == pytest.approx(1, abs=1e-12)
    assert abs(states(3, ops, [angles])[0][0]) < 0.9
    assert len(inverse(select(ops, np.zeros(len(ops), dtype=bool)))) == 0


# --- the metric ---


@pytest.mark.parametrize("cross", CROSS_METHODS)
@given(programs(max_qubits=3, min_parameters=1, max_parameters=4, max_gates=9))
@examples(20)
def test_exact_counts_give_the_full_metric(cross, program):
    """Shared, scaled and bent parameters; also those that several layers share."""
    circuit = program.circuit()
    if not len(circuit.moving):
        return
    expected = expected_metrics(circuit, program.theta)["full"]
    found = assembled(circuit, program.theta, None, cross=cross, energy=False, gradient=False, metric=Full())
    scale = 1 + np.abs(expected).max(initial=0)
    assert np.allclose(found.metric.value, expected, rtol=0, atol=1e-9 * scale)
    assert found.metric.approx == "full"


@pytest.mark.parametrize("cross", CORRELATIONS)
@pytest.mark.parametrize(("seed", "num_qubits"), GENERIC)
def test_exact_means_give_the_full_metric(seed, num_qubits, cross):
    program = random_program(seed, num_qubits, 14, 3)
    circuit = program.circuit()
    found = assembled(circuit, program.theta, None, "means", cross=cross, energy=False, gradient=False, metric=Full())
    expected = expected_metrics(circuit, program.theta)["full"]
    assert np.allclose(found.metric.value, expected, rtol=0, atol=1e-9)
    assert np.abs(expected - expected_metrics(circuit, program.theta)["block-diag"]).max() > 1e-3


def test_means_give_no_overlaps():
    circuit = ansatz(2, 1)
    with pytest.raises(BackendError, match=r"overlap needs counts.*hadamard"):
        assembled(circuit, np.ones(4), None, "means", cross="overlap", energy=False, gradient=False, metric=Full())


@pytest.mark.parametrize("cross", ["Hadamard", "swap", "", None])
def test_an_unknown_method_is_named(cross):
    with pytest.raises(SettingError, match=f"cross.*{cross}.*hadamard, mid-circuit, overlap"):
        Planner(ansatz(2, 1), None, cross=cross)


def sampled(circuit, theta, cross, shots, times, seed):
    """The full metric `times` times over."""
    plan = Planner(circuit, None, cross=cross).plan(theta, energy=False, gradient=False, metric=Full())
    plan = plan.with_shots(np.full(plan.num_circuits, shots))
    device, count = StatevectorSampler(), plan.num_circuits
    outcomes = device.collect(device.submit(plan.templates, plan.requests * times, seed))
    parts = (outcomes[count * k : count * (k + 1)] for k in range(times))
    return [assemble(plan, part, theta, Cost()).metric for part in parts]


@pytest.mark.parametrize("cross", CROSS_METHODS)
def test_sampled_full_metrics_agree_with_the_exact_one(cross):
    """Means over 250 repetitions within their errors; the spread is what the errors say."""
    circuit, theta = crossed()
    exact = expected_metrics(circuit, theta)["full"]
    assert np.linalg.eigvalsh(exact).min() > 0.1
    assert np.abs(exact - expected_metrics(circuit, theta)["block-diag"]).max() > 0.04
    metrics = sampled(circuit, theta, cross, 4000, 250, seed=5)
    assert all(m.note == "" for m in metrics)
    values = np.array([m.value for m in metrics])
    errors = np.array([m.stderr for m in metrics])
    spread = values.std(axis=0, ddof=1)
    assert np.all(np.abs(values.mean(axis=0) - exact) <= 4 * spread / np.sqrt(250) + 1e-12)
    assert np.allclose(np.sqrt((errors**2).mean(axis=0)), spread, rtol=0.15, atol=1e-12)


@pytest.mark.parametrize("cross", CROSS_METHODS)
def test_few_shots_are_projected_and_it_is_said(cross):
    """At 20 shots some matrices come out indefinite: what is returned never is."""
    circuit = ansatz(2, 2)
    theta = np.linspace(0.1, 2.0, circuit.num_parameters)
    metrics = sampled(circuit, theta, cross, 20, 40, seed=1)
    notes = [m.note for m in metrics if m.note]
    assert len(notes) > 20
    assert all("eigenvalues were negative" in note and "moved by" in note for note in notes)
    for m in metrics:
        values = np.linalg.eigvalsh(m.value)
        assert values[0] > -1e-14 * values[-1]
        assert np.array_equal(m.value, m.value.T)


@pytest.mark.parametrize("cross", CROSS_METHODS)
def test_a_parameter_that_does_not_move_the_state_keeps_its_zeros(cross):
    """RZ on |0⟩: shots of the circuits between layers say something else, and a projection must not believe them."""
    sketch = Sketch(2, 4)
    a, b, c, d = sketch.t
    sketch("rz", 0, a)("ry", 0, b)("rx", 1, c)("cx", 0, 1)("rz", 1, d)("ry", 0, d + 0.5 * c)
    circuit, theta = sketch.circuit(), np.array([0.4, 0.3, 1.1, 0.6])
    exact = expected_metrics(circuit, theta)["full"]
    assert np.abs(exact[0]).max() < 1e-12
    for m in sampled(circuit, theta, cross, 30, 40, seed=1):
        assert not np.any(m.value[0])
        assert not np.any(m.stderr[0])
        assert np.all(np.abs(m.value - exact) <= 7 * m.stderr + 1e-9)


@pytest.mark.parametrize("cross", CROSS_METHODS)
def test_what_a_projection_moves_counts_as_an_error(cross):
    circuit, theta = ansatz(2, 2), np.linspace(0.1, 2.0, 8)
    exact = expected_metrics(circuit, theta)["full"]
    for m in sampled(circuit, theta, cross, 20, 40, seed=1):
        assert np.allclose(m.stderr**2, m.raw_stderr**2 + (m.value - m.raw) ** 2, rtol=1e-9)
        assert np.all(np.abs(m.value - exact) <= 7 * m.stderr + 1e-9)


def shared():
    """One parameter moves rotations of both layers, and several of each."""
    sketch = Sketch(2, 2)
    a, b = sketch.t
    sketch("ry", 0, a)("ry", 1, 0.5 * a + b)("cx", 0, 1)("rx", 0, a - b)("rz", 1, 2 * a)("h", 1)
    return sketch.circuit(), np.array([0.7, -0.4])


@pytest.mark.parametrize("cross", CROSS_METHODS)
def test_errors_of_entries_that_sum_over_several_rotations(cross):
    circuit, theta = shared()
    metrics = sampled(circuit, theta, cross, 4000, 250, seed=5)
    values = np.array([m.value for m in metrics])
    errors = np.array([m.stderr for m in metrics])
    exact = expected_metrics(circuit, theta)["full"]
    spread = values.std(axis=0, ddof=1)
    assert np.all(np.abs(values.mean(axis=0) - exact) <= 4 * spread / np.sqrt(250))
    assert np.allclose(np.sqrt((errors**2).mean(axis=0)), spread, rtol=0.15)


# --- many qubits ---


@pytest.mark.parametrize("method", CORRELATIONS)
@pytest.mark.parametrize(("num_qubits", "names"), [(64, [63, 1, 30]), (70, [63, 69, 64]), (127, [126, 64, 0])])
def test_correlations_on_many_qubits(num_qubits, names, method):
    """The ancilla stands in a word of its own, or beside the circuit's last qubit."""
    program = random_program(226, 3, 14, 3)
    small, wide = program.circuit(), widened(program, num_qubits, names).circuit()
    phi = phi_of(program)
    expected = correlations(small, phi)[0]
    for i, layer in list(pairs(wide))[::7]:
        template = correlation_template(wide, i, layer, method)
        few = narrowed(template, num_qubits + 1, [*names, num_qubits])
        found = string_values(few) @ outcome_probabilities(few, phi[few.rotations])
        assert np.allclose(found, expected[i, layer_members(wide, layer)], rtol=0, atol=1e-10)


def test_how_many_circuits_each_method_takes():
    """One for every rotation and later layer, or four for every pair of rotations of different layers."""
    circuit = ansatz(3, 2)  # four layers of three
    observable = Observable.from_mapping({"ZZZ": 1.0})
    expected = {"hadamard": 4 + 3 * (3 + 2 + 1), "mid-circuit": 4 + 3 * (3 + 2 + 1), "overlap": 4 + 4 * 9 * 6}
    for cross, count in expected.items():
        planner = Planner(circuit, observable, cross=cross)
        plan = planner.plan(np.ones(12), energy=False, gradient=False, metric=Full())
        assert plan.num_circuits == count
