"""Qubits with low errors: against all placements of a line, tried by hand."""

from itertools import permutations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_ibm_runtime.fake_provider import FakeLagosV2

import qngd
from qngd.backends import resolve
from qngd.backends.qiskit.best import loss
from qngd.circuit.observable import Observable
from qngd.interop import wrap
from qngd.measured.planner import Planner
from qngd.metrics.names import as_metric

TERMS = {"ZZI": 1.0, "IXX": 0.3, "ZIZ": -0.2}
START = [0.3, -0.4, 0.9]


def circuit():
    made = qngd.CircuitBuilder(3)
    for k, angle in enumerate(made.parameters("a", "b", "c")):
        made.ry(angle, k)
    return made.cx(0, 1).cx(1, 2).ry(0.4, 2).cx(1, 2)


def plan():
    planner = Planner(wrap(circuit()), Observable.from_mapping(TERMS))
    return planner.plan(np.array(START), metric=as_metric("full"))


def test_hardly_a_placement_of_the_largest_circuit_loses_less():
    device = FakeLagosV2()
    backend = resolve(device, initial_layout="best")
    templates = plan().templates
    compiled = backend._compiler.compile(templates)
    largest = max(range(len(templates)), key=lambda t: (templates[t].num_wires, templates[t].num_two_qubit_gates))
    edges = {frozenset(edge) for edge in device.coupling_map.get_edges()}
    bare = compiled[largest].circuit
    pairs = {tuple(bare.find_bit(q).index for q in each.qubits) for each in bare.data if len(each.qubits) == 2}
    used = sorted({bare.find_bit(q).index for each in bare.data for q in each.qubits})
    found = loss(bare, device.target)
    others = []
    for places in permutations(range(7), len(used)):
        to = dict(zip(used, places, strict=True))
        if all(frozenset((to[a], to[b])) in edges for a, b in pairs):
            moved = QuantumCircuit(7, bare.num_clbits)
            moved.compose(bare, qubits=_spread(to), inplace=True)
            others.append(loss(moved, device.target))
    assert len(others) > 3
    assert found <= 1.01 * min(others)  # what the search weighs differs a little from the loss
    assert found < 0.6 * np.median(others)


def _spread(to):
    free = iter([q for q in range(7) if q not in to.values()])
    return [to[q] if q in to else next(free) for q in range(7)]


def test_all_circuits_of_a_run_follow():
    backend = resolve("fake_lagos", initial_layout="best")
    layouts = {made.layout[:3] for made in backend._compiler.compile(plan().templates)}
    assert len(layouts) == 1
    fixed = resolve("fake_lagos", initial_layout=[5, 3, 1])
    assert {made.layout[:3] for made in fixed._compiler.compile(plan().templates)} == {(5, 3, 1)}
    exact = qngd.expectation(circuit(), TERMS, START).value
    found = qngd.expectation(circuit(), TERMS, START, backend=backend, shots=4000, seed=1)
    assert abs(found.value - exact) < 0.2


def hopping():
    made = qngd.CircuitBuilder(4)
    a, b, c = made.parameters("a", "b", "c")
    return made.x(0).rxx(a, 0, 1).ryy(a, 0, 1).rz(c, 0).rxx(b, 2, 1).ryy(b, 2, 1).rzz(c, 1, 3)


@pytest.mark.parametrize("layout", [None, "best"])
def test_energies_alone_the_end_and_later_calls_are_read_by_the_same_qubits(layout):
    """What else a submission holds, such as circuits with an ancilla, does not move them, nor what was sent before."""
    terms, places = {"IIZZ": 0.7, "IXIX": 0.3, "ZIZI": -0.4}, set()

    def planned():
        planner = Planner(wrap(hopping()), Observable.from_mapping(terms))
        return planner.plan(np.array(START), metric=as_metric("full")).templates

    of_energy = len(Planner(wrap(hopping()), Observable.from_mapping(terms)).plan(np.array(START)).templates)
    assert {each.num_wires for each in planned()[:of_energy]} == {4}
    assert max(each.num_wires for each in planned()) == 5
    for first in (slice(of_energy), slice(None)):
        compiler = resolve("fake_lagos", initial_layout=layout)._compiler
        made = [*compiler.compile(planned()[first]), *compiler.compile(planned())]  # as one planner's, and the end's
        places |= {each.layout[:4] for each in made}
    assert len(places) == 1


def test_gates_that_a_measurement_does_not_see_have_their_place():
    """The energy of Z alone does not see the last gates, which other circuits of the run need."""
    made = qngd.CircuitBuilder(3)
    a, b = made.parameters("a", "b")
    made.ry(a, 0).cx(0, 1).rzz(b, 1, 2)
    planner = Planner(wrap(made), Observable.from_mapping({"IZZ": 1.0, "XIX": 0.5}))
    backend = resolve("fake_lagos")
    templates = planner.plan(np.array([0.3, 0.4]), metric=as_metric("block-diag")).templates
    edges = {frozenset(edge) for edge in FakeLagosV2().coupling_map.get_edges()}
    for compiled in backend._compiler.compile(templates):
        first, second, third = compiled.layout[:3]
        assert {frozenset((first, second)), frozenset((second, third))} <= edges


@pytest.mark.parametrize("backend", ["statevector", "lightning.qubit", lambda circuit: {}])
def test_what_has_no_qubits_to_choose_from(backend):
    with pytest.raises(qngd.BackendError, match="initial_layout"):
        resolve(backend, initial_layout="best")


def test_other_words():
    with pytest.raises(qngd.SettingError, match="best"):
        resolve("fake_lagos", initial_layout="good")
