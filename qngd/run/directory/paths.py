"""Where a run is kept, as users say it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qngd.errors import SettingError, shown
from qngd.run.directory.schema import NAME

_PARTS = ("start", "state")  # of a call with several runs: what their folders' names begin with


def as_folder(run_dir: Any) -> Path:
    """The absolute path that is meant: `~` is the user's home, and a later change of the working directory moves
    nothing.

    Raises:
        SettingError: it is no path.
    """
    is_path = isinstance(run_dir, (str, os.PathLike)) and isinstance(os.fspath(run_dir), str)
    if not is_path or not os.fspath(run_dir).strip() or "\0" in os.fspath(run_dir):
        raise SettingError(f"run_dir must be the path of a folder; got {shown(run_dir)}")
    try:
        return Path(os.path.abspath(Path(run_dir).expanduser()))
    except RuntimeError as error:  # of ~name
        raise SettingError(f"run_dir: {shown(run_dir)}: {error}") from None


def holds_run(folder: Path) -> bool:
    """Whether a run is kept in this very folder, of this version or of qngd 0.1."""
    return any((folder / name).exists() for name in (NAME, "run.json"))


def numbered_runs(folder: Path) -> list[Path]:
    """The folders start-0, start-1, … or state-0, … in this one that hold runs, in this order: those of one call. In
    the place of a state with several starts stand these."""
    pairs = [(each.name.rpartition("-"), each) for each in folder.iterdir()] if folder.is_dir() else []
    kept = [(name, int(number), each) for (name, _, number), each in pairs if name in _PARTS and number.isdecimal()]
    return [run for *_, each in sorted(kept) for run in ([each] if (each / NAME).exists() else numbered_runs(each))]


def folders_of_runs(folder: Path) -> list[Path]:
    """All folders in this one, itself included, that hold a run, in the order of their names."""
    found = {path.parent for path in folder.rglob(NAME)}
    return sorted(found)
