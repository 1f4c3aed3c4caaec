"""The hydrogen molecule in four qubits, written in Qiskit.

The Hamiltonian is H₂ in the STO-3G basis under the Jordan-Wigner mapping: qubits 0 and 1 are the
spin orbitals of the bonding orbital, 2 and 3 those of the antibonding one. The ansatz starts in the
Hartree-Fock state, turns each qubit by RZ·RY·RZ and entangles with CNOTs 2→3, 2→0 and 3→1;
``layers`` repeats rotations and CNOTs. It is the circuit of PennyLane's tutorial "Accelerating VQEs
with quantum natural gradient"; for the method see arXiv:1304.3061 (VQE) and arXiv:1909.02108
(quantum natural gradient).
"""

import math
from numbers import Integral, Real

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

import qngd

NUM_QUBITS = 4

# At 0.7 Å. Energies in hartree; the identity carries the repulsion of the nuclei.
H2_AT_0_7 = [
    ("", [], -0.04207898609),
    ("Z", [0], 0.17771287495),
    ("Z", [1], 0.17771287495),
    ("Z", [2], -0.24274280023),
    ("Z", [3], -0.24274280023),
    ("ZZ", [0, 1], 0.17059738363),
    ("ZZ", [0, 2], 0.12293305043),
    ("ZZ", [1, 3], 0.12293305043),
    ("ZZ", [0, 3], 0.16768319430),
    ("ZZ", [1, 2], 0.16768319430),
    ("ZZ", [2, 3], 0.17627640720),
    ("YXXY", [0, 1, 2, 3], 0.04475014387),
    ("YYXX", [0, 1, 2, 3], -0.04475014387),
    ("XXYY", [0, 1, 2, 3], -0.04475014387),
    ("XYYX", [0, 1, 2, 3], 0.04475014387),
]


def problem(*, bond_length: float = 0.7, layers: int = 1, seed: int = 0) -> qngd.Problem:
    """The ground state of H₂.

    Args:
        bond_length: distance of the nuclei in ångström. At 0.7 the Hamiltonian is the table above;
            any other distance is computed by ``pennylane.qchem``, which must then be installed.
        layers: how often rotations and CNOTs are repeated; twelve parameters each.
        seed: of the starting angles, uniform in [0, 2π). Many starts lead to an excited state,
            which the natural gradient does not cure; at 0.7 the default leads to the ground state.

    Returns:
        A problem with ``12 * layers`` parameters, ordered by layer, then qubit. Its reference is
        the lowest eigenvalue of the Hamiltonian, -1.1361894542 hartree at 0.7 Å.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(bond_length, Real) or not math.isfinite(bond_length) or bond_length <= 0:
        raise ValueError(f"bond_length must be a positive number of ångström, got {bond_length!r}")
    if not isinstance(layers, Integral) or layers < 1:
        raise ValueError(f"layers must be an integer of at least 1, got {layers!r}")
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer in [0, 2**32), got {seed!r}")

    observable = _hamiltonian(bond_length)
    circuit = _ansatz(layers)
    # RandomState repeats the stream of numpy.random.seed, which the tutorial uses.
    theta0 = np.random.RandomState(seed).uniform(0, 2 * np.pi, circuit.num_parameters)
    return qngd.Problem(
        circuit,
        observable,
        theta0,
        name=f"H2, {bond_length:g} Å, {layers} layer{'s' if layers > 1 else ''}",
        reference_energy=float(np.linalg.eigvalsh(observable.to_matrix())[0]),
        unit="hartree",
    )


def _ansatz(layers: int) -> QuantumCircuit:
    theta = ParameterVector("theta", 3 * NUM_QUBITS * layers)
    angles = iter(theta)
    circuit = QuantumCircuit(NUM_QUBITS, name="h2")
    circuit.x([0, 1])
    for _ in range(layers):
        for qubit in range(NUM_QUBITS):
            circuit.rz(next(angles), qubit)
            circuit.ry(next(angles), qubit)
            circuit.rz(next(angles), qubit)
        circuit.cx(2, 3)
        circuit.cx(2, 0)
        circuit.cx(3, 1)
    return circuit


def _hamiltonian(bond_length: float) -> SparsePauliOp:
    if bond_length == 0.7:
        return SparsePauliOp.from_sparse_list(H2_AT_0_7, num_qubits=NUM_QUBITS)

    from pennylane import qchem

    molecule = qchem.Molecule(["H", "H"], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, bond_length]]), unit="angstrom")
    hamiltonian, _ = qchem.molecular_hamiltonian(molecule, method="dhf")
    terms = [
        ("".join(word.values()), list(word.keys()), float(np.real(coefficient)))
        for word, coefficient in hamiltonian.pauli_rep.items()
    ]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=NUM_QUBITS)
