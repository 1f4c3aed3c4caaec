"""Mending a damaged file: what is whole of it in a new one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from qngd.errors import StorageError
from qngd.run.directory.database import Database, connected, make_file, row_hash, sync_folder
from qngd.run.directory.schema import TABLES, columns
from qngd.run.directory.trouble import told

_PAGE = 4096  # bytes of a page, SQLite's default since 2016

_Rows = dict[int, tuple[Any, ...]]
_ALL_NEEDED = ("about", "identity", "problem")


def repaired(path: Path) -> bool:
    """Put a file without damage in the place of `path`, if it is damaged, which is then kept as run.sqlite.damaged;
    returns whether it was. A run goes on from the last step up to which all is whole.

    Raises:
        StorageError: too much is damaged, or the folder cannot be written to.
    """
    with suppress(StorageError):
        Database.to_write(path.parent).close()
        return False
    if not path.is_file():  # to read a pipe would wait for ever
        raise StorageError(f"run_dir: {path} is no file; give another directory")
    with told(path, "read"), tempfile.TemporaryDirectory() as folder:
        copy = _with_header(path, Path(folder))
        whole = {table: _whole(copy, table) for table in TABLES}
    _cut(whole)
    if not all(whole[table] for table in (*_ALL_NEEDED, "sessions")) or _has_gaps(whole):
        raise StorageError(
            f"run_dir: {path} cannot be mended: what says which run it is is damaged; give another directory, or "
            "delete this one to start anew"
        )
    with told(path, "write"):
        mended = path.with_name(f"{path.name}.mended")
        make_file(mended)
        database = Database.of(mended)
        try:
            with database.writing() as change:
                for table, rows in whole.items():
                    for row, values in rows.items():
                        change.put(table, row, values)
        finally:
            database.close()
        os.replace(path, _free(path))
        os.replace(mended, path)
        sync_folder(path.parent)
    return True


def _with_header(path: Path, folder: Path) -> Path:
    """A copy whose first bytes, which are the same in all our files, are what they were, and as long as whole pages
    are: SQLite reads nothing of it otherwise. What was cut off is read as damaged."""
    content = path.read_bytes()
    there, said = -(-len(content) // _PAGE), int.from_bytes(content[28:32])
    pages = max(1, there, said if said < 100 * (there + 1) else 0)  # what is told may be damaged, too
    whole = bytearray(content.ljust(pages * _PAGE, b"\0"))
    whole[:24] = b"SQLite format 3\0" + _PAGE.to_bytes(2) + bytes([1, 1, 0, 64, 32, 32])
    whole[28:32] = pages.to_bytes(4)
    whole[32:40] = bytes(8)  # no free pages: they may have been among what was cut off
    copy = folder / path.name
    copy.write_bytes(whole)
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{path}-journal", f"{copy}-journal")
    return copy


def _free(path: Path) -> Path:
    """A name beside the file that nothing has."""
    number = 1
    while (found := path.with_name(f"{path.name}.damaged{'' if number == 1 else f'-{number}'}")).exists():
        number += 1
    return found


def _whole(path: Path, table: str) -> _Rows:
    """The rows of a table that are as they were written: read from its beginning and, where that breaks off, from its
    end."""
    found: _Rows = {}
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError, UnicodeError):
            connection = connected(path, "ro")
            try:
                for row, *values, stored in connection.execute(
                    f"SELECT row, {', '.join(columns(table))}, sum FROM {table} ORDER BY row {order}"
                ):
                    with suppress(TypeError, ValueError, OverflowError):
                        if row_hash(table, row, values) == stored:
                            found[row] = tuple(values)
            finally:
                connection.close()
    return dict(sorted(found.items()))


def _has_gaps(whole: dict[str, _Rows]) -> bool:
    """Whether a row is missing of what says which run it is; "rows" is the last of `about` in every run."""
    if any([*whole[table]] != [*range(1, len(whole[table]) + 1)] for table in _ALL_NEEDED):
        return True
    counts = [json.loads(value) for name, value in whole["about"].values() if name == "rows"]
    return not counts or any(len(whole[table]) != count for table, count in counts[0].items())


def _cut(whole: dict[str, _Rows]) -> None:
    """Leave the steps up to the last one before which nothing is missing, and whose state is there."""
    steps = [values[0] for row, values in _without_gap(whole["steps"])]
    with_state = {values[0] for values in whole["states"].values()}
    while steps and steps[-1] not in with_state:
        steps.pop()
    whole["steps"] = dict([*whole["steps"].items()][: len(steps)])
    last = steps[-1] if steps else None
    whole["states"] = {row: values for row, values in whole["states"].items() if last is not None and values[0] <= last}
    whole["submissions"] = {
        row: values for row, values in whole["submissions"].items() if values[0] <= (-1 if last is None else last)
    }
    for table in ("notes", "jobs", "outcomes"):
        whole[table] = {row: values for row, values in whole[table].items() if values[0] in whole["submissions"]}


def _without_gap(rows: _Rows) -> list[tuple[int, tuple[Any, ...]]]:
    """The rows up to the first that is missing."""
    found = []
    for number, (row, values) in enumerate(rows.items(), 1):
        if row != number:
            break
        found.append((row, values))
    return found
