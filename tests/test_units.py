"""Units: which rotations of one gate stand together."""

import numpy as np
import pytest
from scipy import sparse

from qngd.circuit.pauli import PauliStrings
from qngd.circuit.units import assign_units
from tests.strategies import Sketch


def units(labels, moved_by, gate=None):
    """The units as sets of rotations, in their order; `moved_by` lists the parameters of each rotation."""
    strings = PauliStrings.from_labels(labels)
    size = 1 + max((p for row in moved_by for p in row), default=0)
    pattern = np.zeros((len(labels), size))
    for k, row in enumerate(moved_by):
        pattern[k, list(row)] = 1
    gate = np.zeros(len(labels), dtype=int) if gate is None else np.array(gate)
    found = assign_units(gate, strings, sparse.csr_array(pattern))
    return [set(np.flatnonzero(found == u).tolist()) for u in range(found.max() + 1)]


def test_commuting_rotations_of_one_gate_and_parameter():
    assert units(["ZI", "IZ", "ZZ"], [{0}, {0}, {0}]) == [{0, 1, 2}]


def test_not_those_of_several_gates():
    assert units(["ZI", "IZ", "ZZ"], [{0}, {0}, {0}], gate=[0, 0, 1]) == [{0, 1}, {2}]


def test_not_those_of_several_parameters():
    assert units(["ZI", "IZ", "ZZ"], [{0}, {1}, {0}]) == [{0, 2}, {1}]


def test_those_that_no_parameter_moves_stand_alone():
    assert units(["ZI", "ZI", "IZ"], [{0}, set(), set()]) == [{0}, {1}, {2}]


def test_parameters_link_through_rotations_that_share_them():
    assert units(["ZI", "IZ", "ZZ"], [{0}, {1}, {0, 1}]) == [{0, 1, 2}]


def test_what_does_not_commute_is_apart():
    assert units(["XI", "ZI"], [{0}, {0}]) == [{0}, {1}]


def test_what_stands_in_between():
    # XX, then ZI of another parameter, then YY: neither passes
    assert units(["XX", "ZI", "YY"], [{0}, {1}, {0}]) == [{0}, {1}, {2}]
    # IX commutes with ZI and goes back; XI does not, but what is already there goes on
    assert units(["XX", "ZI", "IX"], [{0}, {1}, {0}]) == [{0, 2}, {1}]
    assert units(["IX", "ZI", "XI"], [{0}, {1}, {0}]) == [{1}, {0, 2}]
    # fixed rotations keep apart as well
    assert units(["XX", "ZI", "YY"], [{0}, set(), {0}]) == [{0}, {1}, {2}]


def test_units_make_no_cycle():
    """Two pairs that each could stand together, but not both: XI before ZI before the other way round."""
    found = units(["XI", "ZI", "IZ", "IX"], [{0}, {1}, {1}, {0}])
    assert {frozenset(unit) for unit in found} in (
        {frozenset({0}), frozenset({3}), frozenset({1, 2})},
        {frozenset({1}), frozenset({2}), frozenset({0, 3})},
    )
    order = {k: place for place, unit in enumerate(found) for k in unit}
    assert order[0] < order[1]
    assert order[2] < order[3]


@pytest.mark.parametrize("seed", range(20))
def test_any_strings(seed):
    """The order of units keeps that of anticommuting rotations, and units hold what they may."""
    rng = np.random.default_rng(seed)
    count = 30
    labels = ["".join(rng.choice(list("IXYZ"), 3, p=[0.5, 0.2, 0.1, 0.2])) for _ in range(count)]
    moved_by = [set(rng.choice(4, rng.integers(0, 3), replace=False).tolist()) for _ in range(count)]
    gate = np.sort(rng.integers(0, 5, count))
    found = units(labels, moved_by, gate)
    assert sorted(k for unit in found for k in unit) == list(range(count))
    order = {k: place for place, unit in enumerate(found) for k in unit}

    def anticommute(a, b):
        return sum(p != q and "I" not in (p, q) for p, q in zip(labels[a], labels[b], strict=True)) % 2

    for a in range(count):
        for b in range(a):
            if anticommute(a, b):
                assert order[b] < order[a]
            if order[a] == order[b]:
                assert gate[a] == gate[b]
    for unit in found:
        reached = {min(unit)}
        while True:
            more = {k for k in unit if any(moved_by[k] & moved_by[j] for j in reached)} | reached
            if more == reached:
                break
            reached = more
        assert reached == unit


def test_a_long_gate_takes_no_quadratic_time():
    """100,000 commuting rotations of one gate, and as many that alternate."""
    count = 100_000
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2**60, (count, 1)).astype(np.uint64)
    strings = PauliStrings(60, np.zeros_like(z), z, np.ones(count, dtype=np.int8))
    ones = sparse.csr_array(np.ones((count, 1)))
    assert assign_units(np.zeros(count, dtype=int), strings, ones).max() == 0
    x = np.where(np.arange(count)[:, None] % 2 == 0, 1, 0).astype(np.uint64)
    flipping = PauliStrings(60, x, 1 - x, np.ones(count, dtype=np.int8))
    assert assign_units(np.zeros(count, dtype=int), flipping, ones).max() == count - 1


@pytest.mark.parametrize("gate", ["cp", "crx", "cry", "crz"])
def test_controlled_rotations_are_one_unit_in_one_layer(gate):
    sketch = Sketch(3, 3)
    sketch("rx", 0, sketch.t[0])("ry", 2, sketch.t[1])(gate, 2, 0, sketch.t[2])
    circuit = sketch.circuit()
    members = np.flatnonzero(circuit.angle_map.pattern.toarray()[:, 2])
    assert len(members) == (3 if gate == "cp" else 2)
    assert len(set(circuit.unit[members])) == len(set(circuit.level[members])) == 1


def test_units_take_no_more_layers_than_their_order_needs():
    """A row of controlled phases is one layer, whatever qubits they share."""
    sketch = Sketch(4, 8)
    for q in range(4):
        sketch("ry", q, sketch.t[q])
    for i, (a, b) in enumerate([(0, 1), (1, 2), (2, 3), (3, 0)]):
        sketch("cp", a, b, sketch.t[4 + i])
    circuit = sketch.circuit()
    assert [len(layer) for layer in circuit.layers] == [4, 12]
