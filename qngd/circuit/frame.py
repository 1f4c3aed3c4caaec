"""Pushing Clifford gates to the end of a circuit.

With C the product of the Clifford gates met so far, a later rotation about P equals C times a
rotation about C†PC. The *frame* holds the 2n images C†X_qC (row q) and C†Z_qC (row n+q) as strings
i^p X^x Z^z (see `pauli`). One more gate G changes C to GC and the image of Q to the image of G†QG,
which touches only rows of the qubits G acts on; so pushing costs n/64 words a gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qngd._system.brief import brief_fields
from qngd._system.compilation import kernel
from qngd.circuit.bits import common_bits
from qngd.circuit.ops import Op, Ops
from qngd.circuit.pauli import PauliStrings, anticommute, num_words

_H, _S, _SDG, _X, _Y, _Z = (int(op) for op in (Op.H, Op.S, Op.SDG, Op.X, Op.Y, Op.Z))
_CX, _CZ, _SWAP, _QUARTER = (int(op) for op in (Op.CX, Op.CZ, Op.SWAP, Op.QUARTER))
_RECORD, _ROTATION = int(Op.RECORD), int(Op.ROTATION)


class _Images(NamedTuple):
    """Strings i^p X^x Z^z for compiled functions: masks (R, W), exponents p (R,). Rows q and n+q belong to qubit q."""

    x: np.ndarray
    z: np.ndarray
    phase: np.ndarray


class _Signed(NamedTuple):
    """Hermitian strings as they are filled in: masks (K, W) and signs (K,)."""

    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray

    @classmethod
    def room(cls, count: int, num_qubits: int) -> _Signed:
        """Room for `count` strings."""
        shape = (count, num_words(num_qubits))
        return cls(np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=np.uint64), np.zeros(count, dtype=np.int8))


@dataclass(frozen=True, eq=False)
class Frame:
    """The images under Q → C†QC of X_q (row q) and Z_q (row n+q): masks (2n, W), exponents (2n,)."""

    num_qubits: int
    x: np.ndarray
    z: np.ndarray
    phase: np.ndarray

    __repr__ = brief_fields

    @classmethod
    def identity(cls, num_qubits: int) -> Frame:
        n = num_qubits
        x = np.zeros((2 * n, num_words(n)), dtype=np.uint64)
        z = np.zeros_like(x)
        qubits = np.arange(n)
        bit = np.uint64(1) << (qubits % 64).astype(np.uint64)
        x[qubits, qubits // 64] = bit
        z[n + qubits, qubits // 64] = bit
        return cls(n, x, z, np.zeros(2 * n, dtype=np.int64))

    @property
    def _images(self) -> _Images:
        return _Images(self.x, self.z, self.phase)

    def pull(self, strings: PauliStrings) -> PauliStrings:
        """C†PC of every string."""
        pulled = _Signed.room(len(strings), self.num_qubits)
        _pull(np.ascontiguousarray(strings.letters()), self._images, pulled)
        return PauliStrings(self.num_qubits, pulled.x, pulled.z, pulled.sign * strings.sign)

    def carry(self, strings: PauliStrings) -> PauliStrings:
        """C·P·C† of every string, the inverse of `pull`.

        The result Q has X or Y at qubit q iff it anticommutes with Z_q, that is iff P = C†QC anticommutes with
        the image of Z_q; likewise for Z or Y and X_q. Pulling Q back gives the sign.
        """
        n = self.num_qubits
        ones = np.ones(2 * n, dtype=np.int8)
        hits = anticommute(strings, PauliStrings(n, self.x, self.z, ones))
        bare = PauliStrings.from_bits(hits[:, n:], hits[:, :n])
        return PauliStrings(n, bare.x, bare.z, self.pull(bare).sign * strings.sign)


def push(ops: Ops, num_qubits: int) -> tuple[PauliStrings, Frame]:
    """The generators of all rotations with the Clifford gates pushed to the end, and the last frame."""
    frame = Frame.identity(num_qubits)
    generators = _Signed.room(len(ops.rotations), num_qubits)
    _push(ops.arrays, frame._images, generators)
    return PauliStrings(num_qubits, *generators), frame


@kernel
def _times(images, row, factor):
    """row ← row · factor, in place."""
    x, z, p = factor
    images.phase[row] = (images.phase[row] + p + 2 * common_bits(images.z[row], x)) & 3
    for w in range(x.shape[0]):
        images.x[row, w] ^= x[w]
        images.z[row, w] ^= z[w]


class _Factor(NamedTuple):
    """One string i^p X^x Z^z: masks (W,) and exponent."""

    x: np.ndarray
    z: np.ndarray
    phase: int


@kernel
def _row(images, row, more):
    """A row of the images times i^more."""
    return _Factor(images.x[row], images.z[row], images.phase[row] + more)


@kernel
def _negate(images, row):
    images.phase[row] = (images.phase[row] + 2) & 3


@kernel
def _image(letters, qubits, images, x, z):
    """The image of a local Pauli string into (x, z); returns its exponent. Y = i·X·Z."""
    fx, fz, fp = images
    n = fx.shape[0] // 2
    x[:] = 0
    z[:] = 0
    phase = 0
    for i in range(qubits.shape[0]):
        letter, q = letters[i], qubits[i]
        if letter == 2:
            phase += 1
        if letter == 1 or letter == 2:
            phase += fp[q] + 2 * common_bits(z, fx[q])
            for w in range(x.shape[0]):
                x[w] ^= fx[q, w]
                z[w] ^= fz[q, w]
        if letter == 2 or letter == 3:
            phase += fp[n + q] + 2 * common_bits(z, fx[n + q])
            for w in range(x.shape[0]):
                x[w] ^= fx[n + q, w]
                z[w] ^= fz[n + q, w]
    return phase & 3


@kernel
def _pull(letters, images, out):
    """The images of strings with these letters (K, n) into `out`, a `_Signed`."""
    qubits = np.arange(letters.shape[1])
    for k in range(letters.shape[0]):
        _enter(k, _image(letters[k], qubits, images, out.x[k], out.z[k]), out)


@kernel
def _enter(k, phase, out):
    """The sign of string k, whose masks are there, by its exponent."""
    out.sign[k] = 1 - ((phase - common_bits(out.x[k], out.z[k])) & 3)


@kernel
def _swap_rows(images, a, b):
    x, z, phase = images
    for w in range(x.shape[1]):
        x[a, w], x[b, w] = x[b, w], x[a, w]
        z[a, w], z[b, w] = z[b, w], z[a, w]
    phase[a], phase[b] = phase[b], phase[a]


@kernel
def _push(ops, images, out):
    """Take all operations into the images, and the generators of the rotations into `out`, a `_Signed`."""
    n = images.x.shape[0] // 2
    px = np.zeros(images.x.shape[1], dtype=np.uint64)
    pz = np.zeros(images.x.shape[1], dtype=np.uint64)
    row = 0
    for k in range(ops.kind.shape[0]):
        support = ops.qubits[ops.start[k] : ops.start[k + 1]]
        local = ops.letters[ops.start[k] : ops.start[k + 1]]
        op = ops.kind[k]
        if op == _ROTATION:
            _enter(row, _image(local, support, images, out.x[row], out.z[row]), out)
            row += 1
        elif op == _QUARTER:
            p = _image(local, support, images, px, pz)
            _push_quarter(images, local, support, ops.turns[k], _Factor(px, pz, p))
        else:
            _push_clifford(images, op, support, n)


@kernel
def _push_clifford(images, op, support, n):
    """One of the gates with a name, on one qubit or two."""
    a = support[0]
    if op == _H:
        _swap_rows(images, a, n + a)
    elif op == _S:  # S†XS = −Y = −i·X·Z
        _times(images, a, _row(images, n + a, 3))
    elif op == _SDG:  # S X S† = Y = i·X·Z
        _times(images, a, _row(images, n + a, 1))
    elif op == _X:
        _negate(images, n + a)
    elif op == _Z:
        _negate(images, a)
    elif op == _Y:
        _negate(images, a)
        _negate(images, n + a)
    elif op in (_CX, _RECORD):  # X_c → X_c X_t, Z_t → Z_c Z_t
        b = support[1]
        _times(images, a, _row(images, b, 0))
        _times(images, n + b, _row(images, n + a, 0))
    elif op == _CZ:  # X_a → X_a Z_b, X_b → X_b Z_a
        b = support[1]
        _times(images, a, _row(images, n + b, 0))
        _times(images, b, _row(images, n + a, 0))
    elif op == _SWAP:
        b = support[1]
        _swap_rows(images, a, b)
        _swap_rows(images, n + a, n + b)


@kernel
def _push_quarter(images, letters, support, m, image):
    """G = exp(−i m π/4 P), with the image of P: an anticommuting Q goes to Q·G² = Q·(−iP)^m for m = 1, 3 and to −Q
    for m = 2."""
    n = images.x.shape[0] // 2
    for i in range(support.shape[0]):
        for half in range(2):
            own = 1 if half == 0 else 3  # X_q or Z_q
            if letters[i] == own or letters[i] == 0:
                continue
            row = support[i] + half * n
            if m == 2:
                _negate(images, row)
            else:  # (−i)^1 = i^3, (−i)^3 = i^1 (and P³ = P)
                _times(images, row, _Factor(image.x, image.z, image.phase + (3 if m == 1 else 1)))
