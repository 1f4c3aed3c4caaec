"""A linear chain of hydrogen atoms, written in PennyLane.

Stretched chains are the smallest molecules with strong correlation (arXiv:1705.01608). The
Hamiltonian comes from ``pennylane.qchem`` (STO-3G, differentiable Hartree-Fock, Jordan-Wigner),
which takes about half a second for four atoms and three seconds for six. The ansatz is the gate
fabric of arXiv:2104.05695: layers of double excitations and orbital rotations on neighbouring
orbitals that conserve particle number and spin, with constant rotations by π between the two.
Without those, runs dwell for long at a saddle 4 mHa above the ground state.
"""

import math
from numbers import Integral, Real

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp
from pennylane import qchem

import qngd

MAX_EXACT_QUBITS = 14


def problem(
    *, num_atoms: int = 4, spacing: float = 1.0, layers: int = 5, spread: float = 0.1, seed: int = 0
) -> qngd.Problem:
    """The ground state of the neutral chain.

    Args:
        num_atoms: number of atoms, even and at least 2; each brings two qubits.
        spacing: distance of neighbouring nuclei in ångström.
        layers: layers of the gate fabric, ``2 * (num_atoms - 1)`` parameters each.
        spread: the starting angles are uniform in [-spread, spread), in radians.
        seed: of the starting angles.

    Returns:
        A problem whose QNode takes one array of shape ``(layers, num_atoms - 1, 2)`` (layer, gate,
        double excitation and orbital rotation) and returns the energy in hartree. Its reference is
        the lowest energy among states with ``num_atoms`` electrons and spin projection 0: -2.1664
        hartree with the default settings. None beyond 14 qubits.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(num_atoms, Integral) or num_atoms < 2 or num_atoms % 2:
        raise ValueError(f"num_atoms must be an even integer of at least 2, got {num_atoms!r}")
    if not isinstance(spacing, Real) or not math.isfinite(spacing) or spacing <= 0:
        raise ValueError(f"spacing must be a positive number of ångström, got {spacing!r}")
    if not isinstance(layers, Integral) or layers < 1:
        raise ValueError(f"layers must be an integer of at least 1, got {layers!r}")
    if not isinstance(spread, Real) or not math.isfinite(spread) or spread < 0:
        raise ValueError(f"spread must be a number of radians of at least 0, got {spread!r}")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")

    positions = np.array([[0.0, 0.0, spacing * i] for i in range(num_atoms)])
    molecule = qchem.Molecule(["H"] * num_atoms, positions, unit="angstrom")
    hamiltonian, num_qubits = qchem.molecular_hamiltonian(molecule, method="dhf")
    hf_state = qchem.hf_state(num_atoms, num_qubits)

    @qml.qnode(qml.device("default.qubit", wires=num_qubits))
    def energy(weights):
        qml.GateFabric(weights, wires=range(num_qubits), init_state=hf_state, include_pi=True)
        return qml.expval(hamiltonian)

    shape = qml.GateFabric.shape(layers, num_qubits)
    theta0 = np.random.default_rng(seed).uniform(-spread, spread, shape)
    return qngd.Problem(
        energy,
        None,
        pnp.array(theta0, requires_grad=True),
        name=f"H{num_atoms} chain, {spacing:g} Å, {layers} layer{'s' if layers > 1 else ''}",
        reference_energy=_lowest_energy(hamiltonian, num_qubits, num_atoms),
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
