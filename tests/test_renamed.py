"""Settings by the names that they had before, and what an optimizer is apart from what it does."""

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pytest

import qngd
from qngd.errors import QngdDeprecationWarning
from qngd.run.loop import minimize
from qngd.step import Armijo, ConjugateDirections, CurvatureRate, FixedRate, TrustRegion

RULE = TrustRegion(radius=0.3)
OPTIMIZER = qngd.QNG(approx="diag", damping=0.1, step=RULE)

RENAMED = [
    (qngd.QNG, "length", "step", RULE),
    (Armijo, "decrease", "sufficient_decrease", 0.3),
    (Armijo, "largest", "max_rate", 2.0),
    (ConjugateDirections, "probe", "probe_ratio", 0.2),
]


@pytest.mark.parametrize(("kind", "old", "new", "value"), RENAMED)
def test_old_names_work_and_are_told_to_be_old(kind, old, new, value):
    told = rf"{kind.__name__}\({old}=…\) is now .*{new}=.*until qngd 0.3"
    with pytest.warns(QngdDeprecationWarning, match=told) as seen:
        given = kind(**{old: value})
    assert given == kind(**{new: value}) != kind()
    assert seen[0].filename == __file__  # of the caller, not of ours
    with pytest.warns(QngdDeprecationWarning, match=rf"{kind.__name__}\.{old} is now"):
        assert getattr(given, old) == value
    with pytest.raises(TypeError, match=f"{old} is the old name of {new}; give {new} alone"):
        kind(**{old: value, new: value})


@pytest.mark.parametrize(("kind", "old", "new", "value"), RENAMED)
def test_new_names_warn_of_nothing(kind, old, new, value):
    """Warnings are errors here."""
    assert new in inspect.signature(kind).parameters
    assert old not in inspect.signature(kind).parameters
    assert f"{new}={value}" in repr(kind(**{new: value}))
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        kind(**{f"{new}s": value})


def test_it_is_a_deprecation_and_one_of_ours():
    assert issubclass(QngdDeprecationWarning, DeprecationWarning)
    assert issubclass(QngdDeprecationWarning, qngd.QngdWarning)


def test_an_optimizer_shows_how_it_was_made():
    assert repr(OPTIMIZER) == f"QNG(learning_rate=None, approx='diag', damping=0.1, step={RULE!r}, refresh=None)"
    assert eval(repr(OPTIMIZER), {"QNG": qngd.QNG, "TrustRegion": TrustRegion}) == OPTIMIZER
    assert qngd.QNG(None, "diag", 0.1, RULE) == OPTIMIZER  # by place


def test_an_optimizer_is_its_settings():
    same = qngd.QNG(approx="diag", damping=0.1, step=TrustRegion(radius=0.3))
    assert same == OPTIMIZER
    assert hash(same) == hash(OPTIMIZER)
    assert qngd.QNG(approx="diag", damping=0.1) != OPTIMIZER
    settings = [getattr(OPTIMIZER, field.name) for field in dataclasses.fields(OPTIMIZER)]
    assert settings == [None, "diag", 0.1, RULE, None, "shift"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPTIMIZER.approx = "full"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_an_optimizer_can_be_copied(copied):
    assert copied(OPTIMIZER) == OPTIMIZER
    assert copied(OPTIMIZER).step_rule == RULE


def test_settings_can_be_replaced():
    assert dataclasses.replace(OPTIMIZER, approx="full") == qngd.QNG(approx="full", damping=0.1, step=RULE)
    assert dataclasses.replace(OPTIMIZER, step=Armijo()).step_rule == Armijo()
    assert dataclasses.replace(OPTIMIZER, step=None).step_rule == CurvatureRate()
    assert dataclasses.replace(OPTIMIZER, step=None, learning_rate=0.1).step_rule == FixedRate(0.1)
    with pytest.raises(qngd.SettingError, match="learning_rate and step exclude each other"):
        dataclasses.replace(OPTIMIZER, learning_rate=0.1)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"step": 0.1}, "step must be a rule of qngd.step; got 0.1; write learning_rate=0.1"),
        ({"step": TrustRegion}, r"write TrustRegion\("),
        ({"learning_rate": RULE}, r"learning_rate is a number; a rule goes by step=TrustRegion\("),
        ({"learning_rate": 0.1, "step": RULE}, "exclude each other"),
    ],
)
def test_a_rule_is_no_number_and_a_number_no_rule(how, words):
    with pytest.raises(qngd.SettingError, match=words):
        qngd.QNG(**how)


def test_a_stored_run_is_recognized_by_its_step_rule(tmp_path):
    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)

    def run(step, **more):
        return minimize(circuit, {"Z": 1.0}, [0.3], optimizer=qngd.QNG(step=step), run_dir=tmp_path, tol=0, **more)

    run(RULE, max_steps=2)
    assert run(RULE, max_steps=5).steps == 5
    with pytest.raises(qngd.SettingError, match="holds another run"):
        run(TrustRegion(radius=0.4), max_steps=5)


def test_own_loops_go_on_as_they_are():
    from qngd.evaluators.exact import ExactEvaluator
    from qngd.interop import as_observable

    circuit = qngd.CircuitBuilder(1)
    wrapped = qngd.wrap(circuit.ry(circuit.parameter("a"), 0))
    evaluator = ExactEvaluator(wrapped, as_observable({"Z": 1.0}, wrapped))
    optimizer = qngd.QNG(step=RULE)
    state = optimizer.init(evaluator, np.array([0.3]))
    for _ in range(30):
        state, info = optimizer.step(evaluator, state)
    assert info.step == 30
    assert state.energy == pytest.approx(-1.0, abs=1e-6)
