"""What a step asks for: how many circuits, each once, as data that can be hashed, stored and sized up."""

import itertools
import os
import pickle
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import stim
from hypothesis import given
from hypothesis import strategies as st

from qngd.circuit.observable import Observable
from qngd.circuit.ops import Op
from qngd.estimates.evaluation import Cost
from qngd.measured.assemble import assemble
from qngd.measured.outcomes import Counts
from qngd.measured.planner import Planner
from qngd.metrics import BlockDiagonal, Full, as_metric
from tests import dense
from tests.layered_circuits import CHAIN, GRAPHS, qaoa, real_amplitudes
from tests.own_backends import exact_counts
from tests.plans import plan_of, planner_of, some_plan
from tests.strategies import (
    Sketch,
    examples,
    observables,
    programs,
    random_observable,
    random_program,
    terms_of,
)

# --- counted ---


@pytest.mark.parametrize("what", ["block-diag", "diag"])
def test_the_metric_of_real_amplitudes_is_four_circuits(what):
    circuit = real_amplitudes(4, 3, CHAIN)
    assert circuit.num_parameters == 16
    plan = plan_of(circuit, None, energy=False, gradient=False, metric=as_metric(what))
    assert plan.num_circuits == len(plan.terms.blocks) == 4
    assert [block.columns.tolist() for block in plan.terms.blocks] == np.arange(16).reshape(4, 4).tolist()


@pytest.mark.parametrize("cost_gate", ["rzz", "cx rz cx"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graph", GRAPHS)
def test_the_metric_of_qaoa_is_two_circuits_a_depth(graph, depth, cost_gate):
    num_qubits, edges = GRAPHS[graph]
    circuit = qaoa(num_qubits, edges, depth, cost_gate)
    assert plan_of(circuit, None, energy=False, gradient=False, metric=BlockDiagonal()).num_circuits == 2 * depth


@pytest.mark.parametrize(
    ("terms", "grouping", "energy", "gradient"),
    [
        ({"IIZ": 1.0}, "qubit-wise", 1, 2),  # one qubit, one rotation
        ({"IIZ": 1.0, "IZI": 0.5}, "qubit-wise", 1, 4),
        ({"IIZ": 1.0, "IIX": 0.5}, "qubit-wise", 2, 4),
        ({"IIZ": 1.0, "IXI": 0.5, "ZZZ": 0.2}, "qubit-wise", 2, 2 * 2 + 2 * 3),  # {IIZ, IXI}, {ZZZ}
        ({"IIZ": 1.0, "IXI": 0.5, "III": 3.0}, "qubit-wise", 1, 4),
        ({"IXX": 1.0, "IZZ": 0.5, "IYY": 0.1}, "qubit-wise", 3, 2 * 4),  # IYY sees no RY
        ({"IXX": 1.0, "IZZ": 0.5, "IYY": 0.1}, "commuting", 1, 4),
        ({"IIZ": 0.0, "ZII": 1.0}, "qubit-wise", 1, 2),
        ({"III": 3.0}, "qubit-wise", 0, 0),
    ],
)
def test_circuits_of_a_product_state(terms, grouping, energy, gradient):
    """RY on three qubits: a group needs the shifts of the qubits it reads, and no others."""
    sketch = Sketch(3, 3)
    for q in range(3):
        sketch("ry", q, sketch.t[q])
    circuit = sketch.circuit()
    assert plan_of(circuit, terms, grouping=grouping, gradient=False).num_circuits == energy
    assert plan_of(circuit, terms, grouping=grouping, energy=False).num_circuits == gradient
    assert plan_of(circuit, terms, grouping=grouping).num_circuits == energy + gradient
    plan = plan_of(circuit, terms, grouping=grouping, metric=BlockDiagonal())
    assert plan.num_circuits == energy + gradient + 1


def brickwork(num_qubits, depth):
    """RY everywhere and CZ on even, then odd neighbours, `depth` times."""
    sketch = Sketch(num_qubits, num_qubits * depth)
    angles = iter(sketch.t)
    for d in range(depth):
        for q in range(num_qubits):
            sketch("ry", q, next(angles))
        for q in range(d % 2, num_qubits - 1, 2):
            sketch("cz", q, q + 1)
    return sketch.circuit()


@pytest.mark.parametrize("terms", [{"IIIIIZ": 1.0}, {"IIXZII": 1.0, "IIZZII": -0.5, "XIIIII": 0.7}])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_shifts_that_no_observable_sees_are_not_run(terms, depth):
    """A group is shifted by exactly those rotations that its strings depend on, seen by turning each at random."""
    circuit = brickwork(6, depth)
    rng = np.random.default_rng(depth)
    phi = rng.normal(size=len(circuit.moving))
    turned = phi + 0.7 * np.eye(len(phi))
    states = dense.run_ops(circuit, np.concatenate([phi[None], turned]))
    plan = plan_of(circuit, terms, phi, energy=False)
    expected = set()
    for t, template in enumerate(plan.templates):
        for label in template.strings.labels():
            values = np.einsum("bi,ij,bj->b", states.conj(), dense.label_matrix(label), states).real
            expected |= {(t, int(k)) for k in np.flatnonzero(np.abs(values[1:] - values[0]) > 1e-9)}
    found = set()
    for request in plan.requests:
        rotations = plan.templates[request.template].rotations
        (moved,) = np.flatnonzero(~np.isclose(request.angles, phi[rotations], rtol=0, atol=1e-9))
        found.add((request.template, int(rotations[moved])))
    assert found == expected
    assert len(plan.requests) == 2 * len(expected)
    assert len(expected) < len(plan.templates) * len(phi)


@given(programs(max_qubits=4), st.data())
@examples(40)
def test_nothing_is_asked_for_twice_or_in_vain(program, data):
    circuit = program.circuit()
    terms = data.draw(observables(program.num_qubits))
    cross = data.draw(st.sampled_from(["hadamard", "mid-circuit", "overlap"]))
    metric = data.draw(st.sampled_from([None, "diag", "block-diag", "full"]))
    plan = plan_of(circuit, terms, program.theta, cross=cross, metric=metric and as_metric(metric))
    keys = [(r.template, r.angles.tobytes()) for r in plan.requests]
    assert len(set(keys)) == len(keys)
    used = set(np.flatnonzero(plan.energy_weights)) | set(plan.slopes.tocoo().col.tolist())
    if metric is not None:
        used |= {block.request for block in plan.terms.blocks}
    if metric == "full":
        used = used.union(*(term.requests for term in plan.terms.crosses))
    assert used == set(range(len(keys)))
    assert {r.template for r in plan.requests} == set(range(len(plan.templates)))
    for request in plan.requests:
        assert request.angles.shape == plan.templates[request.template].rotations.shape
        assert request.shots is None


@pytest.mark.parametrize("seed", [1, 33, 34, 38, 43, 54, *range(100, 110)])
def test_commuting_groups_never_take_more_circuits(seed):
    """Neither energies nor whole steps, whose derivatives follow the light cones of each group: with the first seeds
    the groups of sorted insertion take up to four circuits more than qubit-wise ones."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 7))
    sketch = Sketch(n, n)
    for q in range(n):
        sketch("ry", q, sketch.t[q])
    for q in range(0, n - 1, 2):
        sketch("cx", q, q + 1)
    labels = sorted({"".join(rng.choice(list("IIIXYZ"), n)) for _ in range(12)} - {"I" * n})
    terms = dict(zip(labels, rng.normal(size=len(labels)), strict=True))
    taken = []
    for grouping in ("qubit-wise", "commuting"):
        step = plan_of(sketch.circuit(), terms, None, grouping, metric=BlockDiagonal())
        alone = plan_of(sketch.circuit(), terms, None, grouping, gradient=False)
        taken.append((step.num_circuits, alone.num_circuits))
    assert taken[1][0] <= taken[0][0]
    assert taken[1][1] <= taken[0][1]


def test_requests_that_coincide_are_merged():
    """One rule shifts both rotations, the first by so little that what sees it alone sees no shift."""
    sketch = Sketch(2, 1)
    circuit = sketch("rx", 0, 1e-18 * sketch.t[0] + 0.3)("rx", 1, sketch.t[0]).circuit()
    cases = (({"IY": 1.0}, 1), ({"YI": 1.0}, 3), ({"YI": 1.0, "IY": 0.5}, 3), ({"YI": 1.0, "IY": 0.5, "XZ": 0.2}, 4))
    for terms, circuits in cases:
        assert plan_of(circuit, terms, [0.7]).num_circuits == circuits


@given(
    programs(max_qubits=3, bends=(0.1, 0.3)),
    st.integers(0, 99),
    st.sampled_from(["block-diag", "full", "qn-spsa", "random-basis"]),
)
@examples(40)
def test_every_theta_takes_the_same_circuits(program, seed, metric):
    """Also where angles are not linear and slopes vanish, and at every seed."""
    circuit = program.circuit()
    planner = Planner(circuit, Observable.from_mapping(random_observable(seed, program.num_qubits)))
    rng = np.random.default_rng(seed)
    points = [np.zeros(circuit.num_parameters), program.theta, rng.normal(size=circuit.num_parameters)]
    plans = [planner.plan(theta, metric=as_metric(metric), seed=k) for k, theta in enumerate(points)]
    assert len({tuple(r.template for r in plan.requests) for plan in plans}) == 1


# --- as data ---


def test_shots_are_given_afterwards():
    plan = some_plan()
    assert plan.num_shots == 0
    shots = np.arange(1, plan.num_circuits + 1)
    given_shots = plan.with_shots(shots)
    assert [r.shots for r in given_shots.requests] == shots.tolist()
    assert all(type(r.shots) is int for r in given_shots.requests)
    assert given_shots.num_shots == shots.sum()
    assert plan.num_shots == 0
    assert given_shots.with_shots(None).num_shots == 0
    with pytest.raises(ValueError, match="zip"):
        plan.with_shots(shots[:-1])


def test_the_fingerprint_is_of_the_plan_and_not_of_the_object():
    plan, same = some_plan(), some_plan()
    assert plan is not same
    assert plan.fingerprint == same.fingerprint
    shots = np.full(plan.num_circuits, 100)
    assert plan.with_shots(shots).fingerprint == same.with_shots(shots).fingerprint
    assert pickle.loads(pickle.dumps(plan)).fingerprint == plan.fingerprint


def test_the_fingerprint_is_the_same_in_another_process():
    code = "from tests.plans import some_plan; print(some_plan().fingerprint)"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.strip() == some_plan().fingerprint


def small(gate="rx", qubit=0, offset=0.3, clifford=("cx", 0, 1)):
    sketch = Sketch(3, 1)
    return sketch("ry", 0, 0.3)(*clifford)(gate, qubit, sketch.t[0] + offset).circuit()


VARIANTS = {
    "theta": lambda: plan_of(small(), {"ZZZ": 1.0}, [0.5 + 1e-15]),
    "constant": lambda: plan_of(small(offset=0.30001), {"ZZZ": 1.0}, [0.5]),
    "letter": lambda: plan_of(small("ry"), {"ZZZ": 1.0}, [0.5]),
    "qubit": lambda: plan_of(small(qubit=2), {"ZZZ": 1.0}, [0.5]),
    "gate": lambda: plan_of(small(clifford=("cz", 0, 1)), {"ZZZ": 1.0}, [0.5]),
    "target": lambda: plan_of(small(clifford=("cx", 0, 2)), {"ZZZ": 1.0}, [0.5]),
    "direction": lambda: plan_of(small(clifford=("cx", 1, 0)), {"ZZZ": 1.0}, [0.5]),
    "quarter turns": lambda: plan_of(small(clifford=("rx", 1, np.pi / 2)), {"ZZZ": 1.0}, [0.5]),
    "other turns": lambda: plan_of(small(clifford=("rx", 1, -np.pi / 2)), {"ZZZ": 1.0}, [0.5]),
    "basis": lambda: plan_of(small(), {"ZZY": 1.0}, [0.5]),
    "readout": lambda: plan_of(small(), {"ZZI": 1.0}, [0.5]),
    "energy": lambda: plan_of(small(), {"ZZZ": 1.0}, [0.5], gradient=False),
    "metric": lambda: plan_of(small(), {"ZZZ": 1.0}, [0.5], metric=BlockDiagonal()),
    "shots": lambda: plan_of(small(), {"ZZZ": 1.0}, [0.5]).with_shots([10] * 3),
    "more shots": lambda: plan_of(small(), {"ZZZ": 1.0}, [0.5]).with_shots([10, 10, 11]),
}


def test_the_fingerprint_sees_every_change():
    plain = plan_of(small(), {"ZZZ": 1.0}, [0.5])
    assert plain.num_circuits == 3
    prints = {name: make().fingerprint for name, make in VARIANTS.items()}
    assert len({plain.fingerprint, *prints.values()}) == len(VARIANTS) + 1


@pytest.mark.parametrize("what", [{}, {"metric": Full()}, {"metric": Full(), "cross": "overlap"}])
def test_a_plan_pickles(what):
    theta = np.array([0.3, -0.8, 1.1, 0.4])
    plan = some_plan(theta, **what).with_shots(np.full(some_plan(theta, **what).num_circuits, 7))
    restored = pickle.loads(pickle.dumps(plan))
    assert restored.fingerprint == plan.fingerprint
    outcomes = [exact_counts(plan.templates[r.template], r.angles) for r in plan.requests]
    stored = pickle.loads(pickle.dumps(outcomes))
    found = [assemble(p, o, theta, Cost()) for p, o in ((plan, outcomes), (restored, stored))]
    assert found[0].energy.value == found[1].energy.value
    for name in ("gradient", "metric"):
        a, b = (getattr(f, name) for f in found)
        assert np.array_equal(a.value, b.value)
        assert np.array_equal(a.stderr, b.stderr)


def test_a_planner_keeps_its_templates():
    circuit = random_program(5, 3, 25, 4).circuit()
    planner = planner_of(circuit, random_observable(2, 3))
    first, second = (planner.plan(np.full(4, x), metric=Full()) for x in (0.1, 0.2))
    assert all(a is b for a, b in zip(first.templates, second.templates, strict=True))
    assert first.fingerprint != second.fingerprint


# --- many qubits ---


def hardware_efficient(num_qubits, depth):
    sketch = Sketch(num_qubits, num_qubits * depth)
    angles = iter(sketch.t)
    for _ in range(depth):
        for q in range(num_qubits):
            sketch("ry", q, next(angles))
        for q in range(num_qubits - 1):
            sketch("cz", q, q + 1)
    return sketch.circuit()


def transverse_ising(num_qubits):
    bonds = {((q, "Z"), (q + 1, "Z")): -1.0 - 0.01 * q for q in range(num_qubits - 1)}
    return terms_of({**bonds, **{((q, "X"),): 0.5 + 0.02 * q for q in range(num_qubits)}}, num_qubits)


def random_outcomes(plan, num_qubits, shots, seed=0):
    """Whatever comes to mind: `shots` random bit strings for every request."""
    rng = np.random.default_rng(seed)
    for _ in plan.requests:
        bits = np.frombuffer(rng.bytes(shots * 16), dtype=np.uint64).reshape(shots, 2).copy()
        bits[:, 1] &= np.uint64((1 << num_qubits - 64) - 1)
        yield Counts(bits, np.ones(shots, dtype=np.int64))


@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
@pytest.mark.parametrize(("num_qubits", "depth"), [(70, 6), (100, 4)])
def test_many_qubits_are_planned_and_assembled(num_qubits, depth, grouping):
    """About 400 parameters: in seconds, in little memory, and with the statistics of the bits that came."""
    circuit, terms, shots = hardware_efficient(num_qubits, depth), transverse_ising(num_qubits), 24
    theta = np.random.default_rng(1).normal(size=circuit.num_parameters)
    assert circuit.num_parameters >= 400
    tracemalloc.start()
    started = time.process_time()
    plan = plan_of(circuit, terms, theta, grouping, metric=BlockDiagonal())
    outcomes = list(random_outcomes(plan, num_qubits, shots))
    found = assemble(plan, outcomes, theta, Cost())
    seconds = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20
    assert seconds < 20  # under a memory tracer
    assert len(plan.terms.blocks) == depth
    check_against_big_integers(plan, outcomes, found, num_qubits)


def check_against_big_integers(plan, outcomes, found, num_qubits):
    def numbers(rows):
        return [int(row[0]) | int(row[1]) << 64 for row in rows]

    def shot_values(request):
        template = plan.templates[plan.requests[request].template]
        masks = numbers(template.basis.z)
        assert max(masks).bit_length() <= num_qubits
        odd = [[(b & m).bit_count() & 1 for m in masks] for b in numbers(outcomes[request].bits)]
        return template.basis.sign * (1.0 - 2.0 * np.array(odd))

    energies, variances = {}, {}

    def energy(request):
        if request not in energies:
            per_shot = shot_values(request) @ plan.coefficients[plan.requests[request].template]
            energies[request] = per_shot.mean()
            variances[request] = per_shot.var(ddof=1) / len(per_shot)
        return energies[request]

    asked = np.flatnonzero(plan.energy_weights)
    assert float(found.energy.value) == pytest.approx(sum(energy(r) for r in asked), abs=1e-9)
    assert float(found.energy.stderr) ** 2 == pytest.approx(sum(variances[r] for r in asked), rel=1e-9)
    slopes = (plan.mixing @ plan.slopes).tocsr()
    for p in (0, slopes.shape[0] // 2, slopes.shape[0] - 1):
        span = slice(slopes.indptr[p], slopes.indptr[p + 1])
        entries = list(zip(slopes.indices[span].tolist(), slopes.data[span], strict=True))
        assert entries
        expected = sum(w * energy(r) for r, w in entries)
        assert found.gradient.value[p] == pytest.approx(expected, abs=1e-9)
        error = sum(w**2 * variances[r] for r, w in entries)
        assert found.gradient.stderr[p] ** 2 == pytest.approx(error, rel=1e-9)
    for block in plan.terms.blocks:
        expected = 0.25 * np.cov(shot_values(block.request).T)
        assert np.allclose(found.metric.value[np.ix_(block.columns, block.columns)], expected, rtol=0, atol=1e-12)


class StimDevice:
    """Runs templates whose angles are multiples of π/2, on any number of qubits."""

    def __init__(self, shots):
        self.shots = shots

    def run(self, template, angles):
        circuit = stim.Circuit(f"I {template.num_qubits - 1}\n")
        names = {Op.H: "H", Op.S: "S", Op.SDG: "S_DAG", Op.X: "X", Op.Y: "Y", Op.Z: "Z"}
        names |= {Op.CX: "CX", Op.CZ: "CZ", Op.SWAP: "SWAP"}
        turns = iter(angles / (np.pi / 2))
        ops = template.all_ops
        for k in range(len(ops)):
            qubits, kind = ops.qubits_of(k).tolist(), Op(ops.kind[k])
            if kind in names:
                circuit.append(names[kind], qubits)
                continue
            count = ops.turns[k] if kind is Op.QUARTER else next(turns)
            assert abs(count - round(count)) < 1e-9
            product = "*".join(f"{'IXYZ'[c]}{q}" for c, q in zip(ops.letters_of(k), qubits, strict=True))
            circuit += stim.Circuit(f"SPP {product}\n") * (round(count) % 4) if round(count) % 4 else stim.Circuit()
        circuit.append("M", range(template.num_qubits))
        shots = circuit.compile_sampler(seed=7).sample(self.shots)
        padded = np.zeros((self.shots, 128), dtype=bool)
        padded[:, : template.num_qubits] = shots
        bits = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
        unique, counts = np.unique(bits[:, : -(-template.num_qubits // 64)], axis=0, return_counts=True)
        return Counts(np.ascontiguousarray(unique), counts)


def rows_of(num_qubits, depth, turns, upto=None):
    """The state of `hardware_efficient` at angles of quarter turns, by stim, up to a row of RY."""
    simulator = stim.TableauSimulator()
    simulator.set_num_qubits(num_qubits)
    for d in range(depth if upto is None else upto):
        for q in range(num_qubits):
            for _ in range(turns[d * num_qubits + q] % 4):
                simulator.sqrt_y(q)
        for q in range(num_qubits - 1):
            simulator.cz(q, q + 1)
    return simulator


@pytest.mark.parametrize(("num_qubits", "depth"), [(70, 3), (100, 2)])
def test_steps_on_many_qubits_at_clifford_angles(num_qubits, depth):
    """Energy and gradient are sums of ±1, 0 there, and so are the metric's entries: stim says which."""
    circuit = hardware_efficient(num_qubits, depth)
    places = [0, 31, 62, 63, 64, num_qubits - 2]
    terms = {((q, "Z"), (q + 1, "Z")): -1.0 - 0.01 * q for q in places}
    terms = terms_of({**terms, **{((q, "X"),): 0.5 + 0.02 * q for q in places}}, num_qubits)
    rng = np.random.default_rng(num_qubits)
    turns = rng.choice([0, 1, 1, 2, 3], circuit.num_parameters)
    theta = turns * np.pi / 2
    plan = plan_of(circuit, terms, theta, metric=BlockDiagonal())
    device = StimDevice(200)
    outcomes = [device.run(plan.templates[r.template], r.angles) for r in plan.requests]
    found = assemble(plan, outcomes, theta, Cost())

    def exact(some_turns):
        state = rows_of(num_qubits, depth, some_turns)
        return sum(c * state.peek_observable_expectation(stim.PauliString(label[::-1])) for label, c in terms.items())

    assert len(plan.requests) < 300
    energy, error = float(found.energy.value), float(found.energy.stderr)
    assert abs(energy - exact(turns)) <= 4 * error + 1e-9
    chosen = np.flatnonzero(np.diff(plan.mixing.indptr))[::2]
    steps = np.eye(circuit.num_parameters, dtype=int)[chosen]
    expected = np.array([(exact(turns + step) - exact(turns - step)) / 2 for step in steps])
    assert np.abs(expected).max() > 0.5
    assert np.all(np.abs(found.gradient.value[chosen] - expected) <= 4.5 * found.gradient.stderr[chosen] + 1e-9)
    met = set()
    for d in range(depth):
        state = rows_of(num_qubits, depth, turns, d)
        means = [state.peek_observable_expectation(pauli(num_qubits, q)) for q in range(num_qubits)]
        for q, r in itertools.islice(itertools.combinations(range(num_qubits), 2), 0, None, 7):
            together = state.peek_observable_expectation(pauli(num_qubits, q, r))
            expected = 0.25 * (together - means[q] * means[r])
            met.add(expected)
            entry = d * num_qubits + q, d * num_qubits + r
            assert abs(found.metric.value[entry] - expected) <= 6 * 0.25 / np.sqrt(200)
    assert 0.0 in met


def pauli(num_qubits, *qubits):
    return stim.PauliString("".join("Y" if q in qubits else "_" for q in range(num_qubits)))
