"""One process at a time: a lock on a file, which the system takes from a process that dies."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from qngd.errors import StorageError

NAME = "run.lock"
_PLACE = 1 << 30  # the byte that is locked, behind the text: Windows lets nobody read a locked one
_MINE: dict[tuple[int, int], str] = {}  # files that this process has locked: the system's lock knows processes alone
_GUARD = threading.Lock()


class Lock:
    """The lock of a run's directory, from `take` to `release`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._file: int | None = None
        self._key = (0, 0)

    def take(self) -> None:
        """Take it.

        Raises:
            StorageError: another process has it, or another run in this one.
            OSError: there can be no such file.
        """
        with _GUARD:
            known = self._path.stat() if self._path.exists() else None
            if known is not None and (known.st_dev, known.st_ino) in _MINE:
                # not even opened: to close it would end this process's own lock
                raise StorageError(_held(self._path, {"pid": os.getpid(), "host": socket.gethostname()}))
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            try:
                _lock(file)
            except OSError:
                holder = _read(file)
                os.close(file)
                raise StorageError(_held(self._path, holder)) from None
            found = os.fstat(file)
            self._file, self._key = file, (found.st_dev, found.st_ino)
            _MINE[self._key] = str(self._path)
        self._write({"pid": os.getpid(), "host": socket.gethostname()})

    def release(self) -> None:
        """Give it back; nothing where it is not held."""
        if self._file is None:
            return
        self._write({})
        with _GUARD:
            os.close(self._file)
            _MINE.pop(self._key, None)
            self._file = None

    def _write(self, about: dict[str, Any]) -> None:
        """Say who holds it; only for people, so that a full disk does not matter."""
        assert self._file is not None
        try:
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, json.dumps(about).encode() if about else b"")
        except OSError:
            pass


def _read(file: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.read(file, 1000)))
    except (OSError, ValueError, TypeError):
        return {}


def _held(path: Path, holder: dict[str, Any]) -> str:
    if holder.get("pid") == os.getpid() and holder.get("host") == socket.gethostname():
        who = f"another run of this process (pid {os.getpid()} on {holder['host']})"
    elif holder:
        who = f"process {holder.get('pid')} on {holder.get('host')}"
    else:
        who = "another process"
    return (
        f"run_dir: {path.parent} is in use by {who}; wait until it has ended, or give another directory. "
        "qngd.load and qngd show read it meanwhile"
    )


if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _PLACE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _PLACE)
