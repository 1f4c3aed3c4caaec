"""Doing the runs of a sweep: here, one after the other, or as tasks on a cluster of Dask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qngd._system.interrupts import terminable
from qngd._system.packages import load
from qngd._system.threads import usable_cores
from qngd.errors import BackendError, SettingError
from qngd.sweeps.work import SweepRun, carried_out

Told = Callable[[dict[str, Any], int, int], Any]
_DEATHS = 10  # workers that may die under a run before it is given up
_ENV = ("QNGD_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def rows_of(
    jobs: Sequence[SweepRun], workers: int | None, scheduler: Any, threads: int, told: Told | None
) -> list[dict[str, Any]]:
    """The rows of all jobs, in their order; `told` is called with each as it comes, how many are there, and of how
    many."""
    found: dict[int, dict[str, Any]] = {}

    def take(number: int, row: dict[str, Any]) -> None:
        found[number] = row
        if told is not None:
            told(row, len(found), len(jobs))

    if workers == 0 and scheduler is None:
        for number, job in enumerate(jobs):
            take(number, carried_out(job, threads))
    else:
        with terminable(), client_of(workers, scheduler, threads, len(jobs)) as client:
            _spread(jobs, client, threads, take)
    return [found[number] for number in range(len(jobs))]


def _spread(jobs: Sequence[SweepRun], client: Any, threads: int, take: Callable[[int, dict[str, Any]], None]) -> None:
    distributed = load("distributed", "sweep", "a sweep on many workers")
    futures = {
        client.submit(carried_out, job, threads, key=f"qngd-{job.place}-{job.seed}", pure=False, retries=2): number
        for number, job in enumerate(jobs)
    }
    try:
        for future in distributed.as_completed(list(futures)):
            number = futures[future]
            error = future.exception() if future.status == "error" else None
            if error is not None:  # no run raises: the cluster gave it up
                row = jobs[number].row(status="error", message=f"the cluster gave it up: {error}")
                take(number, {**row, **dict.fromkeys(("energy", "stderr", "error", "steps", "cost", "theta"))})
            else:
                take(number, future.result())
            future.release()
    finally:
        client.cancel(list(futures))


@contextmanager
def client_of(workers: int | None, scheduler: Any, threads: int, most: int) -> Iterator[Any]:
    """A client of a cluster: one that is given, or that of the scheduler with this address, or that of a cluster of
    processes of this machine, which ends with it.

    Raises:
        MissingPackageError: Dask is not installed.
        BackendError: no scheduler answers.
    """
    distributed = load("distributed", "sweep", "a sweep on many workers", "; or give workers=0")
    if scheduler is not None:
        if workers is not None:
            raise SettingError("workers: the scheduler has its own; leave it out")
        if not isinstance(scheduler, str):
            yield scheduler
            return
        try:
            client = distributed.Client(scheduler, timeout=10)
        except (OSError, ValueError, TypeError) as error:
            raise BackendError(f"scheduler: none answers at {scheduler}: {error}") from None
        with client:
            yield client
        return
    count = min(most, max(1, usable_cores() // threads) if workers is None else workers)
    import dask.config

    quiet = {"distributed.scheduler.allowed-failures": _DEATHS}
    env = dict.fromkeys(_ENV, str(threads))
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, dashboard_address=None, env=env,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client
