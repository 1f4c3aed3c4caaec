"""Errors of the command line: one line that names what was typed."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from qngd._system.interrupts import Terminated
from qngd._system.secrets import scrubbed
from qngd.errors import QngdError

# settings of Python's that are options here, where a message begins with one
_OPTIONS = re.compile(
    r"^(max_steps|optimizer|learning_rate|step|damping|approx|gradient|refresh|tol|gtol|target|seed|restarts|theta0|"
    r"frozen|bounds|backend|shots|grouping|cross|final_shots|steps)(?=[ :=])"
)


class UsageError(QngdError, ValueError):
    """What was typed on the command line cannot be meant."""


class ProblemFileError(QngdError, RuntimeError):
    """The code of a problem file raised."""


@contextmanager
def one_line_errors(traceback: bool, run_dir: str = "--run-dir") -> Iterator[None]:
    """An error that qngd raised on purpose is one line on stderr, and an exit code. `run_dir` is what this command has
    in the place of the argument of that name."""
    try:
        yield
    except QngdError as error:
        if traceback:
            raise
        sys.stdout.flush()
        typer.echo(f"qngd: error: {as_typed(scrubbed(str(error)), run_dir)}", err=True)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
    except Terminated as ended:  # which Typer would take for Ctrl-C
        raise typer.Exit(ended.code) from None


@contextmanager
def readable_output() -> Iterator[None]:
    """A standard output that takes nothing, as of a full disk, is one line and exit code 1; that of a pipe whose reader
    has gone is Typer's to handle."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG):
            raise
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or what is left in the buffer fails again at the end
        print(f"qngd: error: cannot write to the standard output: {(error.strerror or '').lower()}", file=sys.stderr)
        sys.exit(1)


def as_typed(text: str, run_dir: str = "--run-dir") -> str:
    """A message on one line, with settings as they are written here.

    >>> as_typed("run_dir: cannot write to results/h2: disk full")
    '--run-dir: cannot write to results/h2: disk full'
    """
    line = " ".join(text.split()).replace("shots=…", "--shots N")
    line = re.sub(r"^run_dir(?=[ :=])", run_dir, line)
    line = re.sub(r"^budget(?=:)", "--budget-*", line)  # of all limits together
    return _OPTIONS.sub(lambda found: f"--{found[0].replace('_', '-')}", line)
