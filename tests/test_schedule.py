"""What a schedule promises: an order that changes nothing, stages that commute, and strings turned into Z strings."""

import numpy as np
import pytest

from qngd.circuit.pauli import anticommute
from qngd.exact.schedule import Schedule
from tests import dense
from tests.strategies import Sketch, random_program


@pytest.mark.parametrize("seed", range(8))
def test_the_order_swaps_only_rotations_that_commute(seed):
    circuit = random_program(seed, 1 + seed % 5, 60, 4).circuit()
    order = Schedule.of(circuit).order
    assert sorted(order) == list(range(len(order)))
    place = np.argsort(order)
    clash = anticommute(circuit.generators, circuit.generators)
    before, after = np.nonzero(np.triu(clash, 1))
    assert np.all(place[before] < place[after])


@pytest.mark.parametrize("seed", range(8))
def test_stages(seed):
    circuit = random_program(seed, 1 + seed % 5, 60, 4).circuit()
    s = Schedule.of(circuit)
    assert s.stages.start[0] == 0
    assert s.stages.start[-1] == len(s)
    for stage, is_diagonal in enumerate(s.stages.diagonal):
        here = slice(s.stages.start[stage], s.stages.start[stage + 1])
        assert len(set(s.moving[here])) == 1
        if s.moving[here][0]:
            assert len(set(circuit.level[s.order[here]])) == 1
            together = circuit.generators[s.order[here]]
            assert not anticommute(together, together).any()
        if is_diagonal:
            assert not s.x[here].any()
    assert len(s.layers.stage) == circuit.num_layers + 1
    for index, end in enumerate(s.layers.stage[1:]):
        _, strings = s.layer(index)
        assert np.array_equal(np.sort(strings.rotation), np.flatnonzero(circuit.moving & (circuit.level == index)))
        assert s.order[s.stages.start[end] - 1] == strings.rotation[-1]


def test_diagonal_layers_are_found():
    """RY and RZ layers between ladders of CNOTs: the RZ layers stay Z strings; two of them are too few to pay."""
    for n, expected in ((4, [False, True] * 2), (2, [False] * 4)):
        sketch = Sketch(n, 4 * n)
        for k in range(4):
            for q in range(n):
                sketch("rz" if k % 2 else "ry", q, sketch.t[k * n + q])
            for q in range(n - 1):
                sketch("cx", q, q + 1)
        assert Schedule.of(sketch.circuit()).stages.diagonal.tolist() == expected


def test_without_rotations():
    s = Schedule.of(Sketch(2)("h", 0).circuit())
    assert (len(s), len(s.stages.diagonal), len(s.strings.mask)) == (0, 0, 0)
    assert [each.tolist() for each in s.layers] == [[0]] * 3


@pytest.mark.parametrize("seed", range(6))
def test_turns(seed):
    n = 1 + seed % 4
    circuit = random_program(seed, n, 40, 4).circuit()
    s = Schedule.of(circuit)
    for index in range(circuit.num_layers):
        turns, strings = s.layer(index)
        matrix = np.eye(2**n)
        for x, z in zip(turns.x, turns.z, strict=True):
            matrix = dense.rotation_matrix(_label(int(x), int(z), n), np.pi / 2) @ matrix
        labels = circuit.generators[strings.rotation].labels()
        for label, sign, mask, turned in zip(
            labels, circuit.generators.sign[strings.rotation], strings.mask, strings.sign, strict=True
        ):
            found = matrix @ (sign * dense.label_matrix(label)) @ matrix.conj().T
            assert np.allclose(found, turned * dense.label_matrix(_label(0, int(mask), n)), atol=1e-12)


def _label(x, z, n):
    return "".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in reversed(range(n)))
