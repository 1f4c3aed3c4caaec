"""The exact engine: a statevector of the rotations alone, in the frame without Clifford gates.

Nothing is compiled per circuit: a circuit is its arrays of masks and angles. States are float arrays
(2, N), real and imaginary part, N = 2ⁿ (see `_kernels`). All methods take angles φ and return results
over rotations or, where a Jacobian J = ∂φ/∂θ is given, over parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg.blas
from scipy import sparse

from qngd import _kernels
from qngd._memory import require_bytes
from qngd._threads import num_threads, one_blas_thread, split, splits, together
from qngd.circuit import Circuit
from qngd.clifford import as_arrays, quarter_turns
from qngd.observable import Observable

_TILE_BYTES = 1 << 20  # of one thread's second-level cache


@dataclass(frozen=True, eq=False)
class Terms:
    """An observable for the kernels: its terms grouped by x mask."""

    start: np.ndarray
    x: np.ndarray
    z: np.ndarray
    coefficient: np.ndarray

    @classmethod
    def of(cls, pulled: Observable) -> Terms:
        x, z = pulled.strings.x[:, 0], pulled.strings.z[:, 0]
        order = np.lexsort((z, x))
        x, z = x[order], z[order]
        heads = np.flatnonzero(np.r_[True, x[1:] != x[:-1]])
        start = np.r_[heads, len(x)].astype(np.int64)
        coefficient = (pulled.coefficients * pulled.strings.sign)[order]
        return cls(start, x[heads], z, coefficient)


class Simulator:
    """Exact states, energies, gradients and metrics of one circuit.

    Raises:
        MemoryLimitError: at the call that would need more memory than there is.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.size = 1 << circuit.num_qubits
        order = circuit.order
        self._moving = circuit.moving[order]
        self._order = order

    @cached_property
    def _x(self) -> np.ndarray:
        return np.ascontiguousarray(self.circuit.generators.x[self._order, 0])

    @cached_property
    def _z(self) -> np.ndarray:
        return np.ascontiguousarray(self.circuit.generators.z[self._order, 0])

    @cached_property
    def _sign(self) -> np.ndarray:
        return self.circuit.generators.sign[self._order].astype(float)

    def _turns(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = 0.5 * self._sign * phi[self._order]
        return np.cos(half), np.sin(half)

    def _require_states(self, count: int, what: str) -> None:
        n = self.circuit.num_qubits
        require_bytes(count * 16 << n, f"{what} on {n} qubits")

    def _advance(self, state: np.ndarray, cos: np.ndarray, sin: np.ndarray, begin: int, end: int) -> None:
        """Apply the rotations begin…end−1 (running order), on all cores if the state is large."""
        apply_rotations(state, self._x, self._z, cos, sin, begin, end)

    def state(self, phi: np.ndarray) -> np.ndarray:
        """The state after all rotations, before the Clifford C: (2, N)."""
        self._require_states(2, "a statevector")
        state = zero_state(self.circuit.num_qubits)
        self._advance(state, *self._turns(phi), 0, len(self._x))
        return state

    def statevector(self, phi: np.ndarray) -> np.ndarray:
        """C·R_K⋯R_1|0⟩ as complex amplitudes (N,), up to a global phase; qubit 0 is the lowest bit."""
        state = self.state(phi)
        axes, pauli = quarter_turns(self.circuit.frame)
        x, z = as_arrays([*axes, pauli])
        angle = np.full(len(x), np.pi / 4)
        angle[-1] = np.pi / 2  # exp(−iπ/2 P) is P up to a phase
        apply_rotations(state, x, z, np.cos(angle), np.sin(angle))
        return state[0] + 1j * state[1]

    def probabilities(self, phi: np.ndarray) -> np.ndarray:
        """Probability of each basis index, shape (N,)."""
        amplitudes = self.statevector(phi)
        weights = amplitudes.real**2 + amplitudes.imag**2
        return weights / weights.sum()

    def expectation(self, phi: np.ndarray, terms: Terms) -> float:
        """⟨H⟩ of the pulled observable."""
        self._require_states(3, "an expectation value")
        state = self.state(phi)
        return _real_inner(state, _times_observable(state, terms))

    def energy_and_gradient(self, phi: np.ndarray, terms: Terms) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,) by one forward and one reverse sweep, whatever K is."""
        self._require_states(3, "a gradient")
        cos, sin = self._turns(phi)
        state = zero_state(self.circuit.num_qubits)
        self._advance(state, cos, sin, 0, len(self._x))
        return self._reverse(state, cos, sin, terms)

    def metric_product(self, phi: np.ndarray, jacobian: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
        """g·v (P,) with the full metric over parameters, for v (P,).

        By one forward and one reverse sweep, like a gradient, and in as much memory, whatever P is. With
        |T_k⟩ = U_{>k}P_kU_{≤k}|0⟩ and |W⟩ = Σ_k (Jv)_k|T_k⟩, (g·v)_i = ¼Σ_k J_ki(Re⟨T_k|W⟩ − ⟨ψ|T_k⟩⟨ψ|W⟩).
        """
        self._require_states(3, "a product with the metric")
        cos, sin = self._turns(phi)
        state = zero_state(self.circuit.num_qubits)
        tangent = np.zeros_like(state)
        weights = (jacobian @ vector)[self._order] * self._sign
        done = 0
        for k in np.flatnonzero(weights):
            for each in (state, tangent):
                self._advance(each, cos, sin, done, k + 1)
            done = k + 1
            _add_pauli(state, self._x[k], self._z[k], weights[k], tangent)
        for each in (state, tangent):
            self._advance(each, cos, sin, done, len(self._x))
        # ⟨ψ|W⟩ is real, so that W − ⟨ψ|W⟩ψ = R leaves Re⟨T_k|R⟩, which is Im⟨−iR|T_k⟩
        tangent -= _real_inner(state, tangent) * state
        slopes = self._overlaps_back(state, np.stack([tangent[1], -tangent[0]]), cos, sin)
        return 0.25 * (jacobian.T @ slopes)

    def _reverse(self, state: np.ndarray, cos: np.ndarray, sin: np.ndarray, terms: Terms) -> tuple[float, np.ndarray]:
        """Energy and gradient from the final state, which is run back to the start."""
        other = _times_observable(state, terms)
        energy = _real_inner(state, other)
        return energy, self._overlaps_back(state, other, cos, sin)

    def _overlaps_back(self, state: np.ndarray, other: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
        """Im⟨λ|s_kP_k|ψ⟩ of every moving rotation (K,), where both states, given at the end of the circuit, are
        run back to just after it."""
        slopes = np.zeros(len(self._x))
        if not splits(self.size):
            _kernels.backward(
                state[0], state[1], other[0], other[1],
                self._x, self._z, cos, sin, self._moving, slopes,
            )  # fmt: skip
        else:
            self._reverse_split(state, other, cos, sin, slopes)
        overlaps = np.zeros(len(self._x))
        overlaps[self._order] = slopes * self._sign
        return overlaps

    def _reverse_split(
        self,
        state: np.ndarray,
        other: np.ndarray,
        cos: np.ndarray,
        sin: np.ndarray,
        slopes: np.ndarray,
    ) -> None:
        """The loop of `_kernels.backward`, each kernel on all cores."""
        x, z, size = self._x, self._z, self.size
        chunks = size // min(size, _kernels.CHUNK)
        for k in range(len(x) - 1, -1, -1):
            if self._moving[k]:

                def overlap(a: int, b: int, k: int = k) -> float:
                    return _kernels.imaginary_overlap(other[0], other[1], state[0], state[1], x[k], z[k], a, b)

                slopes[k] = sum(split(overlap, chunks, size))
            apply_rotations(state, x, z, cos, -sin, k, k + 1)
            apply_rotations(other, x, z, cos, -sin, k, k + 1)

    def block_metric(
        self,
        phi: np.ndarray,
        jacobian: sparse.csr_array,
        terms: Terms | None = None,
        diagonal: bool = False,
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The metric over parameters from the blocks of the layers (or from the diagonal over rotations),
        and in the same pass energy and gradient over rotations if `terms` are given.

        Memory: a few states, whatever K is.
        """
        self._require_states(3, "a block-diagonal metric")
        cos, sin = self._turns(phi)
        state = zero_state(self.circuit.num_qubits)
        parameters = jacobian.shape[1]
        metric = np.zeros((parameters, parameters))
        done = 0
        for begin, end in self._layer_spans:
            self._advance(state, cos, sin, done, begin)
            done = begin
            self._add_block(metric, state, begin, end, jacobian, diagonal)
        if terms is None:
            return metric, np.nan, np.zeros(0)
        self._advance(state, cos, sin, done, len(self._x))
        return metric, *self._reverse(state, cos, sin, terms)

    @cached_property
    def _layer_spans(self) -> list[tuple[int, int]]:
        """Where each layer's moving rotations stand in the running order."""
        level = np.where(self._moving, self.circuit.level[self._order], -1)
        spans = []
        for index in range(self.circuit.num_layers):
            places = np.flatnonzero(level == index)
            spans.append((int(places[0]), int(places[-1]) + 1))
        return spans

    def _add_block(
        self,
        metric: np.ndarray,
        state: np.ndarray,
        begin: int,
        end: int,
        jacobian: sparse.csr_array,
        diagonal: bool,
    ) -> None:
        """metric += Jᵀ·¼(⟨P_iP_j⟩ − ⟨P_i⟩⟨P_j⟩)·J of the rotations begin…end−1 on `state`; if diagonal,
        Σ_k J_ki²·¼(1 − ⟨P_k⟩²) for every parameter i."""
        rows = jacobian[self._order[begin:end]]
        columns = np.unique(rows.indices)
        local = rows[:, columns].toarray() * self._sign[begin:end, None]
        if diagonal:
            means = self._means(state, begin, end)
            block = np.diag(local.T**2 @ (1.0 - means**2))
        else:
            # Var of the generators' weighted sums, from Σ_k J_ki P_k|ψ⟩
            contract = len(columns) < end - begin
            gram, means = self._gram(state, begin, end, local.T if contract else None)
            covariance = gram - np.outer(means, means)
            block = covariance if contract else local.T @ covariance @ local
        metric[np.ix_(columns, columns)] += 0.25 * block

    def _gram(
        self, state: np.ndarray, begin: int, end: int, weights: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Re⟨V_i|V_j⟩ and Re⟨ψ|V_j⟩ for V_i = Σ_k weights_ik P_k ψ (or V_k = P_kψ), tile by tile."""
        x, z = self._x[begin:end], self._z[begin:end]
        count = end - begin
        kept = count if weights is None else len(weights)
        chunk = min(self.size, _kernels.CHUNK)
        tile = max(1, _TILE_BYTES // (16 * chunk * (count + kept)))

        def part(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
            gram, means = np.zeros((kept, kept)), np.zeros(kept)
            for a in range(first, last, tile):
                b = min(a + tile, last)
                vectors = np.empty((count, 2, (b - a) * chunk))
                _kernels.apply_strings(state[0], state[1], x, z, vectors, a, b)
                flat = vectors.reshape(count, -1)
                if weights is not None:
                    flat = weights @ flat
                gram += flat @ flat.T
                means += flat @ state[:, a * chunk : b * chunk].reshape(-1)
            return gram, means

        with one_blas_thread(self.size):
            parts = split(part, self.size // chunk, self.size)
        return sum(p[0] for p in parts), sum(p[1] for p in parts)

    def _means(self, state: np.ndarray, begin: int, end: int) -> np.ndarray:
        chunks = self.size // min(self.size, _kernels.CHUNK)
        means = np.empty(end - begin)
        for k in range(begin, end):
            x, z = self._x[k], self._z[k]

            def overlap(a: int, b: int, x: np.uint64 = x, z: np.uint64 = z) -> float:
                return _kernels.real_overlap(state[0], state[1], x, z, a, b)

            means[k - begin] = sum(split(overlap, chunks, self.size))
        return means

    def full_metric(self, phi: np.ndarray, jacobian: sparse.csr_array) -> np.ndarray:
        """The whole metric over parameters, (P, P).

        ¼(Re⟨T_i|T_j⟩ − ⟨ψ|T_i⟩⟨ψ|T_j⟩) with T_i = Σ_k J_ki U_{>k}P_kU_{≤k}|0⟩. A Gram matrix does not see
        the frame, so every T_i is carried only to the middle of the circuit.
        """
        parameters = jacobian.shape[1]
        self._require_states(parameters + 4 * num_threads(), "a full metric")
        cos, sin = self._turns(phi)
        middle = len(self._x) // 2
        tangents = np.zeros((parameters, 2, self.size))
        center = zero_state(self.circuit.num_qubits)
        self._advance(center, cos, sin, 0, middle)
        self._tangents(tangents, center, cos, sin, middle, jacobian)
        flat = tangents.reshape(parameters, 2 * self.size)
        means = flat @ center.reshape(-1)
        gram = _symmetric_product(flat)
        return 0.25 * (gram - np.outer(means, means))

    def _tangents(
        self,
        tangents: np.ndarray,
        center: np.ndarray,
        cos: np.ndarray,
        sin: np.ndarray,
        middle: int,
        jacobian: sparse.csr_array,
    ) -> None:
        """Fill T_i of every parameter, in the frame of rotation `middle`."""
        last = center.copy()
        self._advance(last, cos, sin, middle, len(self._x))
        by_parameter = (sparse.diags_array(self._sign) @ jacobian[self._order]).tocsc()
        by_parameter.sort_indices()
        start = by_parameter.indptr.astype(np.int64)
        entry, weight = by_parameter.indices.astype(np.int64), by_parameter.data
        used = np.flatnonzero(np.diff(start) > 0)
        if not len(used):
            return
        rising = used[np.argsort(entry[start[used]], kind="stable")]
        falling = used[np.argsort(-entry[start[used + 1] - 1], kind="stable")]
        threads = num_threads() if self.size * len(used) >= 1 << 14 else 1
        arrays = (self._x, self._z, cos, sin, start, entry, weight)
        # The forward part writes, the backward part adds: finish one before the other.
        together(
            [
                _bind(
                    _kernels.tangents_forward,
                    zero_state(self.circuit.num_qubits),
                    arrays,
                    part,
                    middle,
                    tangents,
                )
                for part in _deal(rising, threads)
            ]
        )
        together(
            [
                _bind(_kernels.tangents_backward, last.copy(), arrays, part, middle, tangents)
                for part in _deal(falling, threads)
            ]
        )


def _bind(
    kernel: Callable[..., None],
    state: np.ndarray,
    arrays: tuple[np.ndarray, ...],
    part: np.ndarray,
    middle: int,
    out: np.ndarray,
) -> Callable[[], None]:
    return lambda: kernel(state, *arrays, part, middle, out)


def _deal(items: np.ndarray, hands: int) -> list[np.ndarray]:
    """The items dealt out like cards, so that every hand holds early and late ones."""
    return [np.ascontiguousarray(items[h::hands]) for h in range(min(hands, len(items)))]


def zero_state(num_qubits: int) -> np.ndarray:
    """|0…0⟩ as a float array (2, 2ⁿ)."""
    state = np.zeros((2, 1 << num_qubits))
    state[0, 0] = 1.0
    return state


def apply_rotations(
    state: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    cos: np.ndarray,
    sin: np.ndarray,
    begin: int = 0,
    end: int | None = None,
) -> None:
    """Apply the rotations begin…end−1 (all by default) to a state, on all cores where that pays."""
    re, im = state
    end = len(x) if end is None else end
    if not splits(len(re)):
        _kernels.run(re, im, x, z, cos, sin, begin, end)
        return
    for k in range(begin, end):

        def turn(a: int, b: int, k: int = k) -> None:
            _kernels.rotate(re, im, x[k], z[k], cos[k], sin[k], a, b)

        split(turn, _kernels.num_items(x[k], len(re)), len(re))


def _add_pauli(state: np.ndarray, x: np.uint64, z: np.uint64, weight: float, out: np.ndarray) -> None:
    """out += weight·Pψ."""
    size = state.shape[1]

    def part(a: int, b: int) -> None:
        _kernels.add_pauli(state[0], state[1], x, z, weight, out[0], out[1], a, b)

    split(part, size // min(size, _kernels.CHUNK), size)


def _times_observable(state: np.ndarray, terms: Terms) -> np.ndarray:
    out = np.empty_like(state)
    size = state.shape[1]

    def part(a: int, b: int) -> None:
        _kernels.apply_observable(
            state[0], state[1], terms.start, terms.x, terms.z, terms.coefficient,
            out[0], out[1], a, b,
        )  # fmt: skip

    split(part, size // min(size, _kernels.CHUNK), size)
    return out


def _real_inner(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b))


def _symmetric_product(rows: np.ndarray) -> np.ndarray:
    """rows·rowsᵀ by a rank-k update of one triangle."""
    upper = scipy.linalg.blas.dsyrk(1.0, rows.T, trans=1)
    return np.triu(upper) + np.triu(upper, 1).T
