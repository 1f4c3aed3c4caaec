"""The embedded simulator as a device with shots: true multinomial counts, so that covariances are real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

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
        """The program.

        Raises:
            MemoryLimitError: its states would not fit in memory.
        """
        width = template.num_qubits
        generators, frame = push(template.all_ops, width)
        measured = template.measured
        reads = np.zeros((len(measured), width), dtype=bool)
        reads[np.arange(len(measured)), measured] = True
        pulled = frame.pull(PauliStrings.from_bits(np.zeros_like(reads), reads))
        qubits = moved_qubits(generators, pulled)
        n = len(qubits)
        require_bytes(num_threads() * 40 << n, f"sampling {n} qubits on the embedded simulator", _MANY_QUBITS)
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
        cumulative = np.cumsum(self.probabilities(angles))
        draws = np.random.default_rng(seed).random(shots) * cumulative[-1]
        indices, counts = np.unique(np.searchsorted(cumulative, draws, "right"), return_counts=True)
        indices = np.minimum(indices, len(cumulative) - 1).astype(np.uint64)
        odd = (np.bitwise_count(indices[:, None] & self.parity) & 1).astype(bool) ^ self.flip
        ones = np.zeros((len(odd), self.width), dtype=bool)
        ones[:, self.measured] = odd
        bits, place = distinct_rows(pack_bits(ones))
        return Counts(bits, np.bincount(place, counts).astype(np.int64))


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
        most = max((request.shots or 0 for request in requests), default=0)
        needed = num_threads() * 32 * most
        require_bytes(needed, f"drawing {most} shots of a circuit on the embedded simulator", "use fewer shots")
        return [_RunnableTemplate.of(template) for template in templates], requests, seed

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
