"""A stand-in for a provider: its jobs live in a folder, for every process that knows it, and it has bad days.

A job is there, and is paid for, once its file is. Now and then a call fails on its way, before the job arrives or after
it did, and a job is cancelled or fails, in the words of some provider or other.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from qiskit.providers import JobError
from qiskit_aer import AerSimulator

DEAD = ("FAILED", "error", "Canceled", "CANCELLED", "Cancelled - Ran too long", "JobStatus.ERROR")


class FolderDevice(AerSimulator):
    """A device whose jobs are files in `folder`. They take `delay` seconds; `trouble` is the probability of each kind
    of failure."""

    def __init__(self, folder: Path, delay: float = 0.01, trouble: float = 0.08, tags: bool = True) -> None:
        super().__init__(max_parallel_threads=1)
        self.folder, self.delay, self.trouble = folder, delay, trouble
        self.chance = random.SystemRandom()
        if not tags:
            self.jobs = None

    def _may_fail(self) -> None:
        if self.chance.random() < self.trouble:
            raise ConnectionError("the connection was reset")

    def run(self, circuits: Any, *, job_tags: list[str] | None = None, **options: Any) -> FolderJob:
        self._may_fail()
        found = super().run(circuits, **options).result().get_counts()
        counts = [dict(each) for each in (found if isinstance(found, list) else [found])]
        job = {
            "circuits": len(counts),
            "shots": sum(sum(each.values()) for each in counts),
            "tags": job_tags or [],
            "ready": time.time() + self.delay,
            "status": self.chance.choice(DEAD) if self.chance.random() < self.trouble else "Completed",
            "counts": counts,
        }
        name = uuid4().hex
        partial = self.folder / f"{name}.partial"
        partial.write_text(json.dumps(job), encoding="utf-8")
        os.replace(partial, self.folder / f"{name}.json")  # from here on it is paid for
        self._may_fail()
        return FolderJob(self, name)

    def retrieve_job(self, job_id: str) -> FolderJob:
        self._may_fail()
        if not (self.folder / f"{job_id}.json").exists():
            raise JobError(f"no job {job_id}")
        return FolderJob(self, job_id)

    def jobs(self, *, job_tags: list[str], limit: int | None = 10) -> list[FolderJob]:
        self._may_fail()
        files = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        found = [path.stem for path in files if set(job_tags) <= set(read(path)["tags"])]
        return [FolderJob(self, name) for name in found[:limit]]


class FolderJob:
    """A job of that device."""

    def __init__(self, device: FolderDevice, name: str) -> None:
        self.device, self.name = device, name

    def job_id(self) -> str:
        return self.name

    def _read(self) -> dict[str, Any]:
        return read(self.device.folder / f"{self.name}.json")

    def status(self) -> str:
        job = self._read()
        return "Running" if time.time() < job["ready"] else str(job["status"])

    def result(self) -> Any:
        self.device._may_fail()
        while self.status() == "Running":
            time.sleep(self.device.delay / 10)
        job = self._read()
        if job["status"] != "Completed":
            raise JobError(f"the job was lost: {job['status']}")
        return SimpleNamespace(get_counts=lambda index=None: job["counts"] if index is None else job["counts"][index])


def read(path: Path) -> dict[str, Any]:
    """A job as its file holds it."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def bill(folder: Path) -> list[dict[str, Any]]:
    """The jobs that were paid for."""
    return [read(path) for path in folder.glob("*.json")]


def is_lost(job: dict[str, Any]) -> bool:
    """Whether a job that was paid for gave nothing."""
    return bool(job["status"] != "Completed")
