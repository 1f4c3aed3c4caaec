"""Progress while a run goes on: bars and last steps, on terminals and in notebooks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, Protocol, TextIO

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from qngd._system.progress import current_part, telling
from qngd.estimates.estimate import format_with_error
from qngd.solve.state import StepInfo

_LINES = 10  # printed by a run whose output is not a terminal, about
_REDRAW = 0.1  # seconds between two redraws of the live lines
_PART_DRAWN, _PART_PRINTED = 1.0, 10.0  # seconds that work takes until it is said how far it is


@contextmanager
def progress(
    max_steps: int | None, reference: float | None, stream: TextIO | None = None
) -> Iterator[Callable[[StepInfo], None]]:
    """Yields a callback for `minimize`: a bar and a few lines redrawn in place on a terminal and in a notebook, a line
    every tenth of the run elsewhere. `stream` is where they go, by default the standard output."""
    console = Console(highlight=False, file=stream)
    if not (console.is_terminal or console.is_jupyter):
        printed = _Printed(max_steps, reference, stream)
        with telling(printed.part):
            yield printed
        return
    if console.is_jupyter:
        redrawn = _Redrawn(_InNotebook(), max_steps, reference)
        with telling(redrawn.part):
            yield redrawn
        redrawn.end()
        return
    with Live(console=console, auto_refresh=False) as live:
        redrawn = _Redrawn(_OnTerminal(live), max_steps, reference)
        with telling(redrawn.part):
            yield redrawn
        redrawn.end()


def line(info: StepInfo, max_steps: int | None, reference: float | None) -> str:
    """What there is to say of a step, in 80 columns; of `max_steps` nothing where a budget ends the run.

    The energy is that after the step, gradient and condition number are those of the point it started from. Of several
    runs of one call it begins with the name of the one that goes on.
    """
    parts = [*filter(None, [current_part()])]
    parts += [f"step {info.step}" if max_steps is None else f"step {info.step:>{len(str(max_steps))}}/{max_steps}"]
    parts.append(f"energy {format_with_error(info.energy, info.stderr)}")
    if np.isfinite(info.mean):
        parts.append(f"mean {info.mean:.6g}")
    if reference is not None:
        parts.append(f"error {info.energy - reference:.1e}")
    if np.isfinite(info.gradient_norm):
        parts.append(f"|grad| {info.gradient_norm:.1e}")
    if info.spectrum is not None:
        parts.append(f"cond {info.spectrum.condition:.1e}")
    if not info.accepted:
        parts.append("rejected")
    return "  ".join(parts)


def details(info: StepInfo) -> list[str]:
    """How the step was taken and what it saw of the metric, in lines of 80 columns; what is not known is left out."""
    lines = []
    if np.isfinite(info.length):
        bound = f" of at most {info.radius:.2g}" if np.isfinite(info.radius) else ""
        taken = f"length {info.length:.2g}{bound}  rate {info.rate:.2g}"
        lines.append(f"  {taken}  decrease {info.decrease:.1e}, predicted {info.predicted_decrease:.1e}")
    if info.spectrum is not None:
        seen = info.spectrum
        extremes = f"eigenvalues {seen.smallest:.1e} to {seen.largest:.1e}"
        lines.append(f"  metric of rank {seen.rank}/{len(seen.eigenvalues)}  {extremes}  damping {seen.damping:.1e}")
    return lines


class _Printed:
    """Prints every tenth step or so of a run, and how far work is that takes long, where there is no terminal."""

    def __init__(self, max_steps: int | None, reference: float | None, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._max_steps = max_steps
        self._reference = reference
        self._every = _LINES if max_steps is None else max(1, -(-max_steps // _LINES))
        self._said: float | None = None

    def __call__(self, info: StepInfo) -> None:
        self._said = None
        if info.step == 1 or info.step % self._every == 0:
            self._print(line(info, self._max_steps, self._reference))

    def part(self, what: str, done: float) -> None:
        """Told how far the work for a step, or for the start, is. The first call starts the clock: before it, kernels
        may have been compiled."""
        now = time.monotonic()
        if self._said is None:
            self._said = now
        elif now > self._said + _PART_PRINTED:
            self._said = now
            self._print(_part(what, done))

    def _print(self, text: str) -> None:
        stream = sys.stdout if self._stream is None else self._stream
        stream.write(text + "\n")
        stream.flush()


class _Screen(Protocol):
    """Where lines are drawn over those that stood there."""

    def draw(self, lines: Sequence[str], done: float, refresh: bool) -> None:
        """Show the lines, and a bar of the part that is done; at once if `refresh`."""


class _OnTerminal:
    """A terminal, by way of Rich."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def draw(self, lines: Sequence[str], done: float, refresh: bool) -> None:
        text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=1.0, completed=done, width=40)
        self._live.update(Group(text, bar), refresh=refresh)  # the last one is drawn when the run ends


class _InNotebook:
    """An output of a Jupyter notebook that is shown anew; it needs no widgets."""

    def __init__(self) -> None:
        self._handle: Any = None

    def draw(self, lines: Sequence[str], done: float, refresh: bool) -> None:
        if not refresh:
            return
        from IPython.display import HTML, display  # there, where this is used

        text = "<br>".join(map(escape, lines))
        shown = HTML(f'<progress value="{done:.4f}" max="1" style="width:20em"></progress><pre>{text}</pre>')
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


class _Redrawn:
    """Redraws a run's last step in place, at most every tenth of a second: a step may take less."""

    def __init__(self, screen: _Screen, max_steps: int | None, reference: float | None) -> None:
        self._screen = screen
        self._taken, self._of = 0, ""
        self._max_steps = max_steps
        self._reference = reference
        self._lines: list[str] = []
        self._begun: float | None = None
        self._due = 0.0

    def __call__(self, info: StepInfo) -> None:
        self._begun = None
        self._taken = 1 + (self._taken if self._of == current_part() else 0)
        self._of = current_part()
        self._lines = [line(info, self._max_steps, self._reference), *details(info)]
        self._draw(self._lines)

    def part(self, what: str, done: float) -> None:
        """Told how far the work for a step is, and draws it once it takes long; see `_Printed`."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
        elif now > self._begun + _PART_DRAWN:
            self._draw([*self._lines, _part(what, done)])

    def end(self) -> None:
        """Leave the last step on the screen, and no work that was broken off."""
        self._due = 0.0
        self._draw(self._lines)

    def _draw(self, lines: list[str]) -> None:
        now = time.monotonic()
        refresh = now >= self._due
        part = 0.0 if self._max_steps is None else min(1.0, self._taken / max(self._max_steps, 1))
        self._screen.draw(lines, part, refresh)
        if refresh:
            self._due = now + _REDRAW


def _part(what: str, done: float) -> str:
    return f"  {what}: {done:.0%}"
