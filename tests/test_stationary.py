"""Leaving saddles and maxima: exact runs by curvature, sampled ones by a nudge; minima are left alone."""

import numpy as np
import pytest

import qngd
from qngd.baselines import METHODS, SPSA, Adam, GradientDescent, SciPy
from qngd.baselines.scipy_methods import ENERGY_ONLY
from qngd.evaluators.exact import ExactEvaluator
from qngd.run.stationary import lanczos
from qngd.step import CurvatureRate
from tests import dense
from tests.step_rules import RULES
from tests.strategies import GateUse, Program, Sketch, ansatz, ising

HEAD = 'OPENQASM 3.0; include "stdgates.inc"; '
LADDER = (
    HEAD
    + "input float a; input float b; input float c; input float d; qubit[2] q; "
    + ("ry(a) q[0]; ry(b) q[1]; cx q[0], q[1]; ry(c) q[0]; ry(d) q[1];")
)
FIELD = {"ZI": 1.0, "IZ": 0.5, "ZZ": 0.3}  # eigenvalues 1.8, .2, −.8 and −1.2
GROUND = -1.2
OPTIMIZERS = [
    *(qngd.QNG(step=rule) for rule in RULES.values()),
    qngd.QNG(approx="block-diag"), qngd.QNG(approx="identity"), qngd.QNG(approx="matrix-free"), qngd.QNG(damping=0),
    GradientDescent(0.3), Adam(), SPSA(), *(SciPy(method) for method in METHODS),
]  # fmt: skip
# what tries energies some way off, and what makes long steps of slopes of 1e-9, get away by themselves
ALONE = [qngd.QNG(step=RULES["conjugate"]), Adam(), SPSA(), *map(SciPy, ENERGY_ONLY)]
EVERY = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: f"{one!r:.50}")
SOME = pytest.mark.parametrize("optimizer", [qngd.QNG(), Adam(0.2), SciPy("BFGS")], ids=["qng", "adam", "bfgs"])


def ladder(optimizer=None, start=0.0, **how):
    return qngd.minimize(LADDER, FIELD, np.full(4, start), optimizer=optimizer, **{"max_steps": 900, "seed": 1, **how})


def curvatures(circuit, terms, theta):
    """The eigenvalues of the Hessian from energies alone."""
    wrapped, count, size = qngd.wrap(circuit), len(theta), 1e-3

    def energy(*shifts):
        return qngd.expectation(wrapped, terms, theta + sum(shifts)).value

    steps = size * np.eye(count)
    hessian = [[(energy(a, b) - energy(a, -b) - energy(-a, b) + energy(-a, -b)) / (4 * size**2) for b in steps]
               for a in steps]  # fmt: skip
    return np.linalg.eigvalsh(hessian)


# --- exact runs ---


@EVERY
def test_the_largest_eigenvalue_is_no_minimum(optimizer):
    result = ladder(optimizer)
    assert result.history[0] == pytest.approx(1.8)
    assert result.energy == pytest.approx(GROUND, abs=0.05 if isinstance(optimizer, SPSA) else 1e-3)
    assert result.status in ("converged", "max_steps", "stalled")
    assert [info for info in result.infos if info.note] or optimizer in ALONE
    assert ("no minimum" in result.note) == any(info.note for info in result.infos)


@pytest.mark.parametrize("optimizer", [qngd.QNG(), qngd.QNG(0.1), GradientDescent(0.1), SciPy()], ids=str)
def test_nor_is_a_point_a_hair_from_it(optimizer):
    assert ladder(optimizer, 1e-9).energy == pytest.approx(GROUND, abs=1e-3)


def test_the_start_of_a_qaoa_tutorial():
    """IBM's: two layers on five vertices from (π/2, π/2, π, π), where the mixer does not move the state and the metric
    is zero in two parameters; −3.2469 is the best of depth 2."""
    edges = [(0, 1), (0, 2), (0, 4), (1, 2), (2, 3), (3, 4)]
    cost = {"".join("Z" if 4 - i in edge else "I" for i in range(5)): 1.0 for edge in edges}
    layers = [
        " ".join(f"cx q[{i}], q[{j}]; rz(2*g{k}) q[{j}]; cx q[{i}], q[{j}];" for i, j in edges)
        + " ".join(f"rx(2*b{k}) q[{i}];" for i in range(5))
        for k in (0, 1)
    ]
    names = "".join(f"input float {name}; " for name in ("b0", "b1", "g0", "g1"))
    program = HEAD + names + "qubit[5] q; " + " ".join(f"h q[{i}];" for i in range(5)) + " ".join(layers)
    start = [np.pi / 2, np.pi / 2, np.pi, np.pi]
    assert np.abs(qngd.gradient(program, cost, start).value).max() < 1e-12
    result = qngd.minimize(program, cost, start)
    assert result.energy == pytest.approx(-3.24686, abs=1e-4)
    assert result.status == "converged"


def test_hartree_fock_is_left():
    """QURI Parts' tutorial: H₂ on four qubits, 32 parameters of 0.1. There Adam stays at Hartree-Fock, −1.11298; the
    exact energy is −1.12990478. The block-diagonal metric comes to rest at Hartree-Fock too, and goes on."""
    two = {"ZZII": 0.17866777775953396, "IIZZ": 0.172976101307451, "IZIZ": 0.12584136558006326,
           "ZIZI": 0.12584136558006326, "ZIIZ": 0.16992097848261506, "IZZI": 0.16992097848261506}  # fmt: skip
    four = {"YYXX": -1.0, "XXYY": -1.0, "XYYX": 1.0, "YXXY": 1.0}
    terms = {
        "IIII": 0.03775110394645542, "IIIZ": 0.18601648886230593, "IIZI": 0.18601648886230593,
        "IZII": -0.2694169314163197, "ZIII": -0.2694169314163197, **two,
        **{label: sign * 0.044079612902551774 for label, sign in four.items()},
    }  # fmt: skip
    exact = np.linalg.eigvalsh(dense.observable_matrix(terms))[0]
    assert exact == pytest.approx(-1.12990478, abs=1e-8)
    names = [f"t{i}" for i in range(32)]
    layers = [
        " ".join(f"ry({names[8 * k + 2 * q]}) q[{q}]; rz({names[8 * k + 2 * q + 1]}) q[{q}];" for q in range(4))
        for k in range(4)
    ]
    ladder_of_cz = " cz q[0], q[1]; cz q[1], q[2]; cz q[2], q[3]; "
    inputs = " ".join(f"input float {name};" for name in names)
    program = HEAD + inputs + " qubit[4] q; x q[0]; x q[1]; " + ladder_of_cz.join(layers)
    start = dict.fromkeys(names, 0.1)
    slow = qngd.QNG(approx="block-diag", step=CurvatureRate(initial=0.1))
    result = qngd.minimize(program, terms, start, optimizer=slow, max_steps=150)
    assert "no minimum" in result.note
    left = next(info for info in result.infos if info.note)
    assert result.history[left.step - 1] == pytest.approx(-1.11299, abs=1e-4)
    assert result.energy < exact + 1.6e-3
    assert qngd.minimize(program, terms, start).energy == pytest.approx(exact, abs=1e-6)


def test_a_point_that_is_flat_to_second_order():
    """E = cos a·cos b·cos c at (π/2, π/2, π/2): no gradient, no Hessian, and a way down all the same."""
    sketch = Sketch(3, 3)
    for k in range(3):
        sketch = sketch("ry", k, sketch.t[k])
    circuit, start = sketch.circuit(), np.full(3, np.pi / 2)
    assert np.abs(curvatures(circuit, {"ZZZ": 1.0}, start)).max() < 1e-6
    result = qngd.minimize(circuit, {"ZZZ": 1.0}, start)
    assert result.energy == pytest.approx(-1, abs=1e-6)
    assert "flat" in result.note


@pytest.mark.parametrize("scale", [100.0, 1.0, 0.01])
def test_the_scale_of_a_parameter_does_not_matter(scale):
    """a on an angle of its own, b times `scale`: the way down is along b alone."""
    program = Program(2, (GateUse("ry", (0,), ((1.0, 0.0),), (0.0,)), GateUse("ry", (1,), ((0.0, scale),), (0.0,))),
                      np.array([np.pi, 0.0]))  # fmt: skip
    how = {"optimizer": qngd.QNG(damping=0)}  # the default damping is large beside the metric of a small scale
    result = qngd.minimize(program.circuit(), {"IZ": 1.0, "ZI": 0.2}, program.theta, **how)
    assert result.energy == pytest.approx(-1.2, abs=1e-6)


def test_an_angle_that_starts_without_a_slope():
    """RY(a²) at a = 0 is a maximum of fourth order: E = cos a²."""
    result = qngd.minimize(HEAD + "input float a; qubit q; ry(a*a) q;", {"Z": 1.0}, [0.0])
    assert result.energy == pytest.approx(-1, abs=1e-6)


def test_fewer_directions_than_products_are_enough_of_many_parameters():
    """40 parameters, one of them at its maximum."""
    sketch = Sketch(4, 40)
    for k in range(40):
        sketch = sketch("ry", k % 4, sketch.t[k])
    start = np.zeros(40)
    start[[0, 1, 2]] = np.pi
    terms = {"IIIZ": 1.0, "IIZI": 1.0, "IZII": 1.0, "ZIII": 0.1}
    result = qngd.minimize(sketch.circuit(), terms, start)
    assert result.history[0] == pytest.approx(-2.9)
    assert result.energy == pytest.approx(-3.1, abs=1e-6)


# --- minima are left alone ---


@pytest.mark.parametrize("optimizer", [qngd.QNG(), GradientDescent(0.1), SciPy("BFGS")], ids=["qng", "gd", "bfgs"])
def test_a_minimum_is_looked_at_once_and_not_left(optimizer):
    """With zero modes: two parameters that do the same, and one that does nothing."""
    sketch = Sketch(2, 4)
    circuit = sketch("ry", 0, sketch.t[0])("ry", 0, sketch.t[1])("ry", 1, sketch.t[2]).circuit()
    theta = [1.0, np.pi - 1.0, np.pi, 0.7]
    result = qngd.minimize(circuit, {"IZ": 1.0, "ZI": 0.5}, theta, optimizer=optimizer)
    assert result.status == "converged"
    assert result.steps <= 3
    assert not result.note
    spent = result.cost.jobs - (result.infos[-1].cost.jobs if result.infos else 1)
    assert 0 < spent <= 1 + 2 * 4 + 12
    assert np.allclose(result.theta, theta, atol=1e-6)


def test_the_look_is_bounded(monkeypatch):
    circuit = ansatz(4, 9)
    assert circuit.num_parameters > 64
    theta = np.random.default_rng(3).normal(size=circuit.num_parameters)
    whole = qngd.minimize(circuit, ising(4), theta, max_steps=300, tol=1e-6)
    assert whole.status == "converged"
    assert 0 < whole.cost.jobs - whole.infos[-1].cost.jobs <= 1 + 64 + 12


@pytest.mark.parametrize("seed", range(4))
def test_where_a_run_ends_no_way_leads_down(seed):
    """Whatever start: the Hessian from energies has no negative eigenvalue worth the name."""
    circuit = ansatz(3, 1)
    theta = np.random.default_rng(seed).integers(0, 4, circuit.num_parameters) * np.pi / 2
    terms = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}
    result = qngd.minimize(circuit, terms, theta, max_steps=500)
    assert result.status == "converged"
    found = curvatures(circuit, terms, result.theta)
    assert found[0] > -1e-3 * found[-1]
    assert result.energy >= np.linalg.eigvalsh(dense.observable_matrix(terms))[0] - 1e-9


# --- limits, and going on ---


def test_without_steps_to_leave_it_a_saddle_is_called_one():
    result = ladder(max_steps=3)
    assert (result.status, result.steps) == ("saddle", 3)
    assert "curvature -" in result.message
    assert result.energy == pytest.approx(1.8)
    again = qngd.minimize(LADDER, FIELD, np.zeros(4), state=result.state)
    assert again.energy == pytest.approx(GROUND, abs=1e-6)


def test_a_budget_that_does_not_allow_a_look():
    result = ladder(budget=qngd.Budget(jobs=10))
    assert result.status == "converged"
    assert result.steps < 10
    assert "budget" in result.note
    assert result.cost.jobs <= 10
    paid = ladder(budget=qngd.Budget(jobs=40))
    assert paid.energy < 1.0
    assert paid.cost.jobs <= 40


def test_tol_0_never_looks():
    assert ladder(tol=0, max_steps=20).energy == pytest.approx(1.8)


@SOME
def test_the_seed_of_an_exact_run_does_not_matter(optimizer):
    runs = [ladder(optimizer, seed=seed) for seed in (None, 1, 2)]
    assert np.array_equal(runs[0].history, runs[1].history)
    assert np.array_equal(runs[0].theta, runs[2].theta)


@SOME
@pytest.mark.parametrize("shots", [None, 40])
def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_digits(optimizer, shots, tmp_path):
    how = {"shots": shots, "max_steps": 30}
    whole = ladder(optimizer, **how)
    left = next((info.step for info in whole.infos if info.note), 3)  # sampled, Adam makes its way by noise
    for step in (left - 1, left, left + 1):
        kept = {"run_dir": tmp_path / str(step), **how}
        if step:
            ladder(optimizer, callback=lambda info, last=step: info.step == last, **kept)
        result = ladder(optimizer, **kept)
        assert np.array_equal(result.history, whole.history)
        assert np.array_equal(result.theta, whole.theta)
        assert (result.note, result.status, result.message) == (whole.note, whole.status, whole.message)


def test_a_run_that_has_ended_is_not_looked_at_again(tmp_path, monkeypatch):
    first = ladder(run_dir=tmp_path)
    monkeypatch.setattr(ExactEvaluator, "evaluate", None)
    assert ladder(run_dir=tmp_path).cost == first.cost


# --- sampled runs ---


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("optimizer", [qngd.QNG(), qngd.QNG(0.1), GradientDescent(0.2)], ids=["qng", "fixed", "gd"])
def test_a_sampled_run_is_nudged(optimizer, seed):
    """At a maximum that is an eigenstate of every term the gradient of 100 shots is noise at most."""
    result = ladder(optimizer, shots=100, seed=seed, max_steps=60)
    assert float(qngd.expectation(LADDER, FIELD, result.theta)) < -0.7


def test_a_nudge_is_said_and_comes_once():
    """A maximum that no shot can see: Z of RY(a)RY(b) at zero, two shots each."""
    slow = qngd.QNG(step=qngd.step.AlignedMomentum(initial=0.1, momentum=0.0))
    results = [ladder(slow, shots=20, seed=seed, max_steps=80) for seed in range(6)]
    nudges = [[info for info in result.infos if info.note] for result in results]
    assert max(map(len, nudges)) == 1
    for result, found in zip(results, nudges, strict=True):
        assert ("random step" in result.note) == bool(found)


@pytest.mark.parametrize("seed", range(5))
def test_a_sampled_minimum_is_not_left(seed):
    program = HEAD + "input float a; input float b; qubit q; ry(a) q; ry(b) q;"
    result = qngd.minimize(program, {"Z": 1.0, "X": 0.3}, [np.pi + 0.29, 0.0], shots=200, seed=seed)
    assert result.status in ("noise", "converged")
    assert not result.note
    assert result.cost.jobs == result.steps + 1 + 6


# --- Lanczos ---


@pytest.mark.parametrize("seed", range(5))
def test_lanczos_finds_the_lowest_eigenvalue(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(12, 12))
    matrix = matrix @ matrix.T - (2.0 if seed else 0.0) * np.eye(12)
    values, vectors, weights = lanczos(matrix.__matmul__, rng.normal(size=12), 12)
    exact = np.linalg.eigvalsh(matrix)
    assert exact[0] - 1e-9 <= values[0] < exact[0] + 0.1 * abs(exact[0])
    assert np.linalg.norm(matrix @ vectors[:, 0] - values[0] * vectors[:, 0]) < 0.2 * abs(values[0]) + 1e-6
    assert weights.shape == values.shape


def test_lanczos_projects_the_start_on_a_null_space():
    values, vectors, weights = lanczos(np.diag([0.0, 0.0, 1.0, 3.0]).__matmul__, np.array([1.0, 2.0, 3.0, 4.0]), 4)
    null = np.abs(values) < 1e-12
    assert np.allclose(vectors[:, null] @ weights[null], [1.0, 2.0, 0.0, 0.0])


@pytest.mark.parametrize("start", [0.0, 0.05])
@pytest.mark.parametrize("shots", [1, 2, 4, 8, "auto"])
def test_shots_that_all_agree_are_no_convergence(shots, start):
    """At a maximum, ⟨Z⟩ = cos θ, where few shots are all alike, and the energy repeats itself.
    At θ = 0 algebra makes the energy certain, and still says nothing of its gradient."""
    turn = qngd.CircuitBuilder(1)
    turn = turn.ry(turn.parameter("a"), 0)
    for seed in range(6):
        result = qngd.minimize(turn, {"Z": 1.0}, [start], shots=shots, seed=seed, max_steps=25)
        assert result.status in ("noise", "max_steps")


def test_a_tolerance_that_errors_do_not_reach_is_one():
    turn = qngd.CircuitBuilder(1)
    turn = turn.ry(turn.parameter("a"), 0)
    result = qngd.minimize(turn, {"Z": 1.0}, [2.9], shots=4000, seed=1, tol=0.02)
    assert result.status == "converged"
    assert result.steps < 10
