"""The picture of a run, or of several, for notebooks."""

from __future__ import annotations

import base64
import io
from html import escape

from matplotlib.figure import Figure

from qngd.report.catalogue import CATALOGUE
from qngd.report.groups import grouped
from qngd.report.run_data import RunData


def picture(*runs: RunData) -> str:
    """The energy over steps, as an image with its text; runs of one label belong together."""
    found = CATALOGUE[0].draw(grouped(runs))
    return f"<p>{escape(found)}</p>" if isinstance(found, str) else image(found.figure, found.text)


def image(figure: Figure, text: str) -> str:
    """A figure as an element of HTML, with the text that says what it shows. Its background is its own: a notebook may
    be light or dark."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    source = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<img alt="{escape(text)}" style="max-width:100%" src="data:image/png;base64,{source}">'
