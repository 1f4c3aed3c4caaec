"""The embedded simulator as a device with shots: true multinomial counts, so that covariances are real."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from qngd._system.memory import require_bytes
from qngd._system.threads import num_threads, splits, together
from qngd.backends.base import BackendBase
from qngd.backends.tallies import distinct_rows
from qngd.circuit.active import moved_qubits
from qngd.circuit.frame import push
from qngd.circuit.pauli import PauliStrings, pack_bits
from qngd.circuit.quarter_turns import turns_to_z
from qngd.errors import BackendError
from qngd.exact.kernels.layout import Rotations
from qngd.exact.statevector import apply_rotations, zero_state
from qngd.measured.outcomes import Counts, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

_MANY = 1 << 14  # shots, below which drawing takes less time than the circuit
_EXACT = 1 << 53  # whole numbers that floats hold
_TABLE = 1 << 10  # outcomes whose bits are kept; of more, those that came are worked out
_MANY_QUBITS = (
    "use fewer qubits, or as `backend` AerSimulator(method='matrix_product_state') of qiskit_aer, or a device, such as "
    "a QNode's own"
)


@dataclass(frozen=True, eq=False)
class _RunnableTemplate:
    """A template for the simulator: rotations without Clifford gates, quarter turns after which the measured
    qubits read as parities of basis indices, and these parities. On the `num_qubits` qubits that do not stay |0⟩ in
    the meantime, of `width`."""

    width: int
    num_qubits: int
    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray
    turns: Rotations
    parity: np.ndarray
    flip: np.ndarray
    measured: np.ndarray

    @classmethod
    def of(cls, template: Template) -> _RunnableTemplate:
        """The program."""
        width = template.num_qubits
        generators, frame = push(template.all_ops, width)
        measured = template.measured
        reads = np.zeros((len(measured), width), dtype=bool)
        reads[np.arange(len(measured)), measured] = True
        pulled = frame.pull(PauliStrings.from_bits(np.zeros_like(reads), reads))
        qubits = moved_qubits(generators, pulled)
        n = len(qubits)
        generators = generators.on(qubits)
        turn_x, turn_z, parity, flip = turns_to_z(pulled.on(qubits))
        return cls(
            width, n, generators.x[:, 0].copy(), generators.z[:, 0].copy(), generators.sign.astype(float),
            Rotations.by(np.full(len(turn_x), np.pi / 4), turn_x, turn_z), parity, flip, measured,
        )  # fmt: skip

    def probabilities(self, angles: np.ndarray) -> np.ndarray:
        state = zero_state(self.num_qubits)
        apply_rotations(state, Rotations.by(0.5 * self.sign * angles, self.x, self.z))
        apply_rotations(state, self.turns)
        return (state**2).sum(axis=0)

    def sample(self, angles: np.ndarray, shots: int, seed: np.random.SeedSequence) -> Counts:
        counts = drawn(self.probabilities(angles), shots, np.random.default_rng(seed))
        if len(counts) <= _TABLE:
            bits, place = self._rows_of_all
            found = np.bincount(place, counts, len(bits)).astype(np.int64)
            seen = np.flatnonzero(found)
            return Counts(bits[seen], found[seen])
        indices = np.flatnonzero(counts)
        bits, place = self._rows(indices)
        return Counts(bits, np.bincount(place, counts[indices]).astype(np.int64))

    def _rows(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The distinct bits that are read at basis states of these indices, and which of them each gives."""
        odd = (np.bitwise_count(indices.astype(np.uint64)[:, None] & self.parity) & 1).astype(bool) ^ self.flip
        ones = np.zeros((len(odd), self.width), dtype=bool)
        ones[:, self.measured] = odd
        return distinct_rows(pack_bits(ones))

    @cached_property
    def _rows_of_all(self) -> tuple[np.ndarray, np.ndarray]:
        return self._rows(np.arange(1 << self.num_qubits))


def drawn(probabilities: np.ndarray, shots: int, rng: np.random.Generator) -> np.ndarray:
    """How often each outcome comes in so many shots: drawn by shots, or where these are many by outcomes."""
    size = len(probabilities)
    if by_outcomes(shots, size):
        return np.asarray(rng.multinomial(shots, probabilities / probabilities.sum()))
    cumulative = np.cumsum(probabilities)
    indices = np.searchsorted(cumulative, rng.random(shots) * cumulative[-1], "right")
    return np.bincount(np.minimum(indices, size - 1), minlength=size)


def by_outcomes(shots: int, outcomes: int) -> bool:
    """Whether a binomial number for every outcome takes less time than one draw for every shot."""
    return _MANY < shots < _EXACT and shots > 2 * outcomes


def _program(template: Template) -> _RunnableTemplate:
    """Made once: the steps of a run send the same templates."""
    found = _PROGRAMS.get(template)
    if found is None:
        _PROGRAMS[template] = found = _RunnableTemplate.of(template)
    return found


_PROGRAMS: weakref.WeakKeyDictionary[Template, _RunnableTemplate] = weakref.WeakKeyDictionary()


class StatevectorSampler(BackendBase):
    """Samples from exact statevectors. Seeds make it reproducible, whatever the number of threads."""

    name = "statevector"
    is_noisy = False
    is_local = True
    gives_counts = True

    def submit(
        self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None
    ) -> tuple[Sequence[_RunnableTemplate], Sequence[Request], int | None]:
        if any(request.shots is None for request in requests):
            raise BackendError("the embedded sampler needs a number of shots")
        programs = [_program(template) for template in templates]
        widest = max((program.num_qubits for program in programs), default=0)
        require_bytes(num_threads() * 40 << widest, f"sampling {widest} qubits on the embedded simulator", _MANY_QUBITS)
        each = ((request.shots or 0, 1 << programs[request.template].num_qubits) for request in requests)
        most = max((shots for shots, outcomes in each if not by_outcomes(shots, outcomes)), default=0)
        needed = num_threads() * 32 * most
        require_bytes(needed, f"drawing {most} shots of a circuit on the embedded simulator", "use fewer shots")
        return programs, requests, seed

    def collect(self, handle: tuple[Sequence[_RunnableTemplate], Sequence[Request], int | None]) -> list[Outcome]:
        programs, requests, seed = handle
        seeds = np.random.SeedSequence(seed).spawn(len(requests))
        outcomes: list[Outcome] = [Counts(np.zeros((0, 1)), np.zeros(0))] * len(requests)

        def work(share: range) -> None:
            for r in share:
                request = requests[r]
                assert request.shots is not None
                outcomes[r] = programs[request.template].sample(request.angles, request.shots, seeds[r])

        # Large states are split over the threads themselves; small ones are shared out.
        hands = 1 if any(splits(1 << program.num_qubits) for program in programs) else num_threads()
        together([partial(work, range(h, len(requests), hands)) for h in range(hands)])
        return outcomes
