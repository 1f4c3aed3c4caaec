"""PennyLane operators as observables.

An operator is read from its leaves up: Pauli words, projectors and matrices on a few wires become sums of Pauli
strings (`PauliSum`), which sums, products, powers and the like combine. Only the matrix of a leaf is ever made.
"""

from __future__ import annotations

import functools
import operator as operators
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import pennylane as qml
import scipy.sparse
from pennylane.bose import BoseSentence, BoseWord
from pennylane.fermi import FermiSentence, FermiWord
from pennylane.measurements import ExpectationMP, MeasurementProcess
from pennylane.operation import Operator
from pennylane.ops.op_math import Adjoint, Controlled, Exp, Pow, Prod, SProd, Sum
from pennylane.pauli import PauliSentence, PauliWord

from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings, num_words
from qngd.circuit.pauli_sum import PauliSum, hermitian_part, of_matrix, projector
from qngd.errors import ObservableError
from qngd.interop.pennylane.products import matrix_of
from qngd.interop.pennylane.reasons import reason_of
from qngd.interop.pennylane.table import commuting_words
from qngd.interop.pennylane.trace import node_of

_MAX_DENSE_WIRES = 12  # of a leaf whose matrix PennyLane has to make: 256 MiB


def observable_of(native: Any, wires: Mapping[Any, int]) -> Observable:
    """An operator as Pauli strings, with `wires` giving the qubit of each wire label.

    Also taken: a Pauli word or sentence; an operator inside `qml.expval`; a Fermi word or sentence, under the
    Jordan–Wigner mapping (mode i on wire i), which is the one of PennyLane's excitation gates.

    Raises:
        ObservableError: it is not Hermitian, acts on a wire that is not in `wires`, depends on trained
            parameters, or has no Pauli decomposition or too large a one.
    """
    total = sum_of(_operator_of(native), wires)
    return Observable.from_strings(total.strings, total.coefficients)


def sum_of(op: Operator | PauliSentence, wires: Mapping[Any, int]) -> PauliSum:
    """An operator, Hermitian or not, as Pauli strings.

    Raises:
        ObservableError: as for `observable_of`.
    """
    return _ObservableReader(wires).read(op)


def _operator_of(native: Any) -> Operator | PauliSentence:
    match native:
        case ExpectationMP() if native.obs is not None:
            return native.obs
        case Operator():
            return native
        case PauliSentence():
            return native
        case PauliWord():
            return PauliSentence({native: 1.0})
        case FermiWord() | FermiSentence():
            return qml.jordan_wigner(native, ps=True)
        case BoseWord() | BoseSentence():
            raise ObservableError(
                f"observable: a {type(native).__name__} acts on bosonic modes, not on qubits; say how many levels of a "
                "mode are kept, qml.binary_mapping(observable, n_states=4), or use qml.unary_mapping"
            )
        case MeasurementProcess():
            raise ObservableError(
                f"observable: {type(native).__name__} is not an expectation value; give the operator alone, for "
                "example qml.Z(0)"
            )
    raise ObservableError(
        f"observable: {type(native).__name__} is not a PennyLane operator; give for example "
        "qml.Hamiltonian(coefficients, words)"
    )


class _ObservableReader:
    """Reads operators on `wires`."""

    def __init__(self, wires: Mapping[Any, int]) -> None:
        self._wires = wires

    def read(self, op: Operator | PauliSentence) -> PauliSum:
        if isinstance(op, PauliSentence):
            return self._sentence(op)
        if any(node_of(value) is not None for value in op.data):
            _refuse_traced()
        if op.pauli_rep is not None:
            return self._sentence(op.pauli_rep)
        return self._combined(op)

    def _combined(self, op: Any) -> PauliSum:
        match op:
            case Sum():
                return PauliSum.total(map(self.read, op.operands), len(self._wires))
            case Prod():
                return functools.reduce(operators.matmul, map(self.read, op.operands))
            case SProd():
                return self.read(op.base) * complex(op.scalar)
            case Pow() if isinstance(op.z, (int, np.integer)) and op.z >= 0:
                return self.read(op.base).power(int(op.z))
            case Adjoint():
                return self.read(op.base).dagger()
            case Exp() if op.base.pauli_rep is not None and commuting_words(op.base.pauli_rep):
                return self._exponential(self.read(op.base) * complex(op.coeff))
            case Controlled():
                values = [int(value) for value in op.control_values]
                condition = projector(values, self._qubits(op, op.control_wires), len(self._wires))
                return self._identity + condition @ (self.read(op.base) + self._identity * -1.0)
            case qml.Projector():
                return self._projector(op)
        return self._matrix(op)

    @property
    def _identity(self) -> PauliSum:
        return PauliSum.identity(len(self._wires))

    def _sentence(self, sentence: PauliSentence) -> PauliSum:
        missing = [label for label in sentence.wires if label not in self._wires]
        if missing:
            self._refuse_wires(missing)
        if any(node_of(value) is not None for value in sentence.values()):
            _refuse_traced()
        return PauliSum.of_strings(_strings(sentence, self._wires), [complex(value) for value in sentence.values()])

    def _exponential(self, exponent: PauliSum) -> PauliSum:
        """exp(Σ a_t P_t) = ∏ (cosh a_t + sinh a_t·P_t), as the strings commute."""
        result = self._identity
        for t in range(len(exponent)):
            word = PauliSum.of_strings(exponent.strings[[t]], [np.sinh(exponent.coefficients[t])])
            result = result @ (self._identity * np.cosh(exponent.coefficients[t]) + word)
        return result

    def _projector(self, op: Any) -> PauliSum:
        state = np.asarray(op.parameters[0])
        qubits = self._qubits(op)
        if len(state) == len(qubits):
            return projector(state.astype(int), qubits, len(self._wires))
        column = scipy.sparse.coo_array(state[:, None])
        return of_matrix(column @ column.conj().T, qubits, len(self._wires))

    def _matrix(self, op: Operator) -> PauliSum:
        qubits = self._qubits(op)
        matrix = scipy.sparse.coo_array(self._matrix_of(op))
        if matrix.shape != (2 ** len(qubits),) * 2:
            self._refuse(op, f"its matrix is {matrix.shape[0]} × {matrix.shape[1]}, so it does not act on qubits")
        if isinstance(op, (qml.Hermitian, qml.SparseHamiltonian)):
            matrix = hermitian_part(matrix, f"{op.name} on wires {list(op.wires)}")
        return of_matrix(matrix, qubits, len(self._wires))

    def _matrix_of(self, op: Operator) -> Any:
        reason = reason_of(op)
        if reason is not None:
            self._refuse(op, reason)
        if not op.has_matrix and not op.has_sparse_matrix:
            self._refuse(op, "it is not an observable on qubits, as it has no matrix; give a sum of Pauli words")
        if isinstance(op, qml.SparseHamiltonian):
            return op.sparse_matrix()
        if op.has_matrix and len(op.wires) > _MAX_DENSE_WIRES:
            self._refuse(
                op,
                f"it is known by its matrix on {len(op.wires)} wires, more than {_MAX_DENSE_WIRES}; give a "
                "qml.SparseHamiltonian, or a sum or product of operators on fewer wires",
            )
        return np.asarray(matrix_of(op)) if op.has_matrix else matrix_of(op)

    def _qubits(self, op: Operator, labels: Any = None) -> list[int]:
        labels = op.wires if labels is None else labels
        missing = [label for label in labels if label not in self._wires]
        if missing:
            self._refuse_wires(missing)
        return [self._wires[label] for label in labels]

    def _refuse_wires(self, missing: list[Any]) -> NoReturn:
        raise ObservableError(
            f"the observable acts on wires {missing}, which the circuit does not have; its wires are "
            f"{list(self._wires)}"
        )

    def _refuse(self, op: Operator, reason: str) -> NoReturn:
        raise ObservableError(f"observable: {op.name} on wires {list(op.wires)}: {reason}")


def _refuse_traced() -> NoReturn:
    raise ObservableError(
        "the observable's coefficients depend on trainable arguments; mark these requires_grad=False, "
        "since only gates may have parameters"
    )


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
