"""Ctrl-C and SIGTERM: held back while something must not be cut in two, and turned into KeyboardInterrupt elsewhere.

Ctrl-C comes from somebody who is there: it ends one run, and what is done next is for the program to say. SIGTERM asks
the whole program to end: what it has stopped raises `Terminated` once nothing can be lost by it. A program's own
handlers of either stay.

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


class Terminated(KeyboardInterrupt, SystemExit):
    """SIGTERM has come. A program that handles Ctrl-C handles it alike; one that does not ends without a traceback and
    with the exit code that shells give to who was ended so."""

    code: int

    def __init__(self, result: Any = None) -> None:
        super().__init__("SIGTERM: this process was asked to end")
        self.code = 128 + signal.SIGTERM
        self.result = result


_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


@contextmanager
def terminable() -> Iterator[None]:
    """Meanwhile SIGTERM raises `Terminated` wherever it comes, as Ctrl-C does KeyboardInterrupt, so that what is open
    is closed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def held() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM: one that comes meanwhile takes effect at the end; not beside an exception, which
    stops as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _DEFAULTS}
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

    While it is entered, KeyboardInterrupt is raised inside of `run`'s function alone (`Terminated` for SIGTERM): a
    second one while it is on its way out too. One that comes anywhere else is noted in `came`. A program's own handlers
    stay; those of before come back at the end. One inside of another leaves the signals to that.
    """

    def __init__(self) -> None:
        self.came = False
        self._terminated = False
        self._around: Stoppable | None = None
        self._before: dict[int, Any] = {}
        self._inside: list[FrameType] = []

    def __enter__(self) -> Stoppable:
        if threading.current_thread() is threading.main_thread():
            around = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
            self._around = around if isinstance(around, Stoppable) else None
            for number, default in _DEFAULTS.items():
                if signal.getsignal(number) == default:
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def terminated(self) -> bool:
        """Whether SIGTERM came."""
        return self._terminated or (self._around is not None and self._around.terminated)

    def run(self, function: Callable[[], Found]) -> Found:
        """What the function returns."""

        def inside() -> Found:
            self._inside.append(sys._getframe())
            return function()

        return inside()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._terminated = self._terminated or number == signal.SIGTERM
        # By the frames that stand above the interrupted one, not by a flag: between an exception and the line that
        # catches it no flag could be set in time.
        while frame is not None:
            if frame in self._inside:
                raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
            frame = frame.f_back
        self.came = True
