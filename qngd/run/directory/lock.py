"""One process at a time: a lock that the system takes from a process that dies.

It is SQLite's own, on a file that holds who has it: an open transaction that has written nothing yet keeps other
writers out and lets everybody read, on every system, also between two runs of one process.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qngd.errors import StorageError
from qngd.run.directory.machine import host
from qngd.run.directory.trouble import refuse_pipes, told

NAME = "run.lock"
_WAIT = 0.5  # seconds that whoever takes it waits: somebody who only looks has it for an instant


class Lock:
    """The lock of a run's directory, from `take` to `release`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._held: sqlite3.Connection | None = None

    def take(self) -> None:
        """Take it.

        Raises:
            StorageError: another process has it, or another run in this one.
            OSError, sqlite3.Error: there can be no such file.
        """
        try:
            self._held = _taken(self._path)
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", "")
            if name == "SQLITE_BUSY":
                raise StorageError(_said(self._path)) from None
            if not name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise
            self._path.unlink()  # nothing in it is needed
            self._held = _taken(self._path)

    def release(self) -> None:
        """Give it back; nothing where it is not held."""
        if self._held is not None:
            self._held.close()
            self._held = None


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """While nobody else may write in this directory.

    Raises:
        StorageError: another process has the lock, or another run in this one, or there can be no such file.
    """
    lock = Lock(directory)
    with told(directory, "write to"):
        lock.take()
    try:
        yield
    finally:
        lock.release()


def _taken(path: Path) -> sqlite3.Connection:
    connection = _connected(path, _WAIT)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE IF NOT EXISTS holder (pid INTEGER, host TEXT)")
        mine = (os.getpid(), host())
        if connection.execute("SELECT pid, host FROM holder").fetchall() != [mine]:
            connection.execute("DELETE FROM holder")
            connection.execute("INSERT INTO holder VALUES (?, ?)", mine)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path, wait: float = 0.0) -> sqlite3.Connection:
    refuse_pipes(path)
    return sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)


def holder_of(directory: Path) -> str | None:
    """Who runs in this directory now, in words; None where nobody does, or where that cannot be known."""
    path = directory / NAME
    if not path.is_file() or not os.access(path, os.W_OK):
        return None
    with suppress(sqlite3.Error):
        connection = _connected(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY":
                return _holder(connection)
        finally:
            connection.close()
    return None


def _holder(connection: sqlite3.Connection) -> str:
    with suppress(sqlite3.Error):
        for pid, name in connection.execute("SELECT pid, host FROM holder"):
            mine = (pid, name) == (os.getpid(), host())
            return f"another run of this process (pid {pid} on {name})" if mine else f"process {pid} on {name}"
    return "another process"


def _said(path: Path) -> str:
    connection = _connected(path)
    try:
        who = _holder(connection)
    finally:
        connection.close()
    return (
        f"run_dir: {path.parent} is in use by {who}; wait until it has ended, or give another directory. "
        "qngd.load and qngd show read it meanwhile"
    )
