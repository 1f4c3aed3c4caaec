"""Says once, when kernels are really compiled, what takes so long: their machine code is then kept on disk."""

from __future__ import annotations

import sys
from typing import Any

from numba.core import event

from qngd._system.logs import logger

_TEXT = (
    "compiling kernels for this machine, which takes up to half a minute; what is compiled is kept on disk where there "
    "is room for it"
)


class _Announcer(event.Listener):
    """Hears of each compilation by Numba; of one of ours the first time."""

    def __init__(self) -> None:
        self._said = False

    def on_start(self, event: Any) -> None:
        dispatcher = (event.data or {}).get("dispatcher")
        home = getattr(getattr(dispatcher, "py_func", None), "__module__", None) or ""
        if self._said or not home.startswith("qngd."):
            return
        self._said = True
        logger.info(_TEXT)
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(f"qngd: {_TEXT}\n")
            sys.stderr.flush()

    def on_end(self, event: Any) -> None:
        pass


_ANNOUNCER = _Announcer()


def announce_compilation() -> None:
    """Begin to listen; to be called once."""
    event.register("numba:compile", _ANNOUNCER)
