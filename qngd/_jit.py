"""Compilation of kernels: cached on disk where that is possible, working everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` to machine code that releases the GIL, and cache it on disk.

    Numba refuses at decoration time when it finds no writable place for its cache (a read-only
    installation without a home directory); the kernel is then compiled once per process.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "nsz", "arcp", "reassoc"},
        "error_model": "numpy",
    }
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)
