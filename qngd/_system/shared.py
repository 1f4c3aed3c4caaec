"""Settings of the whole process, such as a limit of the interpreter, that several threads want for a while."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock


class Meanwhile:
    """A setting that holds while any thread is inside: the first to enter makes it, the last to leave takes it back.

    Were each to put back what it had found, the last of two that overlap would put back what the first had set, for
    good.

    Args:
        make: makes the setting, and returns what takes it back.
    """

    def __init__(self, make: Callable[[], Callable[[], object]]) -> None:
        self._make = make
        self._begin()
        if hasattr(os, "register_at_fork"):  # not on Windows; in a child the threads that were inside are gone
            os.register_at_fork(after_in_child=self._leave_all)

    def _begin(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._take_back: Callable[[], object] = lambda: None

    def _leave_all(self) -> None:
        inside, take_back = self._inside, self._take_back
        self._begin()
        if inside:
            take_back()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._take_back = self._make()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside = max(0, self._inside - 1)  # 0 already in the child of a fork in here
            if self._inside == 0:
                self._take_back()
