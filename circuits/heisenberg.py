"""The Heisenberg chain with a hardware-efficient ansatz, written in Qiskit.

H = J Σ (X_i X_{i+1} + Y_i Y_{i+1} + Δ Z_i Z_{i+1}) + h Σ Z_i on a chain or ring. The ansatz is
Qiskit's ``efficient_su2``: RY and RZ on every qubit between layers of CNOTs (arXiv:1704.05018). It
knows nothing of the symmetries of H, so it is a hard case: most starts end in local minima.
"""

import math
from numbers import Integral, Real

import numpy as np
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import SparsePauliOp
from scipy.sparse.linalg import eigsh

import qngd

MAX_EXACT_QUBITS = 14


def problem(
    *,
    num_qubits: int = 6,
    reps: int = 4,
    coupling: float = 1.0,
    anisotropy: float = 1.0,
    field: float = 0.0,
    periodic: bool = False,
    seed: int = 0,
) -> qngd.Problem:
    """The ground state of the chain.

    Args:
        num_qubits: number of spins, at least 2 (at least 3 on a ring).
        reps: layers of CNOTs.
        coupling: J, in the unit of the energy; positive is antiferromagnetic.
        anisotropy: Δ; 1 is the isotropic (XXX) chain, any other value the XXZ chain.
        field: h, along Z, in the unit of the energy.
        periodic: closes the chain to a ring.
        seed: of the starting angles, uniform in [-π, π).

    Returns:
        A problem with ``2 * num_qubits * (reps + 1)`` parameters in the order of ``efficient_su2``.
        Its reference is the lowest eigenvalue of H, -9.9743 with the default settings; None beyond
        14 spins.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(num_qubits, Integral) or num_qubits < 2:
        raise ValueError(f"num_qubits must be an integer of at least 2, got {num_qubits!r}")
    if not isinstance(reps, Integral) or reps < 1:
        raise ValueError(f"reps must be an integer of at least 1, got {reps!r}")
    for name, value in (("coupling", coupling), ("anisotropy", anisotropy), ("field", field)):
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
    if coupling == field == 0:
        raise ValueError("coupling and field must not both be 0: no Hamiltonian is left")
    if not isinstance(periodic, bool):
        raise ValueError(f"periodic must be true or false, got {periodic!r}")
    if periodic and num_qubits < 3:
        raise ValueError(f"num_qubits must be at least 3 when periodic is true, got {num_qubits!r}")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")

    bonds = [(i, i + 1) for i in range(num_qubits - 1)]
    if periodic:
        bonds.append((num_qubits - 1, 0))
    terms = [
        (pauli, bond, coupling * weight)
        for bond in bonds
        for pauli, weight in (("XX", 1.0), ("YY", 1.0), ("ZZ", anisotropy))
    ]
    terms += [("Z", [i], field) for i in range(num_qubits)]
    observable = SparsePauliOp.from_sparse_list(terms, num_qubits=num_qubits).simplify()

    circuit = efficient_su2(num_qubits, reps=reps, entanglement="linear")
    return qngd.Problem(
        circuit,
        observable,
        np.random.default_rng(seed).uniform(-np.pi, np.pi, circuit.num_parameters),
        name=f"Heisenberg {'ring' if periodic else 'chain'}, {num_qubits} spins, {reps} reps",
        reference_energy=_lowest_energy(observable),
    )


def _lowest_energy(observable: SparsePauliOp) -> float | None:
    if observable.num_qubits > MAX_EXACT_QUBITS:
        return None
    if observable.num_qubits <= 6:
        return float(np.linalg.eigvalsh(observable.to_matrix())[0])
    start = np.random.default_rng(0).normal(size=2**observable.num_qubits)
    return float(eigsh(observable.to_matrix(sparse=True), k=1, which="SA", v0=start)[0][0])
