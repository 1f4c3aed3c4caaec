"""The service of docs/howto/add-a-backend.md: a lab far away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qngd.circuit.ops import Op
from tests import dense

LabGate = tuple[str, list[int], float | None]


class Service:
    """A lab far away: it runs gate lists as matrices, and keeps what it was sent by the jobs' ids."""

    def __init__(self) -> None:
        self.jobs: dict[str, Sequence[tuple[int, list[LabGate], int]]] = {}
        self.trouble: list[BaseException | None] = []  # of each `wait`

    def send(self, circuits: Sequence[tuple[int, list[LabGate], int]]) -> str:
        self.jobs[f"job-{len(self.jobs)}"] = circuits
        return f"job-{len(self.jobs) - 1}"

    def wait(self, job: str) -> list[np.ndarray]:
        if self.trouble and (error := self.trouble.pop(0)) is not None:
            raise error
        rng = np.random.default_rng(int(job.removeprefix("job-")))
        return [self._bits(*circuit, rng) for circuit in self.jobs[job]]

    @staticmethod
    def _bits(num_qubits: int, gates: list[LabGate], shots: int, rng: np.random.Generator) -> np.ndarray:
        state = dense.zero_state(num_qubits)
        for name, qubits, angle in gates:
            if angle is None:
                matrix = dense.CLIFFORD[Op[name]]
            else:
                matrix = dense.rotation_matrix(name[::-1], angle)  # a matrix has the first qubit in its lowest bit
            state = dense.apply(matrix, qubits, state)
        chances = np.abs(state[0]) ** 2
        outcomes = rng.choice(len(chances), size=shots, p=chances / chances.sum())
        return (outcomes[:, None] >> np.arange(num_qubits) & 1).astype(bool)
