"""README and the pages of docs/: the blocks of code that they show, run as they stand, and the output shown compared.

A page shows output in two ways, and either is compared with what is printed:

- behind a statement, or in lines below it, as a comment that begins with an arrow: `print(g.shape)  # → (2, 2)`; what
  all arrows of a statement say is what it prints, line by line;
- in a block of the language `output` right below the code: all that it prints which no arrow told.

A number agrees if it is within one unit of the last digit shown, so that a page may round, and a platform may differ in
digits that nobody reads. … stands for anything. Spaces and kinds of minus do not count.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^```(\S+)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
_ARROW = "# →"
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d_,]*\d|\d)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]*\w)")


def text_of(page: str) -> str:
    """A page of docs/, or README.md."""
    return ((ROOT if page == "README.md" else DOCS) / page).read_text(encoding="utf-8")


def blocks(page: str, language: str = "python") -> list[str]:
    """The code in this language on a page, one text a block."""
    return [code for kind, code in _BLOCK.findall(text_of(page)) if kind == language]


def shown(page: str, places: Collection[int] | None = None, **given: Any) -> Any:
    """A module with what the blocks of a page define, those at these places or all, run one after another, beside the
    names that are given. The output that the page shows of them is compared, and all that is printed is printed."""
    module = ModuleType(page)
    vars(module).update(given)
    for place, (code, output) in enumerate(_with_output(text_of(page))):
        if places is None or place in places:
            rest = "".join(_run(code, page, vars(module)))
            if output is not None:
                assert_printed(rest, output, page)
    return module


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Every command after a "$ " on a page, its continued lines joined, and the output that is shown below it."""
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", " ").partition("\n")
            yield " ".join(command.split()), output


def assert_printed(printed: str, output: str, page: str) -> None:
    """That a page shows what is printed."""
    assert agrees(printed, output), f"{page} shows\n{output}\nand what is printed is\n{printed}"


def agrees(printed: str, output: str) -> bool:
    """Whether the output shown is what was printed, to the digits shown."""
    text = _plain(printed)
    pattern, numbers = _pattern(_plain(output))
    found = re.fullmatch(pattern, text, re.DOTALL)
    return found is not None and all(map(_is_near, found.groups(), numbers))


def _with_output(text: str) -> Iterator[tuple[str, str | None]]:
    """The Python blocks of a page, and the output that is shown right below each, None where there is none."""
    found = list(_BLOCK.finditer(text))
    for here, there in zip(found, [*found[1:], None], strict=True):
        if here[1] == "python":
            is_below = there is not None and there[1] == "output" and not text[here.end() : there.start()].strip()
            yield here[2], there[2] if there is not None and is_below else None


def _run(code: str, page: str, names: dict[str, Any]) -> Iterator[str]:
    """Run a block statement by statement. What arrows tell is compared; what is printed elsewhere is given back."""
    body = ast.parse(code, page).body
    firsts = [min([statement.lineno, *_lines_of_decorators(statement)]) for statement in body]
    told = _arrows(code)
    for statement, first, after in zip(body, firsts, [*firsts[1:], len(code)], strict=True):
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(ast.Module([statement], []), page, "exec", dont_inherit=True), names)
        print(printed.getvalue(), end="")
        if own := [line for number, line in told if first <= number < after]:
            assert_printed(printed.getvalue(), "\n".join(own), page)
        else:
            yield printed.getvalue()


def _lines_of_decorators(statement: ast.stmt) -> list[int]:
    return [each.lineno for each in getattr(statement, "decorator_list", [])]


def _arrows(code: str) -> list[tuple[int, str]]:
    """The lines of output that comments tell, each with the number of its line."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    return [(each.start[0], each.string[len(_ARROW) :]) for each in comments if each.string.startswith(_ARROW)]


def _plain(text: str) -> str:
    return " ".join(text.replace("−", "-").split())


def _pattern(output: str) -> tuple[str, list[str]]:
    """A pattern with a group for every number, and the numbers."""
    parts, numbers, place = [], [], 0
    for match in _NUMBER.finditer(output):
        parts += [output[place : match.start()], None]
        numbers.append(match[0])
        place = match.end()
    parts.append(output[place:])
    return "".join(f"({_NUMBER.pattern})" if part is None else _of_text(part) for part in parts), numbers


def _of_text(part: str) -> str:
    return ".*?".join(re.escape(piece) for piece in part.split("…")).replace(r"\ ", r"\s*")


def _is_near(printed: str, output: str) -> bool:
    """Within one unit of the last digit shown; whole numbers are told to the last."""
    there, here = (float(re.sub("[_,]", "", number)) for number in (printed, output))
    digits, _, power = output.lower().partition("e")
    _, point, decimals = digits.partition(".")
    if not point and not power:
        return there == here
    return abs(there - here) <= 1.01 * 10.0 ** (int(power or 0) - len(decimals))
