"""Problem files: importing one, and saying what is wrong with it in one line.

A problem file is Python with a function `problem(**settings) -> qngd.Problem`. It is somebody else's code and
may raise anything; what it raises becomes a `ProblemFileError` that names file and line. An exception that
never passed through the file is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from qngd.cli.errors import ProblemFileError, UsageError
from qngd.cli.settings import WRITE, parse_settings
from qngd.errors import QngdError, did_you_mean, how_to_install
from qngd.problem import Problem

_NULL_BYTES = "source code string cannot contain null bytes"
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_EXTRA = {
    "openqasm3": "qiskit", "qiskit": "qiskit", "qiskit_aer": "qiskit", "qiskit_ibm_runtime": "qiskit",
    "networkx": "pennylane", "pennylane": "pennylane",
}  # fmt: skip


@dataclass(frozen=True)
class ProblemFile:
    """An imported problem file: `label` is what the user called it, `origin` its path on disk."""

    label: str
    origin: str
    function: Callable[..., Any]

    def build(self, settings: Sequence[str] = ()) -> Problem:
        """The problem with settings written as "name=value".

        Raises:
            UsageError: a setting is unknown, missing or of the wrong kind.
            ProblemFileError: the function raised, or returned something else than a `Problem`.
        """
        arguments = parse_settings(self.function, settings, self.label)
        with self.blamed():
            problem = self.function(**arguments)
        if isinstance(problem, Problem):
            return problem
        if inspect.iscoroutine(problem):
            problem.close()  # else Python complains that nobody awaited it
        raise ProblemFileError(
            f"{self.label}: problem() returned {type(problem).__name__}, not a qngd.Problem; end it with "
            "return qngd.Problem(circuit, observable, theta0)"
        )

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Exceptions of the file's code, wherever it is called from, become one line."""
        with _blaming(self.label, self.origin):
            yield


def open_problem(target: str) -> ProblemFile:
    """Import a problem file, given by path or as a dotted module.

    Raises:
        UsageError: there is no such file or module, or it has no function `problem`.
        ProblemFileError: importing it raised.
    """
    spec = _spec_of_file(target) if _looks_like_path(target) else _spec_of_module(target)
    origin = spec.origin or target
    with _blaming(target, origin):
        module = _imported(spec)
    function = getattr(module, "problem", None)
    if not callable(function):
        near = did_you_mean("problem", [name for name, value in vars(module).items() if inspect.isfunction(value)])
        raise UsageError(f"{target} has no function problem().{near} In it, {WRITE}")
    return ProblemFile(target, origin, function)


def _looks_like_path(target: str) -> bool:
    return not target or "/" in target or "\\" in target or target.endswith(".py") or os.path.exists(target)


def _spec_of_file(target: str) -> ModuleSpec:
    path = Path(target)
    fault = _fault_of_file(path) if target else "no file is given; give one such as circuits/h2.py"
    if fault:
        raise UsageError(f"{target}: {fault}" if target else fault)
    path = path.resolve()
    if path.suffix != ".py":
        raise UsageError(f"{target} is not a Python file; in one, {WRITE}")
    _importable(path.parent)  # as `python FILE` does, so that the file can import its neighbours
    spec = importlib.util.spec_from_file_location(f"qngd_problem_{path.stem}", path)
    assert spec is not None
    return spec


def _fault_of_file(path: Path) -> str | None:
    """Why a file cannot be read, and which may be meant, or None. os.path, unlike Path, raises for no name."""
    if os.path.isdir(path):
        inside = [str(file) for file in sorted(path.glob("*.py")) if _defines_problem(file)][:5]
        return "is a directory" + (f"; give a file in it: {', '.join(inside)}" if inside else "; give a Python file")
    if os.path.exists(path) and not os.path.isfile(path):
        return "is not a regular file"
    try:
        path.read_bytes()
    except OSError as error:
        beside = path.with_name(f"{path.name}.py")
        hint = f"; did you mean {beside}?" if os.path.isfile(beside) else ""
        return f"{(error.strerror or str(error)).lower()}{hint}"
    return None


def _defines_problem(file: Path) -> bool:
    return file.is_file() and "\ndef problem(" in file.read_text(encoding="utf-8", errors="replace")


def _spec_of_module(target: str) -> ModuleSpec:
    if not _DOTTED.fullmatch(target):
        raise UsageError(f"{target!r} is neither a file nor the name of a Python module")
    _importable(Path.cwd())  # as `python -m` does
    try:
        spec = importlib.util.find_spec(target)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise UsageError(f"{target}: no such file or module")
    return spec


def _importable(directory: Path) -> None:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


def _imported(spec: ModuleSpec) -> types.ModuleType:
    if not spec.name.startswith("qngd_problem_"):
        return importlib.import_module(spec.name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a class up by its module
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


@contextmanager
def _blaming(label: str, origin: str) -> Iterator[None]:
    try:
        yield
    except QngdError:
        raise
    except (Exception, SystemExit) as error:  # other people's code may raise anything; ours is raised again
        line = _line_in(origin, error)
        if line is None:
            raise
        raise ProblemFileError(f"{label}:{line}: {_text(error)}") from error


def _line_in(origin: str, error: BaseException) -> int | None:
    """The innermost line of the file that the error came through."""
    if isinstance(error, SyntaxError) and error.filename in (origin, None):  # None: null bytes
        return error.lineno or 1
    if error.args == (_NULL_BYTES,):  # a ValueError before Python 3.11.4
        return 1
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == origin:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _text(error: BaseException) -> str:
    """The text of an error on one line; a ValueError is how a problem refuses a setting, and speaks for itself."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # its own __str__ raised
        message = ""
    text = " ".join(message.split())
    if isinstance(error, ValueError) and text:
        return text
    if isinstance(error, SystemExit):
        text += "; the file ends the program: what it does on its own belongs under if __name__ == '__main__':"
    if isinstance(error, ModuleNotFoundError) and error.name in _EXTRA:
        text += f"; {how_to_install(_EXTRA[error.name])}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
