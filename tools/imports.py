"""Who imports whom in the package, read from the source."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import qngd

ROOT = Path(qngd.__file__).parent


def module_name(path: Path) -> str:
    """The name that this file of the package is imported by."""
    parts = ("qngd", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def floor_of(module: str) -> str:
    """The folder or file just below the package that a module is or stands in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports_of(
    source: str, module: str, inside_functions: bool = True, for_types: bool = False
) -> list[tuple[str, int]]:
    """The modules that this source imports when it runs, and the line of each; with `for_types` also those that only a
    type checker sees."""
    found: list[tuple[str, int]] = []
    is_package = module in FILES and FILES[module].name == "__init__.py"

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and _is_for_types(child) and not for_types:
                for statement in child.orelse:
                    visit(statement)
                continue
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and not inside_functions:
                continue
            if isinstance(child, ast.Import):
                found.extend((alias.name, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    parents = module.split(".")
                    above = parents[: len(parents) - child.level + is_package]
                    base = ".".join([*above, base] if base else above)
                names = [f"{base}.{alias.name}" for alias in child.names]
                found.extend((n if n in FILES else base, child.lineno) for n in names)
            visit(child)

    visit(ast.parse(source))
    return found


@cache
def all_imports(inside_functions: bool = True) -> tuple[tuple[str, str, str], ...]:
    """Importer, imported, and the text of where that is. The flat surface imports when a name of it is first used what
    it shows to type checkers."""
    return tuple(
        (module, name, f"{path.relative_to(ROOT.parent)}:{line} imports {name}")
        for module, path in FILES.items()
        for name, line in imports_of(
            path.read_text(encoding="utf-8"), module, inside_functions, inside_functions and module == "qngd"
        )
    )


def arrows() -> dict[str, set[str]]:
    """The folders and files just below the package, and which others each imports; without the entry of `python -m`."""
    found: dict[str, set[str]] = {floor_of(module): set() for module in FILES if module != "qngd.__main__"}
    for module, name, _ in all_imports():
        here, there = floor_of(module), floor_of(name)
        if here in found and name.split(".")[0] == "qngd" and here != there:
            found[here].add(there)
    return found
