"""Jobs are found again: their ids are on disk before anybody waits, and an interrupted one is collected."""

import errno
import os
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit.providers import JobStatus

import qngd
from qngd.backends import Limits
from qngd.backends.qiskit.choice import QiskitBackend, QiskitSettings, Retry
from qngd.backends.qiskit.jobs import finder
from qngd.evaluators.job_log import Sent
from qngd.measured.outcomes import Counts, Means
from qngd.run.directory.database import Database, make_folder
from qngd.run.directory.jobs import StoredJobs
from tests.qiskit_devices import Remembering, Unreliable
from tests.run_files import jobs_of
from tests.strategies import ansatz

THETA = np.array([0.3, -0.6, 0.9, 0.2])
STOP = {"errors": (KeyboardInterrupt(),)}  # Ctrl-C while it waits


def run(device, run_dir=None, max_steps=3, limits=None):
    backend = QiskitBackend(device, QiskitSettings(limits=limits), Retry(3, (0.0,)))
    return qngd.minimize(
        ansatz(2, 1),
        {"ZZ": 1.0, "XI": 0.5},
        THETA,
        backend=backend,
        shots=200,
        seed=5,
        run_dir=run_dir,
        max_steps=max_steps,
        tol=0,
    )


rows_of = jobs_of


class Log:
    """The log of jobs in a directory, as a run has it that goes on from the state after this step."""

    def __init__(self, directory, step=-1):
        self.directory, self.step = directory, step

    def __enter__(self):
        make_folder(self.directory)
        self._database = Database.to_write(self.directory)
        jobs = StoredJobs(str(self.directory))
        jobs.resume(self._database, self.step)
        return jobs

    def __exit__(self, *error):
        self._database.close()


def test_every_job_is_written_down(tmp_path):
    device = Remembering()
    run(device, tmp_path)
    rows = rows_of(tmp_path)
    assert [row["job"] for row in rows] == [job.job_id() for job in device.jobs]
    assert [row["step"] for row in rows] == [-1, 0, 1, 2]
    assert len({row["submission"] for row in rows}) == 4
    assert {row["backend"] for row in rows} == {"aer_simulator"}


@pytest.mark.parametrize("interrupted", [0, 2])
def test_an_interrupted_job_is_collected_and_not_paid_again(interrupted, tmp_path):
    """At the start, where nothing else is on disk yet, and in a step."""
    expected = run(Remembering())
    device = Remembering(*({},) * interrupted, STOP)
    if interrupted:
        assert run(device, tmp_path).status == "interrupted"
    else:
        with pytest.raises(KeyboardInterrupt):
            run(device, tmp_path)
    assert rows_of(tmp_path)[-1]["job"] == device.jobs[-1].job_id()
    result = run(device, tmp_path)
    assert len(device.runs) == len(expected.history)
    assert np.array_equal(result.history, expected.history)
    assert result.cost == expected.cost


def test_what_was_collected_is_not_collected_again(tmp_path):
    """A step later the same circuits get new shots."""
    device = Remembering(STOP)
    with pytest.raises(KeyboardInterrupt):
        run(device, tmp_path)
    (row,) = rows_of(tmp_path)
    with Log(tmp_path) as log:
        assert log.take(row["submission"]).jobs == {0: row["job"]}
        assert log.take(row["submission"]) == Sent()
    with Log(tmp_path, 0) as log:
        assert log.take(row["submission"]) == Sent()


def test_a_job_that_failed_meanwhile_is_sent_anew(tmp_path):
    device = Remembering({}, {**STOP, "status": JobStatus.ERROR})
    run(device, tmp_path)
    result = run(device, tmp_path)
    assert result.steps == 3
    assert len(device.runs) == 5


def test_a_job_that_is_gone_is_named_with_a_remedy(tmp_path):
    device = Remembering({}, STOP)
    run(device, tmp_path)
    lost = device.jobs.pop().job_id()
    result = run(device, tmp_path)
    assert result.status == "failed"
    for words in (lost, "no job", "forget_jobs()", "anew"):
        assert words in result.message
    qngd.load(tmp_path).forget_jobs()
    assert run(device, tmp_path).steps == 3


def test_devices_that_do_not_give_jobs_by_id_are_sent_them_anew(tmp_path):
    device = Unreliable({}, STOP)
    run(device, tmp_path)
    assert run(device, tmp_path).steps == 3
    assert len(device.runs) == 5


def test_a_job_that_is_sent_again_is_written_down_too(tmp_path):
    device = Remembering({"errors": (ConnectionError("lost"),), "status": JobStatus.ERROR})
    run(device, tmp_path, max_steps=0)
    rows = rows_of(tmp_path)
    assert [row["job"] for row in rows] == [job.job_id() for job in device.jobs]
    assert len(rows) == 2
    assert len({(row["submission"], row["place"]) for row in rows}) == 1
    with Log(tmp_path) as log:
        assert log.take(rows[0]["submission"]).jobs == {0: rows[1]["job"]}


def test_parts_of_a_submission_come_by_their_places(tmp_path):
    """Also with gaps, which a crash or a refused job leaves; the last one in a place counts."""
    with Log(tmp_path) as log:
        log.intend("plan", "device", "qngd-1")
        for place, job in ((1, "b"), (0, "a"), (1, "c"), (3, "d")):
            log.add("plan", "device", place, job)
    with Log(tmp_path) as log:
        assert log.take("plan") == Sent("qngd-1", {0: "a", 1: "c", 3: "d"})


def test_a_submission_that_was_only_intended_is_known_by_its_tag(tmp_path):
    with Log(tmp_path) as log:
        assert log.take("plan").tag is None
        log.intend("plan", "device", "qngd-1")
    with Log(tmp_path) as log:
        assert log.take("plan") == Sent("qngd-1")


def test_equal_submissions_of_a_step_come_in_their_order(tmp_path):
    with Log(tmp_path) as log:
        for number in (1, 2):
            log.intend("plan", "device", f"qngd-{number}")
            log.add("plan", "device", 0, f"job {number}")
    with Log(tmp_path) as log:
        assert [log.take("plan").jobs for _ in range(3)] == [{0: "job 1"}, {0: "job 2"}, {}]


def test_a_job_that_is_sent_anew_belongs_to_the_submission_that_was_taken(tmp_path):
    with Log(tmp_path) as log:
        log.intend("plan", "device", "qngd-1")
        log.add("plan", "device", 0, "a")
    with Log(tmp_path) as log:
        log.take("plan")
        log.add("plan", "device", 1, "b")
    with Log(tmp_path) as log:
        assert log.take("plan") == Sent("qngd-1", {0: "a", 1: "b"})


def test_outcomes_come_back_as_they_were(tmp_path):
    bits = np.array([[3, 2**63 + 1], [5, 0]], dtype=np.uint64)
    counts, means = Counts(bits, np.array([7, 3])), Means(np.array([0.1, -1.0]), np.array([0.0, 1 / 3]), 0)
    corrected = Means(np.array([0.5]), np.array([0.1]), 9, np.array([[0.01]]), np.array([[0.02], [0.03]]))
    with Log(tmp_path) as log:
        log.intend("plan", "device", "qngd-1")
        log.add("plan", "device", 2, "a")
        log.keep("plan", 2, [counts, means, counts, corrected])
    with Log(tmp_path) as log:
        first, second, third, fourth = log.take("plan").outcomes[2]
    assert second.covariance is None
    assert second.shared is None
    assert (fourth.covariance.tolist(), fourth.shared.tolist()) == ([[0.01]], [[0.02], [0.03]])
    for found in (first, third):
        assert np.array_equal(found.bits, bits)
        assert found.bits.dtype == np.uint64
        assert found.counts.tolist() == [7, 3]
    assert (second.values.tolist(), second.stderr.tolist(), second.shots) == ([0.1, -1.0], [0.0, 1 / 3], 0)


def test_an_id_that_cannot_be_written_is_said_and_written_with_the_next(tmp_path, monkeypatch):
    with Log(tmp_path) as log:
        log.intend("plan", "device", "qngd-1")
        with monkeypatch.context() as patch:
            patch.setattr(Database, "_put", full)
            with pytest.warns(qngd.QngdWarning, match=r"run\.sqlite.*disk is full.*the job a of device is not written"):
                log.add("plan", "device", 0, "a")
            assert "the job a of device" in log.missing
        log.add("plan", "device", 1, "b")
        assert log.missing == ""
    with Log(tmp_path) as log:
        assert log.take("plan").jobs == {0: "a", 1: "b"}


def full(*values):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# --- batches of several jobs: four for each submission ---

FOUR = Limits(circuits=3)


def test_every_job_of_a_batch_is_written_down(tmp_path):
    device = Remembering()
    run(device, tmp_path, limits=FOUR)
    rows = rows_of(tmp_path)
    assert [row["job"] for row in rows] == [job.job_id() for job in device.jobs]
    assert [row["place"] for row in rows] == [0, 1, 2, 3] * 4
    assert len({row["submission"] for row in rows}) == 4


def test_the_id_of_a_job_is_on_disk_before_the_next_is_sent(tmp_path):
    class Watching(Remembering):
        def run(self, circuits, **options):
            seen.append(len(rows_of(tmp_path)) if (tmp_path / "run.sqlite").exists() else 0)
            return super().run(circuits, **options)

    seen = []
    run(Watching(), tmp_path, max_steps=0, limits=FOUR)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("interrupted", range(4))
def test_an_interrupted_batch_is_collected_and_not_paid_again(interrupted, tmp_path):
    """Ctrl-C while it waits for the k-th of its jobs, at the start of the run and in a step."""
    expected = run(Remembering(), limits=FOUR)
    device = Remembering(*({},) * (4 + interrupted), STOP)
    assert run(device, tmp_path, limits=FOUR).status == "interrupted"
    result = run(device, tmp_path, limits=FOUR)
    assert len(device.runs) == 16
    assert np.array_equal(result.history, expected.history)
    assert result.cost == expected.cost


@pytest.mark.parametrize(
    "refused", [KeyboardInterrupt(), ValueError("queue full"), RuntimeError("bug of the provider")]
)
def test_a_batch_that_was_sent_in_part_is_completed(refused, tmp_path):
    """What the third job of a step met: the first two are collected, the others sent."""
    expected = run(Remembering(), limits=FOUR)
    device = Remembering(*({},) * 6, refused)
    stopped = run(device, tmp_path, limits=FOUR)
    assert stopped.status == ("interrupted" if isinstance(refused, KeyboardInterrupt) else "failed")
    # what was sent is in the cost, also that of which nobody knows
    assert stopped.cost.jobs == qngd.load(tmp_path).cost.jobs == 6 + (stopped.status == "interrupted")
    if stopped.status == "failed":
        assert "sent before: " + ", ".join(job.job_id() for job in device.jobs[4:6]) in stopped.message
    sent = len(device.runs)
    in_doubt = stopped.status == "interrupted"  # in the middle of sending: who knows what arrived?
    with pytest.warns(qngd.QngdWarning, match="counts as paid") if in_doubt else nullcontext():
        result = run(device, tmp_path, limits=FOUR)
    assert len(device.runs) - sent == 16 - 6
    assert np.array_equal(result.history, expected.history)
    assert result.cost.jobs == expected.cost.jobs + in_doubt
    assert result.cost == expected.cost or in_doubt


def test_only_the_job_of_a_batch_that_failed_is_sent_anew(tmp_path):
    expected = run(Remembering(), limits=FOUR)
    device = Remembering(*({},) * 5, {**STOP, "status": JobStatus.ERROR})
    run(device, tmp_path, limits=FOUR)
    result = run(device, tmp_path, limits=FOUR)
    assert len(device.runs) == 17
    assert np.array_equal(result.history, expected.history)


def test_jobs_of_a_batch_are_of_use_where_it_is_divided_otherwise_by_now(tmp_path):
    """They hold other circuits than jobs would now: taken for each other, results would change places."""
    expected = run(Remembering())
    device = Remembering(*({},) * 4, STOP)
    run(device, tmp_path, limits=FOUR)
    result = run(device, tmp_path)
    assert result.steps == 3
    assert result.energy == pytest.approx(expected.energy, abs=0.3)
    assert len(device.runs) == 8 + 2


def test_who_gives_a_job_by_its_id():
    service = SimpleNamespace(job=lambda job_id: f"IBM's {job_id}")
    assert finder(SimpleNamespace(service=service))("x") == "IBM's x"
    assert finder(SimpleNamespace(retrieve_job=lambda job_id: f"the device's {job_id}"))("x") == "the device's x"
    assert finder(SimpleNamespace()) is finder(None) is None
