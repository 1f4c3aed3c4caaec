"""Observables: real combinations of Pauli strings, Σ c_t P_t."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from qngd._system.brief import brief_fields
from qngd.circuit.pauli import PauliStrings, anticommute, merged
from qngd.errors import ObservableError

# The anti-Hermitian part of an operator is left out if it is this small beside the largest number: what rounding to six
# digits, or to single precision, leaves.
HERMITIAN_TOLERANCE = 5e-7


@dataclass(frozen=True, eq=False)
class Observable:
    """H = Σ_t coefficients[t]·strings[t], Hermitian: T strings (sign +1) and real coefficients (T,).

    >>> h = Observable.from_mapping({"ZZ": 1.0, "XI": 0.5})
    >>> h.num_qubits, len(h)
    (2, 2)
    """

    strings: PauliStrings
    coefficients: np.ndarray

    __repr__ = brief_fields

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
        return cls.from_terms(terms.items())

    @classmethod
    def from_terms(cls, terms: Iterable[tuple[str, complex]]) -> Observable:
        """From pairs of a Pauli label (rightmost letter is qubit 0) and a real coefficient; equal labels add up.

        Raises:
            ObservableError: a label or coefficient is not usable, or there is none; the text names it.
        """
        pairs = list(terms)
        if not pairs:
            raise ObservableError("the observable has no terms; give at least one Pauli label")
        for label, _ in pairs:
            if not isinstance(label, str):
                raise ObservableError(f"an observable's keys are Pauli labels, not {label!r}")
        for label, value in pairs:
            if np.ndim(value) or np.asarray(value).dtype.kind not in "biufc":  # an array's element may be an array
                raise ObservableError(f"the coefficient of {label} is {value!r}; use a real number")
        labels = [label for label, _ in pairs]
        try:
            strings = PauliStrings.from_labels(labels, len(labels[0]))
        except ValueError as error:
            raise ObservableError(f"observable: {error}") from None
        return cls.from_strings(strings, [value for _, value in pairs])

    @classmethod
    def from_strings(cls, strings: PauliStrings, coefficients: object) -> Observable:
        """From strings and their coefficients: equal strings are added up. No string at all is the observable 0.

        Raises:
            ObservableError: a coefficient is complex or not finite.
        """
        values = _numbers(coefficients, len(strings))
        for row in np.flatnonzero(~np.isfinite(values))[:1]:
            (label,) = strings[[row]].labels()
            raise ObservableError(f"the coefficient of {label} is {values[row]}; use finite numbers")
        scale = float(np.abs(values).max(initial=0.0))
        for row in np.flatnonzero(np.abs(values.imag) > HERMITIAN_TOLERANCE * scale)[:1]:
            (label,) = strings[[row]].labels()
            raise ObservableError(
                f"the coefficient of {label} is {values[row]:.6g}: an observable must be Hermitian, so its Pauli "
                f"coefficients must be real (imaginary parts up to {HERMITIAN_TOLERANCE:g} of the largest coefficient "
                "count as rounding); for the Hermitian part of an operator A give (A + A†)/2"
            )
        return cls(*_never_empty(*merged(strings, values.real)))

    @property
    def acting(self) -> np.ndarray:
        """Places of the strings that are not the identity and have a weight."""
        return np.flatnonzero(~self._is_identity & (self.coefficients != 0))

    @property
    def identity_coefficient(self) -> float:
        """The coefficient of the identity: the mean eigenvalue."""
        return float(self.coefficients[self._is_identity].sum())

    @property
    def deviation(self) -> float:
        """The standard deviation of its eigenvalues, √(tr H²/2ⁿ − (tr H/2ⁿ)²) = √Σ c² over strings that act: how
        large differences of energies are in the unit that it is written in."""
        return float(np.linalg.norm(self.coefficients[self.acting]))

    def deviation_below(self, share: float) -> float:
        """√share of that for the mean of the lowest `share` of its values: penalties, say, that widen all of them lie
        above."""
        return float(np.sqrt(share)) * self.deviation

    @property
    def clash(self) -> tuple[str, str] | None:
        """Two of its strings that do not commute, by their labels; None where all do, and have a common basis."""
        acting = self.strings[self.acting]
        if not acting.x.any():
            return None
        for row in range(len(acting)):
            if (hits := anticommute(acting[[row]], acting)[0]).any():
                first, second = acting[[row, int(np.argmax(hits))]].labels()
                return first, second
        return None

    @property
    def norm_bound(self) -> float:
        """Σ|c| without the identity: no energy is further than this from the mean eigenvalue."""
        return math.fsum(np.abs(self.coefficients[~self._is_identity]))

    @property
    def _is_identity(self) -> np.ndarray:
        return ~(self.strings.x | self.strings.z).any(axis=1)


def _numbers(coefficients: object, count: int) -> np.ndarray:
    try:
        values = np.asarray(coefficients, dtype=complex)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (count,):
        raise ObservableError(f"an observable needs one number per Pauli string; got {coefficients!r}")
    return values


def _never_empty(strings: PauliStrings, coefficients: np.ndarray) -> tuple[PauliStrings, np.ndarray]:
    """The sum itself, or 0·1 in place of a sum without terms."""
    if len(strings):
        return strings, coefficients
    return PauliStrings.from_labels(["I" * strings.num_qubits]), np.zeros(1)
