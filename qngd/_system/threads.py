"""Two ways to use all cores with kernels that release the GIL, and who owns the cores meanwhile."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any

from threadpoolctl import ThreadpoolController

from qngd._system.shared import Meanwhile

_SPLIT_FROM = 1 << 15  # amplitudes; below it, handing out work costs more than the work


def num_threads() -> int:
    """Threads that the kernels use: the cores this process may run on, or QNGD_NUM_THREADS."""
    setting = os.environ.get("QNGD_NUM_THREADS", "")
    return max(1, int(setting)) if setting.isdecimal() else usable_cores()


def usable_cores() -> int:
    """The cores this process may run on; where the system does not tell (macOS, Windows), all there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="qngd")


if hasattr(os, "register_at_fork"):  # a forked child has none of the threads, and would wait for them for ever
    os.register_at_fork(after_in_child=_pool.cache_clear)


def splits(size: int) -> bool:
    """Whether work on a state of `size` amplitudes goes tile by tile, shared out over the cores."""
    return size >= _SPLIT_FROM


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _limited() -> Callable[[], Any]:
    return _controller().limit(limits=1, user_api="blas").restore_original_limits


_ONE_BLAS_THREAD = Meanwhile(_limited)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Meanwhile BLAS works in the calling thread alone, as eigenvalues want it: OpenBLAS shares them out in pieces so
    small that its threads mostly wait for each other (two were 2 to 30 times slower than one for 64 to 1024 rows)."""
    return _ONE_BLAS_THREAD


def blas_beside(size: int) -> AbstractContextManager[Any]:
    """While our threads own the cores, as they do for states of `size` amplitudes where those are split, BLAS must not
    start threads of its own: the two pools would fight."""
    return one_blas_thread() if splits(size) and num_threads() > 1 else nullcontext()


def split(kernel: Callable[[int, int], Any], items: int, size: int) -> list[Any]:
    """kernel(begin, end) over 0…items in one piece per thread, for a state of `size` amplitudes."""
    threads = num_threads()
    if threads == 1 or not splits(size) or items < threads:
        return [kernel(0, items)]
    edges = [items * t // threads for t in range(threads + 1)]
    return _all([partial(kernel, a, b) for a, b in itertools.pairwise(edges)], threads)


def together(
    calls: list[Callable[[], Any]], threads: int | None = None, each: Callable[[int], None] | None = None
) -> list[Any]:
    """Run the calls at the same time, one per thread; after each other if `threads` is 1. `each` is called by this
    thread with the number of every call that is done, in their order."""
    if len(calls) <= 1 or threads == 1:
        return list(_done((call() for call in calls), each))
    return _all(calls, num_threads(), each)


def _all(calls: list[Callable[[], Any]], threads: int, each: Callable[[int], None] | None = None) -> list[Any]:
    """The first call is this thread's. After an error none goes on."""
    futures = [_pool(threads).submit(call) for call in calls[1:]]
    try:
        results = itertools.chain((call() for call in calls[:1]), (future.result() for future in futures))
        return list(_done(results, each))
    except BaseException:
        for future in futures:
            future.cancel()
        wait(futures)
        raise


def _done(results: Iterable[Any], each: Callable[[int], None] | None) -> Iterator[Any]:
    for number, result in enumerate(results):
        if each is not None:
            each(number)
        yield result
