"""OpenQASM text: where a program comes from, which version it is in, and its syntax tree."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import openqasm3
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError
from openqasm3.visitor import QASMVisitor

from qngd._system.shared import Meanwhile
from qngd.errors import CircuitError

POWER = "pow__"  # the function pow, whose name the grammar keeps for the modifier
NO_QUBITS = "none__"  # an empty register, which makes a register of one qubit that stands beside it
_DEEPEST = 20_000  # frames: parsing and running a sum of n terms takes about 5 for each
_SKIPPED = r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|'[^'\n]*'|^[ \t]*(?:#pragma|pragma|@)[^\n]*"
_TOKEN = re.compile(
    rf"(?P<skipped>{_SKIPPED})|(?P<pow>\bpow\b)|(?P<const>\bconst\s+(?=array\b))|"
    r"(?P<empty>\bgate\s+global_phase\s*\([^)]*\)\s*\{\s*\})|(?P<phase>\bglobal_phase(?=\s*\())|"
    r"(?P<alias>\blet\s+\w+\s*=\s*\{[^{}]*\}(?=\s*;))",
    re.S | re.M,
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
# how statements begin that stand in one of the versions alone
_BEGINNING = r"(?:^|[;{}])\s*"
_OF_VERSION_2 = re.compile(_BEGINNING + r'(?:include\s*"qelib1\.inc"|(?:qreg|creg|opaque)\b)', re.M)
_OF_VERSION_3 = re.compile(
    _BEGINNING
    + r'(?:include\s*"stdgates\.inc"|(?:qubit|bit|input|output|const|let|def|for|ctrl|negctrl|inv|pow|gphase|'
    r"int|uint|float|angle|array|box|#pragma|pragma)\b)|\$\d",
    re.M,
)


@dataclass
class FileSpan(ast.Span):
    """A place in an included file."""

    file: str = ""


def program_text(native: str | os.PathLike[str]) -> tuple[str, Path]:
    """The program, and the folder that its includes are relative to.

    Raises:
        CircuitError: it is a path, and there is no such file or no text in it.
    """
    if isinstance(native, str) and (not native.strip() or any(mark in native for mark in ";\n")):
        return _not_empty(native.removeprefix("\ufeff"), "the text"), Path()
    path = Path(native)
    try:
        return _not_empty(path.read_text(encoding="utf-8-sig"), f"the file {str(path)!r}"), path.parent
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CircuitError(
            f"circuit: cannot read the file {str(path)!r} ({reason}); give the path of a .qasm or .qpy file or "
            "the text of an OpenQASM 3 program"
        ) from error
    except UnicodeDecodeError as error:
        raise CircuitError(f"circuit: the file {str(path)!r} is not text in UTF-8") from error


def _not_empty(text: str, name: str) -> str:
    if not without_comments(text).strip():
        raise CircuitError(f"circuit: {name} is empty; give an OpenQASM 3 program, or the path of a .qasm or .qpy file")
    return text


def is_version_2(text: str) -> bool:
    """By its version line, or where it has none by what stands in one of the versions alone."""
    code = without_comments(text)
    version = re.search(r"^\s*OPENQASM\s+(\d+)", code, re.M)
    if version:
        return version[1] == "2"
    return bool(_OF_VERSION_2.search(code)) and not _OF_VERSION_3.search(code)


def without_comments(text: str) -> str:
    """The text with blanks for its comments, so that lines keep their numbers."""
    return _COMMENT.sub(lambda comment: re.sub(r"\S", " ", comment[0]), text)


def parsed(text: str, file: str = "") -> ast.Program:
    """The syntax tree of an OpenQASM 3 program, whose places are in `file` where that is an included one.

    Raises:
        CircuitError: the text is not OpenQASM 3; the message names the line.
    """
    printed = ""
    try:
        with _printed() as stream:  # where the parser says what is wrong
            try:
                program = openqasm3.parse(_readable(text))
            finally:
                printed = stream.getvalue().strip()
    except QASM3ParsingError as error:
        place, problem = _complaint(error, printed)
        file_and_line = "".join(f", {part}" for part in (file, place) if part)
        raise CircuitError(f"OpenQASM{file_and_line}: {problem}; correct the program") from error
    if program.version and not program.version.startswith("3"):
        raise CircuitError(f"OpenQASM: version {program.version} is not read; write it in OpenQASM 3")
    if file:
        _Located(file).visit(program)
    return program


def _complaint(error: QASM3ParsingError, printed: str) -> tuple[str, str]:
    """The line where the parser gave up, and why."""
    message = printed or str(error)
    found = re.match(r"(?:line |L)(\d+):C?\d+:? *(.*)", message)
    if found:
        return f"line {found[1]}", found[2]
    cause = error.__cause__
    reason = cause.args[0] if cause is not None and cause.args else cause
    token = getattr(reason, "offendingToken", None)
    if token is None:
        return "", message or "the parser does not understand the text"
    if token.text == "<EOF>":
        return f"line {token.line}", "the program ends in the middle of a statement"
    return f"line {token.line}", f"{token.text!r} is not expected here, a semicolon or bracket may be missing before it"


class _Aside(io.TextIOBase):
    """The process's stderr while a parser writes to it: what a thread that parses writes is kept for it, and what
    others write goes on."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr = stderr

    def write(self, text: str) -> int:
        kept: io.StringIO | None = getattr(_PRINTED, "text", None)
        return (self._stderr if kept is None else kept).write(text)

    def flush(self) -> None:
        self._stderr.flush()


def _aside() -> Callable[[], object]:
    before = sys.stderr
    sys.stderr = _Aside(before)
    return partial(setattr, sys, "stderr", before)


@contextlib.contextmanager
def _printed() -> Iterator[io.StringIO]:
    """What this thread prints to stderr meanwhile, in place of printing it."""
    _PRINTED.text = io.StringIO()
    try:
        with _ASIDE:
            yield _PRINTED.text
    finally:
        _PRINTED.text = None


_PRINTED = threading.local()
_ASIDE = Meanwhile(_aside)


def _deeper() -> Callable[[], object]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEPEST))
    return partial(sys.setrecursionlimit, before)


_DEEPER = Meanwhile(_deeper)


@contextlib.contextmanager
def deep_recursion() -> Iterator[None]:
    """Parsing and running recurse once for each term of a sum, more often than Python allows by default."""
    try:
        with _DEEPER:
            yield
    except RecursionError:
        raise CircuitError(
            "OpenQASM: the program is nested too deeply to be read; split long sums with variables"
        ) from None


def advice_for(near: Sequence[str], otherwise: str) -> str:
    """What to write for a name that is not known: the first of those that are near to it, or something else."""
    return f"did you mean {near[0]}? Else {otherwise}" if near else otherwise


def where(node: ast.QASMNode) -> str:
    """The place of a node as text: its line, and its file where that is an included one."""
    span = node.span
    if span is None:
        return ""
    return f"{span.file}, line {span.start_line}" if isinstance(span, FileSpan) else f"line {span.start_line}"


class _Located(QASMVisitor[None]):
    def __init__(self, file: str) -> None:
        self._file = file

    def visit(self, node: ast.QASMNode, context: None = None) -> None:
        span = node.span
        if span is not None and not isinstance(span, FileSpan):
            node.span = FileSpan(span.start_line, span.start_column, span.end_line, span.end_column, self._file)
        super().visit(node)


def _readable(text: str) -> str:
    """The text as the parser's grammar takes it: calls of pow under another name, no `const` before `array`, and
    gphase for the gate on no qubits that Qiskit writes for a global phase, and `a ++ b` for its alias `{a, b}`."""
    parts, done = [], 0
    for token in _TOKEN.finditer(text):
        if token["pow"] and not _is_modifier(text, token.end()):
            parts += [text[done : token.start()], POWER]
        elif token["const"] or token["empty"]:
            parts += [text[done : token.start()], re.sub(r"\S", " ", token[0])]
        elif token["phase"]:
            parts += [text[done : token.start()], "gphase"]
        elif token["alias"]:
            members = token["alias"].replace("{", " ").replace("}", "").replace(",", " ++ ")
            parts += [text[done : token.start()], f"{members} ++ {NO_QUBITS}"]
        else:
            continue
        done = token.end()
    return "".join([*parts, text[done:]])


def _is_modifier(text: str, start: int) -> bool:
    """Whether the brackets that open at `start` are followed by an @."""
    depth = 0
    for i in range(start, len(text)):
        if text[i] == "(":
            depth += 1
        elif text[i] == ")":
            depth -= 1
        if depth == 0 and not text[i].isspace():
            return text[i + 1 :].lstrip().startswith("@")
    return False
