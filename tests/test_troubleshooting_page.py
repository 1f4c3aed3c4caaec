"""docs/reference/troubleshooting.md quotes messages that the package has, of every class of errors."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

import qngd
from qngd import errors
from tests.pages import DOCS

PAGE = (DOCS / "reference" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^`(.+)`$\n: ", PAGE, re.MULTILINE)


def texts_of(path):
    """Every text in a module, with … for what is put into it; those that are added up, as one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp) and (text := _text(node)):
            yield text


def _text(node):
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (_text(node.left) or "…") + (_text(node.right) or "…")
    return ""


@cache
def texts():
    return [text for path in sorted(Path(qngd.__file__).parent.rglob("*.py")) for text in texts_of(path)]


def found(message):
    pattern = ".*".join(re.escape(part) for part in message.split("…"))
    return any(re.fullmatch(f"{pattern}.*" if message.endswith("…") else pattern, text) for text in texts())


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_one_of_the_package(message):
    assert len(max(message.split("…"), key=len)) > 8  # and no pattern that fits anything
    assert found(message)


def test_every_class_of_errors_and_every_status_is_there():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.QngdError)]
    headings = set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE))
    assert {kind.__name__ for kind in kinds} - {"QngdError"} <= headings
    assert "QngdWarning" in headings
    assert {str(status) for status in qngd.Status} <= set(re.findall(r"`(\w+)`", PAGE))
    for section in PAGE.split("### ")[1:]:
        assert re.search(r"^`.+`$\n: ", section, re.MULTILINE), section


def test_what_nobody_says_is_not_found():
    assert not found("theta must have the shape (…,)…; got …")
    assert len(QUOTED) > 30
