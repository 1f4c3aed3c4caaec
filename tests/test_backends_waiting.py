"""Waiting for providers: no longer than asked, by whatever words they say it, and with errors of ours alone."""

import asyncio
import threading
from contextlib import suppress
from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.providers import JobError, JobStatus
from qiskit_aer import AerSimulator

import qngd
from qngd.backends import resolve
from qngd.backends.qiskit.choice import QiskitBackend, QiskitSampler, QiskitSettings, Retry, from_object
from qngd.backends.qiskit.jobs import Job
from qngd.errors import BackendError, SettingError
from tests.own_backends import Own
from tests.pennylane_devices import FakeQPU
from tests.qiskit_devices import SERIAL, Counting, Remembering
from tests.run_files import jobs_of
from tests.strategies import ansatz

CIRCUIT, THETA, TERMS = ansatz(2, 1), np.array([0.3, -0.6, 0.9, 0.2]), {"ZZ": 1.0, "XI": 0.5}


def run(backend, **given):
    return qngd.minimize(
        CIRCUIT, TERMS, THETA, backend=backend, **{"shots": 50, "max_steps": 2, "tol": 0, "seed": 3} | given
    )


# --- a job that never ends ---


class Endless(Remembering):
    """The third job does not end before `now` is set."""

    def __init__(self):
        super().__init__()
        self.now = threading.Event()

    def run(self, circuits, **options):
        job = super().run(circuits, **options)
        if len(self.runs) == 3:
            result = job.result
            job.result = lambda: self.now.wait(60) and result()
        return job


def test_a_job_that_does_not_end_is_left_alive_and_collected_later(tmp_path):
    device = Endless()
    backend = resolve(device, timeout=0.2)
    stopped = run(backend, run_dir=tmp_path)
    assert (stopped.status, stopped.steps) == ("failed", 1)
    for words in (device.jobs[2].job_id(), "has not ended after 0.2 s", "timeout", "left alive"):
        assert words in stopped.message
    device.now.set()
    result = run(backend, run_dir=tmp_path)
    assert len(device.runs) == 3
    assert np.array_equal(result.history, run(Counting()).history)


def test_nothing_is_sent_again_for_a_run_that_has_given_up():
    """Though the job that it did not wait for any longer fails by then."""
    device, now = Remembering(), threading.Event()
    failed = threading.Event()

    def late():
        now.wait(60)
        device.jobs[0]._status = JobStatus.ERROR
        if failed.is_set():
            raise JobError("dead")
        failed.set()
        raise ConnectionError("lost")

    run_one = device.run

    def sent(circuits, **options):
        job = run_one(circuits, **options)
        job.result = late
        return job

    device.run = sent
    backend = QiskitBackend(device, retry=Retry(3, (0.0,), timeout=0.1))
    with pytest.raises(BackendError, match="has not ended"):
        run(backend)
    now.set()
    assert failed.wait(20)
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.current_thread() and "_settle" in thread.name:
            thread.join(20)
    assert len(device.runs) == 1


def test_waiting_that_was_given_up_attempts_nothing_more():
    """As an attempt may run the job once more, which a device without ids does."""
    now, attempts = threading.Event(), []

    def lost():
        attempts.append(threading.current_thread())
        now.wait(60)
        raise ConnectionError("lost")

    with pytest.raises(BackendError, match=r"lab has not ended after 0.1 s \(timeout\); ask it"):
        Retry(3, (0.0,), timeout=0.1).wait(lost, "lab", "ask it")
    now.set()
    attempts[0].join(20)
    assert len(attempts) == 1


def test_a_pennylane_device_is_waited_for_no_longer_than_asked():
    now = threading.Event()

    def wait(script):
        now.wait(60)
        return FakeQPU.zeros(script)

    with pytest.raises(BackendError, match=r"has not ended after 0.1 s"):
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=resolve(FakeQPU(2, wait), timeout=0.1), shots=10)
    now.set()


def test_a_job_that_ends_in_time_is_as_without_a_limit():
    for make in (Counting, lambda: FakeQPU(2, FakeQPU.zeros)):
        assert np.array_equal(run(resolve(make(), timeout=60)).history, run(make()).history)


def test_errors_of_a_job_that_is_waited_for_come_through():
    device = Remembering({"errors": (ZeroDivisionError("of the provider"),)})
    with pytest.raises(BackendError, match="ZeroDivisionError: of the provider"):
        run(resolve(device, timeout=60))


@pytest.mark.parametrize("timeout", [0, -1, "1 h", float("inf"), True])
def test_a_timeout_is_a_number_of_seconds(timeout):
    for make in (lambda: QiskitSettings(timeout=timeout), lambda: resolve("default.qubit", timeout=timeout)):
        with pytest.raises(SettingError, match="timeout must be a positive number"):
            make()


def test_a_timeout_belongs_to_what_has_jobs():
    with pytest.raises(BackendError, match="timeout: the embedded simulator has no jobs"):
        resolve("statevector", timeout=3)
    with pytest.raises(BackendError, match="timeout: Own is a backend already"):
        resolve(Own(), timeout=3)


# --- what providers say ---


class Word(Enum):
    FAILED = "failed"
    WAITING = 3


@pytest.mark.parametrize(
    ("status", "dead"),
    [
        ("FAILED", True), ("error", True), ("Error", True), ("Canceled", True), ("cancelled", True),
        ("CANCELLED", True), ("Cancelled - Ran too long", True), ("JobStatus.ERROR", True), ("aborted", True),
        (JobStatus.ERROR, True), (JobStatus.CANCELLED, True), (Word.FAILED, True), ("REJECTED", True),
        (" failure ", True), ("DONE", False), ("Completed", False), ("COMPLETED", False), ("Queued", False),
        (JobStatus.DONE, False), (JobStatus.RUNNING, False), (Word.WAITING, False), (None, False), (7, False),
    ],
)  # fmt: skip
def test_the_words_for_a_job_that_gives_nothing(status, dead):
    for native in (SimpleNamespace(status=lambda: status), SimpleNamespace(status=status)):
        assert Job(lambda tag: None, np.zeros(1), native=native).is_dead is dead
    assert Job(lambda tag: None, np.zeros(1), native=SimpleNamespace()).is_dead is False


def test_ids_by_a_method_or_an_attribute():
    for native in (SimpleNamespace(job_id=lambda: 7), SimpleNamespace(job_id="7")):
        assert Job(lambda tag: None, np.zeros(1), native=native).job_id == "7"
    assert Job(lambda tag: None, np.zeros(1), native=SimpleNamespace()).job_id == "without an id"


class Odd(Exception):
    """Derives from nothing that anybody knows."""


ERRORS = [Odd("x"), KeyError("x"), StopIteration(), AttributeError("gone"), asyncio.CancelledError()]


def broken(place, error, after):
    """A device one of whose properties raises, after it was asked so often."""

    class Broken(AerSimulator):
        left = after

        @property
        def broken(self):
            if Broken.left == 0:
                raise error
            Broken.left -= 1
            return getattr(super(), place)

    device = Broken(**SERIAL)
    setattr(Broken, place, Broken.broken)
    return device


ASKED = (
    lambda device: qngd.sample(CIRCUIT, THETA, backend=device, shots=10),
    lambda device: qngd.cost(CIRCUIT, TERMS, THETA, backend=device, shots=10),
    lambda device: qngd.expectation(CIRCUIT, TERMS, THETA, backend=device),
)


@pytest.mark.parametrize("number", range(len(ERRORS)), ids=[type(error).__name__ for error in ERRORS])
@pytest.mark.parametrize("place", ["options", "target", "num_qubits", "max_circuits"])
def test_whatever_a_device_raises_is_an_error_of_ours(place, number):
    for k, after in enumerate((0, 2, 5)):
        ask = ASKED[(k + number) % len(ASKED)]  # every two of place, error, ask and after meet
        with suppress(BackendError):  # nothing else; where it is not asked so often, nothing at all
            ask(broken(place, ERRORS[number], after))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("base", [StatevectorSampler, StatevectorEstimator])
def test_whatever_a_primitive_and_its_results_raise_is_an_error_of_ours(base, error):
    def fail(*_args):
        raise error

    lazy = type("Lazy", (), {"__iter__": fail})()
    data = [SimpleNamespace(data=type("Data", (), {"__getattr__": fail})())]
    for found in (lazy, data):

        class Primitive(base):
            def run(self, pubs, found=found, **_):
                result = found * len(list(pubs)) if isinstance(found, list) else found
                return SimpleNamespace(result=lambda: result, status=lambda: "DONE", job_id=lambda: "7")

        with pytest.raises(BackendError):
            run(Primitive())
    for place in ("backend", "default_shots" if base is StatevectorSampler else "default_precision"):
        with suppress(BackendError):  # what has no such attribute is asked for nothing
            qngd.expectation(CIRCUIT, TERMS, THETA, backend=type("P", (base,), {place: property(fail)})())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["name", "is_noisy", "limits", "rep_delay", "spent", "describe", "runs_whole"])
def test_whatever_a_backend_of_ones_own_raises_is_an_error_of_ours(place, error):
    def fail(*_args):
        raise error

    method = place in ("spent", "describe", "runs_whole")
    kind = type("Mine", (Own,), {place: fail if method else property(fail)})
    for ask in (lambda: run(kind()), lambda: qngd.cost(CIRCUIT, TERMS, THETA, backend=kind(), shots=10)):
        with suppress(BackendError):  # nothing else; where it is not asked, nothing at all
            ask()


# --- whose ids ---


@pytest.mark.parametrize("wrap", [BackendSamplerV2, BackendEstimatorV2])
def test_qiskits_primitives_over_a_provider_leave_the_providers_ids(wrap, tmp_path):
    device = Remembering({}, {"errors": (KeyboardInterrupt(),)})
    primitive = wrap(backend=device, options={"seed_simulator": 7})
    assert isinstance(resolve(primitive), QiskitBackend)
    assert run(primitive, run_dir=tmp_path).status == "interrupted"
    assert [row["job"] for row in jobs_of(tmp_path)] == [job.job_id() for job in device.jobs]
    result = run(primitive, run_dir=tmp_path)
    assert len(device.runs) == 3
    expected = run(wrap(backend=Remembering(), options={"seed_simulator": 7}))
    assert np.array_equal(result.history, expected.history)


def test_what_they_were_set_to_holds_for_the_backend_that_is_run():
    device = Remembering()
    sampler = BackendSamplerV2(
        backend=device, options={"default_shots": 70, "seed_simulator": 5, "run_options": {"noise_model": None}}
    )
    backend = from_object(sampler)
    assert (backend.default_shots, backend.seed) == (70, 5)
    qngd.expectation(CIRCUIT, TERMS, THETA, backend=sampler)
    assert device.runs[-1]["shots"] == 70
    assert "noise_model" not in device.runs[-1]  # None is none
    estimator = BackendEstimatorV2(backend=device, options={"default_precision": 0.1})
    assert from_object(estimator).default_shots == 100


def test_local_ones_stay_what_they_are():
    assert isinstance(resolve(BackendSamplerV2(backend=Counting())), QiskitSampler)


# --- seeds that are fixed in a simulator ---


def test_a_simulators_own_seed_is_that_of_the_run(tmp_path):
    """So noise is never repeated, not by a resume either, and is the same from run to run."""
    whole = run(Counting(seed_simulator=11), seed=None, max_steps=4)
    assert np.array_equal(whole.history, run(Counting(), seed=11, max_steps=4).history)
    for steps in (1, 2, 4):
        device = Counting(seed_simulator=11)
        result = run(device, seed=None, max_steps=steps, run_dir=tmp_path)
    assert np.array_equal(result.history, whole.history)
    assert np.array_equal(run(Counting(seed_simulator=11), seed=3).history, run(Counting(), seed=3).history)


def test_equal_circuits_of_a_run_do_not_get_equal_noise():
    device = Counting(seed_simulator=11)
    run(device, seed=None, max_steps=4)
    seeds = [each["seed_simulator"] for each in device.runs]
    assert len(set(seeds)) == len(seeds)


def test_a_retry_is_told_what_to_wait():
    assert Retry(timeout=3).timeout == 3
