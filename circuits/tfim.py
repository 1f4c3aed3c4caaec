"""The transverse-field Ising ring with the Hamiltonian variational ansatz, written without an SDK.

H = -Σ Z_i Z_{i+1} - Σ X_i on a ring of N spins, at its critical point. N/2 layers of exp(-iγ ΣZZ)
and exp(-iβ ΣX) on |+…+⟩ reach the ground state exactly (arXiv:1906.08948). The natural gradient
finds it from everywhere where other optimizers are caught (arXiv:2004.14666). Each parameter is
shared by N gates and the metric is nearly singular, so the choice of damping decides.
"""

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np

import qngd


def problem(*, num_qubits: int = 6, start: str = "small", seed: int = 0) -> qngd.Problem:
    """The ground state of the critical Ising ring.

    Args:
        num_qubits: number of spins N, even and at least 4.
        start: ``"small"``: angles uniform in [1e-4, 0.05); ``"half-pi"``: uniform in [-π/2, π/2).
        seed: of the starting angles.

    Returns:
        A problem with N parameters γ₁, β₁, γ₂, β₂, … Its reference is the exact ground energy -2 /
        sin(π / 2N), known in closed form at every size.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(num_qubits, Integral) or num_qubits < 4 or num_qubits % 2:
        raise ValueError(f"num_qubits must be an even integer of at least 4, got {num_qubits!r}")
    if start not in ("small", "half-pi"):
        raise ValueError(f"start must be 'small' or 'half-pi', got {start!r}")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")

    ring = [(i, (i + 1) % num_qubits) for i in range(num_qubits)]
    observable = {_label("Z", bond, num_qubits): -1.0 for bond in ring} | {
        _label("X", (i,), num_qubits): -1.0 for i in range(num_qubits)
    }

    circuit = qngd.CircuitBuilder(num_qubits)
    theta = circuit.parameters(*(f"theta[{k}]" for k in range(num_qubits)))
    for i in range(num_qubits):
        circuit.h(i)
    for gamma, beta in zip(theta[::2], theta[1::2], strict=True):
        for i, j in ring:
            circuit.rzz(2 * gamma, i, j)
        for i in range(num_qubits):
            circuit.rx(2 * beta, i)

    low, high = (1e-4, 0.05) if start == "small" else (-np.pi / 2, np.pi / 2)
    return qngd.Problem(
        circuit.build(),
        observable,
        np.random.default_rng(seed).uniform(low, high, num_qubits),
        name=f"Ising ring, {num_qubits} spins, {start} start",
        reference_energy=-2 / math.sin(math.pi / (2 * num_qubits)),
    )


def _label(letter: str, qubits: Sequence[int], num_qubits: int) -> str:
    """The Pauli string with this letter on these qubits; the rightmost letter is qubit 0."""
    return "".join(letter if qubit in qubits else "I" for qubit in reversed(range(num_qubits)))
