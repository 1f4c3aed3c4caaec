"""How users write parameter values, and the flat vector of P numbers that they come to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qngd.errors import ParameterError, counted, shown


class ThetaStructure(Protocol):
    """How the user writes parameter values, and how that maps to a flat vector of P numbers."""

    def flatten(self, theta: Any) -> np.ndarray:
        """The values as a flat float array (P,); raises ParameterError where they do not fit."""

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        """The flat values in the structure of `like`, which is what `flatten` was given."""

    def split(self, flat: np.ndarray) -> Any:
        """The flat values by arguments."""


@dataclass(frozen=True)
class FlatTheta:
    """Parameter values as one array in the order of `names`, or as a mapping from parameters, or their names, to
    values; a whole array of parameters (Qiskit's `ParameterVector`, or a name, "w" for w[0] to w[4]) has an array of
    values."""

    names: tuple[str, ...]

    def flatten(self, theta: Any) -> np.ndarray:
        if isinstance(theta, Mapping):
            given = values_by_name(theta, self.names)
            missing = [name for name in self.names if name not in given]
            unknown = [name for name in given if name not in self.names]
            if missing or unknown:
                raise ParameterError(
                    f"theta: missing {missing or 'none'}, unknown {unknown or 'none'}; "
                    f"the circuit's parameters are {list(self.names)}"
                )
            theta = [given[name] for name in self.names]
        return as_flat(theta, len(self.names), self.names)

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        if isinstance(like, Mapping):
            order = dict(zip(self.names, flat, strict=True))
            every = {key: _names_of(key, self.names) for key in like}
            return {
                key: float(order[names])
                if isinstance(names, str)
                else _shaped([order[name] for name in names.ravel()], like[key])
                for key, names in every.items()
            }
        return np.array(flat)

    def split(self, flat: np.ndarray) -> Any:
        return np.array(flat)


def _name_of(key: Any) -> str:
    return str(getattr(key, "name", key))


def _names_of(key: Any, known: Sequence[str]) -> str | np.ndarray:
    """The name of a parameter, or the names of those of an array in its shape: of a vector that holds them, or of a
    name such as "w", whose elements "w[0]" and "w[1]" are among the `known`."""
    if hasattr(key, "params"):
        return np.array([_name_of(parameter) for parameter in key.params], dtype=object)
    name = _name_of(key)
    elements = None if name in known else _elements(name, known)
    return name if elements is None else elements


def _elements(name: str, known: Sequence[str]) -> np.ndarray | None:
    """The names of an array's elements, "w[0,0]" to "w[1,2]", where they stand in it; None unless all are there."""
    found = ((re.fullmatch(rf"{re.escape(name)}\[(\d+(?:,\d+)*)\]", each), each) for each in known)
    places = {tuple(map(int, match[1].split(","))): each for match, each in found if match}
    shape = tuple(1 + max(along) for along in zip(*places, strict=False))
    if not places or {len(place) for place in places} != {len(shape)} or np.prod(shape, dtype=int) != len(places):
        return None
    names = np.empty(shape, dtype=object)
    for place, each in places.items():
        names[place] = each
    return names


def _shaped(values: Sequence[float], like: Any) -> np.ndarray:
    """As an array of the shape that the user's has."""
    shape = np.shape(like)
    return np.reshape(values, shape if np.prod(shape, dtype=int) == len(values) else -1)


def values_by_name(theta: Mapping[Any, Any], known: Sequence[str], shorter: bool = False) -> dict[str, Any]:
    """A mapping from parameters, their names or whole arrays of them to values, by the names of the parameters, which
    are `known`; where arrays may be `shorter` than those, their elements are the first.

    Raises:
        ParameterError: an array has values of another shape, or a parameter has two values.
    """
    pairs = [pair for key, values in theta.items() for pair in _named_values(key, values, known, shorter)]
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ParameterError(f"theta: {twice} has two values; give it alone or in its array")
    return found


def _named_values(key: Any, values: Any, known: Sequence[str], shorter: bool) -> list[tuple[str, Any]]:
    """A mapping's entry, one by one where it is an array of parameters. Values of an array with one axis may have any
    shape, and those of others that of the array or one axis."""
    names = _names_of(key, known)
    if isinstance(names, str):
        return [(names, values)]
    try:
        given = np.asarray(values)
    except ValueError:
        raise ParameterError(f"theta: {_name_of(key)}: its values are no array, as their lengths differ") from None
    if shorter:
        names = names[: given.size] if names.ndim == 1 else names[tuple(map(slice, given.shape[: names.ndim]))]
    fits = given.shape == names.shape or (given.ndim > 0 and 1 in (given.ndim, names.ndim))
    if not fits or given.size != names.size:
        size = counted(names.size, "element") if names.ndim == 1 else f"shape {names.shape}"
        raise ParameterError(f"theta: {_name_of(key)} has {size}; got values of shape {given.shape}")
    return list(zip(names.ravel().tolist(), given.ravel().tolist(), strict=True))


def as_flat(theta: Any, count: int, names: Sequence[str] = ()) -> np.ndarray:
    """`theta` as a float array of shape (count,); raises ParameterError saying what is wrong with it, and what the
    parameters are called where `names` has them."""
    try:
        values = np.asarray(theta)
        if np.iscomplexobj(values) or (values.dtype == object and any(value is None for value in values.flat)):
            raise TypeError
        values = values.astype(float)
    except (TypeError, ValueError):
        raise ParameterError(f"theta must be {count} real numbers; got {shown(theta)}") from None
    if values.shape != (count,):
        order = f", one number each for {_in_order(names)}" if names else ""
        raise ParameterError(f"theta must have shape ({count},){order}; got {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ParameterError(f"theta[{bad[0]}] is {values[bad[0]]}; parameters must be finite")
    return values


def _in_order(names: Sequence[str]) -> str:
    """Names in a message, those in the middle left out where they are many."""
    return ", ".join(names if len(names) <= 8 else [*names[:3], "…", names[-1]])
