"""Races of optimizers: who arrives, what it took, and which setting of a grid is taken."""

import numpy as np
import pytest

import qngd
from experiments import chance, race
from qngd.baselines import ExcitationSolve, GradientDescent


def cosine(start=2.0, limit=-0.99):
    """E = cos a, from an a of choice."""
    circuit = qngd.CircuitBuilder(1)
    circuit.ry(circuit.parameter("a"), 0)
    problem = qngd.Problem(circuit.build(), {"Z": 1.0}, [start])
    return race.Start(race.Goal(problem, limit), [start])


def steps_by_hand(rate, start=2.0, limit=-0.99):
    angle, steps = start, 0
    while np.cos(angle) > limit:
        angle, steps = angle + rate * np.sin(angle), steps + 1
    return steps


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_run_ends_at_the_first_arrival(rate):
    spent = race.Ours(GradientDescent(rate)).run(cosine(), 0)
    assert spent is not None
    assert spent.steps == steps_by_hand(rate)
    # the energy and two shifts of one rotation, at the start and after every step
    assert (spent.circuits, spent.shots) == (3 * (1 + spent.steps), 0)
    assert spent.seconds > 0


def test_a_run_with_shots_counts_what_it_spent():
    spent = race.Ours(GradientDescent(0.5), shots=100).run(cosine(), 1)
    assert spent is not None
    assert spent.shots == 100 * spent.circuits == 300 * (1 + spent.steps)


def test_a_run_that_does_not_arrive_spends_nothing_that_counts():
    assert race.Ours(GradientDescent(0.1), max_steps=2).run(cosine(), 0) is None
    assert race.Ours(GradientDescent(0.01), shots=50, max_shots=200).run(cosine(), 0) is None


def test_the_best_setting_is_taken_by_arrivals_and_then_by_the_median():
    grid = {f"{rate:g}": race.Ours(GradientDescent(rate), max_steps=30) for rate in (0.01, 0.1, 0.5)}
    found = race.race([cosine(2.0), cosine(2.5), cosine(1.0)], {"descent": grid}, 2, "steps")["descent"]
    assert found["setting"] == "0.5"
    assert (found["arrived"], found["runs"]) == (3, 3)
    assert found["steps"] == sorted(steps_by_hand(0.5, start) for start in (2.0, 2.5, 1.0))
    assert found["tried"]["0.01"] == [0, None]


def test_a_method_that_refuses_the_circuit_says_so():
    circuit = qngd.CircuitBuilder(3)
    a = circuit.parameter("a")
    circuit.rx(a, 0).rx(a, 1).rx(a, 2)  # three harmonics
    start = race.Start(race.Goal(qngd.Problem(circuit.build(), {"ZZZ": 1.0}, [0.3]), -0.9), [0.3])
    found = race.race([start], {"excitations": {"": race.Ours(ExcitationSolve())}}, 1)
    assert "harmonics" in found["excitations"]["refused"]
    assert race.arrivals(found, "excitations") == 0
    assert race.median(found, "excitations", "steps") == np.inf


def test_quartiles_count_runs_that_never_arrive_as_endless():
    runs = [race.Spent(steps, 0, 0, 0.0) for steps in (4, 2)] + [None, None]
    assert race.quartiles(runs, "steps") == [2.0, 4.0, None]
    assert race.shown([2.0, 4.0, None]) == "4 (2 to ∞)"


def test_a_path_stays_where_its_run_finished():
    start = cosine()
    energies, circuits = race.path(start.goal, start.theta, GradientDescent(0.5), 3, 0)
    assert energies[0] == pytest.approx(np.cos(2.0))
    assert energies[1] == pytest.approx(np.cos(2.0 + 0.5 * np.sin(2.0)))
    assert (len(energies), circuits) == (4, 3)


def test_molecules_have_the_known_energies():
    """H₂ at 0.7 Å by the table of circuits/h2.py; H₄ and LiH by the references of circuits/."""
    pytest.importorskip("pennylane")
    from circuits import lih
    from experiments.molecules import line

    assert line("HH", 0.7, 2).lowest == pytest.approx(-1.1361894542, abs=2e-7)
    small = lih.problem(active_orbitals=3).reference_energy
    assert line(("Li", "H"), 1.57, 2, 3).lowest == pytest.approx(small, abs=1e-9)


def test_the_singlets_of_a_heisenberg_chain():
    """At angles 0 the energy is −3 for every even bond: singlets between neighbours, nothing between pairs."""
    pytest.importorskip("qiskit")
    pytest.importorskip("pennylane")
    from experiments.spin_chains import heisenberg_hva

    problem = heisenberg_hva(4, 1, 0)
    assert qngd.expectation(problem.circuit, problem.observable, np.zeros(4)).value == pytest.approx(-6)


def test_the_ising_ring_in_pennylane_is_that_of_circuits():
    pytest.importorskip("pennylane")
    from circuits import tfim
    from experiments.spin_chains import ising_node

    problem = tfim.problem(num_qubits=4, start="half-pi", seed=3)
    expected = qngd.expectation(problem.circuit, problem.observable, problem.theta0).value
    assert float(ising_node(4)(problem.theta0)) == pytest.approx(float(expected))


def test_who_is_surely_ahead():
    """By a sign test of the starts from which one of the two arrives: 7 of 7 are chance in 1 of 128 cases, 6 of 6 in
    1 of 64."""
    ours = [False] * 7 + [True] * 3
    found = {"ours": ours, "seven more": [True] * 10, "six more": [False] + [True] * 9, "fewer": [False] * 10}
    assert chance.surely_ahead(found, "ours") == ["seven more"]
    assert chance.ahead(found["six more"], ours) == pytest.approx(1 / 64)
    assert chance.ahead(found["fewer"], ours) == 1
    assert chance.ahead(ours, ours) == 1
