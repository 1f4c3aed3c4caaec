"""A keyword that does not exist is told with what to write, by every public function and class that takes settings."""

import inspect
import pickle
from dataclasses import is_dataclass

import pytest

import qngd
from qngd._system.keywords import hinted, suggested

CIRCUIT = qngd.CircuitBuilder(1)
CIRCUIT.ry(CIRCUIT.parameter("a"), 0)
PROBLEM = (CIRCUIT, {"Z": 1.0}, [0.3])

HINTS = [
    *((qngd.minimize, word, "max_steps=…") for word in ("maxiter", "steps", "n_iter", "iterations", "epochs")),
    *((qngd.minimize, word, "optimizer=qngd.QNG(learning_rate=…)") for word in ("lr", "stepsize", "rate", "eta")),
    *(
        (qngd.minimize, word, f"optimizer=qngd.QNG({word}=…)")
        for word in ("learning_rate", "damping", "approx", "step")
    ),
    (qngd.minimize, "regularization", "optimizer=qngd.QNG(damping=…)"),
    (qngd.minimize, "maxfun", "budget=qngd.Budget(circuits=…)"),
    (qngd.minimize, "max_shots", "budget=qngd.Budget(shots=…)"),
    (qngd.minimize, "money", "budget=qngd.Budget(money=…)"),
    (qngd.Prices, "per_job", "per_task=…"),
    (qngd.Prices, "seconds_per_job", "seconds_per_task=…"),
    (qngd.minimize, "x0", "theta0=…"),
    (qngd.minimize, "hamiltonian", "observable=…"),
    (qngd.minimize, "method", "optimizer=…"),
    (qngd.minimize, "random_state", "seed=…"),
    (qngd.minimize, "device", "backend=…"),
    (qngd.minimize, "maxsteps", "max_steps=…"),
    (qngd.minimize, "callbak", "callback=…"),
    (qngd.QNG, "stepsize", "learning_rate=…"),
    (qngd.QNG, "lam", "damping=…"),
    (qngd.QNG, "metric", "approx=…"),
    (qngd.cost, "max_steps", "steps=…"),
    (qngd.cost, "device", "backend=…"),
    (qngd.expectation, "params", "theta=…"),
    (qngd.metric_tensor, "approximation", "approx=…"),
    (qngd.sample, "nshots", "shots=…"),
    (qngd.CVaR, "quantile", "alpha=…"),
    (qngd.Objective, "cost_fn", "loss=…"),
    (qngd.baselines.Adam, "lr", "learning_rate=…"),
    (qngd.excited_states, "maxiter", "max_steps=…"),
    (qngd.excited_states, "betas", "weights=…"),
    (qngd.excited_states, "k", "count=…"),
    (qngd.Objective, "labels", "targets=…"),
    (qngd.Objective, "X", "data=…"),
]


@pytest.mark.parametrize(("entry", "word", "write"), HINTS, ids=lambda value: getattr(value, "__name__", value))
def test_what_to_write(entry, word, write):
    with pytest.raises(TypeError) as told:
        entry(**{word: 1})
    assert str(told.value) == f"{entry.__name__}() got an unexpected keyword argument {word!r}: write {write}"


def public():
    """Every function and class that has settings of its own, by name."""
    packages = (qngd, qngd.baselines, qngd.damping, qngd.gradients, qngd.loggers, qngd.metrics, qngd.refresh, qngd.step)
    packages += (qngd.start, qngd.pennylane, qngd.qiskit, qngd.scipy)
    for package in packages:
        for name in getattr(package, "__all__", None) or [name for name in vars(package) if name[0].isupper()]:
            thing = getattr(package, name)
            if not callable(thing) or not getattr(thing, "__module__", "").startswith("qngd"):
                continue
            yield f"{package.__name__}.{name}", thing


# Made by qngd and not by users; abstract; with settings of another's; or with nothing but what has to be given.
WITHOUT = {
    "BackendError", "Circuit", "CircuitError", "Comparison", "Cost", "Estimate", "ExcitedState",
    "MemoryLimitError", "MetricTensor", "MissingPackageError", "ObservableError", "ParameterError",
    "Price", "QngdError", "QngdWarning", "Result", "SettingError", "Status", "StepInfo", "StorageError",
    "StoredRun", "compare", "sweep", "wrap", "GradientMethod", "as_gradient", "Callback", "Several", "scalars",
    "Identity", "Metric", "as_metric", "Memory", "MetricAge", "Proposal", "StepRule", "Trial", "Damping", "Eigenbasis",
}  # fmt: skip


def test_every_public_entry_with_settings_says_so():
    silent = set()
    for name, thing in public():
        try:
            thing(no_such_setting=1)
        except TypeError as error:
            if "no_such_setting" not in str(error) or "it takes" not in str(error):
                silent.add(name)
        except Exception:
            silent.add(name)
    assert {name.rsplit(".", 1)[1] for name in silent} - {"Any", "ABC"} <= WITHOUT


def test_an_argument_too_many_by_place():
    text = r"metric_tensor\(\) takes circuit, theta by place, and got 3 values; write the others by name: approx,"
    with pytest.raises(TypeError, match=text):
        qngd.metric_tensor(*PROBLEM)
    text = r"QNG\(\) takes learning_rate, approx, damping, step, refresh by place, and got 6 values; .*: gradient$"
    with pytest.raises(TypeError, match=text):
        qngd.QNG(0.1, "full", 0.1, None, None, "shift")


def test_it_changes_nothing_else():
    assert pickle.loads(pickle.dumps(qngd.minimize)) is qngd.minimize
    assert "max_steps" in inspect.signature(qngd.minimize).parameters
    assert "approx" in inspect.signature(qngd.QNG).parameters
    assert qngd.minimize.__doc__
    assert is_dataclass(qngd.Budget)
    assert qngd.minimize(*PROBLEM, max_steps=2).steps == 2
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        qngd.minimize()

    @hinted
    def takes_all(first, **rest):
        return first, rest

    assert takes_all(1, anything=2) == (1, {"anything": 2})
    assert suggested("nothing_like_it", []) == "; it takes nothing"
