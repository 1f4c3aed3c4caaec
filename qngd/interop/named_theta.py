"""θ of circuits whose parameters have names: an array or a mapping, also JAX's or torch's, which come back in kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qngd.circuit.theta import FlatTheta
from qngd.interop.arrays import as_numbers, in_kind_of


class NamedTheta(FlatTheta):
    """`FlatTheta` that takes arrays of JAX and torch too."""

    def flatten(self, theta: Any) -> np.ndarray:
        if isinstance(theta, Mapping):
            return super().flatten({key: as_numbers(value) for key, value in theta.items()})
        return super().flatten(as_numbers(theta))

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        made = super().unflatten(flat, like)
        if isinstance(like, Mapping):
            return {key: in_kind_of(like[key], value) for key, value in made.items()}
        return in_kind_of(like, made)
