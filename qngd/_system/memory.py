"""How much memory there is, and saying so before it is too late."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from qngd.errors import MemoryLimitError

_PER_SECOND = 10  # how often available memory is read again
_LARGE = 1 << 24  # bytes; asked for more, it is always read
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def available_bytes() -> int:
    """Memory this process can still take: what the system has free, within its control group's limit, and at most
    QNGD_MEMORY_MIB, where that is set."""
    # reading it takes longer than a small metric
    free = _measured(int(_PER_SECOND * time.monotonic()))
    setting = os.environ.get("QNGD_MEMORY_MIB", "")
    return min(free, int(setting) << 20) if setting.isdecimal() else free


@lru_cache(maxsize=1)
def _measured(moment: int) -> int:
    free = _system_bytes()
    limit, used = (_cgroup_bytes(name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        free = min(free, limit - used)
    return max(free, 0)


@contextmanager
def without_collection() -> Iterator[None]:
    """Where many objects are made that all live on, looking for garbage among them takes much of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


OTHER_METRIC = 'use fewer qubits, or a cheaper approximation of the metric, such as approx="block-diag"'
NARROWER = "use fewer layers or qubits, or another simulator or device as `backend`"
ELSEWHERE = "use fewer qubits, or another simulator or device as `backend`, such as a QNode's own device"


def require_bytes(needed: int, what: str, instead: str = ELSEWHERE) -> None:
    """Raise MemoryLimitError if `needed` bytes for `what` are not there; `instead` is what to do."""
    if needed > _LARGE:
        _measured.cache_clear()
    available = available_bytes()
    if needed > available:
        raise MemoryLimitError(
            f"{what} needs {format_bytes(needed)}, and {format_bytes(available)} are available; {instead}"
        )


def format_bytes(count: int) -> str:
    """A byte count with a unit, such as '4.0 GiB'."""
    size = float(count)
    for unit in _UNITS:
        if size < 1024:
            break
        if unit != _UNITS[-1]:
            size /= 1024
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


def _system_bytes() -> int:
    """What the system has free; on a Linux without /proc, all its memory."""
    if sys.platform != "linux":
        import psutil  # a dependency there alone

        return int(psutil.virtual_memory().available)
    return _meminfo_available() or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _meminfo_available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_bytes(name: str) -> int | None:
    try:
        text = Path("/sys/fs/cgroup", name).read_text(encoding="utf-8").strip()
    except OSError:
        return None  # no control group, or version 1
    return int(text) if text.isdecimal() else None
