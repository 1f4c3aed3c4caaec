"""The pages of docs/: the blocks of code that they show, to be run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str, language: str = "python") -> list[str]:
    """The code in this language on a page of docs/, one text a block."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.M | re.S)


def shown(page: str) -> Any:
    """A module with what the blocks of a page define, run one after another."""
    module = ModuleType(page)
    for block in blocks(page):
        exec(compile(block, page, "exec", dont_inherit=True), vars(module))
    return module
