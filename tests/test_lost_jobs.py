"""What an interrupted run has paid for is used, what it has lost is counted, and nothing is sent twice."""

import os
import signal
import socket
import warnings

import numpy as np
import pytest

import qngd
from qngd.backends import Limits, PostSelected, ReadoutCorrected, resolve
from qngd.backends.qiskit.choice import QiskitBackend, QiskitSettings, Retry
from qngd.backends.qiskit.tags import takes_tags, with_tag
from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.evaluators.job_log import Sent
from qngd.evaluators.job_parts import divided, held, known_parts, rows_and_shots
from qngd.measured.planner import Planner
from tests.pennylane_devices import FakeQPU
from tests.qiskit_devices import Remembering, Unreliable, dead, new_estimator, new_sampler
from tests.run_files import jobs_of, table
from tests.silent import Silent
from tests.strategies import ansatz

THETA = np.array([0.3, -0.6, 0.9, 0.2])
CIRCUIT, TERMS = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}
FOUR = Limits(circuits=3)  # ten circuits a submission
STOP = {"errors": (KeyboardInterrupt(),)}


def run(device, run_dir=None, limits=FOUR, retries=3, **given):
    backend = QiskitBackend(device, QiskitSettings(limits=limits), Retry(retries, (0.0,)))
    how = {"shots": 60, "seed": 5, "max_steps": 2, "tol": 0} | given
    return qngd.minimize(CIRCUIT, TERMS, THETA, backend=backend, run_dir=run_dir, **how)


def test_circuits_of_a_job_as_text():
    for rows, shots in (([0], [7]), ([3, 4, 5, 5, 5, 0], [1, 1, 1, 1, 2, 2]), ([2, 1, 0], [0, 0, 0])):
        found = rows_and_shots(held(rows, shots))
        assert (found[0].tolist(), found[1].tolist()) == (rows, shots)


def test_ids_that_are_all_that_is_known_are_of_the_parts_in_their_order():
    """As qngd 0.1 wrote them down; of a submission that is divided otherwise by now they are of no use."""
    plan = Planner(CIRCUIT, Observable.from_mapping(TERMS)).plan(THETA)
    plan = plan.with_shots(np.full(plan.num_circuits, 60))
    four, all_in_one = resolve(Remembering(), limits=FOUR), resolve(Remembering())
    own = divided(four, plan, 5)
    ids = {part.place: [f"job {part.place}"] for part in own}
    sent = Sent("", {place: each[-1] for place, each in ids.items()}, ids=ids)
    found = known_parts(four, plan, 5, sent)
    assert [(part.place, part.holds, part.seed) for part in found] == [(p.place, p.holds, p.seed) for p in own]
    assert [part.ids for part in found] == list(ids.values())
    assert not any(part.is_open for part in found)
    assert known_parts(all_in_one, plan, 5, sent) == []


# --- some of several jobs ---


def test_a_dead_job_of_a_submission_does_not_make_the_others_be_paid_again(tmp_path):
    """Without transient errors around it: the run fails, and goes on when it is called again."""
    device = Remembering(*({},) * 5, dead("calibration"))
    failed = run(device, tmp_path)
    assert (failed.status, failed.cost.jobs) == ("failed", 8)
    assert failed.cost == qngd.load(tmp_path).cost
    assert "4 jobs, 10 circuits, 600 shots of its cost were sent where it broke off" in failed.note
    unknown = {"seconds": None, "money": None}
    assert qngd.load(tmp_path).sent.in_units() == {"jobs": 4, "circuits": 10, "shots": 600, **unknown}
    assert device.jobs[5].job_id() in failed.message
    result = run(device, tmp_path)
    expected = run(Remembering())
    assert qngd.load(tmp_path).sent == qngd.Cost()
    assert len(device.runs) == 12 + 1
    assert np.array_equal(result.history, expected.history)
    assert result.cost.jobs == len(device.runs)  # the lost one is in it
    assert (result.cost.circuits, result.cost.shots) == (expected.cost.circuits, expected.cost.shots)


def test_so_it_is_around_a_backend_that_sends_jobs_one_by_one(tmp_path):
    """Post-selection: each circuit stands for itself, and those of a job may conserve nothing."""
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    circuit = circuit.ry(0.4, 0).cx(0, 1).rxx(a, 0, 1).rz(b, 1).rxx(b, 0, 1)

    def selected(device, run_dir=None):
        inner = QiskitBackend(device, QiskitSettings(limits=FOUR), Retry(3, (0.0,)))
        backend = PostSelected(inner, parities=["ZZ"])
        assert backend.noise_digest == inner.noise_digest
        assert backend.by_job
        return qngd.minimize(
            circuit, {"ZZ": 1.0, "ZI": 0.4, "XI": 0.3}, [0.3, -0.6], backend=backend, run_dir=run_dir, shots=60, seed=5,
            max_steps=2, tol=0,
        )  # fmt: skip

    whole = Remembering()
    expected = selected(whole)
    count = len(whole.runs) // 3
    assert count > 1
    device = Remembering(*({},) * (2 * count - 1), dead("calibration"))
    failed = selected(device, tmp_path)
    assert failed.status == "failed"
    assert device.jobs[-1].job_id() in failed.message
    result = selected(device, tmp_path)
    assert np.array_equal(result.history, expected.history)
    assert len(device.runs) == len(whole.runs) + 1 == result.cost.jobs


def test_a_refused_job_is_not_counted_and_only_what_is_missing_is_sent(tmp_path):
    device = Remembering(*({},) * 6, ValueError("queue full"))
    assert run(device, tmp_path).status == "failed"
    result = run(device, tmp_path)
    assert np.array_equal(result.history, run(Remembering()).history)
    assert result.cost.jobs == 12


def test_outcomes_that_came_back_are_kept_where_no_job_can_be_fetched_again(tmp_path):
    """Aer, whose jobs die with the process: two of the four of a step had ended."""
    device = Unreliable(*({},) * 6, STOP)
    assert run(device, tmp_path).status == "interrupted"
    assert len(table(tmp_path, "outcomes")) >= 2
    sent = len(device.runs)
    result = run(device, tmp_path)
    assert len(device.runs) - sent == 2 + 4
    expected = run(Unreliable())
    assert np.array_equal(result.history, expected.history)
    assert result.cost == expected.cost


def test_so_are_those_of_a_pennylane_device(tmp_path):
    asked = []

    def answer(script):
        asked.append(script)
        if len(asked) == 8:
            raise KeyboardInterrupt
        return FakeQPU.zeros(script)

    def once(limits):
        return qngd.minimize(
            CIRCUIT, TERMS, THETA, backend=resolve(FakeQPU(2, answer), limits=limits), shots=20, max_steps=0,
            run_dir=tmp_path,
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        once(FOUR)  # in the third of its jobs
    with pytest.warns(qngd.QngdWarning, match="counts as paid"):
        result = once(FOUR)
    assert len(asked) == 8 + 4  # the scripts of the first two jobs are not among them
    assert (result.cost.jobs, result.cost.circuits) == (4 + 1, 10 + 3)


@pytest.mark.parametrize("now", [2, 4, 7, 10])
def test_jobs_are_of_use_whatever_the_limits_are_by_now(now, tmp_path):
    """The third of four is dead by then: the circuits that it held are sent anew, in one job or in several."""
    device = Remembering(*({},) * 4, {}, {}, dead("calibration"), {})
    assert run(device, tmp_path).status == "failed"
    before = len(device.runs)
    result = run(device, tmp_path, limits=Limits(circuits=now), max_steps=1)
    again = [circuits for call in device.runs[before:] for circuits in call["circuits"]]
    assert len(again) == 3
    assert max(len(call["circuits"]) for call in device.runs[before:]) <= now
    assert result.steps == 1
    assert result.cost.shots == 2 * 10 * 60
    # asymmetric: were the circuits mixed up, the energy would be another
    exact = [qngd.expectation(CIRCUIT, TERMS, theta).value for theta in (THETA, result.theta)]
    assert abs(result.history - exact).max() < 5 * result.history_stderr.max()


# --- jobs that gave something else than was asked for ---


def without_one(result):
    result.results = result.results[:-1]
    return result


def wrong_shots(result):
    for each in result.results:
        each.data.counts = {"0x0": 3}
    return result


@pytest.mark.parametrize("change", [without_one, wrong_shots, lambda result: None])
def test_a_job_with_a_deficient_result_is_sent_anew_by_the_next_call(change, tmp_path):
    device = Remembering(*({},) * 5, {"change": change})
    failed = run(device, tmp_path)
    assert failed.status == "failed"
    assert device.jobs[5].job_id() in failed.message
    assert "the same call with this run_dir sends its circuits anew" in failed.message
    result = run(device, tmp_path)
    assert np.array_equal(result.history, run(Remembering()).history)
    assert (len(device.runs), result.cost.jobs) == (13, 13)
    assert result.cost.circuits == 30 + 3  # they did run


# --- the moment of sending ---


class Tagging(Remembering):
    """A provider whose jobs have tags; `lost` is the number of the answer that gets lost, `kill` whether that is
    because the process dies."""

    lost, error = -1, ConnectionError("reset")

    def __init__(self, *plans, **options):
        super().__init__(*plans, **options)
        self.tags = {}

    def run(self, circuits, job_tags=(), **options):
        job = super().run(circuits, **options)
        self.tags[job.job_id()] = list(job_tags)
        if len(self.jobs) == self.lost:
            raise self.error
        return job

    def _by_tag(self, job_tags, limit=10):
        return [job for job in self.jobs if set(job_tags) <= set(self.tags[job.job_id()])]


@pytest.fixture
def found_by_tag(monkeypatch):
    """Devices whose `service` gives jobs by id and tag, as IBM's does."""

    def make(**given):
        device = Tagging()
        vars(device).update(given)
        jobs = lambda job_tags, limit=10: device._by_tag(job_tags, limit)  # noqa: E731
        device.service = type("Service", (), {"job": staticmethod(device.retrieve_job), "jobs": staticmethod(jobs)})()
        return device

    return make


class Killed(BaseException):
    """The process dies."""


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_job_that_was_sent_in_the_moment_of_a_crash_is_found_by_its_tag(number, found_by_tag, tmp_path):
    device = found_by_tag(lost=number, error=Killed())
    with pytest.raises(Killed):
        run(device, tmp_path)
    known = [row["job"] for row in jobs_of(tmp_path)] if (tmp_path / "run.sqlite").exists() else []
    assert device.jobs[-1].job_id() not in known
    device.lost = -1
    result = run(device, tmp_path)
    expected = run(Remembering())
    assert len(device.runs) == 12
    assert np.array_equal(result.history, expected.history)
    assert result.cost == expected.cost


@pytest.mark.parametrize("kept", [False, True])
def test_an_answer_that_is_lost_on_its_way_costs_no_second_job(kept, found_by_tag, tmp_path):
    for number in (2, 5):
        device = found_by_tag(lost=number)
        assert run(device, tmp_path / str(number) if kept else None).cost.jobs == len(device.runs) == 12
        assert len({tag for tags in device.tags.values() for tag in tags}) == 12


def test_where_jobs_have_no_tags_the_doubt_is_said_and_counts(tmp_path):
    class Dying(Remembering):
        lost = 6

        def run(self, circuits, **options):
            job = super().run(circuits, **options)
            if len(self.jobs) == self.lost:
                raise Killed
            return job

    device = Dying()
    with pytest.raises(Killed):
        run(device, tmp_path)
    Dying.lost = -1
    with pytest.warns(qngd.QngdWarning, match=r"aer_simulator: a job was sent, or was going to be.*counts as paid"):
        result = run(device, tmp_path)
    assert len(device.runs) == result.cost.jobs == 13
    assert np.array_equal(result.history, run(Remembering()).history)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = run(device, tmp_path)  # it is said once
    assert again.cost == result.cost


NOTHING_SENT = (ConnectionRefusedError("down"), ConnectionError("no such host"))
NOTHING_SENT[1].__cause__ = socket.gaierror("name resolution")  # as SDKs wrap it


class Losing(Remembering):
    """A provider without tags whose answers to the jobs of these `numbers` get lost; it has them all the same, unless
    the error says that it has not."""

    def __init__(self, numbers, error=None):
        super().__init__()
        self.numbers, self.error = numbers, error or ConnectionError("reset")

    def run(self, circuits, **options):
        if self.error in NOTHING_SENT and len(self.runs) + 1 in self.numbers:
            self.numbers = self.numbers - {len(self.runs) + 1}
            raise self.error
        job = super().run(circuits, **options)
        if len(self.runs) in self.numbers:
            raise self.error
        return job

    @property
    def taken(self):
        """Jobs, circuits and shots that it has run."""
        sizes = [len(each["circuits"]) for each in self.runs]
        return len(sizes), sum(sizes), sum(n * each["shots"] for n, each in zip(sizes, self.runs, strict=True))


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("numbers", [{2}, {1, 2, 3}, {6, 12}])
def test_answers_that_are_lost_without_tags_are_said_and_count(numbers, kept, tmp_path):
    """Where the run goes on by itself as where it broke off."""
    device, folder = Losing(numbers), tmp_path if kept else None
    prices = qngd.Prices(per_task=0.5, per_circuit=0.1, per_shot=0.01)
    with pytest.warns(qngd.QngdWarning, match=r"aer_simulator: the answer to a job was lost.*counts as paid"):
        result = run(device, folder, budget=qngd.Budget(prices=prices))
    jobs, circuits, shots = device.taken
    assert jobs == 12 + len(numbers)
    assert (result.cost.jobs, result.cost.circuits, result.cost.shots) == (jobs, circuits, shots)
    assert result.cost.money == pytest.approx(0.5 * jobs + 0.1 * circuits + 0.01 * shots)
    assert np.array_equal(result.history, run(Remembering()).history)
    if kept:
        assert run(device, folder).cost == result.cost == qngd.load(folder).cost


def corrected(device, run_dir=None, **given):
    """A run whose submissions are of 12 circuits in 4 jobs that the backend divides itself."""
    inner = QiskitBackend(device, QiskitSettings(limits=FOUR), Retry(3, (0.0,)))
    how = {"shots": 60, "seed": 5, "max_steps": 2, "tol": 0} | given
    return qngd.minimize(CIRCUIT, TERMS, THETA, backend=ReadoutCorrected(inner), run_dir=run_dir, **how)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.filterwarnings("ignore::qngd.QngdWarning")
def test_so_they_do_where_a_backend_divides_submissions_itself(kept, tmp_path):
    """One job more for each answer, and not the whole submission."""
    prices = qngd.Prices(per_task=0.5, per_circuit=0.1, per_shot=0.01, minimum=3.0)
    device = Losing({2, 5, 6})
    result = corrected(device, tmp_path / "whole" if kept else None, budget=qngd.Budget(prices=prices))
    jobs, circuits, shots = device.taken
    assert (result.cost.jobs, result.cost.circuits, result.cost.shots) == (jobs, circuits, shots) == (15, 45, 2700)
    each = [max(3.0, 0.5 + len(run["circuits"]) * (0.1 + 0.01 * run["shots"])) for run in device.runs]
    assert result.cost.money == pytest.approx(sum(each))
    assert np.array_equal(result.history, corrected(Remembering()).history)
    for limit in (12, 13):
        device = Losing({12})
        last = corrected(device, tmp_path / f"{limit}" if kept else None, budget=qngd.Budget(jobs=limit))
        assert last.status == ("max_steps" if limit == 13 else "budget")
        assert len(device.runs) == limit
        assert last.cost.jobs == limit or kept  # a log has no word for one job of such a submission


@pytest.mark.parametrize("kept", [False, True])
def test_such_a_backend_finds_them_by_their_tags(kept, found_by_tag, tmp_path):
    for number in (2, 5):
        device = found_by_tag(lost=number)
        result = corrected(device, tmp_path / str(number) if kept else None)
        assert result.cost.jobs == len(device.runs) == 12
        assert len({tag for tags in device.tags.values() for tag in tags}) == 12


def test_a_refused_job_in_such_a_submission_counts_as_little_as_those_behind_it():
    prices = qngd.Prices(per_task=0.5, per_circuit=0.1)
    result = corrected(Remembering(*({},) * 6, ValueError("queue full")), budget=qngd.Budget(prices=prices))
    assert result.status == "failed"
    assert (result.cost.jobs, result.cost.circuits, result.cost.shots) == (6, 18, 1080)
    assert result.cost.money == pytest.approx(6 * 0.5 + 18 * 0.1)


def test_such_a_backend_finds_its_first_job_by_its_tag_after_a_crash(found_by_tag, tmp_path):
    device = found_by_tag(lost=5, error=Killed())
    with pytest.raises(Killed):
        corrected(device, tmp_path)
    device.lost = -1
    result = corrected(device, tmp_path)
    assert np.array_equal(result.history, corrected(Remembering()).history)
    assert len(device.runs) == result.cost.jobs == 12


@pytest.mark.parametrize("name", ["jobs", "circuits", "shots"])
def test_a_dead_job_in_such_a_submission_has_room_before_it_is_sent_again(name):
    whole = corrected(Remembering()).cost
    for more in (0, 1):
        device = Remembering(*({},) * 6, dead("error code: 1000"))
        result = corrected(device, budget=qngd.Budget(**{name: getattr(whole, name) + more}))
        is_refused = name == "jobs" and not more
        assert result.status == ("budget" if is_refused else "max_steps")
        assert len(device.runs) == result.cost.jobs


@pytest.mark.parametrize("error", NOTHING_SENT)
def test_a_connection_that_was_refused_has_brought_nothing(error):
    assert run(Losing({2, 6}, error)).cost == run(Remembering()).cost


@pytest.mark.filterwarnings("ignore::qngd.QngdWarning")
def test_an_end_that_is_measured_leaves_what_a_step_has_sent_that_ended_halfway(tmp_path):
    """It counts, and is collected when the run goes on."""
    device = Losing({12})
    ended = run(device, tmp_path, final_shots=200, budget=qngd.Budget(jobs=13))
    assert (ended.status, ended.steps) == ("budget", 1)
    assert device.taken == (ended.cost.jobs, ended.cost.circuits, ended.cost.shots)
    assert qngd.load(tmp_path).cost.in_short == ended.cost.in_short
    whole = run(device, tmp_path, final_shots=200)
    assert np.array_equal(whole.history, run(Remembering()).history)
    assert device.taken == (whole.cost.jobs, whole.cost.circuits, whole.cost.shots)
    assert device.taken[0] == 15  # 12 of steps, the one that was lost, and two ends


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.filterwarnings("ignore::qngd.QngdWarning")
def test_an_end_that_breaks_off_counts_what_was_sent_of_it(kept, tmp_path):
    for name, how in {"lost": {"budget": qngd.Budget(jobs=13)}, "failed": {"retries": 0}}.items():
        device = Losing({13})
        result = run(device, tmp_path / name if kept else None, final_shots=200, **how)
        assert result.status == ("budget" if name == "lost" else "failed")
        assert "its end was not measured" in result.note
        assert device.taken == (result.cost.jobs, result.cost.circuits, result.cost.shots)
        assert device.taken[0] == 13


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("unit", [0, 1, 2])
@pytest.mark.filterwarnings("ignore::qngd.QngdWarning")
def test_what_may_have_arrived_has_room_in_the_budget_before_it_is_sent_again(unit, kept, tmp_path):
    whole = Remembering()
    expected = run(whole)
    name = ("jobs", "circuits", "shots")[unit]
    for number in (5, 8, 12):
        for more in (0, 1, 180):
            limit, device = getattr(expected.cost, name) + more, Losing({number})
            folder = tmp_path / f"{number} {more}" if kept else None
            result = run(device, folder, budget=qngd.Budget(**{name: limit}))
            assert device.taken[unit] == getattr(result.cost, name) <= limit
            if kept and result.status == "budget":
                assert run(device, folder).cost.in_short == qngd.load(folder).cost.in_short
                assert device.taken[unit] == getattr(qngd.load(folder).cost, name)


PRICES = qngd.Prices(per_task=0.5, per_circuit=0.1, per_shot=0.01, per_second=2.0, seconds_per_shot=0.001, minimum=1.0)


class Breaking(StatevectorSampler):
    """A laboratory's device whose connection breaks after so many submissions; what was sent it has run."""

    is_local = False

    def __init__(self, works):
        self.works, self.sizes = works, []

    def submit(self, templates, requests, seed):
        self.sizes.append((len(requests), sum(request.shots for request in requests)))
        if len(self.sizes) == self.works + 1:
            raise ConnectionError("no answer")
        return super().submit(templates, requests, seed)

    @property
    def money(self):
        return sum(max(1.0, 0.5 + 0.1 * circuits + 0.012 * shots) for circuits, shots in self.sizes)


def kept(device, run_dir, **limits):
    budget = qngd.Budget(**limits, prices=PRICES)
    how = {"shots": 60, "seed": 5, "max_steps": 4, "tol": 0, "optimizer": "spsa"}
    return qngd.minimize(CIRCUIT, TERMS, THETA, backend=device, run_dir=run_dir, budget=budget, **how)


@pytest.mark.parametrize("works", [2, 3, 4])
def test_what_may_have_run_has_its_price_and_seconds(works, tmp_path):
    device = Breaking(works)
    failed = kept(device, tmp_path)
    assert failed.status == "failed"
    assert failed.cost.money == pytest.approx(device.money)  # as is said at once
    with pytest.warns(qngd.QngdWarning, match="counts as paid"):
        cost = kept(device, tmp_path).cost
    assert (cost.circuits, cost.shots) == tuple(np.sum(device.sizes, axis=0))
    assert cost.money == pytest.approx(device.money)
    assert cost.seconds == pytest.approx(0.001 * cost.shots)


def test_no_limit_is_exceeded_by_what_may_have_run(tmp_path):
    whole = Breaking(99)
    kept(whole, None)
    device = Breaking(3)
    kept(device, tmp_path, money=whole.money)
    with pytest.warns(qngd.QngdWarning, match="counts as paid"):
        result = kept(device, tmp_path, money=whole.money)
    assert result.status == "budget"
    assert device.money <= whole.money


def test_ctrl_c_waits_until_a_job_that_is_sent_is_written_down(tmp_path):
    class Interrupted(Remembering):
        def run(self, circuits, **options):
            job = super().run(circuits, **options)
            if len(self.jobs) == 6:
                os.kill(os.getpid(), signal.SIGINT)
            return job

    device = Interrupted()
    assert run(device, tmp_path).status == "interrupted"
    assert len(device.runs) == 6
    assert [row["job"] for row in jobs_of(tmp_path)] == [job.job_id() for job in device.jobs]
    result = run(device, tmp_path)
    assert len(device.runs) == result.cost.jobs == 12


@pytest.mark.parametrize("make", [new_sampler, new_estimator])
def test_ibms_primitives_take_tags_in_their_options(make):
    provider = pytest.importorskip("qiskit_ibm_runtime.fake_provider")
    primitive = make(provider.FakeManilaV2())
    primitive.options.environment.job_tags = ["mine"]
    assert takes_tags(primitive)
    tagged = with_tag(primitive, "qngd-1-0-1")
    assert tagged.options.environment.job_tags == ["mine", "qngd-1-0-1"]
    assert primitive.options.environment.job_tags == ["mine"]
    assert with_tag(primitive, "") is primitive


# --- budgets ---


def test_a_job_that_is_sent_again_counts_in_a_budget():
    """The second submission loses one of its jobs; what the first and the others take is all that is granted."""

    def trouble():
        return Remembering(*({},) * 5, {"errors": (ConnectionError("lost"),), "status": "FAILED"})

    free = run(trouble(), max_steps=1)
    assert free.cost.jobs == 9
    device = trouble()
    bounded = run(device, max_steps=1, budget=qngd.Budget(jobs=8))
    assert (bounded.status, bounded.steps) == ("budget", 0)
    assert bounded.cost.jobs == len(device.runs) == 8
    assert run(trouble(), max_steps=1, budget=qngd.Budget(jobs=9)).steps == 1


def test_jobs_that_an_interrupted_run_has_lost_count_in_a_budget(tmp_path):
    device = Remembering(*({},) * 5, dead("calibration"))
    assert run(device, tmp_path, max_steps=1).status == "failed"
    bounded = run(device, tmp_path, max_steps=1, budget=qngd.Budget(jobs=8))
    assert (bounded.status, bounded.steps) == ("budget", 0)
    assert len(device.runs) == 8
    assert run(device, tmp_path, max_steps=1, budget=qngd.Budget(jobs=9)).steps == 1


# --- without a seed ---


@pytest.mark.parametrize("approx", ["qn-spsa", "random-basis"])
@pytest.mark.parametrize("interrupted", [0, 1])
def test_a_submission_without_a_seed_is_found_again(approx, interrupted, tmp_path):
    """Though its circuits are random."""
    device = Remembering(*({},) * interrupted, STOP)
    optimizer = qngd.QNG(0.05, approx=approx, damping=0.1)
    how = {"optimizer": optimizer, "seed": None, "limits": None, "max_steps": 1}
    if interrupted:
        assert run(device, tmp_path, **how).status == "interrupted"
    else:
        with pytest.raises(KeyboardInterrupt):
            run(device, tmp_path, **how)
    result = run(device, tmp_path, **how)
    assert len(device.runs) == result.cost.jobs == 2


def test_a_step_that_the_budget_ends_half_way_is_counted_once(tmp_path):
    """SPSA sends two submissions a step, of which it announces nothing here."""
    silent = Silent(qngd.baselines.SPSA(a=0.1))
    for limit in range(1, 6):
        device, folder = Remembering(), tmp_path / f"{limit}"
        first = run(device, folder, optimizer=silent, limits=None, budget=qngd.Budget(jobs=limit))
        assert first.status == ("budget" if limit < 5 else "max_steps")
        assert first.cost.jobs == len(device.runs) == qngd.load(folder).cost.jobs <= limit
        assert f"({first.cost.in_short} spent)" in first.message or limit == 5
        whole = run(device, folder, optimizer=silent, limits=None)
        assert whole.cost.jobs == len(device.runs) == 5
        assert np.array_equal(whole.history, run(Remembering(), optimizer=silent, limits=None).history)


def test_before_anything_was_reached_the_error_says_what_was_sent(tmp_path):
    device = Remembering({}, {}, STOP)
    with pytest.raises(KeyboardInterrupt) as ended:
        run(device, tmp_path)
    *_, note = ended.value.__notes__  # the exception is one of several tests
    assert "sent before: 4 jobs, 10 circuits, 600 shots" in note
    assert qngd.load(tmp_path).cost.jobs == 4
    assert run(device, tmp_path).cost.jobs == len(device.runs) == 12
