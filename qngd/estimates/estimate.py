"""Numbers with their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qngd._system.brief import brief_fields
from qngd._system.html import matrix_picture, rows_table
from qngd.errors import counted

_ROUNDING = 64 * float(np.finfo(float).eps)  # of an energy, relative
_LISTED = 20  # numbers that a notebook shows of an array


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value (a number or an array) with its standard error, of the same shape.

    An exact value has standard error 0 and says so; a sampled one has it only where algebra makes the value certain,
    not where the shots happen to agree (see `qngd.measured.outcomes`). `covariance`, where known, is the covariance
    matrix of an array's entries.

    >>> print(Estimate(np.float64(-1.1362), np.float64(0.0041)))
    -1.136 ± 0.004
    """

    value: Any
    stderr: Any
    shots: int = 0
    covariance: np.ndarray | None = field(default=None, repr=False)

    __repr__ = brief_fields

    @classmethod
    def exact(cls, value: Any) -> Estimate:
        return cls(value, np.zeros_like(value))

    @property
    def is_exact(self) -> bool:
        """Whether no shots are behind it, and its standard error is 0."""
        return self.shots == 0 and not np.any(self.stderr)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        if np.ndim(self.value):
            return f"{self.value}" if self.is_exact else f"{self.value} ± {self.stderr}"
        return format_with_error(float(self.value), float(self.stderr))

    def _repr_html_(self) -> str:
        """For notebooks: the number with its error, or the first of many."""
        values, stderrs = np.ravel(self.value), np.ravel(self.stderr)
        texts = [format_with_error(float(v), float(s)) for v, s in zip(values, stderrs, strict=True)][:_LISTED]
        places = np.ndindex(np.shape(self.value))
        rows = {", ".join(map(str, place)) or "value": text for place, text in zip(places, texts, strict=False)}
        if len(values) > _LISTED:
            rows["…"] = f"{len(values) - _LISTED} more"
        kind = (
            "exact"
            if self.is_exact
            else f"from {counted(self.shots, 'shot')}"
            if self.shots
            else "with a standard error"
        )
        return rows_table(f"Estimate, {kind}", rows)


def rounding(energy: Estimate) -> float:
    """What rounding may do to an exact energy."""
    return _ROUNDING * max(abs(float(energy.value)), 1.0)


def format_with_error(value: float, stderr: float) -> str:
    """'-1.136 ± 0.004': the error to one digit, the value to the same place; an exact value to 10 digits."""
    if not (math.isfinite(value) and math.isfinite(stderr)):
        return f"{value} ± {stderr}"
    if stderr == 0:
        return f"{value:.10g}"
    places = max(0, -math.floor(math.log10(float(f"{stderr:.0e}"))))
    return f"{value:.{places}f} ± {stderr:.{places}f}"


def format_seconds(seconds: float) -> str:
    """'0.0042 s', '0.42 s', '12 s', '3 min 20 s', '5 h 10 min', '3.2 days'."""
    if seconds < 0.1:
        return f"{seconds:.2g} s"
    if seconds < 10:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes / 1440:.3g} days"


@dataclass(frozen=True, eq=False)
class MetricTensor:
    """The Fubini–Study metric g over the flattened parameters, (P, P); the Fisher information is 4g.

    `np.asarray(m)` is the matrix; `stderr` (P, P) its standard errors (0 where exact, where the approximation sets an
    entry to 0, or where algebra makes it certain); what making it positive moved counts as an error.
    `approx` says what was computed, in the words of `metric_tensor`. `note` holds what the user should know about how
    it came about; `unprojected` is the unbiased estimate that was indefinite before it was made positive, None where
    nothing was changed.

    >>> m = MetricTensor(np.diag([0.25, 0.1]), np.zeros((2, 2)), "diag")
    >>> m.eigenvalues
    array([0.1 , 0.25])
    >>> m @ np.ones(2)
    array([0.25, 0.1 ])
    """

    value: np.ndarray
    stderr: np.ndarray
    approx: str
    shots: int = 0
    note: str = ""
    unprojected: np.ndarray | None = None

    __repr__ = brief_fields

    @classmethod
    def exact(cls, value: np.ndarray, approx: str, note: str = "") -> MetricTensor:
        return cls(value, np.zeros(np.shape(value)), approx, note=note)  # of memory that nobody has touched

    @classmethod
    def made_positive(
        cls, value: np.ndarray, raw: np.ndarray, stderr: np.ndarray, approx: str, shots: int, note: str
    ) -> MetricTensor:
        """An unbiased estimate `raw` with its standard errors, and the positive matrix that takes its place: √(σ² + d²)
        are its errors where an entry moved by d, as one that algebra makes certain is so no longer."""
        return cls(value, np.hypot(stderr, value - raw), approx, shots, note, raw)

    @property
    def shape(self) -> tuple[int, int]:
        return self.value.shape

    @property
    def raw(self) -> np.ndarray:
        """The unbiased estimate, for averages."""
        return self.value if self.unprojected is None else self.unprojected

    @property
    def raw_stderr(self) -> np.ndarray:
        """The standard errors of `raw`, (P, P)."""
        if self.unprojected is None:
            return self.stderr
        return np.sqrt(np.maximum(self.stderr**2 - (self.value - self.unprojected) ** 2, 0.0))

    @property
    def is_exact(self) -> bool:
        """Whether no shots are behind it."""
        return self.shots == 0 and not np.any(self.stderr)

    @property
    def eigenvalues(self) -> np.ndarray:
        """The eigenvalues in ascending order, (P,)."""
        return np.linalg.eigvalsh(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value, dtype=dtype)

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        return self.value @ vector

    def __str__(self) -> str:
        low, high = self.eigenvalues[[0, -1]] if len(self.value) else (0.0, 0.0)
        count = len(self.value)
        return (
            f"{self.approx} metric of {counted(count, 'parameter')}, {self._kind}; eigenvalues {low:.3g} to {high:.3g}"
        )

    @property
    def _kind(self) -> str:
        """Where it comes from, in words."""
        return (
            "exact" if self.is_exact else f"from {counted(self.shots, 'shot')}" if self.shots else "from random samples"
        )

    def _repr_html_(self) -> str:
        """For notebooks: what it is, its eigenvalues, and the matrix in colours."""
        rows = {"approx": self.approx, "parameters": str(len(self.value)), "entries": self._kind}
        if len(self.value):
            values = self.eigenvalues
            rows["eigenvalues"] = f"{values[0]:.3g} to {values[-1]:.3g}"
            rows["largest entry"] = f"{np.abs(self.value).max():.3g}"
        if not self.is_exact:
            rows["largest standard error"] = f"{np.max(self.stderr, initial=0.0):.2g}"
        if self.note:
            rows["note"] = self.note
        return rows_table("MetricTensor", rows) + matrix_picture(self.value, f"the {self.approx} metric in colours")
