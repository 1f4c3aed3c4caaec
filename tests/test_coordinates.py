"""Rotosolve and ExcitationSolve: against closed forms, searches by brute force, and published energies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qngd
from qngd.backends import resolve
from qngd.baselines import ExcitationSolve, Rotosolve
from qngd.baselines.coordinates import lowest_along
from qngd.errors import SettingError
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.interop import as_observable
from qngd.measured.shifts import harmonics
from tests.strategies import ansatz, examples

# H₂ at 0.735 Å in STO-3G, Jordan–Wigner, from PennyLane's qchem; −1.137306 hartree is its full CI energy
H2 = {
    "IIII": -0.090578994978468, "IIIZ": 0.172183932892481, "IIZI": 0.172183932892481, "IIZZ": 0.16892753904691,
    "IZII": -0.225753487709792, "IZIZ": 0.120912632504667, "IZZI": 0.166145432306895, "YXXY": 0.045232799802228,
    "XXYY": -0.045232799802228, "YYXX": -0.045232799802228, "XYYX": 0.045232799802228, "ZIII": -0.225753487709792,
    "ZIIZ": 0.166145432306895, "ZIZI": 0.120912632504667, "ZZII": 0.174643429880471,
}  # fmt: skip


# --- along one parameter ---


@examples(40)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_lowest_of_a_polynomial(seed, count, omega):
    rng = np.random.default_rng(seed)
    cosines, sines = rng.normal(size=(2, count))
    orders = omega * np.arange(1, count + 1)

    def polynomial(x):
        return 0.3 + np.cos(np.multiply.outer(x, orders)) @ cosines + np.sin(np.multiply.outer(x, orders)) @ sines

    samples = 2 * np.pi / (omega * (2 * count + 1)) * np.arange(2 * count + 1)
    place, height = lowest_along(polynomial(samples), omega)
    grid = polynomial(np.linspace(-np.pi, np.pi, 20001) / omega)
    assert abs(place) <= np.pi / omega * (1 + 1e-12)
    assert polynomial(np.array([place]))[0] == pytest.approx(height, abs=1e-10)
    assert height <= grid.min() + 1e-10
    assert height >= grid.min() - 1e-4 * np.ptp(grid)


def test_a_cosine_by_hand():
    """a + b·cos(x − c) is lowest at c ± π."""
    x = 2 * np.pi / 3 * np.arange(3)
    assert lowest_along(1.5 + 2 * np.cos(x - 0.4), 1.0) == pytest.approx((0.4 - np.pi, -0.5))
    assert lowest_along(1.5 - 2 * np.cos(x - 0.4), 1.0) == pytest.approx((0.4, -0.5))


def test_a_flat_line_is_left_alone():
    assert lowest_along(np.full(5, -1.25), 1.0) == (0.0, -1.25)
    assert lowest_along(np.array([0.0, 1e-15, -1e-15]), 1.0, error=1e-14)[0] == 0.0


def test_vanishing_harmonics_do_no_harm():
    x = 2 * np.pi / 9 * np.arange(9)
    assert lowest_along(np.cos(x - 1), 1.0) == pytest.approx((1 - np.pi, -1.0))
    assert lowest_along(-np.cos(2 * x - 1), 1.0) == pytest.approx((0.5, -1.0))


# --- frequencies ---


def excitation(circuit, angle, a, b):
    """A single excitation of two qubits by two rotations, in PennyLane's convention: G³ = G, half angles."""
    return circuit.rotation("XY", 0.5 * angle, a, b).rotation("YX", -0.5 * angle, a, b)


def shared():
    """One parameter in two layers and with a factor, one in an excitation, and one that nothing depends on."""
    circuit = qngd.CircuitBuilder(3)
    a, b, c = circuit.parameters("a", "b", "c")
    circuit.h(0).ry(a, 0).ry(0.4, 1).cx(0, 1).rx(2 * a, 2).h(2)
    return excitation(circuit, b, 1, 2).rz(c, 1).rz(-1 * c, 1)


TERMS = {"ZXI": 0.7, "IYZ": -0.4, "XIX": 0.9, "ZZY": 0.3}


@pytest.mark.parametrize("build", [shared, lambda: ansatz(3, 1), lambda: qaoa()], ids=["shared", "ansatz", "qaoa"])
def test_an_energy_has_these_harmonics_and_no_others(build):
    """By the discrete Fourier transform of many energies along each parameter."""
    circuit = qngd.wrap(build())
    terms = TERMS if circuit.num_qubits == 3 else {"ZZII": 1.0, "IZZI": 0.5, "IIXY": 0.3}
    theta = np.random.default_rng(4).normal(size=circuit.num_parameters)
    for i, (omega, count) in enumerate(zip(*harmonics(circuit, circuit.angle_map.linear), strict=True)):
        size, step = 64, omega or 1.0
        assert 0 <= count < size // 2
        along = np.tile(theta, (size, 1))
        along[:, i] += 2 * np.pi / (step * size) * np.arange(size)
        energies = [float(qngd.expectation(circuit, terms, at)) for at in along]
        parts = np.abs(np.fft.rfft(energies)) / size
        assert np.all(parts[count + 1 :] < 1e-12)


def qaoa():
    circuit = qngd.CircuitBuilder(4)
    gamma, beta = circuit.parameters("gamma", "beta")
    for k in range(4):
        circuit.h(k)
    for a, b in ((0, 1), (1, 2), (2, 3), (0, 2)):
        circuit.rotation("ZZ", gamma, a, b)
    for k in range(4):
        circuit.rx(2 * beta, k)
    return circuit


def test_harmonics_by_hand():
    circuit = qngd.wrap(shared())
    steps, counts = harmonics(circuit, circuit.angle_map.linear)
    found = dict(zip(circuit.parameters, zip(steps.tolist(), counts.tolist(), strict=True), strict=True))
    assert found["a"] == (1.0, 3), "a once and twice: frequencies up to 3"
    assert found["b"] == (0.5, 2), "an excitation: ½ and 1"
    assert found["c"] == (0.0, 0), "c and −c cancel"


# --- sweeps ---


def test_a_sweep_by_hand():
    """E = cos a + 2 cos(b − ½): independent, so that one sweep is all there is to do."""
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    circuit.ry(a, 0).ry(b - 0.5, 1)
    result = qngd.minimize(circuit, {"IZ": 1.0, "ZI": 2.0}, [0.3, -0.2], optimizer=Rotosolve(), max_steps=1)
    assert result.energy == pytest.approx(-3, abs=1e-12)
    assert np.allclose(np.cos(result.theta - np.array([0, 0.5])), -1)
    assert result.cost.circuits == 1 + 2 * 2 + 1
    assert result.cost.jobs == 1 + 2 + 1


def test_rotosolve_goes_down_to_a_point_that_is_lowest_along_every_parameter():
    circuit = ansatz(3, 1)
    theta = np.random.default_rng(1).normal(size=circuit.num_parameters)
    result = qngd.minimize(circuit, TERMS, theta, optimizer=Rotosolve(), max_steps=300, tol=1e-13)
    assert np.all(np.diff(result.history) <= 1e-12)
    for i in range(circuit.num_parameters):
        for shift in np.linspace(-np.pi, np.pi, 25):
            moved = result.theta.copy()
            moved[i] += shift
            assert float(qngd.expectation(circuit, TERMS, moved)) >= result.energy - 1e-6


def hydrogen():
    """The double excitation of two electrons, by its eight rotations, from the Hartree–Fock state."""
    circuit = qngd.CircuitBuilder(4)
    angle = circuit.parameter("t")
    circuit.x(0).x(1)
    for label, sign in (("XXXY", 1), ("XXYX", 1), ("XYXX", -1), ("YXXX", -1),
                        ("YYYX", -1), ("YYXY", -1), ("YXYY", 1), ("XYYY", 1)):  # fmt: skip
        circuit.rotation(label, 0.125 * sign * angle, 0, 1, 2, 3)
    return circuit


def in_sector(terms):
    """The lowest energy between the Hartree–Fock state and the doubly excited one, from a 2 × 2 matrix."""
    from tests import dense

    matrix = dense.observable_matrix(terms)
    return np.linalg.eigvalsh(matrix[np.ix_([0b0011, 0b1100], [0b0011, 0b1100])])[0]


def test_one_sweep_finds_the_ground_state_of_hydrogen():
    circuit = qngd.wrap(hydrogen())
    steps, counts = harmonics(circuit, circuit.angle_map.linear)
    assert (steps.tolist(), counts.tolist()) == ([0.5], [2])
    result = qngd.minimize(circuit, H2, [0.0], optimizer=ExcitationSolve(), max_steps=1)
    assert result.energy == pytest.approx(in_sector(H2), abs=1e-10)
    assert result.energy == pytest.approx(-1.137306, abs=1e-6)
    assert result.cost.circuits == 1 + 4 + 1


def test_excitation_solve_is_rotosolve_where_there_are_excitations():
    circuit = qngd.CircuitBuilder(3)
    a, b = circuit.parameters("a", "b")
    circuit.x(0)
    excitation(excitation(circuit, a, 0, 1), b, 1, 2)
    results = [
        qngd.minimize(circuit, {"IXX": 0.5, "YYI": 0.4, "ZII": 0.3}, [0.1, 0.2], optimizer=optimizer, max_steps=6)
        for optimizer in (ExcitationSolve(), Rotosolve())
    ]
    assert np.array_equal(results[0].history, results[1].history)


def test_with_shots():
    """An energy anew for every parameter but the first, whose own the run has just measured; jobs as announced."""
    circuit, terms = ansatz(3, 1), {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}
    theta = np.random.default_rng(1).normal(size=circuit.num_parameters)
    backend = resolve("statevector")
    evaluator = evaluator_for(circuit, as_observable(terms, circuit), Setup(backend, 2000))
    optimizer = Rotosolve()
    state = optimizer.init(evaluator, theta, seed=1)
    ahead = optimizer.preview(evaluator, theta)
    new, info = optimizer.step(evaluator, state)
    assert info.step_cost == ahead
    assert info.stderr > 0
    used = int((harmonics(evaluator.circuit, evaluator.circuit.angle_map.linear)[1] > 0).sum())
    assert info.step_cost.jobs == used + 1
    again, _ = optimizer.step(evaluator, state)
    assert np.array_equal(new.theta, again.theta)
    exact = qngd.minimize(circuit, terms, theta, optimizer=optimizer, max_steps=1).energy
    assert float(qngd.expectation(circuit, terms, new.theta)) == pytest.approx(exact, abs=0.15)


# --- what is refused ---


def test_an_angle_that_is_no_linear_function():
    circuit = qngd.CircuitBuilder(1)
    a = circuit.parameter("a")
    circuit.ry(a * a, 0)
    with pytest.raises(SettingError, match="no linear function"):
        qngd.minimize(circuit, {"Z": 1.0}, [0.3], optimizer="rotosolve")


def test_frequencies_without_a_common_measure():
    circuit = qngd.CircuitBuilder(2)
    a = circuit.parameter("turn")
    circuit.ry(a, 0).cx(0, 1).ry(np.sqrt(2) * a, 0)
    with pytest.raises(SettingError, match="turn"):
        qngd.minimize(circuit, {"ZZ": 1.0}, [0.3], optimizer="rotosolve")


def test_excitation_solve_refuses_what_is_no_excitation():
    with pytest.raises(SettingError, match=r"Rotosolve\(\)"):
        qngd.minimize(shared(), TERMS, [0.1, 0.2, 0.3], optimizer="excitation-solve")


def test_a_function_that_is_no_expectation_value():
    from qngd import scipy as front

    circuit = qngd.CircuitBuilder(1)
    circuit.ry(circuit.parameter("a"), 0)
    method = front.method(circuit, optimizer=Rotosolve())
    import scipy.optimize

    with pytest.raises(SettingError, match="no expectation value"):
        scipy.optimize.minimize(lambda x: float(np.sum(x**2)), [0.7], jac=lambda x: 2 * x, method=method)


@pytest.mark.parametrize("shots", [None, 100])
def test_a_cvar_is_no_polynomial(shots):
    with pytest.raises(SettingError, match="CVaR"):
        qngd.minimize(
            qaoa(), qngd.CVaR({"ZZII": 1.0, "IZZI": 0.5}, 0.3), [0.1, 0.2], optimizer="rotosolve", shots=shots
        )
