"""Figures as text for a page: SVG whose colours are names that the page, light or dark, gives a value."""

from __future__ import annotations

import re
from hashlib import sha256
from xml.sax.saxutils import escape

from matplotlib import rc_context
from matplotlib.figure import Figure

from qngd.report.drawing import svg
from qngd.report.style import COLOURS

_DPI = 150  # of what is drawn as pixels


def inline(figure: Figure, key: str, text: str) -> str:
    """A figure as an SVG element for a page that has `palette`; `key` is what no other figure there has, `text` says
    what it shows."""
    salt = sha256(key.encode()).hexdigest()[:12]
    with rc_context({"svg.hashsalt": salt, "svg.fonttype": "none", "font.family": ["DejaVu Sans", "sans-serif"]}):
        body = svg(figure, _DPI)
    body = body[body.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _named(body, salt)
    for name, (light, _) in COLOURS.items():
        body = re.sub(light, f"var(--{name})", body, flags=re.IGNORECASE)
    head = re.match(r"<svg\b[^>]*>", body)
    assert head is not None
    box = re.search(r'viewBox="[^"]*"', head[0])
    assert box is not None
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} role="img" '
        f'aria-labelledby="{salt}-title"><title id="{salt}-title">{escape(text)}</title>'
    )
    return opening + body[head.end() :].strip()


def _named(body: str, salt: str) -> str:
    """The body with ids that no other figure of a page has."""
    body = re.sub(r'\bid="([^"]+)"', rf'id="{salt}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{salt}-\1)", body)
    return re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{salt}-\1"', body)


def palette() -> str:
    """Rules of CSS that give the colours their values: light, dark where the reader wants that, light in print."""

    def values(which: int) -> str:
        return "".join(f"--{name}:{pair[which].lower()};" for name, pair in COLOURS.items())

    return (
        f":root{{color-scheme:light dark;{values(0)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{values(1)}}}}}"
    )


def alone(figure: Figure, text: str) -> str:
    """A figure as a file of its own."""
    body = inline(figure, "alone", text)
    end = body.index("</title>") + len("</title>")
    style = f"<style>{palette().replace(':root', 'svg')}svg{{background:var(--paper)}}</style>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body[:end]}{style}{body[end:]}\n'
