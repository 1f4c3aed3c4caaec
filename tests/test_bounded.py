"""Frozen parameters, bounds and wrapped angles, of circuits with one observable and of objectives."""

import numpy as np
import pennylane as qml
import pytest
from scipy.optimize import Bounds
from scipy.optimize import minimize as scipy_minimize

import qngd
from qngd.circuit.chosen import columns_of, limits
from qngd.errors import ParameterError, SettingError

THETA = np.array([0.3, -0.5, 0.8, 0.2])
ENERGY = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25}
BOXED = ("QuasiNewton", "ConjugateDirections", "TrustRegion", "CurvatureRate", "Armijo")


def circuit():
    made = qngd.CircuitBuilder(2)
    a, b, c, d = made.parameters("a", "b", "c", "d")
    return made.ry(a, 0).rx(b, 1).cx(0, 1).rz(0.5 * c, 1).ry(d, 1).rx(2 * a, 0)


def energy(theta):
    return float(qngd.expectation(circuit(), ENERGY, theta))


def test_frozen_parameters_keep_their_start_and_cost_nothing():
    result = qngd.minimize(circuit(), ENERGY, THETA, frozen=["b", "d"])
    assert result.theta[1] == THETA[1]
    assert result.theta[3] == THETA[3]
    assert result.status == "converged"

    def of_free(free):
        return energy([free[0], THETA[1], free[1], THETA[3]])

    reached = scipy_minimize(of_free, result.theta[[0, 2]], tol=1e-10)  # the lowest there is around
    assert result.energy == pytest.approx(reached.fun, abs=1e-6)
    assert len(result.state.theta) == 2
    whole = qngd.minimize(circuit(), ENERGY, THETA, shots=10, seed=1, max_steps=1, tol=0)
    part = qngd.minimize(
        circuit(), ENERGY, THETA, shots=10, seed=1, max_steps=1, tol=0, frozen=[False, True, False, True]
    )
    assert part.cost.circuits < whole.cost.circuits


def test_frozen_arguments_of_a_qnode():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(weights, scale):
        qml.RY(weights[0] * scale, 0)
        qml.CNOT([0, 1])
        qml.RX(weights[1], 1)
        return qml.expval(qml.Z(0) + 0.5 * qml.Y(1))

    start = (np.array([0.3, 0.4]), 1.5)
    result = qngd.minimize(node, theta0=start, frozen="scale", max_steps=5)
    assert result.theta[1] == 1.5
    assert not np.allclose(result.theta[0], start[0])
    element = qngd.minimize(node, theta0=start, frozen=["weights[0]"], max_steps=5)
    assert element.theta[0][0] == 0.3
    assert element.theta[1] != 1.5


def test_a_parameter_is_not_an_array_of_its_name():
    """As Qiskit's Parameter("w") beside a ParameterVector("w", 2)."""
    names = ("w", "w[0]", "w[1]", "w[1,0]", "ww[0]", "w2")
    assert columns_of("w", names, "frozen") == [0]
    assert columns_of("w[1]", names, "frozen") == [2]
    assert columns_of("w", names[1:], "frozen") == [0, 1, 2]


def test_a_part_of_an_array_is_frozen_by_its_name():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(weights):
        qml.StronglyEntanglingLayers(weights, wires=range(2))
        return qml.expval(qml.Z(0) + 0.5 * qml.Y(1))

    start = np.linspace(0.1, 2, 12).reshape(2, 2, 3)
    result = qngd.minimize(node, theta0=start, frozen=["weights[1]", "weights[0,1]"], max_steps=2)
    moved = result.theta != start
    assert moved[0, 0].any()
    assert not moved[1].any()
    assert not moved[0, 1].any()


def test_a_frozen_run_is_gone_on_with():
    def run(steps, **more):
        return qngd.minimize(circuit(), ENERGY, THETA, frozen=["b"], max_steps=steps, tol=0, **more)

    whole, first = run(5), run(2)
    np.testing.assert_array_equal(run(3, state=first.state).history, whole.history[2:])
    with pytest.raises(ParameterError, match="state: it has 3 parameters"):
        qngd.minimize(circuit(), ENERGY, THETA, state=first.state)


@pytest.mark.parametrize("optimizer", ["qng", "adam"])
def test_bounds_hold_and_their_minimum_is_found(optimizer):
    bounds = {"a": (0.0, 0.6), "d": (None, 0.5), "c": (-1.0, 1.0)}
    seen = []
    result = qngd.minimize(
        circuit(), ENERGY, THETA, bounds=bounds, optimizer=optimizer, max_steps=400, tol=1e-10,
        callback=lambda info: seen.append(info.theta),
    )  # fmt: skip
    every = np.array(seen)
    assert every[:, 0].min() >= 0.0
    assert every[:, 0].max() <= 0.6
    assert every[:, 3].max() <= 0.5
    box = [(0.0, 0.6), (None, None), (-1.0, 1.0), (None, 0.5)]
    best = scipy_minimize(energy, THETA, bounds=box, method="L-BFGS-B").fun
    assert result.energy <= best + 1e-4
    assert any(abs(result.theta[i] - edge) < 1e-9 for i, edge in ((0, 0.0), (0, 0.6), (2, -1.0), (2, 1.0), (3, 0.5)))


@pytest.mark.parametrize("rule", [None, *(getattr(qngd.step, name)() for name in BOXED)], ids=["default", *BOXED])
@pytest.mark.parametrize("seed", [1, 3, 5, 8])
def test_a_run_in_a_box_ends_where_no_slope_leads_on(seed, rule):
    """Karush, Kuhn and Tucker's conditions, at a point with many parameters at their bounds."""
    made = qngd.CircuitBuilder(3)
    angles = made.parameters(*(f"t{k}" for k in range(9)))
    for k, angle in enumerate(angles):
        if k in (3, 6):
            made.cx(1, 2).cx(0, 1)
        made.ry(angle, k % 3)
    terms = {"ZZI": 0.7, "XYZ": -0.5, "IZZ": 1.1, "YIX": 0.3, "IXI": 0.4}
    rng = np.random.default_rng(seed)
    low = rng.uniform(-1.5, 0, 9)
    high = low + rng.uniform(0.1, 1.5, 9)
    start, optimizer = rng.uniform(low, high), qngd.QNG(step=rule)
    result = qngd.minimize(made, terms, start, bounds=(low, high), optimizer=optimizer, max_steps=300)
    assert result.status == "converged"
    theta, step = result.theta, 1e-4

    def at(k, shift):
        return float(qngd.expectation(made, terms, theta + shift * np.eye(9)[k]))

    slope = np.array([(at(k, step) - at(k, -step)) / (2 * step) for k in range(9)])
    np.testing.assert_allclose(np.clip(theta - slope, low, high), theta, atol=1e-4)
    assert np.sum((theta == low) | (theta == high)) >= 3


BOX = ((0.0, 0.6), (-0.8, 0.9), (-1.0, 1.0), (-0.4, 0.5))
AS_BOUNDS = dict(zip("abcd", BOX, strict=True))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 0.0), (-0.02, 0.05)])
def test_spsa_divides_by_what_the_box_leaves_of_a_difference(low, high):
    """Of one parameter the signs do not matter: the slope is the chord between the ends."""
    reach, gain, b = 0.1, 0.05, THETA[1]
    ends = [b + max(low, -reach), b + min(high, reach)]
    left, right = (energy([THETA[0], end, *THETA[2:]]) for end in ends)
    spsa = qngd.baselines.SPSA(a=gain, c=reach, stability=0)
    box = {"b": (b + low, b + high)}
    run = qngd.minimize(
        circuit(), ENERGY, THETA, optimizer=spsa, frozen=["a", "c", "d"], bounds=box, max_steps=1, tol=0, seed=3
    )
    step = -gain * (right - left) / (ends[1] - ends[0])
    assert run.theta[1] - b == pytest.approx(np.clip(step, low, high), abs=1e-12)


def test_a_narrow_box_does_not_make_the_steps_of_spsa_small():
    """Of others, for which its own slopes count nothing."""
    start, box = qngd.baselines.SPSA(calibration=5), {"b": (THETA[1], THETA[1] + 1e-6)}
    free, narrow = (
        qngd.minimize(circuit(), ENERGY, THETA, optimizer=start, max_steps=1, tol=0, seed=3, **how)
        for how in ({}, {"bounds": box})
    )
    assert narrow.state.memory["scale"] == pytest.approx(free.state.memory["scale"], rel=0.5)


@pytest.mark.parametrize("method", ["L-BFGS-B", "SLSQP", "TNC", "COBYLA", "COBYQA", "Nelder-Mead", "Powell"])
def test_scipys_methods_go_where_scipy_itself_goes_in_the_box(method):
    """From a start outside of it; some of them ask for energies out there."""
    optimizer, start = qngd.baselines.SciPy(method), THETA + np.array([0.0, 0.0, 3.0, -2.0])
    run = {"bounds": AS_BOUNDS, "optimizer": optimizer, "tol": 0}
    result = qngd.minimize(circuit(), ENERGY, start, max_steps=600, **run)
    assert result.status == "converged"
    low, high = np.transpose(BOX)
    assert np.all((low <= result.theta) & (result.theta <= high))

    def slope(theta):
        return qngd.gradient(circuit(), ENERGY, theta).value

    def within(theta):
        return energy(np.clip(theta, low, high))

    itself = scipy_minimize(
        within, np.clip(start, low, high), jac=slope if optimizer.uses_gradient else None, method=method, bounds=BOX
    )
    assert itself.fun - 1e-4 < result.energy <= itself.fun + 1e-9  # the lowest met, where SciPy's is the last
    assert result.energy == pytest.approx(energy(result.theta), abs=1e-12)
    first = qngd.minimize(circuit(), ENERGY, start, max_steps=3, **run)
    again = qngd.minimize(circuit(), ENERGY, start, max_steps=600, state=first.state, **run)
    assert again.energy == result.energy


@pytest.mark.parametrize("method", ["BFGS", "CG"])
def test_scipys_methods_without_bounds_are_refused(method):
    with pytest.raises(SettingError, match=f"bounds: {method} keeps to none"):
        qngd.minimize(circuit(), ENERGY, THETA, bounds=(-1, 1), optimizer=qngd.baselines.SciPy(method))


@pytest.mark.parametrize(
    "bounds",
    [
        {"b": (-0.1, 0.1), "a": (0.1, 0.4), "c": (-2.0, 1.5), "d": (-0.5, 0.9)},
        (np.array([0.1, -0.1, -2.0, -0.5]), np.array([0.4, 0.1, 1.5, 0.9])),
        [(0.1, 0.4), (-0.1, 0.1), (-2.0, 1.5), (-0.5, 0.9)],
    ],
    ids=["mapping", "arrays", "pairs"],
)
def test_bounds_are_of_all_parameters_frozen_ones_included(bounds):
    """As SciPy finds the lowest energy of the others; a frozen parameter stays, though outside of its own."""
    result = qngd.minimize(circuit(), ENERGY, THETA, frozen=["b"], bounds=bounds)
    assert result.theta[1] == THETA[1]

    def of_free(free):
        return energy([free[0], THETA[1], *free[1:]])

    best = scipy_minimize(of_free, THETA[[0, 2, 3]], bounds=[(0.1, 0.4), (-2.0, 1.5), (-0.5, 0.9)], tol=1e-12)
    assert result.energy == pytest.approx(best.fun, abs=1e-7)
    np.testing.assert_allclose(result.theta[[0, 2, 3]], best.x, atol=1e-3)


def test_what_follows_whole_waves_is_refused_in_a_box():
    with pytest.raises(SettingError, match=r"Rotosolve follows whole waves .* a parameter within bounds does not make"):
        qngd.minimize(circuit(), ENERGY, THETA, bounds=(-1, 1), optimizer="rotosolve")


def test_bounds_and_frozen_of_an_objective():
    made = qngd.CircuitBuilder(1)
    x, a, b = made.parameters("x", "a", "b")
    made = made.ry(x + a, 0).rx(b, 0)
    more = {"data": [[0.1], [0.7]], "inputs": ["x"], "bounds": {"a": (0.2, 0.5), "b": (1, 2)}, "frozen": "b"}
    objective = qngd.Objective(made, {"Z": 1.0}, np.mean, **more)
    result = qngd.minimize(objective, theta0={"a": 0.3, "b": 0.1})
    assert result.theta == {"a": pytest.approx(0.5), "b": 0.1}
    wider = qngd.minimize(objective, theta0={"a": 0.3, "b": 0.1}, bounds={"a": (0.2, 0.9)})
    assert wider.theta["a"] == pytest.approx(0.9)
    with_shots = qngd.minimize(objective, theta0={"a": 0.3, "b": 0.1}, shots=200, seed=1, max_steps=4)
    assert 0.2 <= with_shots.theta["a"] <= 0.5


def test_angles_come_back_wrapped_where_that_changes_nothing():
    start = THETA + 2 * np.pi * np.array([3, -2, 1, 5])
    plain = qngd.minimize(circuit(), ENERGY, start, max_steps=0)
    np.testing.assert_array_equal(plain.theta, start)
    result = qngd.minimize(circuit(), ENERGY, start, max_steps=0, wrap_angles=True)
    np.testing.assert_allclose(result.theta[[0, 1, 3]], THETA[[0, 1, 3]], atol=1e-12)
    assert result.theta[2] == start[2]  # a full turn of c is half a turn of its gate
    assert energy(result.theta) == pytest.approx(energy(start), abs=1e-12)
    np.testing.assert_array_equal(result.state.theta, start)
    held = qngd.minimize(circuit(), ENERGY, start, max_steps=0, wrap_angles=True, bounds={"a": (0, 30)})
    assert held.theta[0] == start[0]
    edge = qngd.minimize(circuit(), ENERGY, [np.pi, -np.pi, 0, 0], max_steps=0, wrap_angles=True)
    np.testing.assert_allclose(edge.theta[:2], [np.pi, np.pi])


def test_wrapped_angles_of_an_objective_keep_to_angles_that_are_affine():
    made = qngd.CircuitBuilder(1)
    x, a, b = made.parameters("x", "a", "b")
    affine = qngd.Objective(made.ry(x + a, 0).rx(b, 0), {"Z": 1.0}, np.mean, data=[[0.1], [0.7]], inputs=["x"])
    result = qngd.minimize(affine, theta0=[7.0, 8.0], max_steps=0, wrap_angles=True)
    np.testing.assert_allclose(result.theta, [7 - 2 * np.pi, 8 - 2 * np.pi])
    mixed = qngd.CircuitBuilder(1)
    x, a = mixed.parameters("x", "a")
    product = qngd.Objective(mixed.ry(x * a, 0), {"Z": 1.0}, np.mean, data=[[0.1], [0.7]], inputs=["x"])
    np.testing.assert_array_equal(qngd.minimize(product, theta0=[7.0], max_steps=0, wrap_angles=True).theta, [7.0])


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"frozen": "z"}, "frozen: there is no parameter 'z'"),
        ({"frozen": [True]}, "frozen: a mask has one truth value"),
        ({"frozen": [3]}, "frozen: 3 is no name"),
        ({"frozen": 3}, "frozen: give a name, a list of names, or a truth value for each of the 4"),
        ({"wrap_angles": "no"}, "wrap_angles must be True or False; got 'no'"),
        ({"frozen": ["a", "b", "c", "d"]}, "frozen: all parameters are frozen, so there is nothing to minimize"),
        ({"bounds": {"z": (0, 1)}}, "bounds: there is no parameter 'z'"),
        ({"bounds": {"a": (1, 0)}}, "low must be less than high"),
        ({"bounds": {"a": 3}}, r"bounds: give \(low, high\).*got 3 for a"),
        ({"bounds": (0, "x")}, r"bounds: give \(low, high\)"),
        ({"bounds": ([0, 0], [1, 1])}, "arrays of 4"),
        ({"bounds": [(0, 1), (0, 1), (0, 1), (1, 0)]}, "low must be less than high"),
        ({"bounds": [(0, 1), (0, 1), (0, 1), (0, "x")]}, "a pair for each parameter"),
        ({"bounds": (-1, 1), "optimizer": qngd.QNG(approx="matrix-free", damping=1e-3)}, "matrix-free"),
    ],
)
def test_what_cannot_be_meant_is_refused(more, text):
    with pytest.raises((SettingError, ParameterError), match=text):
        qngd.minimize(circuit(), ENERGY, THETA, **more)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_scipys_bounds_are_read_as_scipy_reads_them(count):
    names, pairs = [f"t[{i}]" for i in range(count)], [(-1.0, 0.5), (None, 3), (2, None)][:count]
    low, high = np.array([-1.0, -np.inf, 2.0])[:count], np.array([0.5, 3.0, np.inf])[:count]
    for spec in (Bounds(low, high), (low, high), dict(zip(names, pairs, strict=True))):
        np.testing.assert_array_equal(limits(spec, names), (low, high))
    for spec in (pairs, tuple(pairs), {"t": pairs}):
        if count == 2:
            with pytest.raises(SettingError, match="may be lows and highs, or a pair for each of two parameters"):
                limits(spec, names)
        else:
            np.testing.assert_array_equal(limits(spec, names), (low, high))


def test_an_objective_with_all_frozen_says_so():
    frozen = qngd.Objective(circuit(), ENERGY, np.sum, frozen=[True] * 4)
    assert qngd.expectation(frozen, theta=THETA).value == pytest.approx(energy(THETA), abs=1e-12)
    with pytest.raises(ParameterError, match="frozen: all parameters are frozen"):
        qngd.minimize(frozen, theta0=THETA)
