"""Pushing Clifford gates to the end of a circuit.

With C the product of the Clifford gates met so far, a later rotation about P equals C times a
rotation about C†PC. The *frame* holds the 2n images C†X_qC (row q) and C†Z_qC (row n+q) as strings
i^p X^x Z^z (see `pauli`). One more gate G changes C to GC and the image of Q to the image of G†QG,
which touches only rows of the qubits G acts on; so pushing costs n/64 words a gate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.ops import Op, Ops
from qngd.circuit.pauli import PauliStrings, anticommute, num_words

_H, _S, _SDG, _X, _Y, _Z = (int(op) for op in (Op.H, Op.S, Op.SDG, Op.X, Op.Y, Op.Z))
_CX, _CZ, _SWAP, _QUARTER = (int(op) for op in (Op.CX, Op.CZ, Op.SWAP, Op.QUARTER))
_RECORD = int(Op.RECORD)


@dataclass(frozen=True, eq=False)
class Frame:
    """The images under Q → C†QC of X_q (row q) and Z_q (row n+q): masks (2n, W), exponents (2n,)."""

    num_qubits: int
    x: np.ndarray
    z: np.ndarray
    phase: np.ndarray

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

    def pull(self, strings: PauliStrings) -> PauliStrings:
        """C†PC of every string."""
        letters = strings.letters()
        x = np.zeros((len(strings), self.x.shape[1]), dtype=np.uint64)
        z = np.zeros_like(x)
        sign = np.zeros(len(strings), dtype=np.int8)
        _pull(letters, self.x, self.z, self.phase, x, z, sign)
        return PauliStrings(self.num_qubits, x, z, sign * strings.sign)

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
    count = len(ops.rotations)
    x = np.zeros((count, num_words(num_qubits)), dtype=np.uint64)
    z = np.zeros_like(x)
    sign = np.zeros(count, dtype=np.int8)
    _push(
        ops.kind, ops.start, ops.qubits, ops.letters, ops.turns,
        frame.x, frame.z, frame.phase, x, z, sign,
    )  # fmt: skip
    return PauliStrings(num_qubits, x, z, sign), frame


@kernel
def anticommuting(ax, az, bx, bz):
    """Whether two strings, given by their masks (W,), anticommute."""
    parity = np.uint64(0)
    for w in range(ax.shape[0]):
        parity ^= (ax[w] & bz[w]) ^ (az[w] & bx[w])
    parity ^= parity >> np.uint64(32)
    parity ^= parity >> np.uint64(16)
    parity ^= parity >> np.uint64(8)
    parity ^= parity >> np.uint64(4)
    parity ^= parity >> np.uint64(2)
    parity ^= parity >> np.uint64(1)
    return (parity & np.uint64(1)) == np.uint64(1)


@kernel
def _weight(a, b):
    """|a ∧ b| over all words."""
    total = 0
    for w in range(a.shape[0]):
        word = a[w] & b[w]
        while word:
            word &= word - np.uint64(1)
            total += 1
    return total


@kernel
def _times(fx, fz, fp, row, x, z, p):
    """row ← row · (x, z, p), in place."""
    fp[row] = (fp[row] + p + 2 * _weight(fz[row], x)) & 3
    for w in range(x.shape[0]):
        fx[row, w] ^= x[w]
        fz[row, w] ^= z[w]


@kernel
def _image(letters, qubits, fx, fz, fp, x, z):
    """The image of a local Pauli string into (x, z); returns its exponent. Y = i·X·Z."""
    n = fx.shape[0] // 2
    x[:] = 0
    z[:] = 0
    phase = 0
    for i in range(qubits.shape[0]):
        letter, q = letters[i], qubits[i]
        if letter == 2:
            phase += 1
        if letter == 1 or letter == 2:
            phase += fp[q] + 2 * _weight(z, fx[q])
            for w in range(x.shape[0]):
                x[w] ^= fx[q, w]
                z[w] ^= fz[q, w]
        if letter == 2 or letter == 3:
            phase += fp[n + q] + 2 * _weight(z, fx[n + q])
            for w in range(x.shape[0]):
                x[w] ^= fx[n + q, w]
                z[w] ^= fz[n + q, w]
    return phase & 3


@kernel
def _pull(letters, fx, fz, fp, x, z, sign):
    qubits = np.arange(letters.shape[1])
    for k in range(letters.shape[0]):
        phase = _image(letters[k], qubits, fx, fz, fp, x[k], z[k])
        sign[k] = 1 - ((phase - _weight(x[k], z[k])) & 3)


@kernel
def _swap_rows(fx, fz, fp, a, b):
    for w in range(fx.shape[1]):
        fx[a, w], fx[b, w] = fx[b, w], fx[a, w]
        fz[a, w], fz[b, w] = fz[b, w], fz[a, w]
    fp[a], fp[b] = fp[b], fp[a]


@kernel
def _push(kind, start, qubits, letters, turns, fx, fz, fp, x, z, sign):
    n = fx.shape[0] // 2
    px = np.zeros(fx.shape[1], dtype=np.uint64)
    pz = np.zeros(fx.shape[1], dtype=np.uint64)
    row = 0
    for k in range(kind.shape[0]):
        support = qubits[start[k] : start[k + 1]]
        a = support[0]
        op = kind[k]
        if op == _H:
            _swap_rows(fx, fz, fp, a, n + a)
        elif op == _S:  # S†XS = −Y = −i·X·Z
            _times(fx, fz, fp, a, fx[n + a], fz[n + a], fp[n + a] + 3)
        elif op == _SDG:  # S X S† = Y = i·X·Z
            _times(fx, fz, fp, a, fx[n + a], fz[n + a], fp[n + a] + 1)
        elif op == _X:
            fp[n + a] = (fp[n + a] + 2) & 3
        elif op == _Z:
            fp[a] = (fp[a] + 2) & 3
        elif op == _Y:
            fp[a] = (fp[a] + 2) & 3
            fp[n + a] = (fp[n + a] + 2) & 3
        elif op in (_CX, _RECORD):  # X_c → X_c X_t, Z_t → Z_c Z_t
            b = support[1]
            _times(fx, fz, fp, a, fx[b], fz[b], fp[b])
            _times(fx, fz, fp, n + b, fx[n + a], fz[n + a], fp[n + a])
        elif op == _CZ:  # X_a → X_a Z_b, X_b → X_b Z_a
            b = support[1]
            _times(fx, fz, fp, a, fx[n + b], fz[n + b], fp[n + b])
            _times(fx, fz, fp, b, fx[n + a], fz[n + a], fp[n + a])
        elif op == _SWAP:
            b = support[1]
            _swap_rows(fx, fz, fp, a, b)
            _swap_rows(fx, fz, fp, n + a, n + b)
        elif op == _QUARTER:
            # G = exp(−i m π/4 P): an anticommuting Q goes to Q·G² = Q·(−iP)^m for m = 1, 3 and −Q for 2
            local = letters[start[k] : start[k + 1]]
            p = _image(local, support, fx, fz, fp, px, pz)
            m = turns[k]
            for i in range(support.shape[0]):
                q = support[i]
                for half in range(2):
                    own = 1 if half == 0 else 3  # X_q or Z_q
                    if local[i] == own or local[i] == 0:
                        continue
                    r = q + half * n
                    if m == 2:
                        fp[r] = (fp[r] + 2) & 3
                    else:  # (−i)^1 = i^3, (−i)^3 = i^1 (and P³ = P)
                        _times(fx, fz, fp, r, px, pz, p + (3 if m == 1 else 1))
        else:
            local = letters[start[k] : start[k + 1]]
            p = _image(local, support, fx, fz, fp, x[row], z[row])
            sign[row] = 1 - ((p - _weight(x[row], z[row])) & 3)
            row += 1
