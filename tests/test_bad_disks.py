"""Disks that are full at any write, that are read-only, or hold something else than what was written; clocks that jump.

What fails is said with its remedy, nothing that was stored is lost, and the same call goes on to the same digits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime, timedelta

import numpy as np
import pytest

import qngd
from qngd.backends import Limits
from qngd.backends.qiskit.choice import QiskitBackend, QiskitSettings, Retry
from qngd.errors import QngdWarning, SettingError, StorageError
from qngd.run.directory import clock
from tests.command_line import TOY
from tests.command_line import qngd as command
from tests.known_runs import CIRCUIT, FIXED, TERMS, THETA, run
from tests.qiskit_devices import Remembering
from tests.toy import problem

_PAGE = 4096


@pytest.fixture
def disk(tmp_path):
    """A disk of 600 kB, which is full but for `disk.leave(bytes)`; `disk.protect()` makes it read-only."""

    class Disk:
        path = tmp_path / "disk"

        def leave(self, free):
            self.room()
            found = os.statvfs(self.path)
            (self.path / "filler").write_bytes(bytes(max(0, found.f_bavail * found.f_frsize - free)))

        def room(self):
            (self.path / "filler").unlink(missing_ok=True)

        def used(self, folder):
            return sum(-(-each.stat().st_size // _PAGE) * _PAGE for each in folder.rglob("*") if each.is_file())

        def protect(self):
            subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)

    Disk.path.mkdir()
    how = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", Disk.path]
    if shutil.which("mount") is None or subprocess.run(how, capture_output=True, check=False).returncode:
        pytest.skip("only Linux's root may mount a small disk")
    yield Disk()
    subprocess.run(["umount", "-l", Disk.path], check=True)


def kept(run_dir, device, **more):
    """A run on a device, in several jobs, whose end is measured again."""
    backend = QiskitBackend(device, QiskitSettings(limits=Limits(circuits=3)), Retry(3, (0.0,)))
    how = {"shots": 50, "seed": 5, "tol": 0, "max_steps": 2, "final_shots": 70, **more}
    return qngd.minimize(CIRCUIT, TERMS, THETA, optimizer=FIXED, backend=backend, run_dir=run_dir, **how)


def told(work):
    """How a run ended, or that none came of it, and its message."""
    try:
        result = work()
    except StorageError as error:
        return "refused", str(error)
    return str(result.status), result.message


@pytest.mark.filterwarnings("ignore::qngd.errors.QngdWarning")  # jobs that could not be written down are said
def test_a_disk_that_is_full_at_any_write_loses_nothing(disk, tmp_path):
    """With amounts of room between none and enough, three pages apart."""
    device = Remembering()
    expected = kept(tmp_path / "whole", device)
    jobs, seen = len(device.runs), set()
    for free in range(0, disk.used(tmp_path / "whole") + 8 * _PAGE, 3 * _PAGE):
        folder, device = disk.path / "run", Remembering()
        disk.leave(free)
        status, words = told(lambda folder=folder, device=device: kept(folder, device))
        seen.add(status)
        assert "disk is full; make room" in words or status == "max_steps"
        assert status != "refused" or not device.runs  # before anything was paid for
        disk.room()
        again = kept(folder, device)
        assert np.array_equal(again.history, expected.history)
        assert (again.energy, again.cost) == (expected.energy, expected.cost)
        assert len(device.runs) == jobs
        shutil.rmtree(folder)
    assert seen == {"refused", "failed", "max_steps"}


WRITERS = {
    "save": lambda to: run(max_steps=1).save(to / "saved"),
    "csv": lambda to: run(max_steps=1, callback=qngd.loggers.CSV(to / "steps.csv")),
    "restarts": lambda to: qngd.minimize(problem(), restarts=2, run_dir=to / "several", max_steps=1),
    "states": lambda to: qngd.excited_states(problem(), 2, run_dir=to / "states", max_steps=1),
}
COMMANDS = {
    "run --run-dir": ("run", TOY, "--steps", "1", "--run-dir"),
    "run --out": ("run", TOY, "--steps", "1", "--out"),
    "sweep": ("sweep", TOY, "--grid", "steps=1", "--workers", "0", "--out"),
    "report --figures": ("report", "{run}", "--figures"),
    "report --html": ("report", "{run}", "--html"),
}


@pytest.mark.parametrize("name", [*WRITERS, *COMMANDS])
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_whatever_is_written_is_refused_with_words(name, how, disk, tmp_path):
    if how == "full":
        disk.leave(0)
    else:
        disk.protect()
    if name in WRITERS:
        with pytest.raises((StorageError, SettingError), match=r"no space left|disk is full|(?i:read-only)"):
            WRITERS[name](disk.path)
    else:
        run(run_dir=tmp_path / "run", max_steps=1)
        arguments = [part.format(run=tmp_path / "run") for part in COMMANDS[name]]
        done = command(*arguments, str(disk.path / "new"))
        assert done.exit_code == 1
        assert isinstance(done.exception, SystemExit), done.exception
        assert any(words in done.output.lower() for words in ("no space left", "disk is full", "read-only"))
    if how == "full":  # with room it works
        disk.room()
        if name in WRITERS:
            WRITERS[name](disk.path)
        else:
            assert command(*arguments, str(disk.path / "new")).exit_code == 0


def test_a_disk_that_may_only_be_read_is_read(disk):
    run(run_dir=disk.path / "run", max_steps=1)
    disk.protect()
    assert qngd.load(disk.path / "run").steps == 1
    assert qngd.load(disk.path / "run", repair=True).steps == 1
    for arguments in (["show", "{}"], ["show", "{}", "--json"], ["runs", "{}"]):
        assert command(*[part.format(disk.path / "run") for part in arguments]).exit_code == 0
    with pytest.raises(StorageError, match=r"run_dir: cannot write.*give another directory"):
        run(run_dir=disk.path / "run", max_steps=1)


def test_rows_that_never_came_to_the_disk_are_said(disk):
    rows = qngd.loggers.CSV(disk.path / "steps.csv")
    disk.leave(0)
    for _ in range(2):
        with pytest.warns(QngdWarning, match="could not write step 1: OSError.*; the run goes on"):
            filled(rows, disk)
    with pytest.warns(QngdWarning, match=r"steps\.csv: its last rows could not be written: no space left"):
        rows.close()


def filled(rows, disk):
    """Write rows until a page is full."""
    result = qngd.minimize(problem(), max_steps=1)
    for _ in range(100):
        rows(result.infos[0])


# --- something else in the place of a file ---

FILES = ("run.sqlite", "run.lock", "run.sqlite-journal", "run.sqlite.new", "run.lock-journal")
THINGS = {
    "nothing in it": lambda path, old: path.write_bytes(b""),
    "half of it": lambda path, old: path.write_bytes(old[: len(old) // 2]),
    "garbage": lambda path, old: path.write_bytes(np.random.default_rng(3).bytes(5000)),
    "a text": lambda path, old: path.write_text("SQLite format 3\0 no"),
    "zeros": lambda path, old: path.write_bytes(bytes(len(old))),
    "a folder": lambda path, old: (path / "x").mkdir(parents=True),
    "a link to itself": lambda path, old: path.symlink_to(path.name),
    "a link to nothing": lambda path, old: path.symlink_to("nowhere"),
    "a pipe": lambda path, old: os.mkfifo(path),
}


@pytest.mark.parametrize("name", FILES)
def test_something_else_in_the_place_of_a_file(name, tmp_path):
    """It is refused by name, or of no importance; nothing waits for it, and no other numbers come of it."""
    expected = run(max_steps=2)
    run(run_dir=tmp_path / "whole", max_steps=1)
    for thing, put in THINGS.items():
        folder = shutil.copytree(tmp_path / "whole", tmp_path / thing)
        path = folder / name
        old = path.read_bytes() if path.exists() else bytes(9000)
        path.unlink(missing_ok=True)
        try:
            put(path, old)
        except (OSError, NotImplementedError, AttributeError):  # of another system
            continue
        for use in (qngd.load, lambda folder: run(run_dir=folder, max_steps=2), lambda f: qngd.load(f, repair=True)):
            try:
                found = use(folder)
            except StorageError as error:
                refused = str(error)
            else:
                refused = ""
                assert found.history.tolist() == expected.history[: len(found.history)].tolist(), thing
            answers = ("give another directory", "mend it", "holds no run")
            assert not refused or (str(folder) in refused and any(words in refused for words in answers)), thing


# --- clocks ---


def test_a_clock_that_jumps_at_every_look_changes_nothing(tmp_path, monkeypatch):
    """Backward and forward, and out of all calendars."""
    moments = [0]

    class Jumping(datetime):
        @classmethod
        def now(cls, tz=None):
            moments[0] += 1
            if moments[0] % 7 == 0:
                raise OverflowError("date value out of range")
            return datetime(2000, 1, 1, tzinfo=tz) + timedelta(days=(-1) ** moments[0] * 40_000 * (moments[0] % 5))

    monkeypatch.setattr(clock, "datetime", Jumping)
    expected, device = kept(None, Remembering()), Remembering()
    for steps in (0, 1, 2):
        result = kept(tmp_path / "run", device, max_steps=steps, final_shots=None if steps < 2 else 70)
    assert moments[0] > 50
    assert np.array_equal(result.history, expected.history)
    assert (result.energy, result.cost, len(device.runs)) == (expected.energy, expected.cost, expected.cost.jobs)
    stored = qngd.load(tmp_path / "run")
    assert (stored.status, stored.steps, len(stored.sessions)) == ("max_steps", 2, 3)
    for arguments in (["show"], ["show", "--json"], ["runs"], ["report", "--html", str(tmp_path / "page.html")]):
        done = command(arguments[0], str(tmp_path / "run"), *arguments[1:])
        assert done.exit_code == 0, done.output
