"""Jobs are found again: their ids are on disk before anybody waits, and an interrupted one is collected."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit.providers import JobStatus

import qngd
from qngd.backends import Limits
from qngd.backends.qiskit.choice import QiskitBackend, QiskitSettings, Retry
from qngd.backends.qiskit.jobs import finder
from qngd.evaluators.job_log import JobLog
from tests.qiskit_devices import Remembering, Unreliable
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


def rows_of(directory):
    return [json.loads(line) for line in (directory / "jobs.jsonl").read_text().splitlines()]


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
    log = JobLog(tmp_path / "jobs.jsonl")
    (row,) = rows_of(tmp_path)
    log.resume(-1)
    assert log.take(row["submission"]) == [row["job"]]
    assert log.take(row["submission"]) == []
    log.resume(0)
    assert log.take(row["submission"]) == []


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
    for words in (lost, "no job", "jobs.jsonl", "anew"):
        assert words in result.message
    (tmp_path / "jobs.jsonl").unlink()
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
    log = JobLog(tmp_path / "jobs.jsonl")
    log.resume(-1)
    assert log.take(rows[0]["submission"]) == [rows[1]["job"]]


def test_parts_of_a_submission_come_in_their_order(tmp_path):
    log = JobLog(tmp_path / "jobs.jsonl")
    for place, job in ((1, "b"), (0, "a"), (1, "c")):
        log.add("plan", "device", place, job)
    with log.path.open("a") as file:
        file.write('{"step": -1, "job": "cut off')
    again = JobLog(log.path)
    again.resume(-1)
    assert again.take("plan") == ["a", "c"]


def test_a_gap_in_a_submission_ends_what_is_taken(tmp_path):
    """What follows it could stand in the wrong place."""
    log = JobLog(tmp_path / "jobs.jsonl")
    for place, job in ((0, "a"), (1, "b"), (3, "d")):
        log.add("plan", "device", place, job)
    log.resume(-1)
    assert log.take("plan") == ["a", "b"]


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
            seen.append(len(rows_of(tmp_path)) if (tmp_path / "jobs.jsonl").exists() else 0)
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
    assert stopped.cost.jobs == 4
    if stopped.status == "failed":
        assert "sent before: " + ", ".join(job.job_id() for job in device.jobs[4:6]) in stopped.message
    sent = len(device.runs)
    result = run(device, tmp_path, limits=FOUR)
    assert len(device.runs) - sent == 16 - 6
    assert np.array_equal(result.history, expected.history)
    assert result.cost == expected.cost


def test_only_the_job_of_a_batch_that_failed_is_sent_anew(tmp_path):
    expected = run(Remembering(), limits=FOUR)
    device = Remembering(*({},) * 5, {**STOP, "status": JobStatus.ERROR})
    run(device, tmp_path, limits=FOUR)
    result = run(device, tmp_path, limits=FOUR)
    assert len(device.runs) == 17
    assert np.array_equal(result.history, expected.history)


def test_a_batch_divided_otherwise_is_another_submission(tmp_path):
    """Its jobs hold other circuits: taken for each other, results would change places."""
    expected = run(Remembering())
    device = Remembering(*({},) * 4, STOP)
    run(device, tmp_path, limits=FOUR)
    result = run(device, tmp_path)
    assert result.steps == 3
    assert result.energy == pytest.approx(expected.energy, abs=0.3)
    assert len(device.runs) == 8 + 3


def test_who_gives_a_job_by_its_id():
    service = SimpleNamespace(job=lambda job_id: f"IBM's {job_id}")
    assert finder(SimpleNamespace(service=service))("x") == "IBM's x"
    assert finder(SimpleNamespace(retrieve_job=lambda job_id: f"the device's {job_id}"))("x") == "the device's x"
    assert finder(SimpleNamespace()) is finder(None) is None
