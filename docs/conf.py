"""How the site is built: `make docs`."""

from __future__ import annotations

import os
import re
from importlib.metadata import version as installed
from typing import Any

project = "qngd"
author = "the qngd developers"
copyright = author
release = version = installed("qngd")

extensions = [
    "myst_nb",  # the pages are Markdown; tutorials are notebooks as text, run while the site is built
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas without a network
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.mermaid",
    "sphinxcontrib.typer",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path: list[str] = []

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3

os.environ.pop("MPLBACKEND", None)  # a notebook shows its figures by a backend of its own
nb_execution_mode = "cache"  # under docs/_build: a tutorial runs again when its text has changed
nb_execution_cache_path = "docs/_build/.jupyter_cache"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "furo"
html_title = f"qngd {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {  # what stands behind them is said in words
    name: name
    for name in (
        "CircuitLike", "ObservableLike", "Theta", "Frozen", "Bounds", "BackendLike", "Whole", "Real", "Shots",
        "Grouping", "CrossMethod", "Approx", "ArrayLike", "Angle",
    )
}  # fmt: skip
python_maximum_signature_line_length = 100
python_use_unqualified_type_names = True
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"  # docstrings write `name` as Markdown does
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _escape(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text with kets, powers and stars in them, none of which is markup."""
    for place, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        pieces = re.split(r"(`[^`]*`)", line)
        line = "".join(piece if piece.startswith("`") else re.sub(r"(?<!^)([|*])", r"\\\1", piece) for piece in pieces)
        lines[place] = re.sub(r"(`[^`]*`)(?=\w)", r"\1\\ ", line)  # `Parameter`s


def _names_of_types(app: Any, what: str, name: str, thing: Any, options: Any, given: Any, returned: Any) -> Any:
    """Aliases by their names, which Sphinx shows as forward references where they stand in a union."""

    def plain(text: str | None) -> str | None:
        return text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)

    return plain(given), plain(returned)


def setup(app: Any) -> None:
    app.connect("autodoc-process-signature", _names_of_types)
    app.connect("autodoc-process-docstring", _escape, priority=400)  # before napoleon, which adds markup
