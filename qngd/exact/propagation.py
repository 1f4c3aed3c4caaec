"""Pauli propagation: approximate energies and gradients of circuits that neither a state nor light cones have room for.

The observable goes back through the rotations, Heisenberg's way, as a sum of Pauli strings, and strings that have
become unimportant are left out (arXiv:2409.01706): see `qngd.exact.kernels.propagation`. Each that is left out, with
coefficient c, changes the energy by at most |c|, whatever follows, so Σ|c| bounds the error; where their signs are as
good as random it is about √Σc². The gradient is that of the energy that is computed, which strings are left out held
fast, by one reverse sweep over all that was done.

The metric does not depend on the observable, and is that of light cones, exact where they fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import sparse

from qngd._system.keywords import hinted
from qngd._system.memory import available_bytes, format_bytes
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings, merged
from qngd.errors import MemoryLimitError, SettingError, require_range, settle_whole
from qngd.exact.cones.simulator import ConeSimulator
from qngd.exact.kernels import propagation as kernels
from qngd.exact.kernels.layout import Signed
from qngd.exact.kernels.propagation import Cutoffs, PairTape, Strings

_ENTRY = 30  # bytes of a pair on the tape, or of a string's numbers, while they grow


@hinted
@dataclass(frozen=True)
class PauliPropagation:
    """Which Pauli strings are left out: give it as a `backend`. The name "pauli-propagation" stands for its defaults.

    Args:
        coefficient: strings whose coefficient is smaller than this part of the observable's largest one are left out;
            0 keeps all. Sines and cosines count as at least 0.1 there, so that gradients at small angles are seen.
        count: at most so many strings are kept.
        weight: strings on more qubits than this are left out, in the frame in which all Clifford gates stand at the
            circuit's end; None keeps them.

    Raises:
        SettingError: a number is out of range.

    >>> PauliPropagation(coefficient=1e-3)
    PauliPropagation(coefficient=0.001, count=262144, weight=None)
    """

    coefficient: float = 1e-4
    count: int = 1 << 18
    weight: int | None = None

    def __post_init__(self) -> None:
        require_range(self.coefficient, "coefficient", "at least 0 and below 1", lambda number: 0 <= number < 1)
        settle_whole(self, {"count": 1, "weight": 1})
        if self.count > 1 << 30:
            raise SettingError(f"count must be at most 2^30; got {self.count}")

    def limits(self, coefficients: np.ndarray) -> Cutoffs:
        """For strings with these coefficients (T,)."""
        largest = float(np.abs(coefficients).max(initial=0.0))
        weight = np.iinfo(np.int64).max if self.weight is None else self.weight
        return Cutoffs(self.coefficient * largest, weight, self.count, available_bytes() // _ENTRY)


@dataclass(frozen=True)
class LeftOut:
    """What a propagation left out: Σ|c|, which bounds the energy's error, and √Σc², which is about its size where signs
    are random. And what it took: the most strings at one time, all strings that there were, and pairs of them that were
    turned."""

    bound: float = 0.0
    norm: float = 0.0
    most: int = 0
    strings: int = 0
    pairs: int = 0

    def __or__(self, other: LeftOut) -> LeftOut:
        """The larger of each number."""
        bound, norm = max(self.bound, other.bound), max(self.norm, other.norm)
        return LeftOut(
            bound, norm, max(self.most, other.most), max(self.strings, other.strings), max(self.pairs, other.pairs)
        )

    def num_bytes(self, num_qubits: int) -> int:
        """Memory of a propagation with gradient."""
        return _ENTRY * (self.pairs + self.strings) + num_qubits // 4 * self.strings


@dataclass(frozen=True, eq=False)
class Sum:
    """An observable as different strings with signs +1, and coefficients (T,)."""

    strings: PauliStrings
    coefficients: np.ndarray


class Propagator:
    """Energies and gradients of one circuit by Pauli propagation, metrics by light cones: an `Engine`.

    `left_out` is what the last energy left out.

    Raises:
        MemoryLimitError: at the call that needs more strings, or a wider cone, than fit in memory.
    """

    def __init__(self, circuit: Circuit, truncation: PauliPropagation, cones: ConeSimulator) -> None:
        self.circuit, self.truncation, self.cones = circuit, truncation, cones
        self.left_out = LeftOut()
        generators = circuit.generators
        self._generators = Signed(generators.x, generators.z, generators.sign.astype(float))

    def terms(self, pulled: Observable) -> Sum:
        """A pulled observable."""
        return Sum(*merged(pulled.strings, pulled.coefficients))

    def expectation(self, phi: np.ndarray, terms: Sum) -> float:
        """⟨H⟩."""
        strings, _ = self._propagated(np.cos(phi), np.sin(phi), terms, with_tape=False)
        return _total(strings)

    def energy_and_gradient(self, phi: np.ndarray, terms: Sum) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,)."""
        cos, sin, slope = np.cos(phi), np.sin(phi), np.zeros(len(phi))
        strings, tape = self._propagated(cos, sin, terms, with_tape=True)
        kernels.slopes(tape, strings, cos, sin, slope)
        return _total(strings), slope

    def block_metric(
        self, phi: np.ndarray, jacobian: sparse.csr_array, terms: Sum | None = None, diagonal: bool = False
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The metric over parameters from the blocks of the layers (or from the diagonal over units), and energy and
        gradient over rotations if `terms` are given."""
        found, _, _ = self.cones.block_metric(phi, jacobian, diagonal=diagonal)
        if terms is None:
            return found, np.nan, np.zeros(0)
        return found, *self.energy_and_gradient(phi, terms)

    def full_metric(self, phi: np.ndarray, jacobian: sparse.csr_array) -> np.ndarray:
        """The whole metric over parameters, (P, P)."""
        return self.cones.full_metric(phi, jacobian)

    def metric_product(self, phi: np.ndarray, jacobian: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
        """g·v (P,) with the full metric over parameters, for v (P,)."""
        return self.cones.metric_product(phi, jacobian, vector)

    def _propagated(self, cos: np.ndarray, sin: np.ndarray, terms: Sum, with_tape: bool) -> tuple[Strings, PairTape]:
        limits = self.truncation.limits(terms.coefficients)
        run = partial(kernels.propagate, terms.strings.x, terms.strings.z, terms.coefficients, self._generators)
        strings, tape = run(cos, sin, limits, with_tape)
        if not strings.has_room:
            raise MemoryLimitError(
                f"pauli-propagation: the strings that the observable turns into do not fit in memory, of which "
                f"{format_bytes(available_bytes())} are available; keep fewer of them, as with "
                f"backend=qngd.PauliPropagation(coefficient={max(10 * self.truncation.coefficient, 1e-3):g}, "
                f"count={max(1, min(self.truncation.count, strings.most) // 4)})"
            )
        self.left_out = LeftOut(
            float(strings.bound), float(strings.norm), int(strings.most), len(strings.coefficient), len(tape.first)
        )
        return strings, tape


def _total(strings: Strings) -> float:
    return float(strings.coefficient[strings.is_kept].sum())
