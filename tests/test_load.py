"""A run given back from its directory, without the code that made it; going on, damage, one process at a time."""

import dataclasses
import gc
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import qngd
from qngd.errors import StorageError
from qngd.evaluators.sampled import SampledEvaluator
from qngd.run.directory import loaded, lock
from qngd.run.directory.circuits import circuit_from, circuit_to
from qngd.run.directory.database import Database
from tests.known_runs import CIRCUIT, RUNS, TERMS, THETA, run
from tests.run_files import table
from tests.strategies import ansatz

OLD = Path(__file__).parent / "runs_of_0_1"
ROOT = Path(__file__).parents[1]


# --- what it gives ---


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_comes_back_and_goes_on_without_its_circuit(kind, tmp_path):
    result = run(kind, run_dir=tmp_path, max_steps=3)
    stored = qngd.load(tmp_path)
    assert np.array_equal(stored.history, result.history)
    assert np.array_equal(stored.history_stderr, result.history_stderr)
    assert stored.thetas.shape == (4, 4)
    assert np.array_equal(stored.thetas[0], THETA)
    for theta, info in zip(stored.thetas[1:], result.infos, strict=True):
        assert np.array_equal(theta, info.theta)
    assert [info.energy for info in stored.infos] == [info.energy for info in result.infos]
    assert (stored.status, stored.cost) == ("max_steps", result.cost)
    assert stored.message == "max_steps=3 reached; raise it, and the call that began the run goes on"
    assert (stored.energy, stored.stderr, stored.steps) == (result.energy, result.stderr, 3)
    assert np.array_equal(stored.theta, result.theta)
    assert stored.settings["max_steps"] == "3"
    assert len(stored.metrics) == 4
    assert np.array_equal(stored.metrics[-1].value, result.state.evaluation.metric.value)
    assert repr(stored).startswith("StoredRun(")
    whole = run(kind)
    again = stored.minimize(max_steps=6)
    assert np.array_equal(again.history, whole.history)
    assert np.array_equal(again.theta, whole.theta)
    assert again.cost == whole.cost


def test_settings_read_as_they_were_written(tmp_path):
    budget = qngd.Budget(circuits=1000, money=5, prices=qngd.Prices(per_shot=1e-6, currency="EUR"))
    run("exact, adaptive", run_dir=tmp_path, max_steps=1, budget=budget)
    assert eval(qngd.load(tmp_path).settings["budget"], vars(qngd)) == budget


def test_prices_without_limits_stay(tmp_path):
    prices = qngd.Prices(per_shot=0.01, seconds_per_shot=0.001, currency="EUR")
    settings = {"shots": 50, "seed": 1, "tol": 0, "budget": qngd.Budget(prices=prices)}
    qngd.minimize(CIRCUIT, TERMS, THETA, max_steps=1, run_dir=tmp_path, **settings)
    again = qngd.load(tmp_path).minimize(max_steps=2)
    whole = qngd.minimize(CIRCUIT, TERMS, THETA, max_steps=2, **settings)
    assert again.cost == whole.cost
    assert again.cost.money == pytest.approx(0.01 * whole.cost.shots)


def test_a_run_that_is_just_beginning_is_none_yet(tmp_path):
    """Its file is there before its first rows are, as other processes may see."""
    Database.to_write(tmp_path).close()
    with pytest.raises(StorageError, match="holds no run yet"):
        qngd.load(tmp_path)
    found = qngd.minimize(CIRCUIT, TERMS, THETA, max_steps=1, tol=0, run_dir=tmp_path)
    assert qngd.load(tmp_path).energy == found.energy


def test_energies_are_those_of_the_thetas(tmp_path):
    run("exact, adaptive", run_dir=tmp_path)
    stored = qngd.load(tmp_path)
    state = stored.circuit
    for theta, energy in zip(stored.thetas, stored.history, strict=True):
        assert qngd.expectation(CIRCUIT, TERMS, theta).value == pytest.approx(energy, abs=1e-12)
        assert qngd.expectation(state, stored.observable, theta).value == pytest.approx(energy, abs=1e-12)


NONLINEAR = (
    'OPENQASM 3.0; include "stdgates.inc"; input float a; input float b; qubit[2] q; '
    "ry(a*b) q[0]; ry(sin(b) + a) q[1]; cx q[0], q[1]; rx(2*b) q[0];"
)


@pytest.mark.parametrize("native", [ansatz(3, 2), NONLINEAR], ids=["affine", "nonlinear"])
def test_a_circuit_is_made_again_from_data(native):
    circuit = qngd.wrap(native)
    again = circuit_from(circuit_to(circuit))
    theta = np.random.default_rng(4).normal(size=circuit.num_parameters)
    label = "XZ" + "Y" * (circuit.num_qubits - 2)
    for question in (qngd.expectation, qngd.gradient):
        found, expected = (question(each, {label: 1.0}, theta).value for each in (again, circuit))
        assert np.array_equal(found, expected)
    assert np.array_equal(qngd.metric_tensor(again, theta).value, qngd.metric_tensor(circuit, theta).value)
    assert [str(layer) for layer in again.layers] == [str(layer) for layer in circuit.layers]


def test_it_is_read_while_the_run_goes_on_and_written_by_one_at_a_time(tmp_path):
    seen = []

    def look(info):
        stored = qngd.load(tmp_path)
        seen.append((stored.status, stored.steps, stored.running))
        with pytest.raises(StorageError, match=rf"in use by .*pid {os.getpid()} on .*wait until"):
            run(run_dir=tmp_path)

    run(run_dir=tmp_path, max_steps=2, callback=look)
    assert [(status, steps) for status, steps, _ in seen] == [("running", 1), ("running", 2)]
    assert str(os.getpid()) in seen[0][2]
    assert run(run_dir=tmp_path).steps == 6


def test_who_only_looks_keeps_no_run_out(tmp_path):
    """A reader asks who holds the lock, again and again, while runs begin and end."""
    ends = threading.Event()

    def look():
        while not ends.is_set():
            lock.holder_of(tmp_path)

    with ThreadPoolExecutor(1) as readers:
        reader = readers.submit(look)
        try:
            for _ in range(150):
                own = lock.Lock(tmp_path)
                own.take()
                own.release()
        finally:
            ends.set()
        reader.result()


def test_another_process_is_kept_out_until_it_dies(tmp_path):
    code = f"""
import threading
import time
from tests import known_runs
known_runs.run(run_dir={str(tmp_path)!r}, callback=lambda info: (print(info.step, flush=True), time.sleep(60)))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(StorageError, match=rf"in use by process {process.pid} on {lock.host()}"):
            run(run_dir=tmp_path)
        assert qngd.load(tmp_path).status == "running"
        process.terminate()  # SIGTERM, while its callback sleeps
        process.wait(30)
        assert process.returncode == 128 + signal.SIGTERM
    stored = qngd.load(tmp_path)
    assert (stored.status, stored.steps) == ("interrupted", 1)
    assert np.array_equal(run(run_dir=tmp_path).history, run().history)


# --- where and with what ---


def test_what_was_read_is_closed_with_its_last_reader(tmp_path):
    """Nobody closes a run that was loaded."""
    run(run_dir=tmp_path)
    database = Database.to_read(tmp_path / "run.sqlite")
    connection = database._connection
    assert database.rows("steps")
    del database
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_place_is_meant_when_it_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "elsewhere").mkdir()
    run(run_dir="runs/a", max_steps=2, callback=lambda info: os.chdir(tmp_path / "elsewhere"))
    run(run_dir="~/b", max_steps=1)
    assert qngd.load(tmp_path / "runs" / "a").steps == 2
    assert qngd.load(tmp_path / "home" / "b").steps == 1
    assert [*(tmp_path / "elsewhere").iterdir()] == []
    for nothing in ("", "  ", "\0"):
        with pytest.raises(qngd.SettingError, match="run_dir must be the path of a folder"):
            run(run_dir=nothing)


def test_what_cannot_be_a_place_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("x")
    for place, words in (("file", "file stands where"), ("file/below", "file stands where"), ("n" * 300, "too long")):
        with pytest.raises(StorageError, match=rf"run_dir: .*{words}.*(give|a shorter)"):
            run(run_dir=tmp_path / place, max_steps=1)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_still_read(tmp_path):
    run(run_dir=tmp_path, max_steps=1)
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert qngd.load(tmp_path).steps == 1
        with pytest.raises(StorageError, match="permission"):
            run(run_dir=tmp_path)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_limit_of_file_sizes_loses_nothing(tmp_path):
    """The system itself refuses, as a full disk does."""
    pytest.importorskip("resource")
    code = f"""
import resource
from tests import known_runs
def limit(info):
    if info.step == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
result = known_runs.run(run_dir={str(tmp_path)!r}, max_steps=400, callback=limit)
print(result.status, result.steps, result.message)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    status, steps, message = done.stdout.split(maxsplit=2)
    assert (status, "run.sqlite" in message, "ulimit -f" in message or "full" in message) == ("failed", True, True)
    stored = qngd.load(tmp_path)
    assert stored.steps == int(steps) - 1
    assert np.array_equal(run(run_dir=tmp_path, max_steps=9).history[:10], run(max_steps=9).history) or stored.steps > 9


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    expected = run()
    for year, steps in ((1969, 2), (2200, 4), (1980, 6)):
        moment = time.mktime((2000, 1, 1, 0, 0, 0, 0, 0, 0)) + (year - 2000) * 365.25 * 86400
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda moment=moment: moment)
            result = run(run_dir=tmp_path, max_steps=steps)
    assert np.array_equal(result.history, expected.history)


# --- damage ---


def spoilt(raw, how, rng):
    """The content with one of its places spoilt."""
    content, place = bytearray(raw), int(rng.integers(len(raw)))
    span = slice(place, place + int(rng.integers(1, 5000)))
    if how == "a bit":
        content[place] ^= 1 << int(rng.integers(8))
    elif how == "header":
        content[place % 100] ^= 1 << int(rng.integers(8))
    elif how == "cut":
        del content[place:]
    elif how == "zeroed":
        content[span] = bytes(len(content[span]))
    else:
        content[span] = rng.bytes(len(content[span]))
    return bytes(content)


@pytest.mark.parametrize("how", ["a bit", "header", "cut", "zeroed", "garbage"])
def test_damage_is_named_and_never_other_results(how, tmp_path):
    """What is whole is kept: a mended file goes on to the same digits, and the damaged one stays."""
    kind = "sampled, fixed"
    run(kind, run_dir=tmp_path / "whole", max_steps=3)
    raw, expected = (tmp_path / "whole" / "run.sqlite").read_bytes(), run(kind)
    rng, mended = np.random.default_rng(6), 0
    for number in range(12):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / "run.sqlite").write_bytes(content := spoilt(raw, how, rng))
        try:
            result = run(kind, run_dir=folder)
        except StorageError:
            with pytest.raises(StorageError, match=r"run\.sqlite.*(give another directory|repair=True)"):
                run(kind, run_dir=folder)
            with suppress(StorageError):
                qngd.load(folder, repair=True)
                mended += 1
                assert (folder / "run.sqlite.damaged").read_bytes() == content
                result = run(kind, run_dir=folder)
                assert np.array_equal(result.history, expected.history)
            continue
        assert np.array_equal(result.history, expected.history)
        assert result.cost == expected.cost
    assert mended > 0


def test_foreign_directories_are_named(tmp_path):
    for folder, words in ((tmp_path, "holds no run"), (tmp_path / "no", "there is no folder")):
        with pytest.raises(StorageError, match=words):
            qngd.load(folder)
    run(run_dir=tmp_path / "start-0", max_steps=0)
    with pytest.raises(StorageError, match="holds several runs; give the folder of one: start-0"):
        qngd.load(tmp_path)
    with pytest.raises(qngd.SettingError, match="run_dir must be"):
        qngd.load(3)
    connection = sqlite3.connect(tmp_path / "start-0" / "run.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for read in (qngd.load, lambda folder: run(run_dir=folder)):
        with pytest.raises(StorageError, match="has format 99, and this qngd reads up to 2; update qngd"):
            read(tmp_path / "start-0")


@pytest.mark.parametrize("held", ["before it is read", "after it is read"])
def test_a_run_that_ends_or_begins_while_it_is_read_has_not_crashed(held, tmp_path, monkeypatch):
    is_read = threading.Event()
    read = loaded.Database.to_read

    def to_read(path):
        is_read.set()
        return read(path)

    def look(info):
        with monkeypatch.context() as patch:
            patch.setattr(loaded.Database, "to_read", to_read)
            now = held == "after it is read"
            patch.setattr(loaded, "holder_of", lambda folder: "process 1" if is_read.is_set() is now else None)
            assert qngd.load(tmp_path).status == "running"

    run(run_dir=tmp_path, max_steps=1, callback=look)
    assert is_read.is_set()


# --- runs of qngd 0.1 ---


@pytest.mark.parametrize("names", ["step", "length"])
@pytest.mark.parametrize("kind", ["sampled", "exact"])
def test_a_run_of_0_1_is_converted_and_goes_on(kind, names, tmp_path):
    """Also of the time when a field of the optimizer had another name."""
    folder = shutil.copytree(OLD / f"{names}-{kind}", tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StorageError, match=r"run of qngd 0\.1; the call of minimize that made it"):
        qngd.load(folder)
    with pytest.raises(qngd.SettingError, match="another run"):
        run(f"{kind}, adaptive", run_dir=folder, optimizer=qngd.QNG(0.1))
    with pytest.raises(qngd.SettingError, match="another circuit"):
        run(f"{kind}, adaptive", run_dir=folder, seed=99)
    result = run(f"{kind}, adaptive", run_dir=folder)
    kept = [json.loads(line)["energy"] for line in (folder / "steps.jsonl").read_text(encoding="utf-8").splitlines()]
    assert result.history[: len(kept)].tolist() == kept  # by the defaults of then
    # from there on it is a run by those of today
    again = shutil.copytree(OLD / f"{names}-{kind}", tmp_path / "again")
    state = run(f"{kind}, adaptive", run_dir=again, max_steps=len(kept) - 1).state
    expected = run(f"{kind}, adaptive", state=state, max_steps=result.steps - state.step)
    assert np.array_equal(result.theta, expected.theta)
    assert result.history[len(kept) - 1 :].tolist() == expected.history.tolist()
    assert result.cost == expected.cost
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in before} == before
    assert np.array_equal(qngd.load(folder).thetas[0], THETA)


@pytest.mark.parametrize("name", ["run.json", "steps.jsonl", "state.npz"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_damaged_run_of_0_1_is_named(name, share, tmp_path):
    folder = shutil.copytree(OLD / "step-sampled", tmp_path / "run")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(StorageError, match=rf"{name.replace('.', '.')} cannot be read.*give another directory"):
        run("sampled, adaptive", run_dir=folder)
    assert not (folder / "run.sqlite").exists()


# --- other versions, NaN, interrupts, secrets ---


def test_other_versions_are_said_and_no_other_run(tmp_path, monkeypatch):
    run(run_dir=tmp_path, max_steps=1)
    monkeypatch.setattr("qngd.run.directory.journal.versions", lambda: {"qngd": "9.0", "numpy": np.__version__})
    with pytest.warns(qngd.QngdWarning, match=r"goes on with other versions than before .*qngd .* → 9\.0"):
        assert run(run_dir=tmp_path, max_steps=2).steps == 2


def spoil(monkeypatch, broken):
    """The energies of these evaluations are NaN; returns how many there were."""
    answer, calls = SampledEvaluator.evaluate, []

    def evaluate(self, theta, **how):
        calls.append(1)
        found = answer(self, theta, **how)
        if broken(len(calls)):
            return dataclasses.replace(found, energy=qngd.Estimate(np.float64(np.nan), np.float64(np.nan), 50))
        return found

    monkeypatch.setattr(SampledEvaluator, "evaluate", evaluate)
    return calls


def test_a_start_that_is_not_finite_is_never_stored(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        spoil(patch, lambda call: call == 1)
        with pytest.raises(qngd.BackendError, match="energy at theta0 is nan"):
            run(run_dir=tmp_path)
    assert table(tmp_path, "states") == []
    assert np.array_equal(run(run_dir=tmp_path).history, run().history)


def test_steps_that_are_not_finite_are_not_paid_for_again_and_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        calls = spoil(patch, lambda call: call > 3)
        result = run(run_dir=tmp_path, max_steps=200)
    assert result.status == "not_finite"
    assert len(calls) <= 3 + 6
    assert "5 trials in a row had an energy that is NaN" in result.note
    assert np.isfinite(qngd.load(tmp_path).history).all()


def test_handlers_of_signals_stay_and_are_given_back():
    def mine(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, mine)
    try:
        run(callback=lambda info: signal.getsignal(signal.SIGTERM) is mine or 1 / 0)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(KeyboardInterrupt):
        run(callback=lambda info: signal.raise_signal(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Secretive:
    """A backend of one's own that holds a token in every place where one may be."""

    name = "secretive"
    is_noisy = False
    default_shots = 50

    def __init__(self):
        from qngd.backends.statevector import StatevectorSampler

        self._inner = StatevectorSampler()
        self.token = TOKEN
        self.options = {"token": TOKEN}
        self._account = type("Account", (), {"token": TOKEN, "__repr__": lambda self: TOKEN})()

    def __repr__(self):
        return f"Secretive(token={TOKEN!r})"

    def submit(self, templates, requests, seed):
        return self._inner.submit(templates, requests, seed)

    def collect(self, handle):
        return self._inner.collect(handle)


TOKEN = "s3cr3t-t0k3n-of-an-account"


def test_no_token_is_ever_written_or_said(tmp_path, capsys):
    arguments = {"backend": Secretive(), "shots": 50, "seed": 5, "tol": 0, "max_steps": 2, "run_dir": tmp_path}
    result = qngd.minimize(CIRCUIT, TERMS, THETA, **arguments)
    stored = qngd.load(tmp_path)
    with pytest.raises(qngd.SettingError, match="a Secretive, of which only the name is kept; give it as backend="):
        stored.minimize()
    said = f"{result!r} {result} {stored!r} {stored.as_dict()} {capsys.readouterr()}"
    assert TOKEN not in said
    for path in tmp_path.iterdir():
        assert TOKEN.encode() not in path.read_bytes()
    again = stored.minimize(backend=Secretive(), max_steps=3)
    expected = qngd.minimize(CIRCUIT, TERMS, THETA, **{**arguments, "max_steps": 3, "run_dir": None})
    assert np.array_equal(again.history, expected.history)


def test_a_noisy_backend_in_the_place_of_an_ideal_one_of_its_name_is_refused(tmp_path):
    aer = pytest.importorskip("qiskit_aer")
    noise = pytest.importorskip("qiskit_aer.noise")

    def simulator(strength):
        model = noise.NoiseModel()
        model.add_all_qubit_quantum_error(noise.depolarizing_error(strength, 1), ["rz", "sx", "x"])
        return aer.AerSimulator(noise_model=model if strength else None)

    how = {"shots": 20, "seed": 1, "max_steps": 1, "tol": 0, "run_dir": tmp_path}
    qngd.minimize(CIRCUIT, TERMS, THETA, backend=simulator(0.01), **how)
    for other in (0, 0.02):
        with pytest.raises(qngd.SettingError, match=r"noise of the backend: was 'noisy .*, is '"):
            qngd.minimize(CIRCUIT, TERMS, THETA, backend=simulator(other), **how)
    assert qngd.minimize(CIRCUIT, TERMS, THETA, backend=simulator(0.01), **how).steps == 1
