"""Observables as plain data: a mapping of Pauli labels, or a list of terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError

_ALLOWED = (
    'a list of terms holds ("XZ", 0.5) or, with the qubits of the letters, ("XZ", [3, 0], 0.5); several operators are '
    "one observable as their sum"
)


def read_observable(native: Mapping[str, complex] | Sequence[Any], circuit: Circuit) -> Observable:
    """From {"XZ": 0.5}, [("XZ", 0.5)] or [("XZ", [3, 0], 0.5)], as `SparsePauliOp.from_list` and `from_sparse_list`
    take them. Without terms it is zero.

    Raises:
        ObservableError: a term is of another form; the text names it.
    """
    if isinstance(native, Mapping):
        terms = list(native.items())
    else:
        terms = [_term(entry, place, circuit.num_qubits) for place, entry in enumerate(native)]
    return Observable.from_terms(terms or [("I" * circuit.num_qubits, 0.0)])


def _term(entry: Any, place: int, num_qubits: int) -> tuple[str, Any]:
    match entry:
        case (str() as label, coefficient):
            return label, coefficient
        case (str() as letters, [*qubits], coefficient):
            return _label(letters, qubits, num_qubits), coefficient
    raise ObservableError(f"observable: term {place} of the list is {entry!r}; {_ALLOWED}")


def _label(letters: str, qubits: list[Any], num_qubits: int) -> str:
    fits = len(letters) == len(qubits) == len(set(qubits)) and all(q in range(num_qubits) for q in qubits)
    if not fits:
        raise ObservableError(
            f"observable: the letters {letters!r} stand on qubits {qubits}; give one qubit from 0 to {num_qubits - 1} "
            "for each letter, each once"
        )
    label = ["I"] * num_qubits
    for letter, qubit in zip(letters, qubits, strict=True):
        label[num_qubits - 1 - qubit] = letter
    return "".join(label)
