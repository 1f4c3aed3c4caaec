"""An evaluator around another one: what it does not change is the other one's."""

from __future__ import annotations

import numpy as np
import pytest

from qngd.backends import resolve
from qngd.errors import SettingError
from qngd.evaluators.base import Evaluator
from qngd.evaluators.bounded import Bounded
from qngd.evaluators.forwarding import ForwardingEvaluator, innermost
from qngd.metrics import Full, Identity
from qngd.qng import QNG
from tests.parabola import METRIC, START, Parabola, walk


class Peculiar(Parabola):
    """Says of everything that may be left out what it would not be by itself."""

    note, is_mean, epoch, box = "a note", True, 3, (-np.ones(3), np.ones(3))
    backend = resolve("statevector")
    is_exact = False
    batch = None

    def on_batch(self, index, seed):
        found = Peculiar()
        found.batch = (index, seed)
        return found

    def of_all(self):
        return Parabola()

    def allowed(self, here, delta):
        return delta / 2

    def first_metric(self):
        return Identity()


def test_it_hands_on_all_that_is_asked_of_an_evaluator():
    """So that a default of `Evaluator` never stands in the place of the inner one's answer."""
    inner = Peculiar()
    around = ForwardingEvaluator(inner)
    asked = {name for name in vars(Evaluator) if not name.startswith("_")}
    assert asked <= {*vars(ForwardingEvaluator), *vars(around)}
    for name in ("circuit", "backend", "box", "name", "note", "is_exact", "is_mean", "epoch"):
        assert getattr(around, name) is getattr(inner, name)
    assert (around.default_metric(), around.first_metric()) == (Full(), Identity())
    assert around.on_batch(2, 7).inner.batch == (2, 7)
    assert type(around.on_batch(2, 7)) is type(around)
    assert type(around.of_all().inner) is Parabola
    np.testing.assert_array_equal(around.allowed(None, START), START / 2)
    np.testing.assert_array_equal(around.metric(START, Full()).value, METRIC)
    with pytest.raises(SettingError, match="no product here"):
        around.metric_product(START)


@pytest.mark.parametrize(
    "kind", [ForwardingEvaluator, lambda inner: Bounded(inner, (np.full(3, -9.0), np.full(3, 9.0)))]
)
def test_steps_around_an_evaluator_are_its_own(kind):
    plain, around = walk(QNG(), Parabola(), START, 6), walk(QNG(), kind(Parabola()), START, 6)
    assert [info.energy for info in plain[1]] == pytest.approx([info.energy for info in around[1]], rel=1e-9)
    assert plain[0].cost == around[0].cost


def test_where_nothing_is_said_there_are_no_batches_and_no_bounds():
    plain = Parabola()
    assert (plain.epoch, plain.box, plain.backend, plain.note, plain.is_mean) == (1, None, None, "", False)
    assert plain.on_batch(3, 1) is plain is plain.of_all()
    assert plain.allowed(None, START) is START
    around = ForwardingEvaluator(plain)
    assert around.on_batch(3, 1) is around
    assert innermost(ForwardingEvaluator(around)) is plain
