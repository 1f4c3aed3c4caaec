"""What users may give beside a circuit, as types; see `qngd.interop.arguments`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, SupportsFloat, SupportsIndex

from qngd.backends import Backend
from qngd.measured.shots import ShotRule


class _Runs(Protocol):
    """A backend or a primitive of Qiskit."""

    @property
    def run(self) -> Callable[..., Any]: ...


class _Executes(Protocol):
    """A device of PennyLane."""

    @property
    def execute(self) -> Callable[..., Any]: ...


BackendLike = Backend | str | _Runs | _Executes
Whole = SupportsIndex | float  # 3, or 3.0, or an integer of NumPy
Shots = Whole | Literal["auto"] | ShotRule
Real = SupportsFloat
