"""What a run hands to its store, whatever store that is, and that nobody reaches into another's object."""

import ast
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import qngd
from qngd.errors import StorageError
from qngd.run import reading
from qngd.run.loop import minimize
from qngd.run.store import Stored

ROOT = Path(qngd.__file__).parent
BUILDER = qngd.CircuitBuilder(2)
CIRCUIT = BUILDER.ry(BUILDER.parameter("a"), 0).cx(0, 1).rx(BUILDER.parameter("b"), 1)
ENERGY, THETA = {"ZZ": 1.0, "XI": 0.5}, [0.3, -0.7]
HOW = {"shots": 50, "seed": 4, "tol": 0}


class Shelf:
    """A store in memory that breaks when it holds so many steps."""

    jobs = None

    def __init__(self, room=np.inf):
        self.room = room
        self.key = self.state = self.start = None
        self.infos = []
        self.ended, self.closed = "", 0

    def resume(self, identity):
        if self.key not in (None, identity.key):
            raise qngd.SettingError("another run")
        self.key = identity.key
        return None if self.state is None else Stored(self.state, self.start, list(self.infos))

    def seed(self, given):
        return given

    def end(self, status, message, note):
        self.ended = str(status)

    def close(self):
        self.closed += 1

    def begin(self, state):
        self.state, self.start = state, (state.energy, float(state.evaluation.energy.stderr))

    def add(self, state, info):
        if len(self.infos) >= self.room:
            raise StorageError("the shelf is full")
        self.state = state
        self.infos.append(replace(info, theta=state.theta))

    def keep(self, state, counts):
        self.state = state

    def sent(self):
        return qngd.Cost()

    def end_at(self, key=None):
        return None

    def begin_end(self):
        pass

    def keep_end(self, key, data):
        raise StorageError("no room for ends")


def test_a_run_goes_on_from_any_store_to_the_same_digits(monkeypatch):
    shelf = Shelf(room=3)
    monkeypatch.setattr(reading, "_store_of", lambda run_dir: shelf)
    broken = minimize(CIRCUIT, ENERGY, THETA, max_steps=6, **HOW)
    assert broken.status == "failed"
    assert "the shelf is full" in broken.message
    assert len(shelf.infos) == 3
    assert (shelf.ended, shelf.closed) == ("failed", 1)
    shelf.room = np.inf
    whole = minimize(CIRCUIT, ENERGY, THETA, max_steps=6, **HOW)
    with pytest.raises(qngd.SettingError, match="another run"):
        minimize(CIRCUIT, ENERGY, [0.3, -0.6], max_steps=6, **HOW)
    monkeypatch.undo()
    straight = minimize(CIRCUIT, ENERGY, THETA, max_steps=6, **HOW)
    assert np.array_equal(whole.history, straight.history)
    assert np.array_equal(whole.theta, straight.theta)
    assert whole.cost == straight.cost


@dataclass(frozen=True)
class _Marked(qngd.step.FixedRate):
    mark: object = None


def test_a_setting_that_nobody_could_recognize_is_fine_where_nothing_is_stored(tmp_path):
    odd = qngd.QNG(step=_Marked(0.1, object()))
    assert minimize(CIRCUIT, ENERGY, THETA, optimizer=odd, max_steps=1).steps == 1
    with pytest.raises(qngd.SettingError, match="recognized by its settings"):
        minimize(CIRCUIT, ENERGY, THETA, optimizer=odd, max_steps=1, run_dir=tmp_path)


# --- nobody sets attributes on another's object ---

OF_OTHERS = ("interop/", "backends/")  # where it is an SDK's object that must be changed
MEANT = {
    ("run/loop.py", "error.result"),  # an exception carries what a run had reached
    ("run/restarts.py", "error.result"),  # … and other runs before it
    ("run/excited.py", "error.result"),  # … and the states found before it
    ("_system/compilation.py", "self.state.flags.noalias"),  # of Numba
    ("_system/compilation.py", "file._version"),  # of Numba, too
    ("cli/config.py", "ctx.default_map"),  # of Typer, meant to be set by what reads a file of options
    ("_system/renamed.py", "kind.__init__"),  # of a class that is being made
    ("_system/keywords.py", "kind.__init__"),  # the same
}


def attributes_set(source):
    """`a.b` for every assignment to an attribute of something else than self or cls, itself or below it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            continue
        for one in (part for target in targets for part in ast.walk(target)):
            if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store):
                text = ast.unparse(one)
                if not (text.startswith(("self.", "cls.")) and text.count(".") == 1):
                    found.add(text)
    return found


def test_nobody_sets_attributes_on_anothers_object():
    found = set()
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(OF_OTHERS):
            found |= {(name, text) for text in attributes_set(path.read_text(encoding="utf-8"))}
    assert found - MEANT == set()


def test_that_test_sees_what_it_should():
    source = "self.a = 1\nrecord.journal = 2\nself.jobs.step += 3\na, self.b.c = 4, 5\nx: int = 6\ny[0] = 7"
    assert attributes_set(source) == {"record.journal", "self.jobs.step", "self.b.c"}
