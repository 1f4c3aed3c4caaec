"""The Sherrington-Kirkpatrick spin glass by QAOA, written in Qiskit.

H = n^(-1/2) Σ_{i<j} J_ij Z_i Z_j with random couplings J_ij of mean 0 and variance 1 between all
pairs of n spins. The ansatz alternates exp(-iγ H) and exp(iβ ΣX) on |+…+⟩, the ground state of -ΣX
(arXiv:1910.08187).
"""

from itertools import combinations
from numbers import Integral

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp

import qngd

MAX_EXACT_QUBITS = 20


def problem(*, num_qubits: int = 6, depth: int = 4, couplings: str = "gaussian", seed: int = 0) -> qngd.Problem:
    """The ground state of one spin glass.

    Args:
        num_qubits: number of spins n, at least 2.
        depth: alternations p of the QAOA.
        couplings: ``"gaussian"``: standard normal; ``"plus-minus"``: +1 or -1 with equal
            probability.
        seed: of the couplings.

    Returns:
        A problem with ``2 * depth`` parameters γ₁, β₁, γ₂, β₂, … that starts on a linear ramp, γ
        rising and β falling, as slow annealing would. Its reference is the exact ground energy,
        found by trying all configurations; None beyond 20 spins.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(num_qubits, Integral) or num_qubits < 2:
        raise ValueError(f"num_qubits must be an integer of at least 2, got {num_qubits!r}")
    if not isinstance(depth, Integral) or depth < 1:
        raise ValueError(f"depth must be an integer of at least 1, got {depth!r}")
    if couplings not in ("gaussian", "plus-minus"):
        raise ValueError(f"couplings must be 'gaussian' or 'plus-minus', got {couplings!r}")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")

    pairs = list(combinations(range(num_qubits), 2))
    rng = np.random.default_rng(seed)
    if couplings == "gaussian":
        strengths = rng.normal(size=len(pairs)) / np.sqrt(num_qubits)
    else:
        strengths = rng.choice([-1.0, 1.0], size=len(pairs)) / np.sqrt(num_qubits)

    cost = SparsePauliOp.from_sparse_list(
        [("ZZ", pair, strength) for pair, strength in zip(pairs, strengths, strict=True)],
        num_qubits=num_qubits,
    )
    mixer = SparsePauliOp.from_sparse_list([("X", [i], -1.0) for i in range(num_qubits)], num_qubits=num_qubits)

    theta = ParameterVector("theta", 2 * depth)
    circuit = QuantumCircuit(num_qubits, name="sk")
    circuit.h(range(num_qubits))
    for layer in range(depth):
        circuit.append(PauliEvolutionGate(cost, time=theta[2 * layer]), range(num_qubits))
        circuit.append(PauliEvolutionGate(mixer, time=theta[2 * layer + 1]), range(num_qubits))

    ramp = (np.arange(depth) + 0.5) / depth
    return qngd.Problem(
        circuit,
        cost,
        np.column_stack([ramp, 1 - ramp]).ravel(),
        name=f"SK, {num_qubits} spins, depth {depth}, {couplings}, seed {seed}",
        reference_energy=_lowest_energy(num_qubits, pairs, strengths),
    )


def _lowest_energy(num_qubits, pairs, strengths) -> float | None:
    if num_qubits > MAX_EXACT_QUBITS:
        return None
    # The last spin may stay up: turning all spins changes nothing.
    spins = np.arange(2 ** (num_qubits - 1))
    energy = np.zeros(len(spins))
    for (i, j), strength in zip(pairs, strengths, strict=True):
        energy += strength * (1 - 2 * ((spins >> i ^ spins >> j) & 1))
    return float(energy.min())
