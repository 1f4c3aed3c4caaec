"""What evaluators have in common whose answers a backend measures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Self

import numpy as np

from qngd.backends.base import BackendBase
from qngd.backends.foreign import completed
from qngd.errors import SettingError
from qngd.estimates.evaluation import Spread
from qngd.evaluators.base import Evaluator
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.setup import Setup
from qngd.evaluators.submission import noise_note
from qngd.measured.shots import FixedShots, ShotRule, as_rule


class DeviceEvaluator(Evaluator):
    """The `backend` of a setup, its rule for `shots`, and the log of a run that is kept on disk."""

    backend: BackendBase
    is_exact = False

    def __init__(self, setup: Setup, job_log: JobLog | None = None) -> None:
        self.shots: ShotRule = as_rule(setup.shots)
        self.backend = completed(setup.backend)
        self.job_log = job_log
        self._noise_note = noise_note(self.backend)  # before anything is paid for: it asks the backend

    @property
    def name(self) -> str:
        return self.backend.name

    def with_shots(self, rule: ShotRule) -> Self:
        """The same with other shots; planners and backend are shared."""
        found = copy.copy(self)
        vars(found).update(shots=rule)
        return found

    @property
    def has_fixed_shots(self) -> bool:
        """Whether the shots do not depend on what was seen, so that nobody asks what they were worth."""
        return isinstance(self.shots, FixedShots)

    def remembered(self, seen: Spread, before: Spread | None) -> Spread:
        """What a step saw, with as much of what was seen `before` as the rule for shots wants to keep."""
        return seen.after(before, getattr(self.shots, "memory", 0.0))

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        raise SettingError(
            'approx="matrix-free" needs the embedded exact simulator; use "block-diag" or "qn-spsa" with shots'
        )
