"""The transverse-field Ising ring with the Hamiltonian variational ansatz, written in Qiskit.

H = -Σ Z_i Z_{i+1} - Σ X_i on a ring of N spins, at its critical point. N/2 layers of exp(-iγ ΣZZ)
and exp(-iβ ΣX) on |+…+⟩ reach the ground state exactly (arXiv:1906.08948). The natural gradient
finds it from everywhere where other optimizers are caught (arXiv:2004.14666). Each parameter is
shared by N gates and the metric is nearly singular, so the choice of damping decides.
"""

import math
from numbers import Integral

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

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
    observable = SparsePauliOp.from_sparse_list(
        [("ZZ", bond, -1.0) for bond in ring] + [("X", [i], -1.0) for i in range(num_qubits)],
        num_qubits=num_qubits,
    )

    theta = ParameterVector("theta", num_qubits)
    circuit = QuantumCircuit(num_qubits, name="tfim")
    circuit.h(range(num_qubits))
    for layer in range(num_qubits // 2):
        gamma, beta = theta[2 * layer], theta[2 * layer + 1]
        for i, j in ring:
            circuit.rzz(2 * gamma, i, j)
        for i in range(num_qubits):
            circuit.rx(2 * beta, i)

    low, high = (1e-4, 0.05) if start == "small" else (-np.pi / 2, np.pi / 2)
    return qngd.Problem(
        circuit,
        observable,
        np.random.default_rng(seed).uniform(low, high, num_qubits),
        name=f"Ising ring, {num_qubits} spins, {start} start",
        reference_energy=-2 / math.sin(math.pi / (2 * num_qubits)),
    )
