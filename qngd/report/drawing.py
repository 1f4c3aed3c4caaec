"""What `Figure.savefig` writes, in little more than half of the time: it draws a figure that has a layout twice, the
first time for the layout alone, which the one drawing here finds on its way."""

from __future__ import annotations

import io
from contextlib import ExitStack

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure


def png(figure: Figure, dpi: float) -> bytes:
    """The content of a file, with the figure's own background."""
    image = io.BytesIO()
    with _prepared(figure, dpi):
        FigureCanvasAgg(figure).print_png(image)
    return image.getvalue()


def svg(figure: Figure, dpi: float) -> str:
    """The content of a file without a date, through which its background is seen; `dpi` is that of what is drawn as
    pixels."""
    image = io.StringIO()
    with _prepared(figure, dpi) as stack:
        for patch in (figure.patch, *(axes.patch for axes in figure.findobj(Axes))):  # insets too
            stack.callback(patch.set, facecolor=patch.get_facecolor(), edgecolor=patch.get_edgecolor())
            patch.set(facecolor="none", edgecolor="none")
        FigureCanvasSVG(figure).print_svg(image, metadata={"Date": None, "Creator": None})
    return image.getvalue()


def _prepared(figure: Figure, dpi: float) -> ExitStack:
    """Until its end the figure has these dots per inch; then it is as it was."""
    stack = ExitStack()
    stack.callback(figure.set_canvas, figure.canvas)
    stack.callback(figure.set_dpi, figure.dpi)
    figure.set_dpi(dpi)
    return stack
