"""Who gets the shots: sums and limits, targets that are reached, and a smaller error of the step for the same total."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qngd
from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.errors import SettingError
from qngd.estimates.evaluation import Cost, Spread
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.setup import Setup
from qngd.measured.assemble import assemble
from qngd.measured.auto_shots import AutoShots
from qngd.measured.cross import CROSS_METHODS
from qngd.measured.plan import Starts
from qngd.measured.planner import Planner
from qngd.measured.shots import FixedShots, as_rule, check_shots
from qngd.measured.spread import damped_root
from qngd.measured.target_error import TargetError
from qngd.metrics import QNSPSA, BlockDiagonal, as_metric
from tests.expected_metrics import expected_metrics
from tests.layered_circuits import CHAIN, crossed, real_amplitudes
from tests.own_backends import ExactDevice
from tests.strategies import Sketch, ansatz, examples


def lopsided():
    """Parameters that move much and little, an almost singular metric, and terms of very different weights."""
    sketch = Sketch(3, 4)
    a, b, c, d = sketch.t
    sketch("ry", 0, 0.7)("u", 1, 0.4, 1.1, 0.2)("cx", 0, 1)("t", 1)("rx", 2, 0.9)
    sketch("rx", 0, a)("rx", 1, -0.5 * a)("ry", 2, b)("cz", 1, 2)("cx", 0, 2)
    sketch("rzz", 0, 1, c)("rz", 2, 0.2 * d)("h", 1)("rx", 1, a - b)
    terms = {"ZZI": 4.0, "IZX": -0.6, "XXI": 0.3, "YYI": 0.1, "ZIZ": 0.4}
    return sketch.circuit(), np.array([0.4, -0.8, 1.3, 0.2]), terms


def plan_of(circuit, theta, terms, **what):
    return Planner(circuit, Observable.from_mapping(terms)).plan(theta, **{"metric": BlockDiagonal(), **what})


def exactly(plan, theta):
    """The evaluation and the spread without statistical error."""
    device = ExactDevice()
    outcomes = device.collect(device.submit(plan.templates, plan.requests, None))
    found = assemble(plan, outcomes, theta, Cost(), with_spread=True)
    return found, found.spread


def repeated(plan, theta, shots, times, seed, with_spread=True):
    plan = plan.with_shots(shots)
    device, count = StatevectorSampler(), plan.num_circuits
    outcomes = device.collect(device.submit(plan.templates, plan.requests * times, seed))
    parts = [outcomes[count * k : count * (k + 1)] for k in range(times)]
    return [(assemble(plan, part, theta, Cost(), with_spread), part) for part in parts]


def of_metric(plan):
    return np.array([plan.coefficients[r.template] is None for r in plan.requests])


# --- sums and limits ---


@st.composite
def spreads(draw, count):
    def numbers():
        return np.array(draw(st.lists(st.floats(0, 1e6), min_size=count, max_size=count)))

    return Spread(numbers(), numbers(), numbers())


PLAN = plan_of(*lopsided())


@given(
    st.one_of(st.none(), spreads(PLAN.num_circuits)), st.integers(0, 10**6), st.integers(2, 50), st.floats(0.01, 0.99)
)
@examples(100)
def test_auto_shots_stay_within_their_total(spread, more, minimum, energy_share):
    total = minimum * PLAN.num_circuits + more
    found = AutoShots(total, energy_share, minimum).shots(PLAN, spread)
    assert found.shape == (PLAN.num_circuits,)
    assert found.dtype.kind == "i"
    assert found.min() >= minimum
    assert found.sum() <= total
    # rounding down loses less than one shot a circuit
    assert found.sum() > total - PLAN.num_circuits


@given(spreads(PLAN.num_circuits), st.integers(2, 10**5))
@examples(50)
def test_by_default_half_is_divided_equally(spread, each):
    """So no error is more than √2 times that of an equal division, whatever the spread was."""
    total = each * PLAN.num_circuits
    found = AutoShots(total).shots(PLAN, spread)
    assert found.min() >= max(2, each // 2)
    assert total - PLAN.num_circuits < found.sum() <= total
    if spread.step.any():
        energies = PLAN.energy_weights != 0
        free = total - max(2, each // 2) * PLAN.num_circuits
        share = energies.mean() if (spread.energy * energies).any() else 0
        assert (found - max(2, each // 2))[energies].sum() >= free * share - energies.sum() - 1e-6 * free


def test_nearly_null_directions_of_the_metric_do_not_take_the_shots():
    """A parameter that hardly moves the state: its slope is as noisy as others', and its error counts as in the norm
    of the damped metric, not as in the plain norm, where it would be a hundred times larger."""
    sketch = Sketch(2, 2)
    circuit = sketch("ry", 0, sketch.t[0])("rz", 1, sketch.t[1])("ry", 1, 1e-3).circuit()
    theta = np.array([0.7, 0.4])
    plan = plan_of(circuit, theta, {"IX": 1.0, "ZI": 0.3, "XI": 1.0})
    exact, spread = exactly(plan, theta)
    assert exact.metric.value[1, 1] < 1e-6
    slopes = abs((plan.mixing @ plan.slopes).toarray()) > 0
    of_null = spread.step[slopes[1] & ~slopes[0]].sum()
    of_other = spread.step[slopes[0] & ~slopes[1]].sum()
    damping = 0.1 * exact.metric.value.max()
    variance = (plan.mixing @ plan.slopes).toarray() ** 2 @ spread.energy
    assert of_null == pytest.approx(variance[1] / damping, rel=1e-3)
    assert of_other == pytest.approx(variance[0] / (0.25 + damping), rel=1e-3)


def test_the_first_step_divides_a_total_equally():
    found = AutoShots(PLAN.num_circuits * 500).shots(PLAN, None)
    assert np.all(found == 500)
    other = Spread(*(np.ones(PLAN.num_circuits + 1),) * 3)  # of a plan of another kind
    assert np.all(AutoShots(PLAN.num_circuits * 500).shots(PLAN, other) == 500)


def test_without_a_total_the_first_step_divides_by_the_weights_of_shifts_and_terms():
    sketch = Sketch(2, 2)
    a, b = sketch.t
    circuit = sketch("ry", 0, a)("rx", 1, 0.5 * b)("cx", 0, 1).circuit()
    plan = plan_of(circuit, np.array([0.7, 0.4]), {"IX": 3.0, "ZI": 1.0})
    found = AutoShots(first=600).shots(plan, None)
    assert 0 <= 600 * plan.num_circuits - found.sum() < plan.num_circuits
    norms = np.array([0.0 if c is None else np.linalg.norm(c) for c in plan.coefficients])
    of_term = norms[[request.template for request in plan.requests]]
    energies = plan.energy_weights != 0
    # a shot of the term of weight 3 leaves three times the error
    assert found[energies & (of_term == 3)] == pytest.approx(3 * found[energies & (of_term == 1)], rel=0.01)
    assert found[energies].sum() == pytest.approx(600 * energies.sum(), rel=0.01)
    slopes = abs((plan.mixing @ plan.slopes).toarray())
    moved = [slopes[k] > 0 for k in range(2)]  # by half an angle: a slope is half as much
    assert found[moved[0] & (of_term == 3)].sum() == pytest.approx(2 * found[moved[1] & (of_term == 3)].sum(), rel=0.01)
    assert found[of_metric(plan)] == pytest.approx(600, rel=0.01)


def test_by_what_is_known_beforehand_gradients_have_smaller_errors_on_average():
    """Exact variances at random parameters: for one fixed division the other would do as well by chance."""
    circuit, _, terms = lopsided()
    of_equal, of_known = [], []
    for theta in np.random.default_rng(4).uniform(-np.pi, np.pi, (12, 4)):
        plan = plan_of(circuit, theta, terms)
        _, spread = exactly(plan, theta)
        one_shot = (plan.mixing @ plan.slopes).toarray() ** 2 * spread.energy
        of_equal.append((one_shot / 400).sum())
        of_known.append((one_shot / AutoShots(first=400).shots(plan, None)).sum())
    assert np.mean(of_known) < 0.5 * np.mean(of_equal)


def test_without_a_total_no_more_shots_are_sent_than_announced():
    for first in (2, 3, 20):
        rule = AutoShots(first=first)
        found = rule.shots(PLAN, None)
        assert found.min() >= 2
        assert found.sum() <= PLAN.num_circuits * rule.most(PLAN, 0)


# --- how many ---


def seen(step, signal, taken, spent=10**12):
    """A spread of `PLAN` with this part of the step in every circuit."""
    nothing = np.zeros(PLAN.num_circuits)
    return Spread(nothing, nothing, np.full(PLAN.num_circuits, float(step)), signal, taken, spent)


@given(st.floats(1e-3, 1e3), st.floats(1e-2, 1e2), st.integers(0, 200))
@examples(50)
def test_no_other_total_gains_more_for_what_it_costs(step, signal, start):
    """Against a search over totals of the gain of a step of 0.1 of the best rate, over its shots and starts."""
    count, rate = PLAN.num_circuits, 0.1
    rule = AutoShots(first=2, limit=10**9, start=start, minimum=2)
    found = rule.shots(PLAN, seen(step, signal, 10**9)).sum()
    totals = np.geomspace(2 * count, 1e9, 20001)
    gain = (1 - rate / 2) * signal - rate / 2 * step * count**2 / totals
    best = totals[np.argmax(gain / (totals + start * count))]
    assert found == pytest.approx(best, rel=2e-3, abs=2 * count)


def test_totals_follow_the_gradient():
    count = PLAN.num_circuits
    totals = [AutoShots().shots(PLAN, seen(1.0, signal, 10**7)).sum() / count for signal in (1.0, 0.1, 0.01)]
    assert totals == pytest.approx([share * 0.2 / 1.9 * count for share in (1, 10, 100)], abs=2)
    # it grows step by step, also where noise is all that there is to see, and to a limit
    assert AutoShots().shots(PLAN, seen(1.0, 1e-6, 100 * count)).sum() == 130 * count
    assert AutoShots().shots(PLAN, seen(1.0, -1.0, 100 * count)).sum() == 130 * count
    assert AutoShots(limit=120).shots(PLAN, seen(1.0, -1.0, 100 * count)).sum() == 120 * count
    assert AutoShots().shots(PLAN, seen(0.0, 1.0, 100 * count)).min() == 2
    # what goes beyond the first step and the starts is at most a hundredth of all so far
    for spent, most in ((0, 20), (1900, 20), (4000, 40)):
        assert AutoShots().shots(PLAN, seen(1.0, -1.0, 100 * count, spent * count)).sum() == most * count
    assert AutoShots(start=70).shots(PLAN, seen(1.0, -1.0, 100 * count, 0)).sum() == 70 * count
    with pytest.raises(SettingError, match=r"limit.*20 shots"):
        AutoShots(limit=10)


def test_the_signal_is_that_of_the_gradient_alone():
    """The mean over steps of few shots is that of an exact gradient, in the same metric, though the noise is larger."""
    circuit, theta, terms = even()
    plan = plan_of(circuit, theta, terms)
    exact, spread = exactly(plan, theta)
    assert spread is not None
    root = damped_root(exact.metric)
    shots = np.where(of_metric(plan), 10**6, 15)
    runs = [found for found, _ in repeated(plan, theta, shots, 400, seed=3)]
    signals = np.array([found.spread.signal for found in runs])
    squares = np.array([np.square(root @ found.gradient.value).sum() for found in runs])
    truth = np.square(root @ exact.gradient.value).sum()
    error = signals.std() / np.sqrt(len(signals))
    assert signals.mean() == pytest.approx(truth, abs=4 * error)
    assert squares.mean() > truth + 8 * error
    assert all(found.spread.taken == shots.sum() for found in runs)


def test_a_metric_that_two_shots_did_not_show_is_no_infinite_signal():
    """Two shots of a plus state agree half of the time: the metric is then seen as 0, and no slope infinite in it."""
    sketch = Sketch(1, 1)
    plan = plan_of(sketch("h", 0)("rz", 0, sketch.t[0]).circuit(), theta := np.array([0.4]), {"Y": 1.0})
    found = [each for each, _ in repeated(plan, theta, np.full(plan.num_circuits, 2), 200, seed=5)]
    unseen = [each for each in found if each.metric.value[0, 0] == 0]
    assert 50 < len(unseen) < 150
    signals = np.array([each.spread.signal for each in unseen])
    least = np.array([0.1 * each.metric.stderr[0, 0] for each in unseen])
    assert np.all(least > 0.01)
    assert np.all(abs(signals) <= 1.01 / least)  # slopes, and their variances, are at most 1
    assert np.all(np.array([each.spread.step.max() for each in unseen]) < 1e4)


def test_where_all_circuits_get_the_same_each_gets_a_shot_more_where_steps_are_to_grow():
    """30 % of two or three shots are no shot."""
    plan = replace(PLAN, starts=Starts(divided=20.0))
    given = [2]
    while len(given) < 6:
        found = AutoShots().shots(plan, seen(1.0, -1.0, given[-1] * plan.num_circuits))
        assert np.all(found == found[0])
        given.append(int(found[0]))
    assert given == [2, 3, 4, 5, 6, 7]
    # of a start that is dear as many as it costs may follow at once
    assert [AutoShots(first=2, start=5).most(plan, step) for step in (0, 1, 2, 100, 101)] == [2, 5, 5, 5, 6]


def test_signals_are_averaged_by_their_shots():
    nothing = np.zeros(1)
    first, last = Spread(nothing, nothing, nothing, 4.0, 300), Spread(nothing, nothing, nothing, 1.0, 100)
    assert last.after(None, 0.5).spent == 100
    assert last.after(first.after(None, 0.5), 0.5).spent == 400
    assert last.after(first, 0.5).signal == pytest.approx((0.5 * 300 * 4 + 100 * 1) / 250)
    assert last.after(None, 0.5).signal == 1.0
    assert last.after(replace(first, taken=0), 0.5).signal == 1.0


# --- how they are divided ---


def test_shots_go_with_the_root_of_the_spread():
    """Two circuits of the gradient with spreads 1 and 16 get 1 : 4; energy_share goes to the energy."""
    step, energy = np.zeros(PLAN.num_circuits), np.zeros(PLAN.num_circuits)
    (first, *_) = np.flatnonzero(PLAN.energy_weights)
    a, b = np.flatnonzero(PLAN.energy_weights == 0)[:2]
    step[[a, b]] = 1, 16
    energy[[first, a]] = 9, 100  # that of a shifted circuit is not of the energy
    found = AutoShots(1_000_000, 0.3, 10).shots(PLAN, Spread(energy, np.zeros_like(energy), step)) - 10
    free = 1_000_000 - 10 * PLAN.num_circuits
    assert found[first] == pytest.approx(0.3 * free, abs=1)
    assert found[a] == pytest.approx(0.7 * free / 5, abs=1)
    assert found[b] == pytest.approx(0.7 * free * 4 / 5, abs=1)
    assert np.delete(found, [first, a, b]).sum() == 0


@pytest.mark.parametrize("minimum", [2, 100])
def test_a_total_that_is_too_small_is_named_with_the_least_that_does(minimum):
    count = PLAN.num_circuits
    with pytest.raises(SettingError, match=f"shots.*{count} circuits.*{minimum * count} or more"):
        AutoShots(minimum * count - 1, minimum=minimum).shots(PLAN, None)
    assert np.all(AutoShots(minimum * count, minimum=minimum).shots(PLAN, None) == minimum)


# --- the error of the step ---


def step_errors(plan, theta, shots, exact, seed, times):
    """(d − d₀)ᵀ(g + λ)(d − d₀) of natural gradient steps d, the damping λ held fixed, over repetitions."""
    damping = 0.1 * np.linalg.norm(exact.metric.value, 2) * np.eye(len(theta))

    def direction(found):
        return np.linalg.solve(found.metric.value + damping, found.gradient.value)

    truth = direction(exact)
    moves = np.array([direction(found) for found, _ in repeated(plan, theta, shots, times, seed, with_spread=False)])
    off = moves - truth
    return ((off @ (exact.metric.value + damping)) * off).sum(axis=1)


def even():
    """A metric far from singular, every parameter of one rotation."""
    return *crossed(), {"ZX": 2.0, "XI": -0.6, "YZ": 0.3}


def ring():
    """Four spins and a parameter for all bonds or fields of a layer."""
    sketch = Sketch(4, 4)
    for q in range(4):
        sketch("h", q)
    for gamma, beta in (sketch.t[:2], sketch.t[2:]):
        for q in range(4):
            sketch("rzz", q, (q + 1) % 4, 2 * gamma)
        for q in range(4):
            sketch("rx", q, 2 * beta)
    terms = {"ZZII": -1.0, "IZZI": -1.0, "IIZZ": -1.0, "ZIIZ": -1.0, "XIII": -0.7, "IXII": -1.0, "IIXI": -1.0}
    return sketch.circuit(), np.array([0.2, 0.4, 0.5, 0.3]), terms


@pytest.mark.parametrize("metric", ["block-diag", "full"])
def test_the_spread_predicts_the_error_of_a_step(metric):
    """To first order in 1/N; the circuits of the metric, and those of the gradient, are given few shots in turn."""
    circuit, theta, terms = even()
    plan = plan_of(circuit, theta, terms, metric=as_metric(metric))
    exact, spread = exactly(plan, theta)
    for few in (of_metric(plan), ~of_metric(plan)):
        shots = np.where(few, 500, 4000)
        errors = step_errors(plan, theta, shots, exact, seed=2, times=200)
        predicted = (spread.step / shots).sum()
        assert (spread.step / shots)[few].sum() > 0.5 * predicted
        assert errors.mean() == pytest.approx(predicted, rel=0.15)


def test_the_spread_of_energies_and_metrics():
    circuit, theta, terms = even()
    plan = plan_of(circuit, theta, terms)
    _, spread = exactly(plan, theta)
    runs = repeated(plan, theta, np.full(plan.num_circuits, 500), 700, seed=9, with_spread=False)
    energies = np.array([float(found.energy.value) for found, _ in runs])
    assert energies.var() == pytest.approx(plan.energy_weights**2 @ spread.energy / 500, rel=0.15)
    metrics = np.array([found.metric.value for found, _ in runs])
    for block in plan.terms.blocks:
        largest = metrics.var(axis=0)[np.ix_(block.columns, block.columns)].max()
        assert largest == pytest.approx(spread.metric[block.request] / 500, rel=0.15)
    assert np.array_equal(spread.metric > 0, of_metric(plan))


@pytest.mark.parametrize("metric", ["block-diag", "full"])
def test_auto_shots_beat_an_equal_division(metric):
    """At the same total, from the spread of a single sampled step before: less than half the error."""
    circuit, theta, terms = lopsided()
    plan = plan_of(circuit, theta, terms, metric=as_metric(metric))
    exact, _ = exactly(plan, theta)
    equal = np.full(plan.num_circuits, 1500)
    ((found, _),) = repeated(plan, theta, equal, 1, 100)
    auto = AutoShots(int(equal.sum())).shots(plan, found.spread)
    assert auto.sum() <= equal.sum()
    errors = [step_errors(plan, theta, shots, exact, 1, times=100).mean() for shots in (equal, auto)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("problem", [lopsided, even, ring])
def test_auto_shots_are_never_worse_than_uniform_ones(problem):
    """The exact variance of the step at the same total, by what one sampled step saw, here or a step away."""
    circuit, theta, terms = problem()
    ratios = {20: [], 100: [], 400: []}
    for metric in ("block-diag", "full"):
        planner = Planner(circuit, Observable.from_mapping(terms))
        here, *away = (
            (plan := planner.plan(at, metric=as_metric(metric)), exactly(plan, at)[1])
            for at in (theta, *(theta + np.random.default_rng(k).normal(0, 0.15, len(theta)) for k in range(4)))
        )
        for (k, there), shots in itertools.product(enumerate(away), ratios):
            equal = np.full(here[0].num_circuits, shots)
            ((found, _),) = repeated(here[0], theta, equal, 1, seed=k)
            auto = AutoShots(int(equal.sum())).shots(there[0], found.spread)
            assert auto.sum() <= equal.sum()
            ratios[shots] += [(s.step / auto).sum() / (s.step / equal).sum() for _, s in (here, there)]
    for shots, found in ratios.items():
        assert max(found) < 1.0, shots
        assert np.mean(found) < 0.97, shots


def test_no_other_division_is_better():
    """Moving shots between circuits only raises the predicted error: the optimum of Σ a/N at fixed Σ N."""
    circuit, theta, terms = lopsided()
    plan = plan_of(circuit, theta, terms)
    _, spread = exactly(plan, theta)
    total = 10**7
    found = AutoShots(total, 1e-6, 2).shots(plan, spread).astype(float)
    best = (spread.step / found).sum()
    rng = np.random.default_rng(0)
    used = np.flatnonzero(spread.step)
    for _ in range(50):
        a, b = rng.choice(used, 2, replace=False)
        other = found.copy()
        moved = 0.2 * min(found[a], found[b])
        other[a] += moved
        other[b] -= moved
        assert (spread.step / other).sum() > best


def test_shots_of_the_metric_fade_as_the_gradient_vanishes():
    circuit, terms = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5, "IX": -0.3}
    start = np.array([0.3, -0.6, 0.9, 0.2])
    end = qngd.minimize(circuit, terms, start, max_steps=300, tol=1e-13).theta
    shares = []
    for t in (0.0, 0.9, 0.99, 1.0):
        theta = start + t * (end - start)
        plan = plan_of(circuit, theta, terms)
        found, spread = exactly(plan, theta)
        shots = AutoShots(10**6, 0.1, 10).shots(plan, spread)
        shares.append((shots[of_metric(plan)].sum() / shots.sum(), np.linalg.norm(found.gradient.value)))
    assert shares[0][0] > 0.1
    assert shares[1][1] > 1e-3
    assert all(b < 0.5 * a for (a, _), (b, _) in itertools.pairwise(shares))
    assert shares[-1][1] < 1e-5
    assert shares[-1][0] < 1e-3


def test_a_run_divides_from_what_it_has_seen():
    circuit, theta, terms = lopsided()
    device = ExactDevice()
    total = 100 * PLAN.num_circuits
    qngd.minimize(
        circuit, terms, theta, backend=device, shots=AutoShots(total, 0.1, 10),
        optimizer=qngd.QNG(0.01), max_steps=3, tol=0,
    )  # fmt: skip
    asked = [np.array([r.shots for r in requests]) for _, requests, _ in device.submissions]
    full = [shots for shots in asked if len(shots) == PLAN.num_circuits]
    assert len(full) >= 3
    assert np.all(full[0] == 100)
    for shots in full[1:]:
        assert shots.min() >= 10
        assert total - PLAN.num_circuits < shots.sum() <= total
        assert shots.max() > 5 * np.median(shots)


# --- targets ---


TARGETS = (TargetError(0.02), TargetError(0.05, 0.1, 0.005), TargetError(0.1, 0.02, 0.02))
WAYS = (("diag", "hadamard"), ("block-diag", "hadamard"), *(("full", cross) for cross in CROSS_METHODS))


@pytest.mark.parametrize(
    ("target", "problem", "metric", "cross"),
    [
        (TARGETS[(i + j) % 3], problem, *way)  # the targets in turn
        for i, way in enumerate(WAYS)
        for j, problem in enumerate((even, lopsided))
    ],
)
def test_targets_are_reached(target, problem, metric, cross):
    """After a first look with 200 shots a circuit; also of entries that several layers add to."""
    circuit, theta, terms = problem()
    observable = Observable.from_mapping(terms)
    evaluator = SampledEvaluator(circuit, observable, Setup(StatevectorSampler(), target, cross=cross))
    first = evaluator.evaluate(theta, metric=as_metric(metric), seed=1)
    assert first.cost.shots == 200 * first.cost.circuits
    found = [evaluator.evaluate(theta, metric=as_metric(metric), seed=s, spread=first.spread) for s in range(2, 12)]
    energy = np.mean([float(f.energy.stderr) for f in found])
    gradient = np.mean([f.gradient.stderr for f in found], axis=0)
    matrix = np.mean([f.metric.stderr for f in found], axis=0)
    assert energy <= 1.15 * target.energy
    assert gradient.max() <= 1.15 * (target.gradient or target.energy)
    assert matrix.max() <= 1.15 * target.metric
    # and one of the first two is not overshot
    assert max(energy / target.energy, gradient.max() / (target.gradient or target.energy)) > 0.8


@pytest.mark.parametrize("metric", ["diag", "block-diag"])
def test_targets_of_entries_known_to_second_order(metric):
    """The means of RealAmplitudes vanish: variances of single generators are stationary, and step by step the shots
    must not follow their estimates of zero down."""
    circuit, theta = real_amplitudes(4, 3, CHAIN), np.linspace(0.3, 2.4, 16)
    target = TargetError(0.1, metric=0.02)
    evaluator = SampledEvaluator(circuit, Observable.from_mapping({"ZZZZ": 1.0}), Setup(StatevectorSampler(), target))
    exact = expected_metrics(circuit, theta)[metric]
    found = [evaluator.evaluate(theta, metric=as_metric(metric), seed=1)]
    for seed in range(2, 52):
        found.append(evaluator.evaluate(theta, metric=as_metric(metric), seed=seed, spread=found[-1].spread))
    off = np.sqrt(np.mean([(f.metric.value - exact) ** 2 for f in found[1:]], axis=0))
    assert off.max() <= 1.2 * target.metric


def test_what_seemed_certain_is_looked_at_again():
    """A qubit that is 1 with a probability of 1/1000 was never seen to be: variance 0, but not 2 shots."""
    sketch = Sketch(1, 1)
    circuit = sketch("ry", 0, sketch.t[0]).circuit()
    plan = plan_of(circuit, np.array([0.0]), {"Z": 3.0}, gradient=False, metric=None)
    _, spread = exactly(plan, np.array([0.0]))
    assert spread.energy == 0
    assert TargetError(0.01).shots(plan, spread) == 300


def test_overlaps_of_random_directions_take_shots_too():
    circuit, theta, terms = even()
    plan = plan_of(circuit, theta, terms, metric=QNSPSA(), seed=3)
    ((found, outcomes),) = repeated(plan, theta, np.full(plan.num_circuits, 2000), 1, 5)
    shots = TargetError(1.0, 1.0, metric=0.1).shots(plan, found.spread)
    variance = np.zeros((4, 4))
    for term in plan.terms:
        scale = term.pair.sample([1.0, 0, 0, 0]) / len(plan.terms)
        for r in term.requests:
            frequency = outcomes[r].counts[~outcomes[r].bits.any(axis=1)].sum() / outcomes[r].shots
            variance += scale**2 * frequency * (1 - frequency) / shots[r]
    assert 0.05 < np.sqrt(variance.max()) <= 0.1


def test_targets_cost_no_more_than_their_limit():
    circuit, theta, terms = lopsided()
    plan = plan_of(circuit, theta, terms)
    _, spread = exactly(plan, theta)
    assert TargetError(1e-4, limit=5000).shots(plan, spread).max() == 5000
    assert np.all(TargetError(1e-4, limit=50).shots(plan, None) == 50)
    assert np.all(TargetError(1e9, 1e9, 1e9).shots(plan, spread) == 2)
    other = Spread(*(np.ones(plan.num_circuits + 1),) * 3)
    assert np.all(TargetError(0.01).shots(plan, other) == 200)


def test_a_target_of_the_energy_alone():
    """Three groups with spreads a get N ∝ √a, in all (Σ√a)²/ε²."""
    circuit, theta, terms = lopsided()
    plan = plan_of(circuit, theta, terms, metric=None, gradient=False)
    _, spread = exactly(plan, theta)
    found = TargetError(0.01).shots(plan, spread)
    roots = np.sqrt(spread.energy)
    assert np.all(np.abs(found - roots * roots.sum() / 1e-4) <= 1)


# --- the `shots` argument ---


def test_what_shots_stands_for():
    assert as_rule(None) == FixedShots(None)
    assert as_rule(None).shots(PLAN, None) is None
    assert as_rule("auto") == AutoShots()
    assert as_rule(500) == as_rule(500.0) == as_rule(np.int64(500)) == FixedShots(500)
    assert np.all(as_rule(500).shots(PLAN, None) == 500)
    rule = TargetError(0.1)
    assert as_rule(rule) is rule


@pytest.mark.parametrize("shots", [0, -5, 0.5, 1e-3, float("nan"), float("inf"), True, False, [10], {"a": 1}, 1j])
def test_a_bad_number_is_named(shots):
    with pytest.raises(SettingError, match=r"shots must be a whole number of at least 1; got"):
        check_shots(shots)
    with pytest.raises(SettingError, match="shots"):
        as_rule(shots)


@pytest.mark.parametrize("text", ["Auto", "", "1000", "target"])
def test_an_unknown_word_is_named(text):
    with pytest.raises(SettingError, match=f'shots: {text!r} is neither a number nor "auto"'):
        as_rule(text)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: AutoShots(total=0), "total"),
        (lambda: AutoShots(total=-10), "total"),
        (lambda: AutoShots(total=float("nan")), "total"),
        (lambda: AutoShots(energy_share=0.0), "energy_share"),
        (lambda: AutoShots(energy_share=1.0), "energy_share"),
        (lambda: AutoShots(energy_share=float("nan")), "energy_share"),
        (lambda: AutoShots(minimum=1), "minimum"),
        (lambda: AutoShots(minimum=float("nan")), "minimum"),
        (lambda: TargetError(0.0), "energy"),
        (lambda: TargetError(-1.0), "energy"),
        (lambda: TargetError(float("nan")), "energy"),
        (lambda: TargetError(0.1, gradient=0.0), "gradient"),
        (lambda: TargetError(0.1, metric=-0.1), "metric"),
        (lambda: TargetError(0.1, metric=float("nan")), "metric"),
        (lambda: TargetError(0.1, limit=0), "limit"),
    ],
)
def test_settings_out_of_range_are_named(make, named):
    with pytest.raises(SettingError, match=named):
        make()


def test_functions_of_one_theta_meet_a_target():
    """There is no step before to tell the variances: a first submission does, and counts for nothing else."""
    circuit, theta, terms = lopsided()
    target, exact = TargetError(0.05, metric=0.02), qngd.expectation(circuit, terms, theta).value
    found = [qngd.expectation(circuit, terms, theta, shots=target, seed=seed) for seed in range(120)]
    values = np.array([each.value for each in found])
    assert values.std() == pytest.approx(0.05, rel=0.2)
    assert values.mean() == pytest.approx(exact, abs=4 * 0.05 / np.sqrt(120))
    assert all(each.stderr == pytest.approx(0.05, rel=0.25) for each in found)
    slopes = qngd.gradient(circuit, terms, theta, shots=target, seed=1)
    assert slopes.stderr.max() == pytest.approx(0.05, rel=0.25)
    for approx in ("block-diag", "full"):
        assert qngd.metric_tensor(circuit, theta, approx=approx, shots=target, seed=1).stderr.max() < 0.025
    few = qngd.expectation(circuit, terms, theta, shots=TargetError(5.0), seed=1)
    assert few.shots < 200
