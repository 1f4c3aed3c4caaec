"""Lithium hydride in an active space, written in PennyLane.

The Hamiltonian comes from ``pennylane.qchem`` (STO-3G, differentiable Hartree-Fock, Jordan-Wigner).
The core orbitals below the active space stay doubly occupied, the virtual ones above it are
dropped. The ansatz applies all double and then all single excitations that keep the spin
projection, as Givens rotations of the Hartree-Fock state: a particle-conserving relative of UCCSD
(arXiv:2106.13839).
"""

import math
from numbers import Integral, Real

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp
from pennylane import qchem

import qngd

ELECTRONS = 4
ORBITALS = 6  # STO-3G: 1s, 2s, 2p of lithium, 1s of hydrogen
MAX_EXACT_QUBITS = 14


def problem(*, bond_length: float = 1.57, active_electrons: int = 2, active_orbitals: int = 5) -> qngd.Problem:
    """The ground state of LiH.

    Args:
        bond_length: distance of the nuclei in ångström.
        active_electrons: electrons in the active space: 2 (core of lithium frozen) or 4 (all).
        active_orbitals: spatial orbitals in the active space, two qubits each. With two active
            electrons there are at most 5, with four at most 6.

    Returns:
        A problem whose QNode takes one array, the angles of the double and then of the single
        excitations (24 with the default settings), and returns the energy in hartree. It starts at
        zero, which is the Hartree-Fock state. Its reference is the lowest energy in the active
        space among states with ``active_electrons`` electrons and spin projection 0: -7.8825
        hartree with the default settings.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(bond_length, Real) or not math.isfinite(bond_length) or bond_length <= 0:
        raise ValueError(f"bond_length must be a positive number of ångström, got {bond_length!r}")
    if active_electrons not in (2, ELECTRONS):
        raise ValueError(f"active_electrons must be 2 or {ELECTRONS}, got {active_electrons!r}")
    core = (ELECTRONS - active_electrons) // 2
    least, most = active_electrons // 2 + 1, ORBITALS - core
    if not isinstance(active_orbitals, Integral) or not least <= active_orbitals <= most:
        raise ValueError(
            f"active_orbitals must be an integer from {least} to {most} "
            f"with active_electrons={active_electrons}, got {active_orbitals!r}"
        )

    molecule = qchem.Molecule(["Li", "H"], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, bond_length]]), unit="angstrom")
    hamiltonian, num_qubits = qchem.molecular_hamiltonian(
        molecule,
        method="dhf",
        active_electrons=active_electrons,
        active_orbitals=active_orbitals,
    )
    hf_state = qchem.hf_state(active_electrons, num_qubits)
    singles, doubles = qchem.excitations(active_electrons, num_qubits)

    @qml.qnode(qml.device("default.qubit", wires=num_qubits))
    def energy(angles):
        qml.BasisState(hf_state, wires=range(num_qubits))
        for angle, wires in zip(angles[: len(doubles)], doubles, strict=True):
            qml.DoubleExcitation(angle, wires=wires)
        for angle, wires in zip(angles[len(doubles) :], singles, strict=True):
            qml.SingleExcitation(angle, wires=wires)
        return qml.expval(hamiltonian)

    return qngd.Problem(
        energy,
        None,
        pnp.zeros(len(doubles) + len(singles), requires_grad=True),
        name=f"LiH, {bond_length:g} Å, {active_electrons} electrons in {active_orbitals} orbitals",
        reference_energy=_lowest_energy(hamiltonian, num_qubits, active_electrons),
        unit="hartree",
    )


def _lowest_energy(hamiltonian, num_qubits: int, electrons: int) -> float | None:
    """Of states with as many electrons and spin projection 0.

    Wire 2k is orbital k with spin up, wire 2k + 1 with spin down.
    """
    if num_qubits > MAX_EXACT_QUBITS:
        return None
    states = np.arange(2**num_qubits)
    bits = states[:, None] >> np.arange(num_qubits)[::-1] & 1  # column w is wire w
    ups, downs = bits[:, ::2].sum(axis=1), bits[:, 1::2].sum(axis=1)
    sector = np.flatnonzero((ups == electrons // 2) & (downs == electrons // 2))
    matrix = hamiltonian.sparse_matrix(wire_order=range(num_qubits)).tocsr()
    return float(np.linalg.eigvalsh(matrix[sector][:, sector].toarray())[0])
