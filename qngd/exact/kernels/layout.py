"""How states lie in memory, and the few groups of arrays that kernels take.

A whole state of N = 2ⁿ amplitudes is a float array (2, N): real, imaginary. Amplitudes are visited in *rows* of 64, the
*chunks* of a state: inside a row the sign (−1)^(z·b) of a Pauli string is a line of a small table of signs times one
sign for the row, which leaves inner loops that vectorise. Rotations also act on many states side by side, whose rows
hold the same amplitude of each (see `tangents`).

Arrays that belong together go into kernels as one named tuple, so that none takes another's place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from qngd._system.compilation import kernel

CHUNK_BITS = 6
CHUNK = 1 << CHUNK_BITS
ROW_BITS = np.uint64(CHUNK_BITS)  # `Rows.bits` of a state whose rows are chunks
LOW = np.uint64(CHUNK - 1)
_COUNT = np.array([bin(i).count("1") for i in range(CHUNK)])
# SIGNS[z, j] = (−1)^(z·j)
SIGNS = 1.0 - 2.0 * (_COUNT[np.arange(CHUNK)[:, None] & np.arange(CHUNK)[None, :]] & 1)


class Amplitudes(NamedTuple):
    """Real and imaginary parts (M,) of a state, of a part of one, or of the lanes of many."""

    re: np.ndarray
    im: np.ndarray


class Rows(NamedTuple):
    """How the rows of amplitudes lie: the low bits of an index that a row spans (6, or 0 where states lie side by
    side), the distance between rows, and how many numbers of a row are meant."""

    bits: np.uint64
    stride: int
    width: int


class OneRotation(NamedTuple):
    """exp(−i φ/2 P): masks of P, cos φ/2 and sin φ/2. The sign of a string lives in its angle."""

    x: np.uint64
    z: np.uint64
    cos: float
    sin: float


class Rotations(NamedTuple):
    """Rotations one after the other, arrays (K,)."""

    x: np.ndarray
    z: np.ndarray
    cos: np.ndarray
    sin: np.ndarray

    @classmethod
    def by(cls, half: np.ndarray, x: np.ndarray, z: np.ndarray) -> Rotations:
        """Rotations by half angles (K,), or (B, K) for many states: in rows, as kernels are compiled for."""
        half = np.ascontiguousarray(half)
        return cls(x, z, np.cos(half), np.sin(half))


class Signed(NamedTuple):
    """Pauli strings: masks (K, W), or (K,) of up to 63 qubits, and signs (K,)."""

    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray


class Stages(NamedTuple):
    """Rotations cut into stages: where each begins, with the end (S+1,), and whether all its strings are Z strings that
    are applied in one pass (S,)."""

    start: np.ndarray
    diagonal: np.ndarray


class Layers(NamedTuple):
    """Where each of L layers begins, with the end of the last (L+1,): in stages (the fixed rotations before a layer are
    counted to it), among the quarter turns of all layers, and among their strings."""

    stage: np.ndarray
    turn: np.ndarray
    string: np.ndarray


class ReadStrings(NamedTuple):
    """Strings of layers as what they are after the layer's quarter turns, arrays (M,): `sign` times the Z string of
    `mask`; `rotation` is the row of the Jacobian that belongs to each."""

    mask: np.ndarray
    sign: np.ndarray
    rotation: np.ndarray


class SparseRows(NamedTuple):
    """A sparse matrix by rows: where each row's entries begin (K+1,), their columns and values."""

    start: np.ndarray
    column: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> SparseRows:
        """Indices of one type, whichever SciPy took, as kernels are compiled for each."""
        start, column = (each.astype(np.int64, copy=False) for each in (matrix.indptr, matrix.indices))
        return cls(start, column, matrix.data)


class Moments(NamedTuple):
    """What the blocks of the layers add up to: the metric over parameters (P, P), and ⟨P_k⟩ of every rotation (K,)."""

    metric: np.ndarray
    mean: np.ndarray


class Entries(NamedTuple):
    """The nonzero J_ki·s_k that start or feed derivative states, by stage and lane: where those of a stage begin
    (S+1,); rotation k, lane i and value of every entry (E,)."""

    start: np.ndarray
    rotation: np.ndarray
    lane: np.ndarray
    weight: np.ndarray


@kernel
def amplitudes(state):
    """Both parts of a whole state (2, N)."""
    return Amplitudes(state[0], state[1])


@kernel
def new_amplitudes(size):
    """Room for `size` amplitudes, with anything in it."""
    return Amplitudes(np.empty(size), np.empty(size))


@kernel
def rotation_at(rotations, k):
    """OneRotation k of many."""
    return OneRotation(rotations.x[k], rotations.z[k], rotations.cos[k], rotations.sin[k])


@kernel
def in_chunks(size):
    """`size` amplitudes in chunks: how many these are, and how many amplitudes one has."""
    chunk = min(size, CHUNK)
    return size // chunk, chunk
