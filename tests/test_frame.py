"""Pushing Clifford gates to the end: against matrices on few qubits, against stim's tableaus on many."""

import numpy as np
import pytest
import stim

from qngd.circuit.builder import OpsBuilder
from qngd.circuit.frame import Frame, push
from qngd.circuit.ops import Op
from qngd.circuit.pauli import PauliStrings
from tests.clifford_circuits import matrix_of, random_clifford_circuit
from tests.dense import label_matrix
from tests.strategies import random_labels


def stim_circuit(steps, num_qubits):
    names = {"sdg": "S_DAG"}
    circuit = stim.Circuit(f"I {num_qubits - 1}\n")
    for name, qubits, letters, turns in steps:
        if name != "quarter":
            circuit.append(names.get(name, name.upper()), qubits)
        else:
            product = "*".join(f"{p}{q}" for p, q in zip(letters, qubits, strict=True))
            line = {1: f"SPP {product}", 3: f"SPP_DAG {product}", 2: f"SPP {product} {product}"}
            circuit.append_from_stim_program_text(line[turns])
    return circuit


def signed(strings):
    """stim's Pauli strings of ours."""
    return [
        stim.PauliString(label[::-1].replace("I", "_")) * int(sign)
        for label, sign in zip(strings.labels(), strings.sign, strict=True)
    ]


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_generators_and_frame_against_matrices(num_qubits, seed):
    builder, steps = random_clifford_circuit(seed, num_qubits, 40)
    generators, frame = push(builder.ops(), num_qubits)
    clifford = np.eye(2**num_qubits, dtype=complex)
    row = 0
    for step in steps:
        if step[0] != "rotation":
            clifford = matrix_of(*step, num_qubits) @ clifford
            continue
        letters = dict(zip(step[1], step[2], strict=True))
        label = "".join(letters.get(q, "I") for q in reversed(range(num_qubits)))
        expected = clifford.conj().T @ label_matrix(label) @ clifford
        found = generators.sign[row] * label_matrix(generators.labels()[row])
        assert np.allclose(found, expected, atol=1e-12)
        row += 1
    assert row == len(generators) > 0
    labels = random_labels(seed, num_qubits, 10)
    pulled = frame.pull(PauliStrings.from_labels(labels))
    for label, image, sign in zip(labels, pulled.labels(), pulled.sign, strict=True):
        expected = clifford.conj().T @ label_matrix(label) @ clifford
        assert np.allclose(sign * label_matrix(image), expected, atol=1e-12)


@pytest.mark.parametrize("num_qubits", [2, 64, 65, 71, 130])
def test_generators_and_frame_against_stim(num_qubits):
    builder, steps = random_clifford_circuit(num_qubits, num_qubits, 20 * num_qubits)
    generators, frame = push(builder.ops(), num_qubits)
    images = signed(generators)
    so_far, row = [], 0
    checked = np.linspace(0, len(images) - 1, 12).astype(int)
    for step in steps:
        if step[0] != "rotation":
            so_far.append(step)
            continue
        if row in checked:
            string = stim.PauliString(num_qubits)
            for q, letter in zip(step[1], step[2], strict=True):
                string[q] = letter
            # conjugation by the inverse of C: C†PC
            assert images[row] == string.before(stim_circuit(so_far, num_qubits))
        row += 1
    assert row == len(images)
    tableau = stim.Tableau.from_circuit(stim_circuit(so_far, num_qubits)).inverse()
    qubits = range(num_qubits)
    unit = np.eye(num_qubits, dtype=int)
    for letter, image in (("X", tableau.x_output), ("Z", tableau.z_output)):
        labels = ["".join(letter if b else "I" for b in unit[q][::-1]) for q in qubits]
        assert signed(frame.pull(PauliStrings.from_labels(labels))) == [image(q) for q in qubits]
    labels = random_labels(7, num_qubits, 10)
    strings = PauliStrings.from_labels(labels)
    strings = PauliStrings(num_qubits, strings.x, strings.z, np.array([1, -1] * 5, dtype=np.int8))
    expected = [tableau(string) for string in signed(strings)]
    assert signed(frame.pull(strings)) == expected
    assert len({string.sign for string in expected}) == 2


@pytest.mark.parametrize("num_qubits", [1, 70])
def test_without_gates_the_frame_is_the_identity(num_qubits):
    labels = random_labels(1, num_qubits, 5)
    pulled = Frame.identity(num_qubits).pull(PauliStrings.from_labels(labels))
    assert pulled.labels() == labels
    assert (pulled.sign == 1).all()


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("letters", ["X", "Y", "Z", "XY", "YZ", "ZX", "XYZ"])
def test_quarter_turns_against_matrices(letters, turns):
    n = len(letters) + 1
    qubits = list(range(1, n))[::-1]
    builder = OpsBuilder(n)
    builder.begin("r", qubits)
    builder.rotation(letters, qubits, turns * np.pi / 2 - 2 * np.pi)
    assert builder.ops().kind.tolist() == [Op.QUARTER]
    _, frame = push(builder.ops(), n)
    clifford = matrix_of("quarter", qubits, letters, turns, n)
    labels = random_labels(turns, n, 12)
    pulled = frame.pull(PauliStrings.from_labels(labels))
    for label, image, sign in zip(labels, pulled.labels(), pulled.sign, strict=True):
        expected = clifford.conj().T @ label_matrix(label) @ clifford
        assert np.allclose(sign * label_matrix(image), expected, atol=1e-12)
