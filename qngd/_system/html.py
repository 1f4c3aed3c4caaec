"""Small pieces of HTML for notebooks: tables, and a matrix in colours. All text is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

_CELL = 'style="text-align:left;vertical-align:top"'
_PIXELS = 400  # of a picture's side at most


def rows_table(title: str, rows: Mapping[str, str]) -> str:
    """A table of two columns under a title.

    >>> rows_table("cost", {"jobs": "1 < 2"}).count("1 &lt; 2")
    1
    """
    return columns_table(title, (), rows.items())


def columns_table(title: str, columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with the names of its columns, or without, under a title; the first cell of a row names it."""
    head = "".join(f'<th scope="col" {_CELL}>{escape(name)}</th>' for name in columns)
    body = []
    for name, *cells in rows:
        texts = "".join(f"<td {_CELL}>{escape(cell)}</td>" for cell in cells)
        body.append(f'<tr><th scope="row" {_CELL}>{escape(name)}</th>{texts}</tr>')
    caption = f'<caption style="text-align:left;font-weight:bold;color:inherit">{escape(title)}</caption>'
    return f"<table>{caption}{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{''.join(body)}</tbody></table>"


def matrix_picture(matrix: np.ndarray, alt: str) -> str:
    """A square matrix in colours, blue below 0 and red above; nothing for an empty one or one with NaN. A larger one
    than 400 × 400 is shown by the largest entry, in size, of every tile.

    Its scale stands below: the colours end at plus and minus the largest entry.
    """
    if not matrix.size or not np.all(np.isfinite(matrix)):
        return ""
    from matplotlib import colormaps  # pictures need it alone
    from matplotlib.image import imsave

    largest = float(np.abs(matrix).max()) or 1.0
    shown = coarsened(matrix, _PIXELS)
    image = io.BytesIO()
    imsave(image, shown, cmap=colormaps["RdBu_r"], vmin=-largest, vmax=largest, format="png")
    data = base64.b64encode(image.getvalue()).decode("ascii")
    return (
        f'<figure style="margin:0.5em 0"><img alt="{escape(alt)}" width="240" height="240" '
        f'style="image-rendering:pixelated;border:1px solid #888" src="data:image/png;base64,{data}">'
        f"<figcaption>from {-largest:.3g} (blue) to {largest:.3g} (red)</figcaption></figure>"
    )


def coarsened(matrix: np.ndarray, most: int) -> np.ndarray:
    """A matrix of at most so many rows and columns, in which each entry is the largest in size of a tile.

    >>> coarsened(np.array([[1.0, -3.0], [2.0, 0.0]]), 1)
    array([[-3.]])
    """
    tile = -(-max(matrix.shape) // most)
    if tile == 1:
        return matrix
    rows, columns = (-(-size // tile) * tile for size in matrix.shape)
    padded = np.zeros((rows, columns))
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    tiles = padded.reshape(rows // tile, tile, columns // tile, tile).swapaxes(1, 2)
    flat = tiles.reshape(*tiles.shape[:2], tile * tile)
    return np.take_along_axis(flat, np.abs(flat).argmax(axis=2)[..., None], axis=2)[..., 0]
