"""Reading OpenFermion's qubit operators. Their `terms` say all, so that OpenFermion itself is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import LETTERS, X_BIT, Z_BIT, PauliStrings
from qngd.errors import ObservableError


def read_observable(native: Any, circuit: Circuit) -> Observable:
    """From a `QubitOperator`, whose `terms` are {((0, "X"), (2, "Z")): 0.5, (): 1.0, …}.

    Its qubit i is qubit i of the circuit, in a PennyLane circuit wire i, as in `qml.from_openfermion`.

    Raises:
        ObservableError: it is another operator of OpenFermion's, or acts on qubits that the circuit does not have.
    """
    terms = getattr(native, "terms", None)
    if not isinstance(terms, Mapping) or not all(map(_is_pauli_word, terms)):
        raise ObservableError(
            f"observable: OpenFermion's {type(native).__name__} does not act on qubits; say which mapping is meant, "
            "for example openfermion.jordan_wigner(operator)"
        )
    labels = circuit.wires if circuit.wires is not None else range(circuit.num_qubits)
    place = {label: qubit for qubit, label in enumerate(labels)}
    x = np.zeros((len(terms), circuit.num_qubits), dtype=bool)
    z = np.zeros_like(x)
    for row, word in enumerate(terms):
        for number, letter in word:
            if number not in place:
                raise ObservableError(
                    f"the observable acts on qubit {number}, which the circuit does not have; it has {list(labels)}"
                )
            code = LETTERS.index(letter)
            x[row, place[number]], z[row, place[number]] = X_BIT[code], Z_BIT[code]
    return Observable.from_strings(PauliStrings.from_bits(x, z), list(terms.values()))


def _is_pauli_word(word: Any) -> bool:
    return all(isinstance(letter, str) and len(letter) == 1 and letter in "XYZ" for _, letter in word)
