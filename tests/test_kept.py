"""Nothing that was paid for is lost: exceptions carry the result, a full disk ends a run, a state goes on exactly."""

from contextlib import contextmanager

import numpy as np
import pytest

import qngd
from qngd.baselines import METHODS, SPSA, Adam, GradientDescent, SciPy
from qngd.refresh import Refresh
from qngd.run.directory.database import Database
from tests.command_line import TOY
from tests.command_line import qngd as command
from tests.step_rules import RULES
from tests.strategies import ansatz

CIRCUIT, TERMS = ansatz(3, 1), {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}
THETA = np.random.default_rng(1).normal(size=CIRCUIT.num_parameters)
OPTIMIZERS = [
    *(qngd.QNG(step=rule) for rule in RULES.values()),
    qngd.QNG(approx="qn-spsa"), qngd.QNG(approx="identity"), qngd.QNG(refresh=Refresh(every=3, average=0.5)),
    GradientDescent(0.2), Adam(), SPSA(), *(SciPy(method) for method in METHODS),
]  # fmt: skip
EVERY = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda one: f"{one!r:.60}")
BOTH = pytest.mark.parametrize("shots", [None, 50])


def minimize(optimizer=None, **how):
    return qngd.minimize(CIRCUIT, TERMS, THETA, optimizer=optimizer, **{"max_steps": 9, "tol": 0, "seed": 3, **how})


# --- going on from a state ---


@EVERY
@BOTH
def test_going_on_from_a_state_gives_the_same_digits(optimizer, shots):
    whole = minimize(optimizer, shots=shots)
    at = min(4, whole.steps)  # TNC gives up sooner where its line search meets noise
    first = minimize(optimizer, shots=shots, max_steps=at)
    rest = minimize(optimizer, shots=shots, max_steps=5, state=first.state, seed=None)
    assert np.array_equal(whole.history[at:], rest.history)
    assert np.array_equal(whole.history_stderr[at:], rest.history_stderr)
    assert np.array_equal(whole.theta, rest.theta)
    assert (whole.energy, whole.cost) == (rest.energy, rest.cost)
    assert [info.step for info in rest.infos] == [info.step for info in whole.infos[at:]]
    assert rest.steps == len(rest.infos) == len(rest.history) - 1


def test_five_times_one_step_is_five_steps():
    state = None
    for _ in range(5):
        result = minimize(max_steps=1, state=state)
        state = result.state
    assert np.array_equal(result.theta, minimize(max_steps=5).theta)


@pytest.mark.parametrize(
    ("shots", "how"), [(None, {"tol": 1e-6}), (None, {"tol": 0, "gtol": 1e-4}), (100, {"tol": 1e-8})]
)
def test_a_run_in_pieces_stops_where_the_whole_one_does(shots, how):
    """What the last steps saw is in the state."""
    how = {"shots": shots, "max_steps": 400, **how}
    whole = minimize(**how)
    assert whole.status in ("converged", "noise")
    for left in (1, 2, 4):
        first = minimize(**{**how, "max_steps": whole.steps - left})
        rest = minimize(**how, state=first.state)
        assert (rest.steps, rest.status, rest.message) == (left, whole.status, whole.message)
        assert (rest.energy, rest.cost) == (whole.energy, whole.cost)


@pytest.mark.parametrize("status", ["budget", "stopped", "interrupted", "failed", "max_steps"])
def test_what_a_message_advises_works(status):
    """Whatever ended a run, its state goes on as if nothing had."""

    def stop(info):
        if info.step == 3 and status == "interrupted":
            raise KeyboardInterrupt
        if info.step == 3 and status == "failed":
            raise qngd.BackendError("moon")
        return info.step == 3 and status == "stopped"

    limits = {"max_steps": {"max_steps": 3}, "budget": {"budget": qngd.Budget(jobs=4)}}.get(status, {})
    first = minimize(qngd.QNG(0.1), callback=stop, **limits)
    assert (first.status, first.steps) == (status, 3)
    assert "state=" in first.message
    assert ".theta" not in first.message
    rest = minimize(qngd.QNG(0.1), state=first.state, max_steps=6)
    assert np.array_equal(rest.theta, minimize(qngd.QNG(0.1)).theta)


def test_a_run_that_ended_in_noise_goes_on_with_more_shots():
    first = minimize(shots=20, tol=1e-8, max_steps=200)
    assert first.status == "noise"
    rest = minimize(shots=20_000, tol=1e-8, max_steps=100, state=first.state)
    assert rest.steps > 3
    exact = [float(qngd.expectation(CIRCUIT, TERMS, result.theta)) for result in (first, rest)]
    assert exact[1] < exact[0] - 0.01


def test_a_run_that_converged_goes_on_with_a_smaller_tol():
    first = minimize(tol=1e-3, max_steps=200)
    rest = minimize(tol=1e-9, max_steps=200, state=first.state)
    assert (first.status, rest.status) == ("converged", "converged")
    assert rest.energy < first.energy - 1e-6


def test_a_state_and_a_folder(tmp_path):
    """The folder holds what came after the state, and is read again."""
    whole, state = minimize(), minimize(max_steps=3).state
    how = {"state": state, "run_dir": tmp_path}
    for steps in (2, 6, 6):
        rest = minimize(max_steps=steps, **how)
        assert np.array_equal(rest.history, whole.history[3 : 4 + steps])
        assert np.array_equal([info.theta for info in rest.infos], [info.theta for info in whole.infos[3 : 3 + steps]])
    with pytest.raises(qngd.SettingError, match="another"):
        minimize(max_steps=6, run_dir=tmp_path)


def test_a_state_needs_no_start():
    state = minimize(max_steps=3).state
    rest = qngd.minimize(CIRCUIT, TERMS, state=state, max_steps=6, tol=0)
    assert np.array_equal(rest.theta, minimize().theta)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"optimizer": Adam()}, "QNG CurvatureRate.*Adam cannot go on"),
        ({"optimizer": qngd.QNG(0.1)}, "FixedRate cannot go on"),
        ({"seed": 4}, "seed=3; leave seed out"),
    ],
)
def test_a_state_that_does_not_fit(how, words):
    state = minimize(max_steps=1).state
    with pytest.raises(qngd.SettingError, match=words):
        minimize(**{"state": state, **how})
    with pytest.raises(qngd.ParameterError, match="state: it has 6 parameters, the circuit has 4"):
        qngd.minimize(ansatz(2, 1), {"ZZ": 1.0}, np.zeros(4), state=state)


# --- exceptions ---


@BOTH
@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, GeneratorExit, OSError])
def test_a_callback_that_raises_keeps_the_result(kind, shots):
    def fail(info):
        if info.step == 4:
            raise kind("mine")

    with pytest.raises(kind, match="mine") as caught:
        minimize(callback=fail, shots=shots)
    result, whole = caught.value.result, minimize(shots=shots, max_steps=4)
    assert (result.status, result.steps) == ("failed", 4)
    assert "mine" in result.message
    assert np.array_equal(result.history, whole.history)
    assert result.cost == whole.cost
    assert np.array_equal(minimize(state=result.state, shots=shots, max_steps=5).theta, minimize(shots=shots).theta)
    assert ".result" in caught.value.__notes__[0]


def test_an_error_before_anything_was_reached_is_only_an_error():
    with pytest.raises(qngd.SettingError) as caught:
        minimize(budget=qngd.Budget(jobs=0))
    assert not hasattr(caught.value, "result")


class Unshapable:
    """A start whose structure can be given back once, and never again."""

    calls = 0

    def flatten(self, theta):
        return np.asarray(theta, dtype=float)

    def unflatten(self, flat, like):
        Unshapable.calls += 1
        if Unshapable.calls > 1:
            raise TypeError("no such array")
        return flat


def test_a_structure_that_fails_late_loses_nothing():
    import dataclasses

    Unshapable.calls = 0
    circuit = dataclasses.replace(CIRCUIT, structure=Unshapable())
    result = qngd.minimize(circuit, TERMS, THETA, max_steps=3, tol=0)
    assert np.array_equal(result.theta, minimize(max_steps=3).theta)
    assert "flat" in result.note
    Unshapable.calls = 1  # what can never be given back is refused before anything is spent
    with pytest.raises(TypeError, match="no such array"):
        qngd.minimize(circuit, TERMS, THETA, max_steps=3)


def test_a_wrapped_qnode_needs_no_start():
    """As little as a price does."""
    qml = pytest.importorskip("pennylane")

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(a, b):
        qml.RY(a[0], 0)
        qml.CNOT([0, 1])
        qml.RX(a[1] + b, 1)
        return qml.expval(qml.Z(0) @ qml.Z(1) + 0.3 * qml.X(1))

    args = (qml.numpy.array([0.4, -0.3], requires_grad=True), qml.numpy.array(0.2, requires_grad=True))
    wrapped = qngd.wrap(node, *args)
    seen = []
    result = qngd.minimize(wrapped, max_steps=3, tol=0, callback=lambda info: seen.append(info.theta))
    again = qngd.minimize(node, theta0=args, max_steps=3, tol=0)
    for theta in (result.theta, seen[-1]):
        assert isinstance(theta, tuple)
        assert [np.shape(part) for part in theta] == [(2,), ()]
        assert np.array_equal(theta[0], again.theta[0])
    prices = [
        qngd.cost(wrapped, shots=10), qngd.cost(qngd.Problem(wrapped), shots=10),
        qngd.cost(node, theta0=args, shots=10), qngd.cost(qngd.Problem(node, theta0=args), shots=10),
        qngd.cost(qngd.Problem(node), theta0=args, shots=10),
    ]  # fmt: skip
    assert len({str(price) for price in prices}) == 1


# --- disks ---


@pytest.fixture
def full_disk(monkeypatch):
    """full_disk(n): from the n-th change of a run's file from now on, none comes to the disk."""
    put, changes, limit = Database.writing, [], []

    @contextmanager
    def writing(self):
        changes.append(self)
        with put(self) as change:
            yield change
            if limit and len(changes) > limit[0]:
                self._connection.execute("PRAGMA max_page_count = 1")  # SQLite itself says that there is no room
                change.add("states", data=bytes(10**6))

    monkeypatch.setattr(Database, "writing", writing)
    return lambda count: (changes.clear(), limit.append(count))


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_full_disk_ends_a_run_with_what_was_reached(steps, full_disk, tmp_path):
    full_disk(2 + steps)  # what is run, and the start
    result = minimize(run_dir=tmp_path)
    assert (result.status, result.steps) == ("failed", steps + 1)
    for words in ("run_dir", "run.sqlite", "disk is full", "make room", "goes on from what is stored"):
        assert words in result.message
    assert np.array_equal(result.history, minimize(max_steps=steps + 1).history)
    assert np.array_equal(minimize(state=result.state, max_steps=8 - steps).theta, minimize().theta)
    assert qngd.load(tmp_path).steps == steps


def test_a_disk_that_is_full_from_the_start(full_disk, tmp_path):
    full_disk(0)
    with pytest.raises(qngd.QngdError, match="run_dir: cannot write"):
        minimize(run_dir=tmp_path)


def test_the_command_line_keeps_what_a_failed_run_had_reached(tmp_path, monkeypatch):
    from qngd.report import files
    from qngd.report import live as _progress

    def show(info):
        if info.step == 3:
            raise UnicodeError("no such letter on this terminal")

    @contextmanager
    def progress(*_):
        yield show

    monkeypatch.setattr(_progress, "progress", progress)
    done = command("run", TOY, "--steps", "9", "--out", str(tmp_path))
    assert isinstance(done.exception, UnicodeError)
    assert "no such letter" in done.output
    assert files.read(tmp_path).result["steps"] == 3


def test_what_a_folder_cannot_hold_is_shown(tmp_path, monkeypatch):
    """The command line: θ is printed where it cannot be written."""
    from qngd.report import files

    def full(path, content, argument):
        raise qngd.SettingError(f"{argument}: cannot write {path}: no space left on device")

    monkeypatch.setattr(files, "write_whole", full)
    done = command("run", TOY, "--steps", "3", "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "theta: [" in done.output
    assert "error: --out: cannot write" in done.output
    assert "no space left" in done.output
