"""Runs as notebooks show them."""

from __future__ import annotations

import base64
from html import escape

from qngd._system.html import rows_table
from qngd.report.catalogue import CATALOGUE
from qngd.report.groups import grouped
from qngd.report.run_data import RunData
from qngd.report.style import Picture


def of_run(kind: str, run: RunData) -> str:
    """The closing table of a run, and its energy over steps."""
    return rows_table(f"{kind}: {run.name}", run.rows()) + picture(run)


def picture(*runs: RunData) -> str:
    """The energy over steps, as an image with its text; of runs with one label medians and quartiles."""
    found = CATALOGUE[0].draw(grouped(runs))
    return f"<p>{escape(found)}</p>" if isinstance(found, str) else image(found.figure, found.text)


def image(figure: Picture, text: str) -> str:
    """A figure as an element of HTML, with the text that says what it shows. Its background is its own: a notebook may
    be light or dark."""
    source = base64.b64encode(figure._repr_png_()).decode("ascii")
    return f'<img alt="{escape(text)}" style="max-width:100%" src="data:image/png;base64,{source}">'
