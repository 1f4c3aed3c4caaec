"""Compilation of kernels: cached on disk where that is possible, working everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core.compiler import Compiler


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
    installation without a home directory); the kernel is then compiled once per process.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "nsz", "arcp", "reassoc"},
        "error_model": "numpy",
        **more,
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)
