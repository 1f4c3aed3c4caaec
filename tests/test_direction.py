"""The solve without the metric's matrix, against the dense one; and imaginary time, against the exact evolution."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import qngd
from circuits import h2, heisenberg
from qngd.damping import Absolute, PseudoInverse, Relative, Shrinkage, SignalToNoise, SpectralCutoff, UnitDiagonal
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.qng import QNG
from qngd.solve.direction import conjugate_direction, natural_direction
from tests import dense
from tests.parabola import HESSIAN, METRIC, START, Parabola, walk
from tests.strategies import Sketch, ansatz, examples, random_observable, random_program


def both(metric, gradient, level):
    """The same direction from products and from the matrix."""
    slope = Estimate.exact(np.array(gradient, dtype=float))
    dense_one = natural_direction(MetricTensor.exact(np.array(metric), "full"), slope, Absolute(level))
    return conjugate_direction(np.array(metric).__matmul__, slope, Absolute(level)), dense_one


# --- conjugate gradients ---


@examples(60)
@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 10**6), st.sampled_from([1e-4, 1e-2, 1.0]))
def test_products_are_enough(count, rank, seed, level):
    """Any rank, down to zero."""
    rng = np.random.default_rng(seed)
    factor = 0.3 * rng.normal(size=(count, min(rank, count)))
    free, solved = both(factor @ factor.T, rng.normal(size=count), level)
    scale = np.linalg.norm(solved.vector)
    assert np.allclose(free.vector, solved.vector, rtol=0, atol=1e-8 * scale)
    assert free.length == pytest.approx(solved.length, rel=1e-6, abs=1e-6 * scale)
    assert (free.noise, free.significance) == (0.0, np.inf)
    delta = rng.normal(size=count)
    assert free.length_of(delta) == pytest.approx(solved.length_of(delta), abs=1e-12)


def test_ritz_values_are_the_eigenvalues_that_the_gradient_sees():
    """All of them where it has a part along each; where eigenvalues coincide, one of them."""
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    for spectrum, slopes, seen in (
        ([0.02, 0.05, 0.1, 0.25], [1, 1, 1, 1], [0.02, 0.05, 0.1, 0.25]),
        ([0.02, 0.05, 0.1, 0.25], [1, 0, 0, 1], [0.02, 0.25]),
        ([0.05, 0.05, 0.25, 0.25], [1, 2, 3, 4], [0.05, 0.25]),
        ([0.0, 0.0, 0.1, 0.25], [0, 0, 1, 1], [0.1, 0.25]),
    ):
        metric = vectors @ np.diag(spectrum) @ vectors.T
        free, _ = both(metric, vectors @ slopes, 0.01)
        assert np.allclose(free.spectrum.eigenvalues, seen, atol=1e-9)
        assert free.spectrum.rank == len(seen)
        assert free.spectrum.condition == pytest.approx(seen[-1] / seen[0])
        assert free.spectrum.damping == 0.01


def test_no_rank_is_larger_than_the_number_of_parameters():
    """Rounding may cost more iterations than there are parameters."""
    rng = np.random.default_rng(1)
    factor = rng.normal(size=(40, 40)) * np.logspace(0, -4, 40)
    free, solved = both(factor @ factor.T, rng.normal(size=40), 1e-4)
    assert free.spectrum.rank <= 40
    assert free.spectrum.largest == pytest.approx(solved.spectrum.largest, rel=1e-6)


def test_a_solve_that_rounding_stops_says_so():
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(60, 60)))[0]
    metric = vectors @ np.diag(np.logspace(-17, -1, 60)) @ vectors.T
    metric = 0.5 * (metric + metric.T)
    with pytest.warns(qngd.QngdWarning, match=r"left over.*damping 1e-15.*raise it"):
        both(metric, rng.normal(size=60), 1e-15)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_no_gradient_no_direction(count):
    free, _ = both(np.eye(count), np.zeros(count), 0.1)
    assert free.vector.shape == (count,)
    assert not free.vector.any()
    assert free.length == 0


@pytest.mark.parametrize(
    "damping", [PseudoInverse(), Relative(0.1), SpectralCutoff(0.1), UnitDiagonal(), Shrinkage()], ids=str
)
def test_a_damping_that_needs_eigenvalues_is_refused(damping):
    for rule in (damping, SignalToNoise(on=damping)):
        with pytest.raises(SettingError, match=r"damping.*matrix-free"):
            conjugate_direction(np.eye(2).__matmul__, Estimate.exact(np.ones(2)), rule)


class Counted:
    """Products with a matrix, and how many there were."""

    def __init__(self, matrix):
        self.matrix, self.count = matrix, 0

    def __call__(self, vector):
        self.count += 1
        return self.matrix @ vector


def low_rank(size, rank, seed=5):
    """A metric whose eigenvalues fall over three decades, and a random slope."""
    rng = np.random.default_rng(seed)
    factor = np.linalg.qr(rng.normal(size=(size, rank)))[0] * np.geomspace(1, 0.03, rank)
    return factor @ factor.T, rng


@pytest.mark.parametrize(("size", "rank"), [(40, 40), (120, 25)])
def test_no_direction_is_sought_twice(size, rank):
    """Plain conjugate gradients repeat directions that rounding has blurred, and begin every solve with nothing."""
    metric, rng = low_rank(size, rank)
    times = Counted(metric)
    free = conjugate_direction(times, Estimate.exact(rng.normal(size=size)), Absolute(1e-4))
    most = min(rank + 1, size)  # eigenvalues of g + λ, and λ itself
    assert times.count <= most + 1  # one shows what is left over
    inverse = np.linalg.inv(metric + 1e-4 * np.eye(size))
    for right in (metric @ rng.normal(size=size), metric @ rng.normal(size=size)):
        before = times.count
        assert np.allclose(free.solve(right), inverse @ right, rtol=0, atol=1e-8 * np.linalg.norm(right))
        assert times.count - before <= 2


def test_more_directions_than_are_kept(monkeypatch):
    monkeypatch.setattr("qngd.solve.direction._KEPT", 12)
    metric, rng = low_rank(60, 60)
    slope = rng.normal(size=60)
    free = conjugate_direction(metric.__matmul__, Estimate.exact(slope), Absolute(1e-2))
    inverse = np.linalg.inv(metric + 1e-2 * np.eye(60))
    for vector, right in ((free.vector, slope), (free.solve(slope[::-1].copy()), slope[::-1])):
        assert np.allclose(vector, inverse @ right, rtol=0, atol=1e-7 * np.linalg.norm(inverse @ right))


# --- in a run ---


def random_problem(seed):
    """Parameters are shared, scaled and combined."""
    program = random_program(seed, 4, 60, 7, bend=0.1 * (seed % 2))
    return qngd.Problem(program.circuit(), random_observable(seed, 4), program.theta)


PROBLEMS = {
    "h2": lambda: h2.problem(layers=2),
    "heisenberg": lambda: heisenberg.problem(num_qubits=4, reps=2),
    "random 3": lambda: random_problem(3),
    "random 4": lambda: random_problem(4),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("damping", [1e-2, 1e-4])
def test_a_matrix_free_run_is_the_dense_run(name, damping):
    problem = PROBLEMS[name]()
    steps = {}
    for approx in ("full", "matrix-free"):
        for rule in ({"learning_rate": 0.05}, {}):
            optimizer = QNG(approx=approx, damping=damping, **rule)
            steps[approx, bool(rule)] = qngd.minimize(problem, optimizer=optimizer, max_steps=3, tol=0)
    for fixed in (True, False):
        full, free = steps["full", fixed], steps["matrix-free", fixed]
        assert np.allclose(free.state.theta, full.state.theta, rtol=0, atol=1e-8)
        assert np.allclose(free.history, full.history, rtol=0, atol=1e-8)
        assert free.state.evaluation.metric is None
        for one, other in zip(free.infos, full.infos, strict=True):
            assert one.length == pytest.approx(other.length, rel=1e-7)
            assert one.natural_norm == pytest.approx(other.natural_norm, rel=1e-7)
            # Ritz values lie within the spectrum, and its upper end is found first
            low, high = other.spectrum.eigenvalues[[0, -1]]
            assert np.all(one.spectrum.eigenvalues > low - 1e-9)
            assert one.spectrum.largest == pytest.approx(high, rel=1e-6)


def test_shots_have_no_products():
    circuit = ansatz(2, 1)
    with pytest.raises(SettingError, match="matrix-free"):
        qngd.minimize(circuit, {"ZZ": 1.0}, np.zeros(4), optimizer=QNG(approx="matrix-free"), shots=100)


# --- plain gradient descent ---


def test_without_a_metric_it_is_gradient_descent():
    evaluator = Parabola(metric=np.full((3, 3), np.nan))  # is not looked at
    state, infos = walk(QNG(0.1, approx="identity", damping=0), evaluator, START, 5)
    assert np.allclose(state.theta, np.linalg.matrix_power(np.eye(3) - 0.1 * HESSIAN, 5) @ START)
    assert {question[2] for question in evaluator.asked} == {"identity"}
    assert infos[0].length == pytest.approx(0.1 * np.linalg.norm(HESSIAN @ START))
    assert not np.allclose(state.theta, walk(QNG(0.1, damping=0), Parabola(HESSIAN, METRIC), START, 5)[0].theta)


# --- imaginary time ---


def one_qubit():
    """Every direction in the state space of one qubit."""
    sketch = Sketch(1, 2)
    sketch("ry", 0, 0.3)("rx", 0, sketch.t[0])("rz", 0, sketch.t[1])
    return sketch.circuit(), np.array([0.7, -0.4]), {"X": 0.8, "Z": -0.5, "Y": 0.3}


def two_qubits():
    """More parameters than the six directions there are."""
    circuit = ansatz(2, 2)
    return circuit, np.random.default_rng(5).normal(size=8), {"ZZ": 0.7, "XI": -0.4, "IY": 0.6, "ZX": 0.2}


@pytest.mark.parametrize(("make", "directions"), [(one_qubit, 2), (two_qubits, 6)])
def test_a_small_step_is_one_of_imaginary_time(make, directions):
    """e^{−HΔτ}ψ, normalized: the distance to it in state space falls as Δτ², the way there as Δτ."""
    circuit, theta, terms = make()
    metric = dense.metric(lambda t: dense.statevector(circuit, t), theta)
    assert np.linalg.matrix_rank(metric, tol=1e-6) == directions  # so the tangent space holds every direction
    hamiltonian, here = dense.observable_matrix(terms), dense.statevector(circuit, theta)

    def angle(a, b):
        overlap = np.vdot(a, b)
        return np.linalg.norm(b * (overlap / abs(overlap)).conj() - a)

    distances, ways = [], []
    for time_step in (2e-3, 1e-3, 5e-4):
        optimizer = QNG.imaginary_time(time_step)
        result = qngd.minimize(circuit, terms, theta, optimizer=optimizer, max_steps=1, tol=0)
        exact = scipy.linalg.expm(-time_step * hamiltonian) @ here
        exact /= np.linalg.norm(exact)
        distances.append(angle(exact, dense.statevector(circuit, result.state.theta)))
        ways.append(angle(here, exact))
    ratios = np.array(distances[:-1]) / distances[1:]
    assert np.allclose(ratios, 4, atol=0.1)
    assert np.allclose(np.array(ways[:-1]) / ways[1:], 2, atol=0.05)
    assert distances[-1] < 5e-3 * ways[-1]
    # the energy falls at twice its variance
    energy = np.vdot(here, hamiltonian @ here).real
    variance = np.vdot(here, hamiltonian @ hamiltonian @ here).real - energy**2
    assert (energy - result.energy) / 5e-4 == pytest.approx(2 * variance, rel=1e-2)


def test_imaginary_time_may_be_damped_otherwise():
    optimizer = QNG.imaginary_time(0.2, approx="block-diag", damping=1e-3)
    assert (optimizer.learning_rate, optimizer.approx, optimizer.damping) == (0.1, "block-diag", 1e-3)
