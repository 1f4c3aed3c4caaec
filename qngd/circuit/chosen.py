"""Parameters chosen by name: frozen ones, bounded ones, those that hold data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.circuit.theta import ThetaStructure, as_flat
from qngd.errors import ParameterError, SettingError, did_you_mean, is_number, shown


def columns_of(name: Any, parameters: Sequence[str], argument: str) -> list[int]:
    """Where the parameter of this name stands, else all elements of the vector or argument of this name, or of a part
    of an array, "w[0]". A parameter of Qiskit's, or a vector of such, stands for its name.

    Raises:
        SettingError: there is none; the text begins with the `argument`.
    """
    if hasattr(name, "params"):
        return [column for each in name.params for column in columns_of(each, parameters, argument)]
    text = getattr(name, "name", name)
    if not isinstance(text, str):
        raise SettingError(f"{argument}: {shown(name)} is no name of a parameter; the names are {_listed(parameters)}")
    begins = (f"{text}[", f"{text}.", *([f"{text[:-1]},"] if text.endswith("]") else []))
    alone = [i for i, known in enumerate(parameters) if known == text]
    found = alone or [i for i, known in enumerate(parameters) if known.startswith(begins)]
    if not found:
        stems = dict.fromkeys([*parameters, *(known.partition("[")[0] for known in parameters)])
        raise SettingError(
            f"{argument}: there is no parameter {text!r}; the names are {_listed(parameters)}."
            f"{did_you_mean(text, stems)}"
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def chosen(spec: Any, parameters: Sequence[str], argument: str) -> np.ndarray:
    """The parameters (mask over P) that a name, a list of names or a mask says; of None, none.

    Raises:
        SettingError: it names no parameter, or the mask has another shape.
    """
    mask = np.zeros(len(parameters), dtype=bool)
    if spec is None:
        return mask
    if isinstance(spec, str) or hasattr(spec, "name") or hasattr(spec, "params"):
        spec = [spec]
    array = np.asarray(spec) if not isinstance(spec, (set, frozenset)) else np.asarray(sorted(spec))
    if array.dtype == bool:
        if array.size != len(parameters):
            raise SettingError(
                f"{argument}: a mask has one truth value for each of the {len(parameters)} parameters; got shape "
                f"{array.shape}"
            )
        return array.reshape(-1)
    if not isinstance(spec, Iterable):
        raise SettingError(
            f"{argument}: give a name, a list of names, or a truth value for each of the {len(parameters)} parameters; "
            f"got {shown(spec)}"
        )
    for name in spec:
        mask[columns_of(name, parameters, argument)] = True
    return mask


def limits(spec: Any, parameters: Sequence[str]) -> tuple[np.ndarray, np.ndarray] | None:
    """The lowest and the highest value (P,) of every parameter, or None where nothing is bounded.

    Raises:
        SettingError: a bound is no pair (low, high) of numbers with low < high, or may be read in two ways.
    """
    if spec is None:
        return None
    count = len(parameters)
    low, high = np.full(count, -np.inf), np.full(count, np.inf)
    if not isinstance(spec, Mapping):
        low[:], high[:] = _pair(spec, count)
        return low, high
    for name, pair in spec.items():
        columns = columns_of(name, parameters, "bounds")
        low[columns], high[columns] = _pair(pair, len(columns), f" for {getattr(name, 'name', name)}")
    return low, high


def _as_sides(spec: Any, count: int, place: str) -> Any:
    """The lows and the highs, where SciPy's `Bounds` or a list of a pair for each parameter were given; anything else
    as it is."""
    if hasattr(spec, "lb") and hasattr(spec, "ub"):
        return spec.lb, spec.ub
    rows = list(spec) if isinstance(spec, (list, tuple)) else []
    if len(rows) != count or not all(isinstance(row, (list, tuple)) and len(row) == 2 for row in rows):
        return spec
    if count == 2:
        raise SettingError(
            f"bounds: {shown(spec)}{place} may be lows and highs, or a pair for each of two parameters; give a mapping "
            "from their names to pairs, or lows and highs as NumPy arrays"
        )
    return sides_of(rows)


def sides_of(pairs: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """The lows and the highs of pairs as SciPy takes them: None, alone or in a pair, is no bound."""
    both = [(None, None) if pair is None else pair for pair in pairs]
    lows = [-np.inf if pair[0] is None else pair[0] for pair in both]
    return lows, [np.inf if pair[1] is None else pair[1] for pair in both]


def _pair(pair: Any, count: int, place: str = "") -> tuple[np.ndarray, np.ndarray]:
    wrong = (
        f"bounds: give (low, high), numbers or arrays of {count}, a mapping from names to such, or a pair for each "
        f"parameter; got {shown(pair)}{place}"
    )
    sides = _as_sides(pair, count, place)
    try:
        low, high = (
            np.full(count, fill if side is None else side) if side is None or is_number(side) else np.ravel(side)
            for side, fill in zip(sides, (-np.inf, np.inf), strict=True)
        )
        low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    except (TypeError, ValueError):
        raise SettingError(wrong) from None
    if low.shape != (count,) or high.shape != (count,):
        raise SettingError(wrong)
    if not np.all(low < high):
        raise SettingError(f"bounds: low must be less than high; got {shown(pair)}{place}")
    return low, high


@dataclass(frozen=True, eq=False)
class PartOfTheta:
    """The `ThetaStructure` of the `free` parameters (mask) where the others keep their `values` (P,): the user goes on
    writing all of them, whose `names` these are."""

    whole: ThetaStructure
    free: np.ndarray
    values: np.ndarray
    names: Sequence[str]

    def flatten(self, theta: Any) -> np.ndarray:
        """The free values of θ, which may be these alone, flat; raises ParameterError where θ gives a frozen one
        another value."""
        count = int(self.free.sum())
        if isinstance(theta, np.ndarray) and theta.shape == (count,) and count < len(self.free):
            return as_flat(theta, count)
        flat = self.whole.flatten(theta)
        if not np.array_equal(flat[~self.free], self.values[~self.free]):
            raise ParameterError("theta: a frozen parameter has another value here than at the start")
        return flat[self.free]

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        return self.whole.unflatten(self._whole_of(flat), like)

    def split(self, flat: np.ndarray) -> Any:
        """The flat values by arguments, 0 in the place of frozen ones: it is asked of derivatives."""
        full = np.zeros_like(self.values)
        full[self.free] = flat
        return self.whole.split(full)

    def _whole_of(self, flat: np.ndarray) -> np.ndarray:
        full = self.values.copy()
        full[self.free] = flat
        return full
