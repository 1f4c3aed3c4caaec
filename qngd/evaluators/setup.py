"""How values are measured, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qngd.measured.cross import CrossMethod, check_cross
from qngd.measured.grouping import Grouping, check_grouping


@dataclass(frozen=True, eq=False)
class Setup:
    """How values are measured: on which backend, with which shots per circuit, in which groups of the observable's
    strings, and by which circuits between layers of a full metric. All as in `minimize`; `qngd.evaluators.choice` says
    which backend and shots hold where none are given.

    Raises:
        SettingError: there is no such grouping or way between layers.
    """

    backend: Any = None
    shots: Any = None
    grouping: Grouping = "qubit-wise"
    cross: CrossMethod = "hadamard"

    def __post_init__(self) -> None:
        check_grouping(self.grouping)
        check_cross(self.cross)


USUAL = Setup()  # where users say nothing
