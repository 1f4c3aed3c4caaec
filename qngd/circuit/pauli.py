"""Pauli strings as bit masks.

A string on n qubits is a pair of masks (x, z) of W = ⌈n/64⌉ words and a phase exponent p (mod 4):

    i^p · X^x Z^z,    Z first: X^x Z^z |b⟩ = (−1)^(z·b) |b ⊕ x⟩.

It is Hermitian iff p ≡ |x ∧ z| (mod 2); then it equals `sign` times the usual tensor product of
letters, with sign = i^(p − |x ∧ z|), because Y = i·XZ. Qubit q is bit q % 64 of word q // 64, and
the rightmost letter of a label is qubit 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from qngd._system.brief import brief_fields
from qngd.errors import counted

LETTERS = "IXYZ"
# letter code -> (x bit, z bit), in the order of LETTERS
X_BIT = np.array([0, 1, 1, 0], dtype=np.uint64)
Z_BIT = np.array([0, 0, 1, 1], dtype=np.uint64)


def num_words(num_qubits: int) -> int:
    """Words of 64 bits that a mask of `num_qubits` bits takes (at least one)."""
    return max(1, -(-num_qubits // 64))


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """Boolean rows (K, n) as masks (K, W)."""
    count, n = bits.shape
    padded = np.zeros((count, 64 * num_words(n)), dtype=bool)
    padded[:, :n] = bits
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


def unpack_bits(masks: np.ndarray, num_qubits: int) -> np.ndarray:
    """Masks (K, W) as boolean rows (K, num_qubits)."""
    bytes_ = np.ascontiguousarray(masks, dtype=np.uint64).view(np.uint8)
    return np.unpackbits(bytes_, axis=1, bitorder="little")[:, :num_qubits].astype(bool)


@dataclass(frozen=True, eq=False)
class PauliStrings:
    """K Hermitian Pauli strings on `num_qubits` qubits.

    `x` and `z` are masks of shape (K, W), dtype uint64; `sign` holds ±1 of shape (K,), int8.

    >>> strings = PauliStrings.from_labels(["XIZ", "IYY"])
    >>> strings.labels()
    ['XIZ', 'IYY']
    """

    num_qubits: int
    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray

    __repr__ = brief_fields

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | np.ndarray | Sequence[int]) -> PauliStrings:
        return PauliStrings(self.num_qubits, self.x[index], self.z[index], self.sign[index])

    @classmethod
    def joined(cls, parts: Sequence[PauliStrings]) -> PauliStrings:
        """The strings of several lists as one."""
        x, z, sign = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "z", "sign"))
        return cls(parts[0].num_qubits, x, z, sign)

    @classmethod
    def from_labels(cls, labels: Iterable[str], num_qubits: int | None = None) -> PauliStrings:
        """Strings from labels such as "XIZ" (rightmost letter is qubit 0), all with sign +1.

        Raises:
            ValueError: a label has a letter other than I, X, Y, Z, or another length.
        """
        labels = list(labels)
        n = num_qubits if num_qubits is not None else (len(labels[0]) if labels else 0)
        x = np.zeros((len(labels), num_words(n)), dtype=np.uint64)
        z = np.zeros_like(x)
        for row, label in enumerate(labels):
            if len(label) != n:
                raise ValueError(
                    f"Pauli label {label!r} has {counted(len(label), 'letter')} and not {n}; write one for each qubit, "
                    "the rightmost for qubit 0 and I where nothing acts"
                )
            for qubit, letter in enumerate(reversed(label)):
                if letter == "I":
                    continue
                code = LETTERS.find(letter)
                if code < 0:
                    raise ValueError(f"Pauli label {label!r} has the letter {letter!r}; use I, X, Y and Z")
                bit = np.uint64(1) << np.uint64(qubit % 64)
                x[row, qubit // 64] |= X_BIT[code] * bit
                z[row, qubit // 64] |= Z_BIT[code] * bit
        return cls(n, x, z, np.ones(len(labels), dtype=np.int8))

    @classmethod
    def from_bits(cls, x: np.ndarray, z: np.ndarray) -> PauliStrings:
        """Strings with sign +1 from boolean arrays (K, n): whether qubit q has X or Y, and Z or Y."""
        count, n = x.shape
        return cls(n, pack_bits(x), pack_bits(z), np.ones(count, dtype=np.int8))

    def letters(self) -> np.ndarray:
        """Letter codes (0 I, 1 X, 2 Y, 3 Z) of shape (K, num_qubits), column q for qubit q."""
        qubits = np.arange(self.num_qubits)
        shift = (qubits % 64).astype(np.uint64)
        x = (self.x[:, qubits // 64] >> shift) & np.uint64(1)
        z = (self.z[:, qubits // 64] >> shift) & np.uint64(1)
        # I 00, X 10, Y 11, Z 01 (x bit first)
        return np.where(z == 1, 3 - x.astype(np.int64), x.astype(np.int64)).astype(np.uint8)

    def on(self, qubits: np.ndarray) -> PauliStrings:
        """The strings' letters on these qubits, in this order."""
        x, z = (unpack_bits(masks, self.num_qubits)[:, qubits] for masks in (self.x, self.z))
        return PauliStrings(len(qubits), pack_bits(x), pack_bits(z), self.sign)

    def labels(self) -> list[str]:
        """The labels, rightmost letter qubit 0; signs are not shown."""
        alphabet = np.array(list(LETTERS))
        return ["".join(row) for row in alphabet[self.letters()[:, ::-1]]]


def anticommute(a: PauliStrings, b: PauliStrings) -> np.ndarray:
    """Which strings of `a` anticommute with which of `b`: a boolean array (len(a), len(b))."""
    crossings = np.bitwise_count(a.x[:, None] & b.z[None]) + np.bitwise_count(a.z[:, None] & b.x[None])
    return (crossings.sum(axis=2) & 1).astype(bool)


def product(a: PauliStrings, b: PauliStrings) -> tuple[PauliStrings, np.ndarray]:
    """Row by row products a_k·b_k = i^phase · string.

    Returns the strings with sign +1 and the phase exponents (mod 4), which are 0 or 2 where the two
    commute and 1 or 3 where they anticommute.
    """
    x, z = a.x ^ b.x, a.z ^ b.z

    def weight(mask: np.ndarray) -> np.ndarray:
        return np.bitwise_count(mask).astype(np.int64).sum(axis=1)

    # p of a Hermitian string with sign s is |x∧z| + (1 − s); moving Z^za past X^xb gives (−1)^|za∧xb|.
    phase = (
        weight(a.x & a.z)
        + weight(b.x & b.z)
        - weight(x & z)
        + 2 * weight(a.z & b.x)
        + (1 - a.sign.astype(np.int64))
        + (1 - b.sign.astype(np.int64))
    )
    return PauliStrings(a.num_qubits, x, z, np.ones(len(x), dtype=np.int8)), phase % 4


def merged(strings: PauliStrings, coefficients: np.ndarray) -> tuple[PauliStrings, np.ndarray]:
    """Σ_k c_k·P_k with every string once, sign +1, in the order of the masks: strings and coefficients."""
    signed = coefficients * strings.sign
    keys = np.concatenate([strings.x, strings.z], axis=1)
    order = np.lexsort(keys.T[::-1])
    keys = keys[order]
    is_new = np.ones(len(keys), dtype=bool)
    is_new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    start = np.flatnonzero(is_new)
    total = np.add.reduceat(signed[order], start) if len(start) else signed
    words = strings.x.shape[1]
    x, z = (np.ascontiguousarray(part) for part in (keys[start, :words], keys[start, words:]))
    return PauliStrings(strings.num_qubits, x, z, np.ones(len(start), dtype=np.int8)), total
