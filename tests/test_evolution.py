"""CMA-ES in the loop of `minimize`; where the package is installed."""

import sys

import numpy as np
import pytest

import qngd
from qngd.errors import MissingPackageError, SettingError
from qngd.run.optimizers import as_optimizer
from tests.strategies import ansatz

TERMS = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}


def run(**how):
    from qngd.baselines import CMAES

    circuit = ansatz(3, 1)
    theta = np.random.default_rng(1).normal(size=circuit.num_parameters)
    return qngd.minimize(circuit, TERMS, theta, **{"optimizer": CMAES(), "seed": 5, "tol": 0, **how})


def _global_state():
    return np.random.get_state()[1]  # noqa: NPY002  (what is left alone)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(MissingPackageError, match=r"\[cma\]"):
        as_optimizer("cma-es")


def test_one_qubit_to_the_bottom():
    pytest.importorskip("cma")
    circuit = qngd.CircuitBuilder(1)
    circuit.ry(circuit.parameter("a"), 0)
    result = qngd.minimize(circuit, {"Z": 1.0}, [0.3], optimizer="cma-es", seed=1, tol=0, max_steps=500)
    assert result.energy == pytest.approx(-1, abs=1e-9)
    assert result.status == "converged"
    assert result.message.startswith("cma: tol")


def test_a_generation_is_one_submission():
    pytest.importorskip("cma")
    result = run(max_steps=4, shots=100)
    step = result.infos[-1].step_cost
    size = len(result.state.memory["energies"][0])
    assert result.state.memory["energies"].shape == (4, size)
    assert step.jobs == 2
    assert step.circuits == (size + 1) * result.infos[0].step_cost.circuits // (size + 1)
    assert all(info.stderr > 0 for info in result.infos)


def test_a_run_in_pieces_and_one_on_disk_are_the_whole(tmp_path):
    pytest.importorskip("cma")
    whole = run(max_steps=12)
    first = run(max_steps=5)
    for _ in range(2):  # the live search serves the first alone
        rest = run(max_steps=7, state=first.state, seed=None)
        assert np.array_equal(np.append(first.history, rest.history[1:]), whole.history)
    run(max_steps=5, run_dir=tmp_path)
    assert np.array_equal(run(max_steps=12, run_dir=tmp_path).history, whole.history)


def test_seeds_decide_and_numpys_own_generator_is_left_alone():
    pytest.importorskip("cma")
    before = _global_state().copy()
    assert np.array_equal(run(max_steps=5).history, run(max_steps=5).history)
    assert not np.array_equal(run(max_steps=5).history, run(max_steps=5, seed=6).history)
    assert not np.array_equal(run(max_steps=5, seed=None).history, run(max_steps=5, seed=None).history)
    assert np.array_equal(_global_state(), before)


def test_what_is_announced_is_spent():
    pytest.importorskip("cma")
    result = run(max_steps=50, budget=qngd.Budget(circuits=60))
    assert result.status == "budget"
    assert result.cost.circuits <= 60 < result.cost.circuits + result.infos[-1].step_cost.circuits


def test_a_limit_among_the_options():
    pytest.importorskip("cma")
    from qngd.baselines import CMAES

    assert (run(optimizer=CMAES(0.2, {"maxiter": 3})).status, run(optimizer=CMAES(0.2, {"maxiter": 3})).steps) == (
        "max_steps",
        3,
    )


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"sigma": 0}, "sigma"),
        ({"options": {"popsiz": 3}}, "popsiz"),
        ({"options": {"seed": 1}}, "seed"),
        ({"options": 3}, "options"),
    ],
)
def test_bad_settings_are_named(settings, word):
    pytest.importorskip("cma")
    from qngd.baselines import CMAES

    with pytest.raises(SettingError, match=word):
        CMAES(**settings)
