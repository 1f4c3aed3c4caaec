"""Compiled sweeps over many small circuits, one for every light cone (see `qngd.exact.cones`).

All functions take a range of cones, so that threads can share them out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import trailing_zeros
from qngd.exact.kernels.layout import Amplitudes, Rotations, amplitudes, in_chunks, rotation_at
from qngd.exact.kernels.rotations import num_items, rotate, rotate_by_each
from qngd.exact.kernels.strings import add_pauli, imaginary_overlap


class Members(NamedTuple):
    """The rotations of C cones, and the strings that are watched at their ends, one cone after the other.

    Attributes:
        num_qubits: (C,) of each cone's states.
        start: (C+1,) where the rotations of each begin, with the end.
        rotation: (M,) number in the circuit.
        x, z, sign: (M,) strings on the cone's qubits.
        end: (C+1,) where the watched strings of each begin, with the end.
        end_x, end_z, weight: (T,) watched strings with weights, their signs included.
    """

    num_qubits: np.ndarray
    start: np.ndarray
    rotation: np.ndarray
    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray
    end: np.ndarray
    end_x: np.ndarray
    end_z: np.ndarray
    weight: np.ndarray


class Pairs(NamedTuple):
    """Pairs of derivative states, of which each knows the basis states it reaches by vectors of its own.

    Attributes:
        first, second: (Q,) which states.
        start: (Q+1,) where the vectors of the intersection of both begin, with the end.
        mine, theirs: (V,) these vectors in the first's and in the second's.
    """

    first: np.ndarray
    second: np.ndarray
    start: np.ndarray
    mine: np.ndarray
    theirs: np.ndarray


@kernel
def _own(members, half, c):
    """The rotations of cone c."""
    here = slice(members.start[c], members.start[c + 1])
    angle = members.sign[here] * half[members.rotation[here]]
    return Rotations(members.x[here], members.z[here], np.cos(angle), np.sin(angle))


@kernel
def _final(members, rotations, c):
    """Both parts (2, N) of the state at the end of cone c."""
    state = np.zeros((2, 1 << members.num_qubits[c]))
    state[0, 0] = 1.0
    rotate_by_each(amplitudes(state), rotations, 0, rotations.x.shape[0])
    return state


@kernel
def _watched(members, c, state):
    """Σ_t weight_t·P_t of cone c, times the state."""
    out = np.zeros_like(state)
    chunks, _ = in_chunks(state.shape[1])
    for t in range(members.end[c], members.end[c + 1]):
        add_pauli(state, members.end_x[t], members.end_z[t], members.weight[t], out, 0, chunks)
    return out


@kernel
def _inner(state, other):
    """Re⟨state|other⟩."""
    a, b = amplitudes(state), amplitudes(other)
    total = 0.0
    for j in range(state.shape[1]):
        total += a.re[j] * b.re[j] + a.im[j] * b.im[j]
    return total


@kernel
def energies(members, half, begin, end, energy):
    """⟨Σ_t weight_t·P_t⟩ of the cones begin…end−1, with half angles (K,)."""
    for c in range(begin, end):
        state = _final(members, _own(members, half, c), c)
        energy[c] = _inner(state, _watched(members, c, state))


@kernel
def slopes(members, half, begin, end, energy, slope):
    """`energies`, and the derivatives by the angle of each of the cones' rotations (M,)."""
    for c in range(begin, end):
        rotations = _own(members, half, c)
        state = _final(members, rotations, c)
        other = _watched(members, c, state)
        energy[c] = _inner(state, other)
        size = state.shape[1]
        chunks, _ = in_chunks(size)
        undo = Rotations(rotations.x, rotations.z, rotations.cos, -rotations.sin)
        psi, dual = amplitudes(state), amplitudes(other)
        for k in range(rotations.x.shape[0] - 1, -1, -1):
            back = rotation_at(undo, k)
            at = members.start[c] + k
            slope[at] = members.sign[at] * imaginary_overlap(dual, psi, back, 0, chunks)
            items = num_items(back.x, size)
            rotate(psi, back, 0, items)
            rotate(dual, back, 0, items)


@kernel
def derivatives(members, half, begin, end, offset, out):
    """U†PU|0⟩ of the cones begin…end−1, where U is the cone's circuit and P what is watched at its end, into out (2, ·)
    from column offset[c] on."""
    for c in range(begin, end):
        rotations = _own(members, half, c)
        state = _final(members, rotations, c)
        done = _watched(members, c, state)
        whole, size = amplitudes(done), state.shape[1]
        undo = Rotations(rotations.x, rotations.z, rotations.cos, -rotations.sin)
        for k in range(rotations.x.shape[0] - 1, -1, -1):
            rotate(whole, rotation_at(undo, k), 0, num_items(rotations.x[k], size))
        out[:, offset[c] : offset[c] + size] = done


@kernel
def covariances(states, offset, pairs, begin, end, out):
    """Σ_v Re a*(v)b(v) of the pairs begin…end−1 of derivative states a, b, over all basis states v that both reach but
    |0…0⟩. The states lie in `states` (2, ·), from offset[…] on."""
    whole = Amplitudes(states[0], states[1])
    for q in range(begin, end):
        a, b = np.uint64(offset[pairs.first[q]]), np.uint64(offset[pairs.second[q]])
        v, u = np.uint64(0), np.uint64(0)
        base = pairs.start[q]
        total = 0.0
        for step in range(1, 1 << (pairs.start[q + 1] - base)):
            m = base + trailing_zeros(np.uint64(step))  # in the order of a Gray code one vector changes at a time
            v ^= pairs.mine[m]
            u ^= pairs.theirs[m]
            i, j = a + v, b + u
            total += whole.re[i] * whole.re[j] + whole.im[i] * whole.im[j]
        out[q] = total
