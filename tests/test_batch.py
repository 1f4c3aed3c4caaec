"""A batch of samples at a time against one after the other, and circuits bound to data against circuits without."""

import numpy as np
import pytest

import qngd
from qngd.circuit.active import without_idle
from qngd.circuit.bound import bind, joined
from qngd.exact.batch import BatchAngles, BatchSimulator
from qngd.exact.simulator import Simulator
from qngd.interop import as_observable

RNG = np.random.default_rng(21)
OBSERVABLES = [{"IIZ": 1.0, "XIX": 0.3}, {"YYI": 1.0, "ZZZ": -0.5, "III": 0.25}, {"XII": 0.7}]


def affine():
    made = qngd.CircuitBuilder(3)
    x, y, a, b, c, d = made.parameters("x", "y", "a", "b", "c", "d")
    made = made.ry(x, 0).rx(y + a, 1).cx(0, 1).rz(2 * b, 1).ry(c, 2).crx(a, 1, 2).rzz(x, 0, 2)
    return made.rx(b, 0).cz(2, 0).ry(d, 1).h(2).rz(y - c, 2).rx(d, 2)


def mixed():
    made = qngd.CircuitBuilder(3)
    x, y, a, b, c, d = made.parameters("x", "y", "a", "b", "c", "d")
    made = made.ry(x * a, 0).rx(y**2, 1).cx(0, 1).rz(np.sin(b) * y + c, 1).ry(c, 2).crx(a * b, 1, 2)
    return made.rzz(np.exp(x), 0, 2).rx(b, 0).cz(2, 0).ry(d * x * y, 1).h(2).rx(d, 2)


def split():
    """A gate whose parameter turns in several layers."""
    from qiskit.circuit import ParameterVector, QuantumCircuit

    x, t = ParameterVector("x", 2), ParameterVector("t", 4)
    made = QuantumCircuit(3)
    made.ry(x[0], 0)
    made.r(t[0], t[1], 0)
    made.cx(0, 1)
    made.r(t[2], x[1], 1)
    made.rx(t[3], 2)
    return made


CIRCUITS = [affine, mixed, split]
FREE = {"affine": [2, 3, 4, 5], "mixed": [2, 3, 4, 5], "split": [0, 1, 2, 3]}


def bound(make, count=5):
    circuit = qngd.wrap(make())
    free = np.zeros(circuit.num_parameters, dtype=bool)
    free[FREE[make.__name__]] = True
    points = RNG.uniform(-1, 1, (count, circuit.num_parameters))
    return circuit, free, points, bind(circuit, free, points)


@pytest.mark.parametrize("make", CIRCUITS)
def test_angles_of_samples_are_those_of_the_whole_map(make):
    circuit, free, points, found = bound(make)
    theta = RNG.uniform(-1, 1, int(free.sum()))
    phi, slopes = found.angles.linearize(theta, np.arange(5))
    for row, point in enumerate(points):
        full = point.copy()
        full[free] = theta
        expected, jacobian = circuit.angle_map.linearize(full)
        np.testing.assert_allclose(phi[row], expected, atol=1e-14)
        pattern = found.angles.pattern
        own = BatchAngles(phi, pattern, slopes).jacobian(row).toarray()
        np.testing.assert_allclose(own, jacobian.toarray()[:, free], atol=1e-14)
        alone = found.angles.of(row)
        np.testing.assert_allclose(alone(theta), expected, atol=1e-14)
        inner = alone.chain(theta)[1]
        np.testing.assert_allclose((alone.linear @ inner).toarray(), own, atol=1e-14)
        assert (alone.linear != found.angles.of(0).linear).nnz == 0  # the same shift rules for all


@pytest.mark.parametrize("make", CIRCUITS)
@pytest.mark.parametrize("way", ["batch", "parts", "large"])
def test_outputs_gradients_and_metrics_are_those_of_single_samples(make, way):
    _, free, _, found = bound(make)
    theta = RNG.uniform(-1, 1, int(free.sum()))
    active = without_idle(found.circuit)
    pulled = [active.pull(as_observable(each, found.circuit)) for each in OBSERVABLES]
    batch = BatchSimulator(active, pulled)
    batch._is_large = way == "large"
    if way == "parts":
        batch.most_bytes = 2 * (16 << 3)
    phi, slopes = found.angles.linearize(theta, np.arange(5))
    angles = BatchAngles(phi, found.angles.pattern, np.ascontiguousarray(slopes))
    single = Simulator(active)
    terms = [single.terms(each) for each in pulled]
    weights = RNG.normal(size=(5, 3))
    expected = [[single.energy_and_gradient(phi[b], each) for each in terms] for b in range(5)]
    for kind in (None, "full", "block-diag", "diag"):
        values, metric, gradients = batch.forward(angles, kind)
        np.testing.assert_allclose(values, [[energy for energy, _ in row] for row in expected], atol=1e-13)
        for _ in range(2):  # it may be asked again
            slope = gradients(weights)
            for b, row in enumerate(expected):
                own = sum(w * gradient for w, (_, gradient) in zip(weights[b], row, strict=True))
                np.testing.assert_allclose(slope[b], angles.jacobian(b).T @ own, atol=1e-13)
        if kind is None:
            assert metric is None
            continue
        if kind == "full":
            each = [single.full_metric(phi[b], angles.jacobian(b)) for b in range(5)]
        else:
            each = [single.block_metric(phi[b], angles.jacobian(b), diagonal=kind == "diag")[0] for b in range(5)]
        np.testing.assert_allclose(metric, np.sum(each, axis=0), atol=1e-13)


def test_rotations_that_only_data_move_stand_in_no_layer():
    circuit, free, _, found = bound(affine)
    entries = circuit.angle_map.pattern.tocoo()
    by_theta = np.zeros(len(circuit.generators), dtype=bool)
    by_theta[entries.row[np.isin(entries.col, np.flatnonzero(free))]] = True
    np.testing.assert_array_equal(found.circuit.moving, by_theta)
    assert found.circuit.num_layers < circuit.num_layers
    assert found.circuit.parameters == ("a", "b", "c", "d")
    assert np.array_equal(found.circuit.generators.x, circuit.generators.x)


def test_circuits_that_differ_in_fixed_angles_alone_are_joined():
    def one(angle, gate=False):
        made = qngd.CircuitBuilder(2)
        a = made.parameter("a")
        made = made.ry(angle, 0).rx(a, 1).cx(0, 1).rz(0.5 * a, 1)
        made = made.h(0) if gate else made
        circuit = made.build()
        return bind(circuit, np.array([True]), np.zeros((1, 1)))

    groups = joined([one(0.1), one(0.2, gate=True), one(0.7), one(0.9)])
    assert [numbers.tolist() for _, numbers in groups] == [[0, 2, 3], [1]]
    phi, _ = groups[0][0].angles.linearize(np.array([0.3]), np.array([0, 2]))
    np.testing.assert_allclose(phi[:, 0], [0.1, 0.9])
