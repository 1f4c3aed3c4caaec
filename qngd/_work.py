"""Long computations say how far they are, to whoever wants to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

Listener = Callable[[str, float], None]
_listener: ContextVar[Listener | None] = ContextVar("qngd_listener", default=None)


@contextmanager
def telling(listener: Listener | None) -> Iterator[None]:
    """Meanwhile `listener` is told what is being computed and which part of it is done, up to 1, by any thread but one
    at a time. None leaves things as they are."""
    if listener is None:
        yield
        return
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class Work:
    """`total` units of a computation, announced by the thread that was asked for it; any thread may do them."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._lock = Lock()
        self._listener = _listener.get()  # a pool's threads have contexts of their own

    def advance(self, units: int) -> None:
        """So many more are done."""
        if self._listener is None:
            return
        with self._lock:
            self._done += units
            self._listener(self._what, self._done / self._total)
