"""What a run says of itself while it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from qngd.estimate import format_with_error
from qngd.state import StepInfo

_LINES = 10  # printed by a run whose output is not a terminal, about
_REDRAW = 0.1  # seconds between two redraws of the live lines


@contextmanager
def progress(max_steps: int, reference: float | None) -> Iterator[Callable[[StepInfo], None]]:
    """Yields a callback for `minimize`: a few lines redrawn in place on a terminal, one line a step elsewhere."""
    console = Console(highlight=False)
    if not console.is_terminal:
        every = max(1, -(-max_steps // _LINES))
        yield lambda info: _print_some(info, max_steps, reference, every)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield _Redrawn(live, max_steps, reference)


def line(info: StepInfo, max_steps: int, reference: float | None) -> str:
    """What there is to say of a step, in 80 columns.

    The energy is that after the step, gradient and condition number are those of the point it started from.
    """
    parts = [f"step {info.step:>{len(str(max_steps))}}/{max_steps}"]
    parts.append(f"energy {format_with_error(info.energy, info.stderr)}")
    if reference is not None:
        parts.append(f"error {info.energy - reference:.1e}")
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


def _print_some(info: StepInfo, max_steps: int, reference: float | None, every: int) -> None:
    if info.step == 1 or info.step % every == 0:
        sys.stdout.write(line(info, max_steps, reference) + "\n")
        sys.stdout.flush()


class _Redrawn:
    """Steps may take a millisecond, and drawing must not slow them down."""

    def __init__(self, live: Live, max_steps: int, reference: float | None) -> None:
        self._live = live
        self._max_steps = max_steps
        self._reference = reference
        self._due = 0.0

    def __call__(self, info: StepInfo) -> None:
        now = time.monotonic()
        lines = [line(info, self._max_steps, self._reference), *details(info)]
        text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
        refresh = now >= self._due
        self._live.update(text, refresh=refresh)  # the last one is drawn when the run ends
        if refresh:
            self._due = now + _REDRAW
