"""What the command line says no with: one line that names what was typed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from qngd.errors import QngdError

# settings of Python's that are options here, where a message begins with one
_OPTIONS = re.compile(
    r"^(max_steps|optimizer|learning_rate|step|damping|approx|gradient|refresh|tol|gtol|target|seed|restarts|theta0|"
    r"frozen|bounds|backend|shots|grouping|cross|run_dir|final_shots|steps)(?=[ :=])"
)


class UsageError(QngdError, ValueError):
    """What was typed on the command line cannot be meant."""


class ProblemFileError(QngdError, RuntimeError):
    """The code of a problem file raised."""


@contextmanager
def one_line_errors(traceback: bool) -> Iterator[None]:
    """An error that qngd raised on purpose is one line on stderr, and an exit code."""
    try:
        yield
    except QngdError as error:
        if traceback:
            raise
        sys.stdout.flush()
        typer.echo(f"qngd: error: {as_typed(str(error))}", err=True)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None


def as_typed(text: str) -> str:
    """A message on one line, with settings as they are written here.

    >>> as_typed("run_dir: cannot write to results/h2: disk full")
    '--run-dir: cannot write to results/h2: disk full'
    """
    line = " ".join(text.split()).replace("shots=…", "--shots N")
    return _OPTIONS.sub(lambda found: f"--{found[0].replace('_', '-')}", line)
