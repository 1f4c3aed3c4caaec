"""Compilation of kernels: cached on disk where that is possible, working everywhere."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler import Compiler

from qngd._system.announced import announce_compilation

announce_compilation()


class _Distinct(Compiler):
    """Tells LLVM that the array arguments of a function do not overlap, as `restrict` does in C."""

    def define_pipelines(self) -> Any:
        if "noalias" in self.state.flags.options:  # numba's own, not promised to its users; without it all is slower
            self.state.flags.noalias = True
        return super().define_pipelines()


def inner_loop(function: Callable[..., Any]) -> Any:
    """A kernel to be called by kernels, on arrays that never overlap; it becomes part of its caller.

    Without this knowledge a compiled loop over many rows compares all their addresses before it starts, which takes
    longer than a row of a few dozen numbers.
    """
    return kernel(function, pipeline_class=_Distinct, forceinline=True)


def kernel(function: Callable[..., Any], **more: Any) -> Any:
    """Compile `function` to machine code that releases the GIL, and cache it on disk.

    Numba refuses at decoration time when it finds no writable place for its cache (a read-only
    installation without a home directory), and fails when that place is full or not to be read by the time that a
    kernel is compiled; the kernel is then compiled once per process.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "nsz", "arcp", "reassoc"},
        "error_model": "numpy",
        **more,
    }
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)
    cache = getattr(made, "_cache", None)
    for name in ("load_overload", "save_overload"):
        if callable(method := getattr(cache, name, None)):
            setattr(cache, name, partial(_if_possible, method))
    file = getattr(cache, "_cache_file", None)
    # numba keeps what it compiled by the file of each function, though functions of others become part of it, and fails
    # where it kept types that are gone; what it kept under another name of its version it leaves alone
    if file is not None and isinstance(getattr(file, "_version", None), str):
        file._version += f", kernels {_sources()}"
    return made


def _if_possible(method: Callable[..., Any], *args: Any) -> Any:
    """What a method of numba's cache gives; None, as where nothing is kept, where the disk is in the way: it is full,
    what it holds may not be read, or was cut off in a crash."""
    try:
        return method(*args)
    except (OSError, EOFError, pickle.UnpicklingError):
        return None


@cache
def _sources() -> str:
    """A hash of all files with kernels."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        text = path.read_bytes()
        if b"qngd._system.compilation" in text or path.name == "layout.py" or path == Path(__file__):
            digest.update(text)
    return digest.hexdigest()[:16]
