"""Operators as sums of Pauli strings, and the algebra that makes them out of small parts.

A reader of an SDK's operators turns its leaves into sums and adds and multiplies these. Nothing of size 2ⁿ × 2ⁿ is
made on the way; a sum that has too many strings is refused before it fills the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd.circuit.observable import HERMITIAN_TOLERANCE
from qngd.circuit.pauli import PauliStrings, merged, product
from qngd.errors import ObservableError

MAX_STRINGS = 2**20
_MAX_PAIRS = 2**24  # of strings that are multiplied in one product
_MAX_TRANSFORMED = 2**26  # numbers in all transforms of one matrix, most of which may turn out to be zero
_BATCH = 2**20  # strings, or numbers, that are worked on at a time
_POWERS_OF_I = np.array([1, 1j, -1, -1j])


@dataclass(frozen=True, eq=False)
class PauliSum:
    """Σ_t coefficients[t]·strings[t]: T strings, each once and with sign +1, and complex coefficients (T,).

    >>> x, z = (PauliSum.of_strings(PauliStrings.from_labels([label])) for label in ("IX", "ZI"))
    >>> ((x + 2 * z) @ x).strings.labels()
    ['II', 'ZX']
    """

    strings: PauliStrings
    coefficients: np.ndarray

    @property
    def num_qubits(self) -> int:
        return self.strings.num_qubits

    def __len__(self) -> int:
        return len(self.coefficients)

    @classmethod
    def of_strings(cls, strings: PauliStrings, coefficients: Sequence[complex] | np.ndarray | None = None) -> PauliSum:
        """From strings, which may repeat, and their coefficients (default: 1 each)."""
        values = np.ones(len(strings)) if coefficients is None else coefficients
        return cls._checked(*merged(strings, np.asarray(values, dtype=complex)))

    @classmethod
    def _checked(cls, strings: PauliStrings, coefficients: np.ndarray) -> PauliSum:
        require_few(len(strings))
        return cls(strings, coefficients)

    @classmethod
    def identity(cls, num_qubits: int) -> PauliSum:
        return cls.of_strings(PauliStrings.from_labels(["I" * num_qubits]))

    @classmethod
    def total(cls, parts: Iterable[PauliSum], num_qubits: int) -> PauliSum:
        """The sum of all parts; of none, zero.

        Raises:
            ObservableError: it has more than `MAX_STRINGS` strings.
        """
        total, waiting, count = cls.of_strings(PauliStrings.from_labels([], num_qubits)), [], 0
        for part in parts:
            waiting.append(part)
            count += len(part)
            if count > _BATCH:
                total, waiting, count = _joined([total, *waiting]), [], 0
        return _joined([total, *waiting])

    def __add__(self, other: PauliSum) -> PauliSum:
        return PauliSum.total([self, other], self.num_qubits)

    def __mul__(self, factor: complex) -> PauliSum:
        return PauliSum(self.strings, self.coefficients * factor)

    __rmul__ = __mul__

    def __matmul__(self, other: PauliSum) -> PauliSum:
        """The operator product: `other` acts first.

        Raises:
            ObservableError: it has too many strings, or takes too many products of two.
        """
        pairs = len(self) * len(other)
        if pairs > _MAX_PAIRS:
            raise ObservableError(
                f"the observable holds a product of sums of {len(self)} and {len(other)} Pauli strings, which is too "
                "much; write the product out, or take fewer terms"
            )
        step = max(1, _BATCH // max(1, len(other)))
        rows = (slice(start, start + step) for start in range(0, len(self), step))
        return PauliSum.total((self._times(other, chosen) for chosen in rows), self.num_qubits)

    def _times(self, other: PauliSum, chosen: slice) -> PauliSum:
        """The product of the `chosen` of our strings with all of the other's."""
        ours = np.repeat(np.arange(len(self))[chosen], len(other))
        theirs = np.tile(np.arange(len(other)), len(ours) // max(1, len(other)))
        strings, phase = product(self.strings[ours], other.strings[theirs])
        values = self.coefficients[ours] * other.coefficients[theirs] * _POWERS_OF_I[phase]
        return PauliSum(*merged(strings, values))

    def power(self, exponent: int) -> PauliSum:
        """The product of `exponent` ≥ 0 equal factors."""
        result = PauliSum.identity(self.num_qubits)
        for bit in bin(exponent)[2:]:
            result = result @ result
            result = result @ self if bit == "1" else result
        return result

    def dagger(self) -> PauliSum:
        """The Hermitian conjugate."""
        return PauliSum(self.strings, self.coefficients.conj())


def require_few(count: float) -> None:
    """Raise ObservableError if an observable of that many strings would be too large."""
    if count > MAX_STRINGS:
        raise ObservableError(
            f"the observable is a sum of {count:.3g} Pauli strings, more than {MAX_STRINGS}: an operator without "
            "structure on k qubits has 4^k, a projector on a basis state 2^k; give a sum or product of operators that "
            "act on fewer qubits"
        )


def _joined(parts: Sequence[PauliSum]) -> PauliSum:
    together = PauliStrings.joined([part.strings for part in parts])
    return PauliSum._checked(*merged(together, np.concatenate([part.coefficients for part in parts])))


def projector(bits: Sequence[int] | np.ndarray, qubits: Sequence[int], num_qubits: int) -> PauliSum:
    """∏_i (1 ± Z)/2, the projector on `bits[i]` at `qubits[i]`: 2^k strings with coefficients ±2^−k."""
    require_few(2.0 ** len(qubits))
    chosen = (np.arange(2 ** len(qubits))[:, None] >> np.arange(len(qubits))) & 1
    z = np.zeros((len(chosen), num_qubits), dtype=bool)
    z[:, list(qubits)] = chosen
    signs = 1 - 2 * ((chosen @ np.asarray(bits, dtype=np.int64)) & 1)
    return PauliSum.of_strings(PauliStrings.from_bits(np.zeros_like(z), z), signs / len(chosen))


def hermitian_part(matrix: np.ndarray | sparse.sparray, name: str) -> sparse.coo_array:
    """(M + M†)/2 of a matrix that is Hermitian but for rounding.

    Raises:
        ObservableError: it is not; the text names the matrix and its deviation.
    """
    entries = sparse.coo_array(matrix)
    adjoint = entries.conj().T
    deviation, scale = abs(entries - adjoint).max() / 2, abs(entries).max()
    if not deviation <= HERMITIAN_TOLERANCE * scale:
        raise ObservableError(
            f"observable: {name}: its matrix M is not Hermitian: (M − M†)/2 has entries up to {deviation:.3g}, where "
            f"{HERMITIAN_TOLERANCE:g} of the largest entry counts as rounding; give (M + M†)/2 if that is meant"
        )
    return sparse.coo_array((entries + adjoint) / 2)


def of_matrix(matrix: np.ndarray | sparse.sparray, qubits: Sequence[int], num_qubits: int) -> PauliSum:
    """A matrix, dense or sparse, on `qubits`, the most significant bit of an index first.

    With P_xz = i^|x∧z|·X^x Z^z (see `pauli`), the entries with row ⊕ column = x are those of the strings with this x:

        M[b ⊕ x, b] = Σ_z c_xz·i^|x∧z|·(−1)^(z·b),

    a Walsh–Hadamard transform of length 2^k for every x that occurs: k·2^k operations each.

    Raises:
        ObservableError: a number is not finite, or there are too many strings.
    """
    entries = sparse.coo_array(matrix)
    entries.sum_duplicates()
    columns, values = entries.col.astype(np.int64), entries.data
    if not np.isfinite(values).all():
        raise ObservableError("the observable's matrix has entries that are not finite numbers")
    size = 2 ** len(qubits)
    masks, group = np.unique(entries.row ^ columns, return_inverse=True)
    if len(masks) * size > _MAX_TRANSFORMED:
        require_few(len(masks) * size)
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(len(masks) + 1))
    step = max(1, _BATCH // size)

    def parts() -> Iterator[PauliSum]:
        for start in range(0, len(masks), step):
            chosen = order[ends[start] : ends[min(start + step, len(masks))]]
            vectors = np.zeros((min(step, len(masks) - start), size), dtype=complex)
            vectors[group[chosen] - start, columns[chosen]] = values[chosen]
            yield _of_vectors(vectors, masks[start : start + step], qubits, num_qubits)

    return PauliSum.total(parts(), num_qubits)


def _of_vectors(vectors: np.ndarray, masks: np.ndarray, qubits: Sequence[int], num_qubits: int) -> PauliSum:
    """Σ_xz c_xz·P_xz from M[b ⊕ x, b] in row x, column b."""
    size = vectors.shape[1]
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    transformed = _walsh_hadamard(vectors) / size
    # A sum of 2^k numbers by halves is wrong by k roundings of their mean at most: below that it is zero.
    row, z = np.nonzero(np.abs(transformed) > len(qubits) * np.finfo(float).eps * largest)
    x = masks[row]
    phase = _POWERS_OF_I[-np.bitwise_count(x & z).astype(np.int64) % 4]
    return PauliSum.of_strings(
        PauliStrings.from_bits(_spread(x, qubits, num_qubits), _spread(z, qubits, num_qubits)),
        transformed[row, z] * phase,
    )


def _walsh_hadamard(vectors: np.ndarray) -> np.ndarray:
    """Σ_b v(b)·(−1)^(z·b) for every row v and every z, (rows, 2^k)."""
    rows, size = vectors.shape
    for bit in range(int(math.log2(size))):
        halves = vectors.reshape(rows, -1, 2, 2**bit)
        vectors = np.stack([halves[:, :, 0] + halves[:, :, 1], halves[:, :, 0] - halves[:, :, 1]], axis=2)
    return vectors.reshape(rows, size)


def _spread(masks: np.ndarray, qubits: Sequence[int], num_qubits: int) -> np.ndarray:
    """Bits of indices as columns of the qubits that they belong to; the first qubit is the most significant bit."""
    bits = np.zeros((len(masks), num_qubits), dtype=bool)
    for place, qubit in enumerate(reversed(qubits)):
        bits[:, qubit] = (masks >> place) & 1
    return bits
