"""Ctrl-C and SIGTERM: held back while something must not be cut in two, and turned into KeyboardInterrupt elsewhere.

Only Python's main thread is ever interrupted; in others nothing is done here.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

Found = TypeVar("Found")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM: one that comes meanwhile takes effect at the end; not beside an exception, which
    stops as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = [number for number, handler in before.items() if callable(handler)]
    try:
        for number in ours:
            signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
    for each in dict.fromkeys(came):
        handler = before[signal.Signals(each)]
        if callable(handler):
            handler(each, sys._getframe())


class Stoppable:
    """Runs a function that Ctrl-C or SIGTERM stops, any number of times and at any moment, and nothing after it.

    While it is entered, KeyboardInterrupt is raised inside of `run`'s function alone: a second one while it is on its
    way out too. One that comes anywhere else is noted in `came`. A program's own handler of Ctrl-C stays; the handlers
    of before come back at the end.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: dict[int, Any] = {}
        self._inside: list[FrameType] = []

    def __enter__(self) -> Stoppable:
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._stop)
            if signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, None):  # None: one that is not Python's
                self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, function: Callable[[], Found]) -> Found:
        """What the function returns."""

        def inside() -> Found:
            self._inside.append(sys._getframe())
            return function()

        return inside()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # By the frames that stand above the interrupted one, not by a flag: between an exception and the line that
        # catches it no flag could be set in time.
        while frame is not None:
            if frame in self._inside:
                raise KeyboardInterrupt
            frame = frame.f_back
        self.came = True
