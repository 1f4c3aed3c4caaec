"""The command line in this process, and what it says when it refuses."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from unittest import mock

from typer import testing
from typer.main import get_command

from qngd.cli import commands as cli

ROOT = Path(__file__).resolve().parent.parent
NULL_BYTES = (
    "SyntaxError: " if sys.version_info >= (3, 11, 4) else ""
) + "source code string cannot contain null bytes"
TOY = str(ROOT / "tests" / "toy.py")


# which takes longer than most calls of it, and which Typer's runner does for each
_made = cache(get_command)


def qngd(*arguments: str) -> testing.Result:
    """The command in this process."""
    with mock.patch.object(testing, "_get_command", _made):
        return testing.CliRunner().invoke(cli.app, list(arguments), prog_name="qngd")


def refused(*arguments: str, code: int) -> str:
    """The one line that the command says no with."""
    result = qngd(*arguments)
    assert result.exit_code == code, result.output
    (line,) = [text for text in result.output.splitlines() if text.startswith("qngd: error: ")]
    assert result.output.rstrip().endswith(line)
    return line.removeprefix("qngd: error: ")


def file_with(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return str(path)
