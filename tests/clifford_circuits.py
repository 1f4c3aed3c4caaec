"""Random Clifford circuits, their gates as matrices, and the commuting strings that they make."""

import numpy as np

from qngd.circuit.builder import OpsBuilder
from qngd.circuit.frame import push
from qngd.circuit.ops import Op
from qngd.circuit.pauli import PauliStrings
from tests.dense import CLIFFORD, apply, rotation_matrix

ONE_QUBIT = ["h", "s", "sdg", "x", "y", "z"]
TWO_QUBITS = ["cx", "cz", "swap"]


def random_clifford_circuit(seed, num_qubits, count, kinds=("gate", "quarter", "rotation")):
    """A builder, and its operations as (kind, qubits, letters, turns) in order."""
    rng = np.random.default_rng(seed)
    builder = OpsBuilder(num_qubits)
    steps = []
    for _ in range(count):
        kind = rng.choice(kinds)
        if kind == "gate":
            name = str(rng.choice(ONE_QUBIT + (TWO_QUBITS if num_qubits > 1 else [])))
            width = 2 if name in TWO_QUBITS else 1
            qubits = [int(q) for q in rng.choice(num_qubits, width, replace=False)]
            builder.begin(name, qubits)
            builder.clifford(name, *qubits)
            steps.append((name, qubits, "", 0))
            continue
        width = int(rng.integers(1, min(4, num_qubits) + 1))
        qubits = [int(q) for q in rng.choice(num_qubits, width, replace=False)]
        letters = "".join(rng.choice(list("XYZ"), width))
        turns = int(rng.integers(1, 4)) if kind == "quarter" else 0
        builder.begin(kind, qubits)
        builder.rotation(letters, qubits, turns * np.pi / 2 if turns else 0.3)
        steps.append((kind, qubits, letters, turns))
    return builder, steps


def matrix_of(name, qubits, letters, turns, num_qubits):
    if name == "quarter":
        gate = rotation_matrix(letters[::-1], turns * np.pi / 2)
    else:
        gate = CLIFFORD[Op[name.upper()]]
    # columns of the full matrix are the images of the basis states
    return apply(gate, qubits, np.eye(2**num_qubits, dtype=complex)).T


def commuting_strings(seed, num_qubits, count):
    """Z strings seen through random Clifford gates, with random signs: any commuting set, dependent if `count`
    exceeds the number of qubits."""
    rng = np.random.default_rng(seed)
    builder, _ = random_clifford_circuit(seed, num_qubits, 80, ("gate",))
    z = rng.integers(0, 2, (count, num_qubits)).astype(bool)
    plain = PauliStrings.from_bits(np.zeros_like(z), z)
    signs = rng.choice(np.array([-1, 1], dtype=np.int8), count)
    signed = PauliStrings(num_qubits, plain.x, plain.z, signs)
    return push(builder.ops(), num_qubits)[1].pull(signed)
