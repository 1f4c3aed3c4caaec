"""A run on disk: what it holds, and that a run that was stopped anywhere goes on to the same digits."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import qngd
from qngd.damping import Shrinkage, UnitDiagonal
from qngd.evaluators.sampled import SampledEvaluator
from qngd.refresh import Refresh
from qngd.run.directory import database
from qngd.step import ConjugateDirections, CurvatureRate, FixedRate, TrustRegion
from tests.known_runs import CIRCUIT, FIXED, RUNS, STEPS, TERMS, THETA, run
from tests.run_files import table
from tests.step_rules import RULES as STEP_RULES
from tests.strategies import Sketch, ansatz

SOLVERS = {
    **{name: {"step": rule} for name, rule in STEP_RULES.items()},
    "every": {"step": CurvatureRate(), "refresh": Refresh(3)},
    "drift": {"step": TrustRegion(), "refresh": Refresh(9, drift=0.1)},
    "average": {"learning_rate": 0.1, "refresh": Refresh(average=0.6)},
    "all": {"step": ConjugateDirections(), "refresh": Refresh(2, average="all")},
    "qn-spsa": {"learning_rate": 0.05, "approx": "qn-spsa", "damping": 0.1},
    "identity": {"step": CurvatureRate(), "approx": "identity"},
    "matrix-free": {"approx": "matrix-free"},
    "shrinkage": {"learning_rate": 0.1, "damping": Shrinkage(UnitDiagonal())},
    "rising": {"learning_rate": 1.5},  # so that the best is not the last
}
EVERY_RUN = pytest.mark.parametrize("kind", RUNS)
FILES = {"run.sqlite", "run.lock"}


def leave_at(step):
    return lambda info: info.step == step


def rows_of(directory):
    return [json.loads(row["info"]) for row in table(directory, "steps")]


def same(one, other):
    """Equal to the last digit, whatever it is made of."""
    if dataclasses.is_dataclass(one):
        pairs = ((getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
        return type(one) is type(other) and all(same(a, b) for a, b in pairs)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, (np.ndarray, np.generic, float)):
        return np.shape(one) == np.shape(other) and np.array_equal(one, other, equal_nan=True)
    return one == other


def same_run(one, other):
    for name in ("theta", "energy", "stderr", "history", "history_stderr", "infos", "cost", "state", "status"):
        assert same(getattr(one, name), getattr(other, name)), name
    return True


@cache
def unstopped(kind="sampled, adaptive"):
    """The run without a directory; each is made once."""
    return run(kind)


@pytest.fixture
def diary(tmp_path):
    """diary(kind): run it, and return what the directory held after the start and after every step."""

    def write(kind, **how):
        pages = [tmp_path / "0"]
        run(kind, run_dir=pages[0], **{**how, "max_steps": 0})
        live = tmp_path / "live"

        def copy(info):
            pages.append(shutil.copytree(live, tmp_path / str(info.step)))

        return run(kind, run_dir=live, callback=copy, **how), pages

    return write


# --- what it holds ---


@EVERY_RUN
def test_a_directory_holds_the_run(kind, tmp_path):
    directory = tmp_path / "some" / "where"
    result = run(kind, run_dir=directory)
    rows = rows_of(directory)
    assert {path.name for path in directory.iterdir()} == FILES
    assert [row["energy"] for row in rows] == result.history.tolist()
    assert [row["stderr"] for row in rows] == result.history_stderr.tolist()
    assert [row["step"] for row in rows[1:]] == list(range(1, STEPS + 1))
    for row, info in zip(rows[1:], result.infos, strict=True):
        assert row["accepted"] is info.accepted
        assert row["spectrum"]["eigenvalues"] == info.spectrum.eigenvalues.tolist()
        assert row["cost"] == dataclasses.asdict(info.cost)


def test_rows_are_json_also_where_numbers_are_not_finite(tmp_path):
    """An exact gradient is infinitely significant; JSON has no word for that."""
    result = run("exact, adaptive", run_dir=tmp_path, max_steps=2)
    assert result.infos[0].significance == np.inf

    def refuse(word):
        raise AssertionError(word)

    rows = [json.loads(row["info"], parse_constant=refuse) for row in table(tmp_path, "steps")]
    assert rows[1]["significance"] == "inf"
    assert same_run(run("exact, adaptive", run_dir=tmp_path, max_steps=2), result)


class Unwritten:
    """A rule for shots that is no dataclass: its text is its address."""

    def shots(self, plan, spread):
        return np.full(plan.num_circuits, 20)


@dataclasses.dataclass(frozen=True)
class Written(Unwritten):
    number: int = 20


def test_settings_must_be_recognizable(tmp_path):
    with pytest.raises(qngd.SettingError, match=r"run_dir.*Unwritten.*frozen dataclass"):
        run(shots=Unwritten(), run_dir=tmp_path)
    assert run(shots=Written(), run_dir=tmp_path, max_steps=1).steps == 1
    with pytest.raises(qngd.SettingError, match="run_dir"):
        run(shots=Written(21), run_dir=tmp_path)


def test_a_journal_changes_nothing(tmp_path):
    for kind in RUNS:
        assert same_run(run(kind, run_dir=tmp_path / kind), unstopped(kind))


def test_a_directory_says_what_was_run(tmp_path):
    problem = qngd.Problem(CIRCUIT, TERMS, THETA, name="two qubits")
    qngd.minimize(problem, optimizer=FIXED, max_steps=0, run_dir=tmp_path)
    said = {row["name"]: json.loads(row["value"]) for row in table(tmp_path, "about")}
    assert said["problem"] == "two qubits"
    assert said["optimizer"] == repr(FIXED)
    assert said["num_qubits"] == 2
    assert said["parameters"] == list(CIRCUIT.parameters)


@pytest.mark.parametrize("kind", RUNS)
def test_every_part_of_a_state_comes_back(kind, tmp_path):
    result = run(kind, run_dir=tmp_path, callback=leave_at(4))
    stored = qngd.load(tmp_path)
    state = stored.state
    assert same(stored.infos, result.infos)
    assert (stored.history[0], stored.history_stderr[0]) == (result.history[0], result.history_stderr[0])
    for name in ("theta", "energy", "gradient", "metric", "spread"):
        assert same(getattr(state.evaluation, name), getattr(result.state.evaluation, name)), name
    assert state.problem == ""  # the folder itself is recognized by its fingerprint
    assert same(dataclasses.replace(state, problem=result.state.problem), result.state)


def test_same_sees_differences():
    """The comparison that all of this rests on."""
    one = run("sampled, adaptive", max_steps=2)
    assert same(one.state, one.state)
    other = run("sampled, adaptive", max_steps=2, seed=6)
    assert not same(one.state, other.state)
    assert not same(one.infos, other.infos)
    assert not same({"a": np.array([1.0, np.nan])}, {"a": np.array([1.0, 2.0])})
    assert same([np.nan, np.inf], [np.nan, np.inf])
    assert not same(one.state, dataclasses.replace(one.state, memory={**one.state.memory, "rate": np.array(9.0)}))


# --- stopped and continued ---


@EVERY_RUN
def test_a_stopped_run_goes_on_to_the_same_digits(kind, tmp_path):
    for stop in (1, 3, 5):
        left = run(kind, run_dir=tmp_path, callback=leave_at(stop))
        assert (left.status, left.steps) == ("stopped", stop)
    assert same_run(run(kind, run_dir=tmp_path), unstopped(kind))
    assert len(rows_of(tmp_path)) == STEPS + 1


@pytest.mark.parametrize("kind", ["exact, adaptive", "sampled, adaptive", "auto"])
def test_a_run_may_be_stopped_at_every_step(kind, tmp_path):
    for step in range(1, STEPS):
        assert run(kind, run_dir=tmp_path, callback=lambda info: True).steps == step
    assert same_run(run(kind, run_dir=tmp_path), unstopped(kind))


@pytest.mark.parametrize("kind", ["sampled, adaptive", "exact, adaptive"])
def test_a_budget_stops_a_run_that_goes_on_when_it_is_raised(kind, tmp_path):
    """What was spent before counts. With a target no step is planned by the budget."""
    target = -1000.0
    whole = run(kind, target=target)
    half, enough = (qngd.Budget(circuits=count) for count in (whole.cost.circuits // 2, whole.cost.circuits + 10**6))
    left = run(kind, run_dir=tmp_path, budget=half, target=target)
    assert left.status == "budget"
    assert 0 < left.steps < STEPS
    assert same_run(run(kind, run_dir=tmp_path, budget=half, target=target), left)
    assert same_run(run(kind, run_dir=tmp_path, budget=enough, target=target), whole)


@EVERY_RUN
def test_a_finished_run_goes_on_with_more_steps_to_the_same_digits(kind, tmp_path):
    """Resumed with a larger max_steps, it is the run that had it from the start."""
    left = run(kind, run_dir=tmp_path, max_steps=3)
    assert (left.status, left.steps) == ("max_steps", 3)
    assert same_run(run(kind, run_dir=tmp_path), unstopped(kind))
    assert len(rows_of(tmp_path)) == STEPS + 1


@EVERY_RUN
def test_a_finished_run_is_read_and_not_run(kind, tmp_path):
    left = run(kind, run_dir=tmp_path)
    assert same_run(run(kind, run_dir=tmp_path), left)
    assert same(run(kind, run_dir=tmp_path, max_steps=2).history, left.history)


@pytest.mark.parametrize("how", [{}, {"shots": 100, "seed": 0}], ids=["converged", "noise"])
def test_a_run_that_found_its_end_is_read_and_not_run(how, tmp_path):
    sketch = Sketch(1, 1)
    circuit = sketch("ry", 0, sketch.t[0]).circuit()
    problem = qngd.Problem(circuit, {"Z": 1.0, "X": 1.0}, [3.8])
    left = qngd.minimize(problem, run_dir=tmp_path, **how)
    assert left.status == ("noise" if how else "converged")
    assert same_run(qngd.minimize(problem, run_dir=tmp_path, **how), left)


# --- broken off ---


class Crash(Exception):
    pass


@EVERY_RUN
def test_an_interrupted_run_goes_on_to_the_same_digits(kind, tmp_path):
    def interrupt(info):
        if info.step == 3:
            raise KeyboardInterrupt

    left = run(kind, run_dir=tmp_path, callback=interrupt)
    assert (left.status, left.steps) == ("interrupted", 3)
    assert same_run(run(kind, run_dir=tmp_path), unstopped(kind))


@pytest.mark.parametrize("kind", ["sampled, fixed", "sampled, adaptive", "auto"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt, Crash])
def test_a_run_that_breaks_off_in_an_evaluation_goes_on_to_the_same_digits(kind, fault, tmp_path, monkeypatch):
    answer, calls = SampledEvaluator.evaluate, []

    def evaluate(self, theta, **how):
        calls.append(theta)
        if len(calls) == 4:
            raise fault
        return answer(self, theta, **how)

    with monkeypatch.context() as patch:
        patch.setattr(SampledEvaluator, "evaluate", evaluate)
        try:
            assert run(kind, run_dir=tmp_path).status == "interrupted"
        except Crash:
            assert fault is Crash
    assert len(calls) == 4
    assert len(rows_of(tmp_path)) == 3
    assert same_run(run(kind, run_dir=tmp_path), unstopped(kind))


class Faulty:
    """A connection to a run's file at whose statement number `count` something happens."""

    def __init__(self, connection, happen, count):
        self.connection, self.happen, self.count, self.done = connection, happen, count, 0

    def execute(self, statement, *values):
        self.done += 1
        if self.done == self.count:
            self.happen()
        return self.connection.execute(statement, *values)

    def __getattr__(self, name):
        return getattr(self.connection, name)


def statements_at(monkeypatch, happen, count=0, **settings):
    """From now on every statement goes through a `Faulty` connection; the last one comes back in the list."""
    made, connect = [], database.connected

    def connected(path, mode):
        connection = connect(path, mode)
        for name, value in settings.items():
            connection.execute(f"PRAGMA {name} = {value}")
        made.append(Faulty(connection, happen, count))
        return made[-1]

    monkeypatch.setattr(database, "connected", connected)
    return made


def count_of_statements(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        made = statements_at(patch, None)
        run(run_dir=tmp_path / "counted", max_steps=2)
    return made[-1].done


@pytest.mark.parametrize(("number", "every"), [(signal.SIGINT, 7), (signal.SIGTERM, 11)])
def test_an_interrupt_while_the_journal_writes_loses_nothing(number, every, tmp_path):
    """At every statement to the file; it takes effect after the write, also after the first one. Until then there is no
    result to return."""
    expected = unstopped()
    total = count_of_statements(tmp_path)
    seen = set()
    for count in range(1, total + 1, every):
        directory = tmp_path / f"{count}"
        with pytest.MonkeyPatch.context() as patch:
            statements_at(patch, lambda: (signal.raise_signal(number), signal.raise_signal(number)), count)
            try:
                result = run(run_dir=directory, max_steps=2)
            except KeyboardInterrupt as ended:
                result = getattr(ended, "result", None)
                assert (result is None) or number == signal.SIGTERM
            if result is not None:
                assert result.status == "interrupted"
                assert len(rows_of(directory)) == result.steps + 1
                seen.add(result.steps)
            else:
                assert not (directory / "run.sqlite").exists() or rows_of(directory) == []
                seen.add(-1)
        assert same_run(run(run_dir=directory), expected)
    assert seen == {-1, 0, 1, 2}
    assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)


def test_a_crash_at_any_statement_goes_on_to_the_same_digits(tmp_path):
    """What lies on the disk at each of them, also where a change has come there in part: the cache is made so small
    that it is written early."""
    expected = unstopped()
    live, copies = tmp_path / "live", []

    def copy():
        copies.append(shutil.copytree(live, tmp_path / f"copy {len(copies)}"))

    class Copying(Faulty):
        def execute(self, statement, *values):
            copy()
            return super().execute(statement, *values)

    connect = database.connected

    def connected(path, mode):
        connection = connect(path, mode)
        for setting in ("cache_size = 1", "cache_spill = 1"):
            connection.execute(f"PRAGMA {setting}")
        return Copying(connection, None, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "connected", connected)
        run("sampled, adaptive", run_dir=live, max_steps=3)
    torn = [each for each in copies if (each / "run.sqlite-journal").exists()]
    assert len(torn) > 5
    for each in [*copies[::23], *torn[::9]]:
        assert same_run(run("sampled, adaptive", run_dir=each), expected)


@pytest.mark.parametrize(
    ("solver", "shots"),
    [(name, shots) for name in SOLVERS for shots in (None, 30) if not (name == "matrix-free" and shots)],
)
def test_every_solver_goes_on_to_the_same_digits(solver, shots, tmp_path):
    """Stopped by Ctrl-C in the callback, early and late; all that is left is the directory."""
    how = {"optimizer": qngd.QNG(**SOLVERS[solver]), "shots": shots, "seed": 5}
    for stop in (1, 4):

        def interrupt(info, stop=stop):
            if info.step == stop:
                raise KeyboardInterrupt

        left = run(run_dir=tmp_path, callback=interrupt, **how)
        assert (left.status, left.steps) == ("interrupted", stop)
    assert same_run(run(run_dir=tmp_path, **how), run(**how))


def test_half_a_file_that_was_being_made_does_no_harm(diary):
    """A crash while a new run's file was made, or before its first state."""
    whole, pages = diary("sampled, adaptive")
    for path in pages[1].iterdir():
        path.unlink()
    (pages[1] / "run.sqlite.new").write_bytes(b"SQLite format 3\0 half")
    (pages[1] / "run.sqlite.new-journal").write_bytes(b"half")
    (pages[1] / "run.lock").write_bytes(b"no database")
    assert same_run(run("sampled, adaptive", run_dir=pages[1]), whole)
    assert {path.name for path in pages[1].iterdir()} == FILES


def test_a_crash_before_the_first_step(diary):
    whole, pages = diary("exact, adaptive")
    assert same_run(run("exact, adaptive", run_dir=pages[0]), whole)


def test_a_run_that_is_killed_again_and_again_goes_on_to_the_same_digits(tmp_path):
    """No chance to clean up: SIGKILL at any moment, also within a write."""
    code = f"""
from tests import known_runs
tell = lambda info: print(info.step, flush=True)
known_runs.run(run_dir={str(tmp_path)!r}, max_steps=4000, callback=tell)
"""
    root, moments = Path(__file__).parents[1], np.random.default_rng(3).uniform(0, 0.05, 2)
    reached = [0]
    for moment in moments:
        with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE) as process:
            said = [int(process.stdout.readline()) for _ in range(4)]
            time.sleep(moment)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert said[0] == reached[-1] + 1
        stored = qngd.load(tmp_path)
        assert stored.status == "crashed"
        assert stored.steps >= said[-1]
        reached.append(stored.steps)
    steps = reached[-1] + 1
    assert same_run(run(run_dir=tmp_path, max_steps=steps), run(max_steps=steps))


def test_the_cost_of_a_failed_step_is_not_forgotten(tmp_path, monkeypatch):
    answer, calls = SampledEvaluator.evaluate, []

    def evaluate(self, theta, **how):
        evaluation = answer(self, theta, **how)
        calls.append(evaluation.cost)
        if len(calls) in (4, 5):
            evaluation.gradient.value[:] = np.nan
        return evaluation

    monkeypatch.setattr(SampledEvaluator, "evaluate", evaluate)
    for count in (4, 5):
        result = run("sampled, fixed", run_dir=tmp_path)
        assert (result.status, result.steps) == ("not_finite", 2)
        assert result.cost == sum(calls, qngd.Cost())
        assert len(calls) == count


# --- whose run it is ---


def other_circuit():
    sketch = Sketch(2, 4)
    sketch("ry", 0, 0.31)  # where CIRCUIT has 0.3
    for name, q, t in (("ry", 0, 0), ("ry", 1, 1), ("rz", 0, 2), ("rz", 1, 3)):
        sketch(name, q, sketch.t[t])
    return sketch("t", 1)("cx", 0, 1).circuit()


OTHERS = {
    "circuit": {"problem_or_circuit": other_circuit()},
    "last gates": {"problem_or_circuit": ansatz(2, 1, "cz")},
    "coefficient": {"observable": {**TERMS, "ZZ": 1.0 + 1e-12}},
    "string": {"observable": {"ZZ": 1.0, "IX": -0.5, "YI": 0.7, "IZ": 0.3}},
    "start": {"theta0": np.nextafter(THETA, 9)},
    "learning rate": {"optimizer": qngd.QNG(0.1 + 1e-12)},
    "damping": {"optimizer": qngd.QNG(0.1, damping=1e-2)},
    "metric": {"optimizer": qngd.QNG(0.1, approx="diag")},
    "rule": {"optimizer": qngd.QNG()},
    "step rule": {"optimizer": qngd.QNG(step=FixedRate(0.1))},
    "refresh": {"optimizer": qngd.QNG(0.1, refresh=Refresh(2))},
    "seed": {"seed": 6},
    "no seed": {"seed": None},
    "shots": {"shots": 51},
    "exact": {"shots": None},
    "shot rule": {"shots": qngd.AutoShots()},
    "grouping": {"grouping": "commuting"},
    "cross": {"cross": "overlap"},
    "bounds": {"bounds": (-9, 9)},
}
NAMED = {
    **dict.fromkeys(("circuit", "last gates"), "circuit"),
    **dict.fromkeys(("coefficient", "string"), "observable"),
    "start": "theta0",
    **dict.fromkeys(("learning rate", "damping", "metric", "rule", "step rule", "refresh"), "optimizer"),
    **dict.fromkeys(("seed", "no seed"), "seed"),
    **dict.fromkeys(("shots", "shot rule"), "shots"),
    "exact": "shots",
    "grouping": "grouping",
    "cross": "cross",
    "bounds": "bounds",
}


def go(directory, **how):
    arguments = {"problem_or_circuit": CIRCUIT, "observable": TERMS, "theta0": THETA, "optimizer": FIXED}
    return qngd.minimize(**{**arguments, "shots": 50, "seed": 5, "tol": 0, "max_steps": 2, "run_dir": directory, **how})


@pytest.mark.parametrize("other", OTHERS)
def test_another_run_is_refused_and_the_first_stays(other, tmp_path):
    go(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(qngd.SettingError, match=rf"run_dir: .* holds another run: .*{NAMED[other]}: was .*, is "):
        go(tmp_path, **OTHERS[other])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert go(tmp_path).steps == 2


@pytest.mark.parametrize(
    "how",
    [
        {"max_steps": 3},
        {"tol": 1e-9},
        {"budget": qngd.Budget(jobs=10**6)},
        {"callback": print},
        {"problem_or_circuit": qngd.Problem(CIRCUIT, name="renamed")},
        {"theta0": dict(zip(CIRCUIT.parameters, THETA, strict=True))},
        {"backend": "statevector"},
    ],
    ids=lambda how: next(iter(how)),
)
def test_what_does_not_change_the_run_may_change(how, tmp_path):
    first = go(tmp_path)
    again = go(tmp_path, **how)
    assert np.array_equal(again.history[:3], first.history)


def test_a_backend_is_known_again(tmp_path):
    """Also as an object, which in another process is another one."""
    from qngd.backends.statevector import StatevectorSampler

    for steps in (2, 3):
        result = run("sampled, fixed", backend=StatevectorSampler(), run_dir=tmp_path, max_steps=steps)
    assert result.steps == 3
    assert same(result.history[:3], run("sampled, fixed", max_steps=2).history)


@pytest.mark.parametrize("seed", [0, 2**63 - 1, 2**100 + 1])
def test_any_seed_is_kept(seed, tmp_path):
    """np.random.SeedSequence().entropy has 128 bits."""
    run("sampled, fixed", run_dir=tmp_path, callback=leave_at(2), seed=seed)
    assert same_run(run("sampled, fixed", run_dir=tmp_path, seed=seed), run("sampled, fixed", seed=seed))


def test_bad_settings_leave_no_directory(tmp_path):
    with pytest.raises(qngd.SettingError):
        run(run_dir=tmp_path / "new", max_steps=-1)
    assert not (tmp_path / "new").exists()
