"""How the zoo experiment counts, on made-up runs. That it runs is tested with the other experiments."""

import numpy as np
import pytest

from experiments import zoo_report
from experiments.zoo_cases import CASES, METHODS


def stored(energies, ground=-1.0, status="converged", unit=""):
    """A method's file with one run a seed."""
    runs = [
        {"seed": k, "parameters": 3, "ground": ground, "unit": unit, "status": status, "energies": e, "seconds": 1.0}
        for k, e in enumerate(energies)
    ]
    return {"circuits_per_step": 5, "runs": runs}


def test_a_success_is_near_the_ground_energy_and_its_steps_those_before():
    runs = {"default": stored([[0.0, -0.5, -0.9995, -1.0], [-0.5, -0.7]]), "adam-0.05": stored([[0.0], [0.0, -0.9999]])}
    score = zoo_report._scores("tfim-6-small", runs)["default"]
    assert (score.successes, score.trapped, score.unfinished) == (1, 1, 0)
    assert score.steps == (2.0, np.inf)
    assert (score.median_steps, score.median_circuits) == (2.0, 10.0)
    assert score.median_seconds == pytest.approx(2 / 3)


def test_out_of_steps_is_not_trapped():
    score = zoo_report._scores("tfim-6-small", {"default": stored([[0.0, -0.5]], status="max_steps")})["default"]
    assert score.successes == 1, "the lowest value found is the reference where the ground energy is out of reach"
    runs = {"default": stored([[0.0, -0.5]], status="max_steps"), "cobyla": stored([[0.0, -0.8]])}
    score = zoo_report._scores("tfim-6-small", runs)["default"]
    assert (score.successes, score.trapped, score.unfinished) == (0, 0, 1)


@pytest.mark.parametrize(("name", "expected"), [("tfim-6-small", [-0.9, -0.9]), ("sk-6", [-0.5, -0.9])])
def test_seeds_that_are_problems_of_their_own_have_references_of_their_own(name, expected):
    found = zoo_report.references(name, {"default": stored([[-0.5], [-0.9]])})
    assert list(found.values()) == expected


def test_molecules_are_held_to_chemical_accuracy():
    runs = {"default": stored([[-7.8825 + 3e-3], [-7.8825 + 1e-3]], ground=-7.8825, unit="hartree")}
    assert zoo_report._scores("lih-3", runs)["default"].steps == (np.inf, 0.0)


def test_relative_steps_by_hand():
    """Problem 1: 10 and 20 against 10 and 10; problem 2: its only solved seed, 5 against a failure at 80 steps."""
    a = [np.array([10.0, 20.0]), np.array([5.0, np.inf])]
    b = [np.array([10.0, 10.0]), np.array([np.inf, np.inf])]
    found = zoo_report.relative_steps({"a": a, "b": b}, [100, 80])
    assert found["a"] == (pytest.approx(2**0.25), 0)
    assert found["b"] == (pytest.approx(4.0), 1)


def test_problems_and_methods_are_named_as_files_can_be():
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-") for name in (*CASES, *METHODS))
    groups = {method.group for method in METHODS.values()}
    assert groups | {"cma-es"} == {"candidate", "fixed", *zoo_report.BASELINES}  # whose package may be missing
