"""Long computations say how far they are, to whoever wants to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, float], None]
_listener: ContextVar[Listener | None] = ContextVar("qngd_listener", default=None)
_part: ContextVar[tuple[str, ...]] = ContextVar("qngd_part", default=())


@contextmanager
def telling(listener: Listener | None) -> Iterator[None]:
    """Meanwhile `listener` is told what is being computed and which part of it is done, up to 1, by the thread that
    was asked for it. None leaves things as they are."""
    if listener is None:
        yield
        return
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def part_of_call(name: str) -> Iterator[None]:
    """Meanwhile one of several runs goes on that a call makes, by the name of its folder: "start-1"."""
    token = _part.set((*_part.get(), name))
    try:
        yield
    finally:
        _part.reset(token)


def current_part() -> str:
    """Which of the runs of a call goes on; nothing where it makes one."""
    return " ".join(_part.get())


class Work:
    """`total` units of a computation."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0

    def advance(self, units: int) -> None:
        """So many more are done. A pool's threads must leave this to the thread that they work for: what the listener
        does may need the pool."""
        self._done += units
        listener = _listener.get()
        if listener is None:
            return
        token = _listener.set(None)  # of its own work it need not be told
        try:
            listener(self._what, self._done / self._total)
        finally:
            _listener.reset(token)
