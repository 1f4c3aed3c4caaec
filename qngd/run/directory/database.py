"""The file of a run as a database whose every row carries a checksum.

SQLite's own checks see damage in how the file is built, and none in what stands in a row. So every row has the hash of
its values, and the `seal` their number and their sum: a row that was changed, lost or doubled shows.

The rollback journal is taken instead of a write-ahead log: a run writes little, the directory may lie on a network's
file system, where a log cannot be shared, and it leaves one file. `synchronous = EXTRA` waits for the disk, for the
folder's entry too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import struct
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from qngd._system.interrupts import held
from qngd.errors import StorageError
from qngd.run.directory.schema import APPLICATION, FORMAT, NAME, TABLES, columns, statements, upgrade
from qngd.run.directory.trouble import damaged, refuse_pipes, told

SYNCHRONOUS = "EXTRA"  # FULL, and the folder's entry too
_WAIT = 30.0  # seconds that a writer waits for readers to finish
_SUMS = 1 << 128


def row_hash(table: str, row: int, values: Sequence[Any]) -> bytes:
    """16 bytes that tell this row from every other."""
    digest = hashlib.blake2b(f"{table} {row}".encode(), digest_size=16)
    for value in values:
        digest.update(_as_bytes(value))
    return digest.digest()


def _as_bytes(value: Any) -> bytes:
    if value is None:
        return b"n"
    if isinstance(value, bytes):
        return b"b" + struct.pack("<q", len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return b"t" + struct.pack("<q", len(text)) + text
    if isinstance(value, float):
        return b"f" + struct.pack("<d", value + 0.0)  # SQLite does not keep the sign of 0.0
    return b"i" + struct.pack("<q", value)


class Database:
    """The open file of a run. One at a time writes; of it this object knows the seal."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._guard = threading.RLock()
        self._rows, self._total = 0, 0

    @classmethod
    def to_write(cls, directory: Path) -> Database:
        """The directory's file, made if there is none.

        Raises:
            StorageError: it cannot be read or written, it is damaged, or none of ours.
        """
        path = directory / NAME
        with told(path, "write"):
            if not os.path.lexists(path):
                new = path.with_name(f"{path.name}.new")
                make_file(new)
                os.replace(new, path)  # so that it is there as a whole or not at all: an empty one is a damaged one
                sync_folder(directory)
            return cls.of(path)

    @classmethod
    def of(cls, path: Path) -> Database:
        """The file, to be written; it must be there."""
        connection = connected(path, "rw")
        found = cls(path, connection)
        try:
            found._prepare()
        except BaseException:
            connection.close()
            raise
        return found

    @classmethod
    def to_read(cls, path: Path) -> Database:
        """The file, read as it stands now; another process may go on writing it.

        Raises:
            StorageError: it cannot be read, it is damaged, or none of ours.
        """
        with told(path, "read"):
            try:
                return cls._read(path)
            except sqlite3.OperationalError as error:
                if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
                    raise
            # its last writer died in a write, which must be undone, and nobody may write here
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / path.name
                shutil.copyfile(path, copy)
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}-journal", f"{copy}-journal")
                return cls._read(copy, path)

    @classmethod
    def _read(cls, path: Path, named: Path | None = None) -> Database:
        """A copy in memory, so that no writer ever has to wait for who looks at it."""
        mode = "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
        connection = connected(path, mode)
        try:
            _check_ours(connection, named or path)
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            found = cls(named or path, copy)
            weakref.finalize(found, copy.close)  # whoever reads has nothing to close; Python 3.13 warns of what is not
            connection.backup(copy)
            _upgrade(copy)
        finally:
            connection.close()
        found.verify()
        return found

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        _check_ours(self._connection, self.path)
        (said,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise damaged(self.path, said.splitlines()[-1])
        _upgrade(self._connection)
        self.verify()

    def close(self) -> None:
        """Close the file."""
        with self._guard:
            self._connection.close()

    def verify(self) -> None:
        """Read every row, and raise StorageError where one is not as it was written."""
        with told(self.path, "read"):
            seal = self._connection.execute("SELECT rows, total FROM seal").fetchall()
            count = total = 0
            for table in TABLES:
                for row, values, stored in self.rows_with_sums(table):
                    found = row_hash(table, row, values)
                    if found != stored:
                        raise damaged(self.path, f"row {row} of the table {table} is not as it was written")
                    count, total = count + 1, (total + int.from_bytes(found)) % _SUMS
            if seal != [(count, total.to_bytes(16))]:
                raise damaged(self.path, f"rows are missing, or there are more than were written ({count})")
            self._rows, self._total = count, total

    def rows_with_sums(self, table: str) -> Iterator[tuple[int, tuple[Any, ...], Any]]:
        """Number, values and stored checksum of every row."""
        for row, *values, stored in self._connection.execute(
            f"SELECT row, {', '.join(columns(table))}, sum FROM {table} ORDER BY row"
        ):
            yield row, tuple(values), stored

    def rows(self, table: str, where: str = "", *values: Any) -> list[dict[str, Any]]:
        """The rows of a table by the names of its columns, in the order in which they came."""
        names = ["row", *columns(table)]
        with self._guard, told(self.path, "read"):
            found = self._connection.execute(
                f"SELECT {', '.join(names)} FROM {table} {where and f'WHERE {where}'} ORDER BY row", values
            ).fetchall()
        return [dict(zip(names, row, strict=True)) for row in found]

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A change that is kept as a whole, and on the disk at the end of the block, or not at all. Ctrl-C waits.

        Raises:
            StorageError: it cannot be written.
        """
        with held(), self._guard, told(self.path, "write"):
            before = self._rows, self._total
            self._connection.execute("BEGIN IMMEDIATE")
            change = Writing(self)
            try:
                yield change
                self._connection.execute("UPDATE seal SET rows = ?, total = ?", (self._rows, self._total.to_bytes(16)))
                self._connection.execute("COMMIT")
            except BaseException:
                self._rows, self._total = before
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            change.done()

    def _insert(self, table: str, values: Sequence[Any]) -> int:
        row = self._connection.execute(f"SELECT coalesce(max(row), 0) + 1 FROM {table}").fetchone()[0]
        self._add(table, row, values)
        return int(row)

    def _add(self, table: str, row: int, values: Sequence[Any]) -> None:
        self._put(table, row, values)
        self._rows += 1

    def _remove(self, table: str, row: int) -> None:
        self._take_out(table, row)
        self._connection.execute(f"DELETE FROM {table} WHERE row = ?", (row,))
        self._rows -= 1

    def _put(self, table: str, row: int, values: Sequence[Any]) -> None:
        found = row_hash(table, row, values)
        marks = ", ".join("?" * (len(values) + 2))
        self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (row, *values, found))
        self._total = (self._total + int.from_bytes(found)) % _SUMS

    def _take_out(self, table: str, row: int) -> None:
        (stored,) = self._connection.execute(f"SELECT sum FROM {table} WHERE row = ?", (row,)).fetchone()
        self._total = (self._total - int.from_bytes(stored)) % _SUMS


class Writing:
    """What may be changed in one go."""

    def __init__(self, database: Database) -> None:
        self._of = database
        self._after: list[Callable[[], None]] = []

    def then(self, function: Callable[..., None], *values: Any) -> None:
        """Call the function with these values once the change is on the disk."""
        self._after.append(partial(function, *values))

    def done(self) -> None:
        """The change is on the disk."""
        for function in self._after:
            function()

    def add(self, table: str, **values: Any) -> int:
        """Add a row; returns its number."""
        return self._of._insert(table, [values.get(name) for name in columns(table)])

    def put(self, table: str, row: int, values: Sequence[Any]) -> None:
        """Add a row with this number, which is free."""
        self._of._add(table, row, values)

    def change(self, table: str, row: int, **values: Any) -> None:
        """Change values of a row."""
        (known,) = self._of.rows(table, "row = ?", row)
        self._of._take_out(table, row)
        self._of._put(table, row, [{**known, **values}[name] for name in columns(table)])

    def remove(self, table: str, row: int) -> None:
        """Remove a row."""
        self._of._remove(table, row)


def connected(path: Path, mode: str) -> sqlite3.Connection:
    """SQLite's connection to a file in one of its modes, which begins and ends no transaction by itself."""
    refuse_pipes(path)
    uri = f"{Path(os.path.abspath(path)).as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False)


def make_file(path: Path) -> None:
    """A file without rows, in the place of what a crash may have left there."""
    for old in (path, path.with_name(f"{path.name}-journal")):
        old.unlink(missing_ok=True)
    connection = connected(path, "rwc")
    try:
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
        connection.execute("BEGIN")
        for statement in statements():
            connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StorageError unless it is the file of a run, of a version that can be read."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'seal'").fetchone()
    if application != APPLICATION and not tables:
        raise StorageError(
            f"run_dir: {path} is no file of qngd's, or it is damaged (application_id {application}, "
            f"{path.stat().st_size} bytes); give another directory"
        )
    if application != APPLICATION:
        raise damaged(path, f"its application_id is {application}")
    if version > FORMAT:
        raise StorageError(
            f"run_dir: {path} has format {version}, and this qngd reads up to {FORMAT}; update qngd, or give another "
            "directory"
        )
    if version < 1 or not tables:
        raise damaged(path, f"its format is {version}, which never was" if tables else "its tables are gone")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier format to this one, as a whole or not at all."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if statements := upgrade(version):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute("COMMIT")


def make_folder(directory: Path) -> None:
    """Make it, with those above it, so that a crash of the machine does not undo it."""
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's entries; Windows has no word for it."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def replace_file(path: Path, content: bytes) -> None:
    """Put this content into the file, as a whole or not at all, and wait until the disk has it."""
    partial = path.with_suffix(path.suffix + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync_folder(path.parent)
