"""Gates whose parameter turns in several layers, and what is known of the correlations inside them.

Most gates are one unit in each parameter. Some are not: Qiskit's R(θ, φ) turns by −φ, by θ and back by φ, and an
evolution under XX + YY + ZI + IZ has strings that commute only as a whole. The rotations i before j of such a gate have

    C_ij = Re⟨ψ|V P_i V† · P_j|ψ⟩,   V the rotations of the gate between them, ψ the state before j.

V P_i V† is a sum of strings, with sines and cosines of V's angles as coefficients. One that anticommutes with P_j adds
nothing, one that equals ±P_j adds ± its coefficient: where there are no others, C_ij takes no measurement at all. The
rotations of the gate are then a block of the metric by themselves, ¼(C_ij − ⟨P_i⟩⟨P_j⟩): a block for gate and layer
both would not be positive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd.circuit.pauli import PauliStrings, anticommute, product

_MAX_ROTATIONS = 32  # of one gate that are followed
_MAX_STRINGS = 64  # of a sum V P_i V†

_Term = tuple[int, tuple[tuple[int, bool], ...]]  # sign, and its factors: the rotation, and whether its sine


@dataclass(frozen=True, eq=False)
class SplitGates:
    """The split gates of a circuit.

    Attributes:
        block: (K,) number of the split gate that a rotation belongs to, or −1.
        first, second: (M,) its rotations in different layers, pair by pair.
        left_out: gates with correlations between layers that would take more circuits; they are left out.
    """

    block: np.ndarray
    first: np.ndarray
    second: np.ndarray
    left_out: tuple[int, ...]
    _pair: np.ndarray  # (T,) of each term
    _sign: np.ndarray  # (T,)
    _rotation: np.ndarray  # (T, F), K where there is no factor
    _is_sine: np.ndarray  # (T, F)

    def __len__(self) -> int:
        return int(self.block.max(initial=-1)) + 1

    def correlations(self, phi: np.ndarray) -> np.ndarray:
        """C_ij of all pairs at the angles `phi` (K,), shape (M,)."""
        angle = np.append(phi, 0.0)[self._rotation]
        factors = np.where(self._is_sine, np.sin(angle), np.cos(angle))
        return np.bincount(self._pair, self._sign * factors.prod(axis=1), minlength=len(self.first))

    def covariances(self, phi: np.ndarray, mean: np.ndarray) -> sparse.csr_array:
        """C_ij − ⟨P_i⟩⟨P_j⟩ between the layers of split gates, from the means (K,) of all strings; (K, K)."""
        return self.between(self.correlations(phi) - mean[self.first] * mean[self.second])

    def between(self, values: np.ndarray) -> sparse.csr_array:
        """Values (M,) of the pairs as a symmetric matrix (K, K)."""
        count = len(self.block)
        upper = sparse.coo_array((values, (self.first, self.second)), shape=(count, count))
        return (upper + upper.T).tocsr()


def find_split_gates(
    gate: np.ndarray, generators: PauliStrings, level: np.ndarray, pattern: sparse.csr_array
) -> SplitGates:
    """The split gates of a circuit with the user's `gate` (K,), ascending, `generators`, layers (K,) of its rotations,
    and `pattern` (K, P) of the parameters that move them.

    A gate is left out, too, where one of its parameters also moves other gates: the metric's diagonal entry would not
    be exact with it either.
    """
    count = len(generators)
    block = np.full(count, -1)
    pairs: list[tuple[int, int]] = []
    terms: list[tuple[int, _Term]] = []
    left_out = []
    made = 0
    for number, members, is_alone in _candidates(gate, level, pattern):
        found = _follow(generators, level, members) if is_alone and len(members) <= _MAX_ROTATIONS else None
        if found is None:
            left_out.append(number)
            continue
        block[members] = made
        made += 1
        for pair, sums in found:
            terms += [(len(pairs), term) for term in sums]
            pairs.append(pair)
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return SplitGates(block, first, second, tuple(dict.fromkeys(left_out)), *_arrays(terms, count))


def _arrays(terms: Sequence[tuple[int, _Term]], count: int) -> tuple[np.ndarray, ...]:
    longest = max((len(factors) for _, (_, factors) in terms), default=0)
    rotation = np.full((len(terms), longest), count)
    is_sine = np.zeros((len(terms), longest), dtype=bool)
    for t, (_, (_, factors)) in enumerate(terms):
        for f, (k, sine) in enumerate(factors):
            rotation[t, f], is_sine[t, f] = k, sine
    pair = np.array([pair for pair, _ in terms], dtype=np.int64)
    sign = np.array([sign for _, (sign, _) in terms], dtype=float)
    return pair, sign, rotation, is_sine


def _candidates(
    gate: np.ndarray, level: np.ndarray, pattern: sparse.csr_array
) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Gates with a parameter in several layers: number, rotations that such parameters link, and whether the
    parameters of these stand in no other gate."""
    entries = pattern.tocoo()
    own, parameter = gate[entries.row].astype(np.int64), entries.col
    key = own * pattern.shape[1] + parameter
    keys, place = np.unique(key, return_inverse=True)
    lowest, highest = np.full(len(keys), len(gate)), np.full(len(keys), -1)
    np.minimum.at(lowest, place, level[entries.row])
    np.maximum.at(highest, place, level[entries.row])
    gates_of = np.bincount(keys % pattern.shape[1], minlength=pattern.shape[1]) if len(keys) else np.zeros(0)
    for number in np.unique(keys[lowest < highest] // max(pattern.shape[1], 1)):
        begin, end = np.searchsorted(gate, [number, number + 1])  # its rotations stand side by side
        rows = abs(pattern[begin:end])
        num_groups, group = _linked(rows @ rows.T)  # by the parameters they share
        for members in (begin + np.flatnonzero(group == g) for g in range(num_groups)):
            if len(np.unique(level[members])) > 1:
                yield int(number), members, bool(np.all(gates_of[pattern[members].indices] == 1))


def _linked(links: sparse.csr_array) -> tuple[int, np.ndarray]:
    """How many groups these links make, and the group of each."""
    from scipy.sparse.csgraph import connected_components  # with all of scipy.sparse.linalg, for gates that are rare

    found: tuple[int, np.ndarray] = connected_components(links, directed=False)
    return found


def _follow(
    generators: PauliStrings, level: np.ndarray, members: np.ndarray
) -> list[tuple[tuple[int, int], list[_Term]]] | None:
    """C_ij of all pairs of `members` in different layers as sums of terms; None if a measurement would be needed."""
    found = []
    for place, i in enumerate(members):
        for j in members[place + 1 :]:
            if level[i] != level[j]:
                terms = _correlation(generators, int(i), int(j))
                if terms is None:
                    return None
                found.append(((int(i), int(j)), terms))
    return found


def _correlation(generators: PauliStrings, i: int, j: int) -> list[_Term] | None:
    strings: list[tuple[PauliStrings, _Term]] = [(generators[[i]], (1, ()))]
    for k in range(i + 1, j):
        turned = []
        for string, (sign, factors) in strings:
            if not anticommute(string, generators[[k]])[0, 0]:
                turned.append((string, (sign, factors)))
                continue
            # R S R† = cos φ·S + sin φ·iSP for an anticommuting P, and SP = i^phase·Q with phase 1 or 3
            other, phase = product(string, generators[[k]])
            turned.append((string, (sign, (*factors, (k, False)))))
            turned.append((other, (sign if phase[0] == 3 else -sign, (*factors, (k, True)))))
        if len(turned) > _MAX_STRINGS:
            return None
        strings = turned
    terms = []
    for string, (sign, factors) in strings:
        if anticommute(string, generators[[j]])[0, 0]:
            continue
        rest, phase = product(string, generators[[j]])
        if rest.x.any() or rest.z.any():
            return None
        terms.append((sign if phase[0] == 0 else -sign, factors))
    return terms
