"""The default on exact backends: which rule steps, and which metric is measured."""

import numpy as np
import pytest

import qngd
from qngd.damping import UNKNOWN_SCALE
from qngd.errors import SettingError
from qngd.metrics.names import as_metric
from qngd.qng import QNG
from qngd.refresh import Refresh
from qngd.step import Adaptive, ConjugateDirections, CurvatureRate, QuasiNewton
from tests.parabola import METRIC, START, Parabola, Sampled, walk


class Counted(Parabola):
    """Says how often several energies were asked for together."""

    searches = 0

    def energies(self, points, seed, spread=None):
        self.searches += 1
        return super().energies(points, seed)


def test_progress_asks_for_no_search():
    evaluator = Counted(0.3 * METRIC, METRIC)
    _, infos = walk(QNG(step=Adaptive(span=5)), evaluator, START, 15)
    assert infos[-1].energy < 1e-12
    assert not evaluator.searches


def test_where_steps_stagnate_the_plane_is_searched():
    """With a share of next to nothing every step stagnates, once there are `span` to compare with."""
    evaluator = Counted()
    _, infos = walk(QNG(step=Adaptive(span=3, slow=1e-9)), evaluator, START, 9)
    assert evaluator.searches == 6
    assert [info.step_cost.jobs for info in infos] == [2] * 3 + [3] * 6
    assert infos[-1].energy < 1e-3 * infos[0].energy


def test_a_search_is_that_of_conjugate_directions():
    """From the same memory."""
    state, _ = walk(QNG(step=Adaptive(span=2, slow=1e-9), damping=0.01), Parabola(), START, 3)
    own = {name: state.memory[name] for name in ConjugateDirections().start()}
    upkeep = {name: state.memory[name] for name in ("metric_count", "metric_age", "metric_path")}
    plain = QNG(step=ConjugateDirections(), damping=0.01)
    one, _ = QNG(step=Adaptive(span=2, slow=1e-9), damping=0.01).step(Parabola(), state)
    other, _ = plain.step(Parabola(), qngd_state(state, {**own, **upkeep}))
    assert np.array_equal(one.theta, other.theta)


def test_after_a_search_failures_are_forgotten():
    optimizer = QNG(step=Adaptive(span=2, slow=1e-9), damping=0.01)
    state, _ = walk(optimizer, Parabola(), START, 3)
    before = qngd_state(state, {**state.memory, "failed": np.array(True), "held": np.array(1)})
    after, _ = optimizer.step(Parabola(), before)
    assert not after.memory["failed"]
    assert after.memory["held"] == 0


def qngd_state(state, memory):
    import dataclasses

    return dataclasses.replace(state, memory=memory)


@pytest.mark.parametrize("name", ["near", "plane"])
def test_its_parts_are_rules_of_their_kinds(name):
    with pytest.raises(SettingError, match=name):
        Adaptive(**{name: CurvatureRate()})


# --- which rule, and which metric ---


def test_the_default_depends_on_the_backend():
    assert QNG().choices(Parabola()).rule == Adaptive().at_scale(UNKNOWN_SCALE)
    assert QNG().choices(Sampled()).rule == QNG().step_rule.at_scale(UNKNOWN_SCALE)
    assert QNG().step_rule == CurvatureRate()
    assert QNG(step=QuasiNewton()).choices(Sampled()).rule == QuasiNewton().at_scale(UNKNOWN_SCALE)
    assert QNG(0.1).choices(Parabola()).rule == QNG(0.1).step_rule


def test_a_state_goes_on_elsewhere():
    """From exact energies to sampled ones and back."""
    optimizer = QNG()
    state, _ = walk(optimizer, Parabola(), START, 3)
    for evaluator in (Sampled(), Parabola()):
        state, info = optimizer.step(evaluator, state)
        assert np.isfinite(info.energy)


class Dear(Parabola):
    """Where a full metric costs much."""

    def first_metric(self):
        return as_metric("block-diag")


def metrics(evaluator):
    return [metric for _, gradient, metric, _, _ in evaluator.asked if gradient]


def test_blocks_do_until_steps_stagnate():
    evaluator = Dear(0.3 * METRIC, METRIC)  # the model is right
    walk(QNG(), evaluator, 0.1 * START, 6)
    assert set(metrics(evaluator)) <= {"block-diag", None}
    assert None in metrics(evaluator), "near a minimum the metric is kept"
    evaluator = Dear()
    _, infos = walk(QNG(step=Adaptive(span=3, slow=1e-9)), evaluator, START, 9)
    assert all(info.accepted for info in infos)
    kinds = metrics(evaluator)
    assert set(kinds[:4]) <= {"block-diag", None}, "there are three norms to compare with after three steps"
    assert "full" in kinds[4:]
    assert "block-diag" not in kinds[4:]


def test_a_metric_does_where_the_state_hardly_moves():
    """Also where steps are by the rate: within 0.005 rad of where it was measured."""
    evaluator = Parabola(0.3 * METRIC, METRIC)
    rule = Adaptive(near=QuasiNewton(needed=99, initial=1e-3, grow=1.001))
    _, infos = walk(QNG(step=rule), evaluator, START, 12)
    path, kept = 0.0, []
    for info, metric in zip(infos, metrics(evaluator)[1:], strict=True):
        path = 0.0 if metric else path + info.length
        kept.append(path)
    assert 0 < max(kept) <= 0.005


def test_a_metric_is_measured_anew_beyond_a_tenth_of_a_radian():
    evaluator = Parabola(0.3 * METRIC, METRIC)
    _, infos = walk(QNG(), evaluator, START, 12)
    assert all(info.accepted for info in infos)
    path, kept = 0.0, []
    for info, metric in zip(infos, metrics(evaluator)[1:], strict=True):
        path = 0.0 if metric else path + info.length
        kept.append(path)
    assert 0 < max(kept) <= 0.1


@pytest.mark.parametrize("how", [{"approx": "full"}, {"refresh": Refresh()}, {"step": CurvatureRate()}])
def test_what_the_user_chose_is_measured_at_every_step(how):
    evaluator = Dear(0.3 * METRIC, METRIC)
    walk(QNG(**how), evaluator, 0.1 * START, 6)
    kinds = metrics(evaluator)
    assert None not in kinds
    assert set(kinds) == {"full"} or ("step" in how and set(kinds) == {"full", "block-diag"})


def test_a_run_does_not_depend_on_where_it_is_cut(tmp_path):
    circuit = qngd.CircuitBuilder(3)
    angles = circuit.parameters(*"abcdef")
    for k, angle in enumerate(angles):
        circuit.ry(angle, k % 3).cx(k % 3, (k + 1) % 3)
    terms, start = {"ZZI": 1.0, "IXX": 0.7, "YIY": 0.4}, np.linspace(0.2, 1.9, 6)
    how = {"optimizer": QNG(step=Adaptive(span=3)), "tol": 0}
    whole = qngd.minimize(circuit, terms, start, max_steps=30, **how)
    qngd.minimize(circuit, terms, start, max_steps=11, run_dir=tmp_path, **how)
    resumed = qngd.minimize(circuit, terms, start, max_steps=30, run_dir=tmp_path, **how)
    assert np.array_equal(whole.history, resumed.history)


@pytest.mark.parametrize("unit", [1e-5, 1e-3, 1e5])
def test_a_run_leaves_the_neighbourhood_of_a_maximum_in_any_unit(unit):
    """Curved down there, no pair of slopes says how far to go, and in small units the first rate hardly moves."""
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    circuit = circuit.ry(a, 0).rz(b, 0).cx(0, 1)
    result = qngd.minimize(circuit, {"IZ": unit, "ZI": 0.3 * unit}, [0.3, 0.4])
    assert result.energy == pytest.approx(-1.3 * unit, rel=1e-3)
