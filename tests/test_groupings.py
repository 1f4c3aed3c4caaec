"""Grouping by cost, strings measured wherever they can be, and random Pauli measurements."""

import numpy as np
import pytest

import qngd
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.measured.basis import diagonalize, num_two_qubit_gates
from qngd.measured.grouping import group, spread_over
from qngd.measured.planner import Planner
from qngd.measured.random_bases import biases, random_bases
from tests import dense
from tests.strategies import Sketch

TERMS = {"ZZI": 0.7, "IZZ": -0.4, "XXI": 0.5, "IXX": 0.3, "YYI": -0.6, "IIZ": 0.2, "ZXI": 0.35, "IIY": 0.1, "III": 1.0}
THETA = np.array([0.4, -0.7, 1.1, 0.3])


def circuit():
    sketch = Sketch(3, 4)
    sketch("ry", 0, sketch.t[0])("rx", 1, sketch.t[1])("cx", 0, 1)("ry", 2, sketch.t[2])("cx", 1, 2)
    return sketch("rz", 1, sketch.t[3])("ry", 1, sketch.t[0])("h", 0).circuit()


def truth():
    return dense.Truth(lambda thetas: np.array([dense.statevector(circuit(), t) for t in thetas]), THETA, TERMS)


@pytest.mark.parametrize("grouping", ["auto", qngd.RandomPaulis(8)], ids=str)
def test_energies_and_gradients_are_unbiased_and_know_their_errors(grouping):
    count = 400
    evaluator = qngd.evaluator(circuit(), TERMS, THETA, shots=20, grouping=grouping)
    found = [evaluator.evaluate(THETA, gradient=k % 5 == 0, metric=None, seed=k) for k in range(count)]
    energies = np.array([float(each.energy.value) for each in found])
    said = np.sqrt(np.mean([float(each.energy.stderr) ** 2 for each in found]))
    assert abs(energies.mean() - truth().energy) < 4 * energies.std() / np.sqrt(count)
    assert said / energies.std() == pytest.approx(1, abs=0.1)
    slopes = np.array([each.gradient.value for each in found[::5]])
    errors = np.sqrt(np.mean([each.gradient.stderr**2 for each in found[::5]], axis=0))
    assert np.all(np.abs(slopes.mean(axis=0) - truth().gradient) < 4 * slopes.std(axis=0) / np.sqrt(len(slopes)))
    assert np.allclose(errors / slopes.std(axis=0), 1, rtol=0, atol=0.25)  # of a fifth of the repetitions
    assert np.mean(errors / slopes.std(axis=0)) == pytest.approx(1, abs=0.12)


def test_energies_at_several_points_are_of_the_same_random_bases():
    """So that each is read from what measured it, and a seed says all."""
    count, points = 200, [THETA, THETA + 1, THETA - 0.8]
    evaluator = qngd.evaluator(circuit(), TERMS, THETA, shots=20, grouping=qngd.RandomPaulis(8))
    found = [evaluator.energies(points, seed=k)[0] for k in range(count)]
    values = np.array([[float(each.value) for each in energies] for energies in found])
    said = np.sqrt(np.mean([[float(each.stderr) ** 2 for each in energies] for energies in found], axis=0))
    matrix = dense.observable_matrix(TERMS)
    states = [dense.statevector(circuit(), theta) for theta in points]
    exact = [float(np.real(psi.conj() @ matrix @ psi)) for psi in states]
    assert np.all(np.abs(values.mean(axis=0) - exact) < 4 * said / np.sqrt(count))
    assert said / values.std(axis=0) == pytest.approx(np.ones(3), abs=0.15)
    again, _ = evaluator.energies(points, seed=3)
    assert [float(each.value) for each in again] == values[3].tolist()
    assert len(evaluator.energies(points)[0]) == 3  # without a seed


@pytest.mark.parametrize("shots", [1, 5])
def test_bases_that_agree_are_not_certain(shots):
    """A string near its largest value, which few shots of few bases do not show to be less."""
    sketch = Sketch(2, 2)
    near = sketch("ry", 0, sketch.t[0])("rx", 1, sketch.t[1]).circuit()
    how = {"shots": shots, "grouping": qngd.RandomPaulis(3)}
    found = [qngd.expectation(near, {"IZ": 1.0}, [0.4, 0.1], seed=seed, **how) for seed in range(40)]
    errors = np.array([float(each.stderr) for each in found])
    agree = np.array([each.value == 1 for each in found])
    assert agree.any()
    assert errors[agree] == pytest.approx(2 / (3 * shots))  # as of a group with all of their shots
    assert np.mean(np.abs([each.value - np.cos(0.4) for each in found]) > 3 * errors) < 0.1
    assert qngd.expectation(near, {"IZ": 1.0}, [0.0, 0.1], seed=1, **how).stderr == 0  # certain by algebra


@pytest.mark.parametrize("shots", [2, 20])
def test_shifted_bases_that_agree_are_not_certain(shots):
    sketch = Sketch(1, 1)
    steep = sketch("ry", 0, sketch.t[0]).circuit()
    slope = qngd.gradient(steep, {"Z": 1.0}, [np.pi / 2], seed=1, shots=shots, grouping=qngd.RandomPaulis(3))
    assert slope.value == pytest.approx([-1])  # of two halves, at the angles π and 0; at the latter ⟨Z⟩ is certain
    assert slope.stderr == pytest.approx([0.5 * 2 / (3 * shots)])


@pytest.mark.parametrize(
    ("grouping", "gradient"), [(qngd.RandomPaulis(8), True), ("auto", qngd.gradients.SampledShift(circuits=4))], ids=str
)
def test_without_a_seed_all_is_drawn_anew(grouping, gradient):
    """Also where the same is asked again: with shots enough, answers of the same draw would be alike."""
    evaluator = qngd.evaluator(circuit(), TERMS, THETA, shots=10**6, grouping=grouping)
    first, second = (evaluator.evaluate(THETA, gradient=gradient, metric=None).gradient for _ in range(2))
    assert np.max(np.abs(np.asarray(first.value) - second.value)) > 0.05


def test_random_bases_are_as_many_circuits_at_every_seed():
    planner = Planner(circuit(), Observable.from_mapping(TERMS), qngd.RandomPaulis(7))
    counts = {planner.plan(THETA, seed=seed).num_circuits for seed in range(10)}
    assert len(counts) == 1
    assert planner.plan(THETA, seed=3).fingerprint == planner.plan(THETA, seed=3).fingerprint
    assert planner.plan(THETA, seed=3).fingerprint != planner.plan(THETA, seed=4).fingerprint


def test_the_mean_over_all_bases_is_the_observable():
    """With the probabilities of the biases, from many draws: every string's coefficient."""
    strings = PauliStrings.from_labels([label for label in TERMS if label != "III"])
    weights = np.array([value for label, value in TERMS.items() if label != "III"])
    total = np.zeros(len(weights))
    for rows, parts in random_bases(strings, weights, biases(strings, weights), 20_000, 1):
        total[rows] += parts
    assert np.allclose(total, weights, rtol=0.08)


LONG = {"XXXXX": 1e-3, "ZZZZZ": 1.0, "ZZIYX": 0.4, "YIXZI": -0.2}  # strings of many letters, and unequal ones


@pytest.mark.parametrize("terms", [TERMS, LONG, {"ZZZ": 1.0, "XXX": 1e-20}], ids=["mixed", "long", "unequal"])
def test_biases_are_the_minimum_of_their_variance(terms):
    """Against a search by another method: scipy's, on the same convex function."""
    from scipy.optimize import minimize

    strings = PauliStrings.from_labels([label for label in terms if label != "III"])
    weights = np.array([value for label, value in terms.items() if label != "III"])
    letters = strings.letters()

    def variance(beta):
        reach = [np.prod([beta[q, p - 1] for q, p in enumerate(row) if p]) for row in letters]
        return float(np.sum(weights**2 / np.array(reach)))

    def by_logits(x):
        beta = np.exp(x.reshape(-1, 3))
        return np.log(variance(beta / beta.sum(axis=1, keepdims=True)))

    least = np.exp(minimize(by_logits, np.zeros(3 * strings.num_qubits), options={"maxiter": 2000}).fun)
    assert variance(biases(strings, weights)) == pytest.approx(least, rel=1e-4)


def test_strings_are_measured_wherever_they_can_be():
    """IIZ by all sets that measure Z there, with parts that add up; the error falls, and no circuit comes."""
    labels = ["ZZI", "XXZ", "IIZ"]
    strings, weights = PauliStrings.from_labels(labels), np.array([1.0, 0.8, 0.6])
    sets = group(strings, weights, "qubit-wise")
    parts = spread_over(strings, sets, lambda few, more: True)
    assert len(parts) == len(sets) == 2
    total = np.zeros(3)
    for rows, part in parts:
        total[rows] += part
    assert np.array_equal(total, np.ones(3))
    assert sum(2 in rows for rows, _ in parts) == 2
    kept = spread_over(strings, sets, lambda few, more: len(few) == len(more))
    assert [rows.tolist() for rows, _ in kept] == [rows.tolist() for rows in sets]


def test_auto_weighs_circuits_and_gates():
    strings = PauliStrings.from_labels(["XXXX", "YYYY", "ZZZZ", "XYYX"])
    weights = np.array([1.0, 0.9, 0.8, 0.7])
    free = group(strings, weights, "auto")
    assert len(free) == len(group(strings, weights, "commuting")) < len(group(strings, weights, "qubit-wise"))
    assert max(num_two_qubit_gates(diagonalize(strings[rows])) for rows in free) > 0
    without = group(strings, weights, "auto", gates=0)
    assert [rows.tolist() for rows in without] == [rows.tolist() for rows in group(strings, weights, "qubit-wise")]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"grouping": "shadow"}, "grouping: 'shadow' is none of"),
        ({"grouping": "shadows", "optimizer": qngd.QNG(gradient="sampled")}, "random measurements and of gradient"),
        ({"grouping": "shadows", "optimizer": qngd.QNG(approx="hamiltonian")}, "measures every string in one circuit"),
        ({"grouping": "auto", "optimizer": qngd.QNG(approx="hamiltonian")}, "measures every string in one circuit"),
        ({"grouping": "shadows", "observable": qngd.CVaR({"ZZI": 1.0}, 0.3)}, "a CVaR needs all values"),
    ],
)
def test_what_cannot_be_meant_is_said(how, message):
    with pytest.raises(qngd.SettingError, match=message):
        qngd.minimize(circuit(), **{"observable": TERMS, "theta0": THETA, "shots": 50, "max_steps": 1, **how})


def test_one_basis_says_nothing_of_an_error():
    with pytest.raises(qngd.SettingError, match="bases"):
        qngd.RandomPaulis(1)
