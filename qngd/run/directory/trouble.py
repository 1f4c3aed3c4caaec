"""What can be wrong with the files of a run, as errors that name the file and what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qngd.errors import StorageError

_BY_NUMBER = {
    errno.ENOSPC: "the disk is full; make room, then run the same again: it goes on from what is stored",
    errno.EDQUOT: "the disk quota is used up; make room, then run the same again: it goes on from what is stored",
    errno.EFBIG: "the file would become larger than the system allows; raise that limit (ulimit -f), then run the "
    "same again",
    errno.EACCES: "there is no permission to; give another directory, or change its permissions",
    errno.EPERM: "there is no permission to; give another directory, or change its permissions",
    errno.EROFS: "the file system is read-only; give another directory",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.ENOTDIR: "a file stands where a folder should; give another directory",
    errno.EEXIST: "a file stands where a folder should; give another directory",
    errno.EISDIR: "a folder stands where a file should; give another directory",
    errno.EINVAL: "that is no name the file system allows; give another directory",
}
_BY_NAME = {
    "SQLITE_FULL": _BY_NUMBER[errno.ENOSPC],
    "SQLITE_READONLY_DBMOVED": "the file was moved or deleted while the run went on; give another directory",
    "SQLITE_READONLY": "there is no permission to write; give another directory, or change its permissions",
    "SQLITE_PERM": "there is no permission to; give another directory, or change its permissions",
    "SQLITE_CANTOPEN": "it cannot be opened: the folder may be read-only, or gone; give another directory",
    "SQLITE_BUSY": "another program holds the file open for long, such as a backup; end that, then run the same again",
    "SQLITE_IOERR": "the disk refused: it may be full, a limit of file sizes reached (ulimit -f), or broken; mend it, "
    "then run the same again: it goes on from what is stored",
}
DAMAGED = (
    "what is whole of it can be had by qngd.load(directory, repair=True), which puts a copy without the damage in its "
    "place and keeps this file; or give another directory to start anew"
)


def damaged(path: Path, what: str) -> StorageError:
    """The error of a file that is not as it was written."""
    return StorageError(f"run_dir: {path} is damaged: {what}; {DAMAGED}")


def refuse_pipes(path: Path) -> None:
    """Raise StorageError where a pipe is in the place of a database or its journal: SQLite would wait for ever."""
    for each in (str(path), f"{path}-journal"):
        if Path(each).is_fifo():
            raise StorageError(f"run_dir: {each} is a pipe and no file; delete it, or give another directory")


@contextmanager
def told(path: Path, verb: str) -> Iterator[None]:
    """While a file is read or written: what goes wrong becomes a StorageError that names it and what to do.

    Raises:
        StorageError: in the place of an OSError, or of one of SQLite's.
    """
    try:
        yield
    except StorageError:
        raise
    except (UnicodeError, sqlite3.Error) as error:
        name = getattr(error, "sqlite_errorname", "")
        if isinstance(error, UnicodeError) or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or _odd(error):
            raise damaged(path, f"{error}") from error
        stem = next((stem for stem in _BY_NAME if name.startswith(stem)), "")
        remedy = _BY_NAME.get(stem, "give another directory")
        raise StorageError(f"run_dir: cannot {verb} {path}: {error}; {remedy}") from error
    except OSError as error:
        remedy = _BY_NUMBER.get(error.errno or 0, "give another directory")
        raise StorageError(f"run_dir: cannot {verb} {path}: {error.strerror or error}; {remedy}") from error


def _odd(error: Exception) -> bool:
    """Whether a table or column is missing, or a value is of no kind: the file's own description is damaged."""
    name = getattr(error, "sqlite_errorname", "")
    return name in ("SQLITE_ERROR", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_FORMAT", "")
