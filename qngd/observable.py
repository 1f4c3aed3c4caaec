"""Observables: real combinations of Pauli strings, Σ c_t P_t."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qngd.errors import ObservableError
from qngd.pauli import PauliStrings


@dataclass(frozen=True, eq=False)
class Observable:
    """H = Σ_t coefficients[t]·strings[t], Hermitian: T strings (sign +1) and real coefficients (T,).

    >>> h = Observable.from_mapping({"ZZ": 1.0, "XI": 0.5})
    >>> h.num_qubits, len(h)
    (2, 2)
    """

    strings: PauliStrings
    coefficients: np.ndarray

    @property
    def num_qubits(self) -> int:
        return self.strings.num_qubits

    def __len__(self) -> int:
        return len(self.coefficients)

    def __str__(self) -> str:
        terms = zip(self.coefficients, self.strings.labels(), strict=True)
        return " ".join(f"{c:+g}·{label}" for c, label in terms)

    @classmethod
    def from_mapping(cls, terms: Mapping[str, complex]) -> Observable:
        """From Pauli labels (rightmost letter is qubit 0) to real coefficients.

        Raises:
            ObservableError: a label or coefficient is not usable; the text names it.
        """
        if not terms:
            raise ObservableError("the observable has no terms; give at least one Pauli label")
        for label in terms:
            if not isinstance(label, str):
                raise ObservableError(f"an observable's keys are Pauli labels, not {label!r}")
        for label, value in terms.items():
            if np.ndim(value) or not isinstance(value, (int, float, complex, np.number)):
                raise ObservableError(f"the coefficient of {label} is {value!r}; use a real number")
        num_qubits = len(next(iter(terms)))
        try:
            strings = PauliStrings.from_labels(terms, num_qubits)
        except ValueError as error:
            raise ObservableError(f"observable: {error}") from None
        return cls.from_strings(strings, list(terms.values()))

    @classmethod
    def from_strings(cls, strings: PauliStrings, coefficients: object) -> Observable:
        """From strings and their coefficients: equal strings are added up.

        Raises:
            ObservableError: a coefficient is complex or not finite.
        """
        values = _numbers(coefficients, len(strings))
        scale = float(np.abs(values).max(initial=0.0))
        for row in np.flatnonzero(~np.isfinite(values))[:1]:
            (label,) = strings[[row]].labels()
            raise ObservableError(f"the coefficient of {label} is {values[row]}; use finite numbers")
        for row in np.flatnonzero(np.abs(values.imag) > 1e-10 * scale)[:1]:
            (label,) = strings[[row]].labels()
            raise ObservableError(
                f"the coefficient of {label} is {values[row]}: an observable must be Hermitian, "
                "so its Pauli coefficients must be real"
            )
        real = values.real * strings.sign
        keys = np.concatenate([strings.x, strings.z], axis=1)
        unique, inverse = np.unique(keys, axis=0, return_inverse=True)
        total = np.zeros(len(unique))
        np.add.at(total, inverse.reshape(-1), real)
        words = strings.x.shape[1]
        merged = PauliStrings(
            strings.num_qubits,
            np.ascontiguousarray(unique[:, :words]),
            np.ascontiguousarray(unique[:, words:]),
            np.ones(len(unique), dtype=np.int8),
        )
        return cls(merged, total)

    @property
    def acting(self) -> np.ndarray:
        """Places of the strings that are not the identity and have a weight."""
        return np.flatnonzero((self.strings.x | self.strings.z).any(axis=1) & (self.coefficients != 0))

    @property
    def identity_coefficient(self) -> float:
        """The coefficient of the identity: the mean eigenvalue."""
        is_identity = ~(self.strings.x.any(axis=1) | self.strings.z.any(axis=1))
        return float(self.coefficients[is_identity].sum())

    @property
    def norm_bound(self) -> float:
        """Σ|c| without the identity: no energy is further than this from the mean eigenvalue."""
        is_identity = ~(self.strings.x.any(axis=1) | self.strings.z.any(axis=1))
        return math.fsum(np.abs(self.coefficients[~is_identity]))


def _numbers(coefficients: object, count: int) -> np.ndarray:
    try:
        values = np.asarray(coefficients, dtype=complex)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (count,):
        raise ObservableError(f"an observable needs one number per Pauli string; got {coefficients!r}")
    return values
