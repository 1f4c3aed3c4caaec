"""The ids of a run's jobs, written down before anybody waits for them: what was paid for can be found again.

    run_dir/jobs.jsonl    a row a job: the step it belongs to, the provider's id, when it was sent

A submission is known by the hash of its plan. One that was sent from the state that a run resumes from, and whose
results are not in it, is collected again instead of sent again, where the provider gives jobs by their ids.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class JobLog:
    """Rows of the jobs that `path` holds, or will hold.

    `step` is that of the state that submissions start from, −1 before the first.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.step = -1
        self._open: dict[str, dict[int, str]] = {}

    def resume(self, step: int) -> None:
        """Go on from the state after this step: what was sent from there can be collected."""
        self.step = step
        self._open = {}
        for row in self._rows():
            if row["step"] == step:
                self._open.setdefault(row["submission"], {})[row["place"]] = row["job"]

    def take(self, submission: str) -> list[str]:
        """The ids of the jobs of an interrupted submission, each submission once; none if there is none."""
        return [job for _, job in sorted(self._open.pop(submission, {}).items())]

    def add(self, submission: str, backend: str, place: int, job: str) -> None:
        """Write down a job of a submission."""
        row = {
            "step": self.step,
            "job": job,
            "backend": backend,
            "sent": datetime.now(UTC).isoformat(timespec="seconds"),
            "place": place,
            "submission": submission,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _rows(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        complete = self.path.read_text(encoding="utf-8").split("\n")[:-1]  # a crash may cut the last line short
        return [json.loads(line) for line in complete]
