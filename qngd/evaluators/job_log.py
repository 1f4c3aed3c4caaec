"""The ids of a run's jobs, written down before anybody waits for them: what was paid for can be found again.

    run_dir/jobs.jsonl    a row a job: the step it belongs to, the provider's id, when it was sent

A submission is a batch of jobs, known by the hash of its plan and by how it is divided into them. What was sent of one
from the state that a run resumes from, and whose results are not in it, is collected instead of sent again, where the
provider gives jobs by their ids.
"""

from __future__ import annotations

import json
import os
import warnings
from datetime import UTC, datetime
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from qngd.errors import QngdWarning


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

    def begin_step(self, step: int) -> None:
        """Submissions start from the state after this step from now on."""
        self.step = step

    def take(self, submission: str) -> list[str]:
        """The ids of the first jobs of an interrupted submission, each submission once; none if there is none."""
        jobs = self._open.pop(submission, {})
        return [jobs[place] for place in takewhile(jobs.__contains__, count())]

    def add(self, submission: str, backend: str, place: int, job: str) -> None:
        """Write down a job of a submission.

        Warns:
            QngdWarning: the file cannot be written to; the job is paid for, so the run still waits for it.
        """
        row = {
            "step": self.step,
            "job": job,
            "backend": backend,
            "sent": datetime.now(UTC).isoformat(timespec="seconds"),
            "place": place,
            "submission": submission,
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            warnings.warn(
                f"run_dir: cannot write to {self.path}: {error.strerror or error}; the job {job} of {backend} is not "
                "written down, and would not be found after a crash",
                QngdWarning,
                stacklevel=2,
            )

    def _rows(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        complete = self.path.read_text(encoding="utf-8").split("\n")[:-1]  # a crash may cut the last line short
        return [json.loads(line) for line in complete]
