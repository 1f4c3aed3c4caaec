"""What holds for every step rule: what a proposal says, what is accepted, and what a memory is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.damping import Absolute, PseudoInverse, Relative
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate
from qngd.qng import QNG
from qngd.step import (
    Adaptive,
    AlignedMomentum,
    CurvatureRate,
    FixedRate,
)
from tests.parabola import Curved, Parabola, Sampled, at, no_probe, toward, tried, walk
from tests.step_rules import RULES
from tests.strategies import examples

GIVEN = ["fixed", "decaying", "momentum"]  # rates that nothing changes
REJECTING = [name for name in RULES if name not in GIVEN]
CAREFUL = [name for name in REJECTING if name != "aligned"]  # which follows slopes, whatever one energy says
BOUNDED = {"curvature": 0.5, "trust region": 0.5, "armijo": 0.5, "conjugate": 1.0}
EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
REJECTING_RULES = pytest.mark.parametrize("rule", [RULES[name] for name in REJECTING], ids=REJECTING)
CAREFUL_RULES = pytest.mark.parametrize("rule", [RULES[name] for name in CAREFUL], ids=CAREFUL)
HERE = at()
GRADIENT, DIRECTION = HERE.gradient.value, toward(HERE).vector


def bowl(here):
    """Energies around there: its slope, and curvatures that are not those of the metric."""
    hessian, slope = np.array([[1.0, 0.2], [0.2, 0.5]]), here.gradient.value
    return lambda shifts: [
        Estimate.exact(here.energy.value + np.float64(slope @ s + 0.5 * s @ hessian @ s)) for s in shifts
    ]


# --- what a trial and a proposal say ---


def test_what_a_trial_says():
    trial = tried(FixedRate(0.1), at(-1.0, stderr=0.03), at(-1.5, stderr=0.04))
    assert trial.decrease == 0.5
    assert trial.slack == pytest.approx(2 * 0.05)
    assert trial.slope == pytest.approx(0.1 * GRADIENT @ DIRECTION)


@pytest.mark.parametrize("energy", [0.0, 1.0, -1e6])
def test_exact_energies_are_known_up_to_rounding(energy):
    slack = tried(FixedRate(0.1), at(energy), at(energy)).slack
    assert 1e-15 * max(abs(energy), 1) < slack < 1e-13 * max(abs(energy), 1)


@pytest.mark.parametrize("name", [name for name in RULES if name != "conjugate"])
def test_what_a_proposal_says(name):
    """δ = −η·g⁻¹∇E; the slope promises η·∇Eᵀg⁻¹∇E, which is also the square of the length over the rate."""
    rule = RULES[name]
    proposal = rule.propose(toward(HERE), HERE, rule.start(), no_probe)
    assert proposal.rate == 0.1
    assert np.allclose(proposal.delta, -0.1 * DIRECTION)
    promised = 0.1 * GRADIENT @ DIRECTION
    assert proposal.length == pytest.approx(np.sqrt(0.1 * promised))
    # a trust region's parabola is lowest at the rate itself, and half the promise is what comes
    assert proposal.predicted == pytest.approx(promised / 2 if name == "trust region" else promised)
    bounded = dict.fromkeys(("curvature", "aligned", "armijo"), 0.5)
    bounded |= dict.fromkeys(("quasi-newton", "adaptive", "trust region"), 0.2)
    assert proposal.radius == bounded.get(name, np.inf)


@pytest.mark.parametrize("name", ["fixed", "decaying", "momentum", "curvature", "trust region", "armijo"])
def test_a_metric_that_is_not_quite_positive_gives_no_length_of_nan(name):
    here = at(gradient=[1.0, 0.0], metric=np.diag([-1e-17, 0.1]))
    rule = RULES[name]
    proposal = rule.propose(toward(here, Absolute(0.1)), here, rule.start(), no_probe)
    assert proposal.length == 0.0
    assert np.allclose(proposal.delta, [-1, 0])


# --- acceptance ---


def judged(rule, energy, before=0.0, stderr=(0.0, 0.0), gradient=GRADIENT):
    here, there = at(before, gradient, stderr=stderr[0]), at(energy, None, None, stderr=stderr[1])
    verdict = rule.judge(tried(rule, here, there, probe=bowl(here)), rule.start())
    assert isinstance(verdict, bool)
    return verdict


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("energy", [-1.0, 0.0, 5.0, np.nan])
def test_a_rate_that_is_given_accepts_everything(name, energy):
    assert not RULES[name].may_reject
    assert judged(RULES[name], energy)


@REJECTING_RULES
def test_who_may_reject_says_so(rule):
    assert rule.may_reject


@REJECTING_RULES
@pytest.mark.parametrize("energy", [np.nan, np.inf])
@pytest.mark.parametrize("stderr", [0.0, 0.1, np.nan])
def test_what_is_not_finite_is_rejected(rule, energy, stderr):
    assert not judged(rule, energy, stderr=(0.0, stderr))


@CAREFUL_RULES
@pytest.mark.parametrize(
    ("errors", "accepted"),
    [  # a rise of .1, within twice √(a² + b²) or not
        ((0.0, 0.0), False),
        ((0.04, 0.0), False),
        ((0.06, 0.0), True),
        ((0.0, 0.06), True),
        ((0.03, 0.03), False),
        ((0.04, 0.04), True),
    ],
)
def test_a_rise_within_its_error_is_no_failure(rule, errors, accepted):
    small = 1e-3 * GRADIENT  # promises nothing to speak of
    assert judged(rule, 0.1, stderr=errors, gradient=small) == accepted
    assert judged(rule, 7.1, 7.0, stderr=errors, gradient=small) == accepted


@CAREFUL_RULES
@pytest.mark.parametrize("energy", [-1e6, -1.0, 1e-3])
def test_rounding_is_no_rise(rule, energy):
    tiny = 1e-9 * GRADIENT
    assert judged(rule, np.nextafter(energy, np.inf), energy, gradient=tiny)
    assert not judged(rule, energy + 1e-9 * max(1, abs(energy)), energy, gradient=tiny)


# --- no slope, no metric, no parameters ---


@EVERY_RULE
@pytest.mark.parametrize("metric", [[[0.25, 0.05], [0.05, 0.1]], np.zeros((2, 2)), [[0.25]], np.zeros((0, 0))])
@pytest.mark.parametrize("damping", [PseudoInverse(), Absolute(1e-3)], ids=str)
def test_standing_still(rule, metric, damping):
    """Where the gradient is exactly zero, however many steps are asked for; warnings are errors."""
    here, memory = at(1.0, np.zeros(len(metric)), metric), rule.start()
    for _ in range(400):
        trial = tried(rule, here, here, memory, damping)
        assert trial.proposal.delta.shape == (len(metric),)
        assert not trial.proposal.delta.any()
        assert trial.proposal.length == trial.proposal.predicted == 0
        assert rule.judge(trial, memory)
        memory = rule.learn(trial, True, memory)
    assert all(np.all(np.isfinite(array)) for array in memory.values())


@EVERY_RULE
@pytest.mark.parametrize("damping", [PseudoInverse(), Absolute(0.1)], ids=str)
def test_a_metric_of_zeros_with_a_gradient(rule, damping):
    """As few shots may find it. Rejected again and again, no memory may end in zero divisions."""
    here, there = at(metric=np.zeros((2, 2))), at(np.nan, None, None)
    memory = rule.start()
    for _ in range(400):
        trial = tried(rule, here, there, memory, damping, bowl(here))
        assert np.all(np.isfinite(trial.proposal.delta))
        memory = rule.learn(trial, False, memory)
    assert all(np.all(np.isfinite(array)) for array in memory.values())


# --- walks ---


@EVERY_RULE
@pytest.mark.parametrize("kind", [Parabola, Curved])
def test_every_rule_goes_down(rule, kind):
    """Convex, and the metric knows nothing of the Hessian."""
    evaluator = kind()
    _, infos = walk(QNG(step=rule, damping=1e-3), evaluator, [1.0, -2.0, 0.5], 120)
    first = 0.5 * np.array([1.0, -2.0, 0.5]) @ evaluator.hessian @ [1.0, -2.0, 0.5]
    assert infos[-1].energy < 1e-2 * first
    accepted = [info.energy for info in infos if info.accepted]
    if rule.may_reject and not isinstance(rule, (CurvatureRate, Adaptive, AlignedMomentum)):  # which look farther back
        assert np.all(np.diff([first, *accepted]) <= 1e-12)


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("kind", [Parabola, Curved, Sampled])
@examples(8)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 1.0, 50.0]), st.sampled_from([0.0, 1e-2]))
def test_no_step_is_longer_than_its_radius(name, kind, seed, scale, damping):
    rng = np.random.default_rng(seed)
    hessian, metric = (f @ f.T for f in rng.normal(size=(2, 3, 3)))
    evaluator = kind(scale * hessian, 0.1 * metric)
    _, infos = walk(QNG(step=RULES[name], damping=damping), evaluator, rng.normal(size=3), 15, seed=seed)
    for info in infos:
        assert info.length <= info.radius * (1 + 1e-9)
        assert info.radius <= BOUNDED[name]
    assert any(info.length > 0 for info in infos)


# --- memory ---


@EVERY_RULE
def test_memory_is_plain_arrays_and_never_written_to(rule):
    there = at(-0.1, 0.5 * GRADIENT)
    memory = rule.start()
    for accepted in (True, False, True):
        before = {name: array.copy() for name, array in memory.items()}
        trial = tried(rule, HERE, there, memory, probe=bowl(HERE))
        rule.judge(trial, memory)
        after = rule.learn(trial, accepted, memory)
        assert memory.keys() == before.keys() == after.keys()
        assert all(np.array_equal(memory[name], before[name]) for name in before)
        assert all(isinstance(array, np.ndarray) for array in after.values())
        memory = after


@EVERY_RULE
def test_rules_leave_the_damping_alone(rule):
    chosen = Absolute(0.3)
    assert rule.damping(chosen, rule.start()) is chosen


class Easing(FixedRate):
    """A rule that adapts the damping: half of it at every step."""

    def start(self):
        return {"share": np.array(1.0)}

    def damping(self, chosen, memory):
        return Absolute(chosen.value * float(memory["share"]))

    def learn(self, trial, accepted, memory):
        return {"share": memory["share"] / 2}


def test_a_rule_may_adapt_the_damping():
    _, infos = walk(QNG(step=Easing(0.1), damping=0.4), Parabola(), [1.0, -2.0, 0.5], 3)
    assert [info.spectrum.damping for info in infos] == pytest.approx([0.4, 0.2, 0.1])


def test_a_damping_that_a_matrix_free_solve_cannot_take_is_refused():
    class Wrong(FixedRate):
        def damping(self, chosen, memory):
            return Relative(0.1)

    with pytest.raises(SettingError, match="damping"):
        QNG(step=Wrong(0.1), approx="matrix-free")
