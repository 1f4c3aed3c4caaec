"""PennyLane operators as observables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.pauli import PauliSentence

from qngd.errors import ObservableError
from qngd.interop._pennylane_trace import node_of
from qngd.observable import Observable
from qngd.pauli import PauliStrings, num_words

_MAX_MATRIX_WIRES = 6  # of an operator that only a matrix describes: 4^k Pauli words


def observable_of(op: Operator, wires: Mapping[Any, int]) -> Observable:
    """An operator as Pauli strings, with `wires` giving the qubit of each wire label.

    Raises:
        ObservableError: it is not Hermitian, acts on a wire that is not in `wires`, depends on trained
            parameters, or has no Pauli decomposition.
    """
    sentence = _pauli_sentence(op)
    sentence.simplify()
    missing = [label for label in sentence.wires if label not in wires]
    if missing:
        raise ObservableError(
            f"the observable acts on wires {missing}, which the circuit does not have; its wires are {list(wires)}"
        )
    return Observable.from_strings(_strings(sentence, wires), _coefficients(sentence))


def _coefficients(sentence: PauliSentence) -> list[complex]:
    values = list(sentence.values())
    if any(node_of(value) is not None for value in values):
        raise ObservableError(
            "the observable's coefficients depend on trainable arguments; mark these requires_grad=False, "
            "since only gates may have parameters"
        )
    return [complex(value) for value in values]


def _pauli_sentence(op: Operator) -> PauliSentence:
    if any(node_of(value) is not None for value in op.data):
        _coefficients(PauliSentence({qml.pauli.PauliWord({}): next(iter(op.data))}))
    if op.pauli_rep is not None:
        return PauliSentence(op.pauli_rep)
    if not op.has_matrix and not op.has_sparse_matrix:
        raise ObservableError(f"{op.name} is not an observable on qubits; give a sum of Pauli words")
    if len(op.wires) > _MAX_MATRIX_WIRES:
        raise ObservableError(
            f"{op.name} is given by a matrix on {len(op.wires)} wires; at most {_MAX_MATRIX_WIRES} are "
            "decomposed: write it as a sum of Pauli words"
        )
    matrix = op.matrix() if op.has_matrix else op.sparse_matrix().toarray()
    return _of_matrix(np.asarray(matrix), list(op.wires))


def _of_matrix(matrix: np.ndarray, wires: list[Any]) -> PauliSentence:
    if not np.allclose(matrix, matrix.conj().T, rtol=0, atol=1e-10 * np.abs(matrix).max(initial=1.0)):
        raise ObservableError("the observable's matrix is not Hermitian")
    return qml.pauli_decompose(matrix, wire_order=wires, pauli=True, check_hermitian=False)


def _strings(sentence: PauliSentence, wires: Mapping[Any, int]) -> PauliStrings:
    count = len(wires)
    size = 8 * num_words(count)
    masks = {"x": bytearray(), "z": bytearray()}
    for word in sentence:
        x = z = 0
        for label, letter in word.items():
            bit = 1 << wires[label]
            if letter != "Z":
                x |= bit
            if letter != "X":
                z |= bit
        masks["x"] += x.to_bytes(size, "little")
        masks["z"] += z.to_bytes(size, "little")
    shape = (len(sentence), num_words(count))
    words = {
        name: np.frombuffer(bytes(mask), dtype="<u8").reshape(shape).astype(np.uint64) for name, mask in masks.items()
    }
    return PauliStrings(count, words["x"], words["z"], np.ones(shape[0], dtype=np.int8))
