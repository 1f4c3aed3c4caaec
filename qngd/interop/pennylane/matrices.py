"""PennyLane operations that are known by a matrix or as an exponential, as Pauli rotations.

All functions give the rotations in order of application, on places counted along `op.wires`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pennylane as qml
import scipy.sparse
from autograd import numpy as anp
from pennylane.operation import Operator
from pennylane.ops.op_math import Evolution, Pow, SProd, Sum

from qngd.circuit.angles import Angle
from qngd.circuit.observable import HERMITIAN_TOLERANCE
from qngd.errors import ObservableError
from qngd.interop.pennylane.generated import generated
from qngd.interop.pennylane.moving import moving
from qngd.interop.pennylane.observable import sum_of
from qngd.interop.pennylane.products import matrix_of
from qngd.interop.pennylane.site import FIX_IT, Site
from qngd.interop.pennylane.trace import Node, node_of, plain
from qngd.interop.synthesis import (
    UNITARY_TOLERANCE,
    Turn,
    all_commute,
    diagonal_turns,
    evolution_turns,
    require_unitary,
    unitary_turns,
)

_MAX_MATRIX_WIRES = 8  # of a fixed unitary: (3/2)·4^k rotations
_MAX_EVOLUTION_WIRES = 6  # of exp(−itH) by way of H's eigenbasis
_TOLERANCE = 1e-10
_MAX_WORDS = 2**12  # of an operator in an exponent: as many rotations
_NOT_HERMITIAN = "it is not unitary: the operator in the exponent is not Hermitian"
_OBSERVABLES = (qml.Hermitian, qml.SparseHamiltonian, qml.Projector, Sum, SProd)
# What PennyLane raises where its arithmetic does not go with traced numbers.
FAILURES = (AttributeError, TypeError, ValueError, IndexError, NotImplementedError)


def exponential(op: Any, site: Site) -> list[Turn]:
    """exp(−i·t·H): exact where the words of H commute, or on a few wires if H is fixed."""
    time = op.data[0] if isinstance(op, Evolution) else 1j * op.coeff
    if np.max(np.abs(np.imag(plain(time)))) > _TOLERANCE:
        site.refuse(
            "it is not unitary: the coefficient in the exponent must be imaginary; write qml.evolve(operator, t) or "
            "qml.exp(operator, -1j * t) for exp(-i t operator)"
        )
    words = _words_of(op.base, site)
    scale = max((abs(plain(coefficient)) for _, _, coefficient in words), default=0.0)
    if any(abs(np.imag(plain(coefficient))) > HERMITIAN_TOLERANCE * scale for _, _, coefficient in words):
        site.refuse(_NOT_HERMITIAN)
    if len(words) > _MAX_WORDS:
        site.refuse(f"the operator in the exponent is a sum of {len(words)} Pauli words, more than {_MAX_WORDS}")
    if not _commute(words, len(op.wires)):
        return _in_eigenbasis(op, site.angle(time), site)
    return [
        Turn(letters, places, site.angle(2.0 * time * anp.real(coefficient))) for letters, places, coefficient in words
    ]


_Words = list[tuple[str, tuple[int, ...], Any]]  # letters, their places, and the coefficient, which may be traced


def _words_of(op: Operator, site: Site) -> _Words:
    """An operator as a sum of Pauli words."""
    place = {label: i for i, label in enumerate(op.wires)}
    if op.pauli_rep is not None:
        return [
            ("".join(word.values()), tuple(place[label] for label in word), coefficient)
            for word, coefficient in op.pauli_rep.items()
        ]
    if any(node_of(value) is not None for value in op.data):
        site.refuse(
            "the operator in the exponent has parameters of its own and is no sum of Pauli words; put the parameters "
            "in front, qml.evolve(operator, t), or write the operator with qml.X, qml.Y and qml.Z"
        )
    try:
        total = sum_of(op, place)
    except ObservableError as error:
        site.refuse(str(error))
    words = []
    for label, coefficient in zip(total.strings.labels(), total.coefficients.tolist(), strict=True):
        places = tuple(i for i, letter in enumerate(reversed(label)) if letter != "I")
        words.append(("".join(label[-1 - i] for i in places), places, coefficient))
    return words


def _commute(words: _Words, count: int) -> bool:
    x, z = (np.zeros((len(words), count), dtype=bool) for _ in "xz")
    for row, (letters, places, _) in enumerate(words):
        x[row, list(places)] = [letter in "XY" for letter in letters]
        z[row, list(places)] = [letter in "YZ" for letter in letters]
    return all_commute(x, z)


def _in_eigenbasis(op: Any, time: Angle | float, site: Site) -> list[Turn]:
    advice = "use qml.TrotterProduct or qml.ApproxTimeEvolution to say which product is meant"
    if len(op.wires) > _MAX_EVOLUTION_WIRES:
        site.refuse(f"its terms do not commute, and it acts on more than {_MAX_EVOLUTION_WIRES} wires; {advice}")
    matrix = matrix_of(op.base)
    if node_of(matrix) is not None:
        site.refuse(f"its terms do not commute and have parameters of their own; {advice}")
    matrix = np.asarray(matrix)
    return evolution_turns((matrix + matrix.conj().T) / 2, time, range(len(op.wires)))


def diagonal(op: Any, site: Site) -> list[Turn]:
    """A `DiagonalQubitUnitary`, whose entries may depend on parameters."""
    entries = _followed(op.data[0])
    deviation = np.abs(np.abs(plain(entries)) - 1.0).max()
    if not deviation <= UNITARY_TOLERANCE:
        site.refuse(
            f"it is not unitary: its entries must have absolute value 1, and one is off by {deviation:.3g}, where "
            f"{UNITARY_TOLERANCE:g} counts as rounding"
        )
    phases = [site.angle(anp.angle(entry)) for entry in entries]
    return diagonal_turns(phases, range(len(op.wires)))


def from_matrix(op: Operator, site: Site) -> list[Turn]:
    """An operation that is known by its matrix alone."""
    if not op.has_matrix and not op.has_sparse_matrix:
        site.refuse(f"{op.name} has neither a decomposition nor a matrix; write it with other gates")
    count = len(op.wires)
    if count > _MAX_MATRIX_WIRES:
        site.refuse(
            f"{op.name} is given by a matrix on {count} wires; at most {_MAX_MATRIX_WIRES} are "
            "decomposed: write it with smaller gates"
        )
    matrix = _matrix_of(op, site)
    node = node_of(matrix)
    try:
        require_unitary(np.asarray(plain(matrix)))
    except ValueError as error:
        site.refuse(_not_unitary(op, str(error), node))
    if node is None:
        return unitary_turns(np.asarray(matrix), range(count))
    return generated(matrix, range(count), site) or moving(matrix, node, range(count), site)


def _not_unitary(op: Operator, reason: str, node: Node | None) -> str:
    if isinstance(op, _OBSERVABLES):
        return (
            "it is not unitary but an observable, and stands in the circuit as a gate; return qml.expval of it, or "
            "make it outside of the quantum function"
        )
    if node is None:
        return reason
    return f"it is not unitary at all values near the given ones ({reason}); if it is no parameter, {FIX_IT}"


def _matrix_of(op: Operator, site: Site) -> Any:
    """The matrix, dense; traced if parameters move it."""
    try:
        with warnings.catch_warnings():  # SciPy's about arrays of traced numbers, which it then fails on
            warnings.simplefilter("ignore", DeprecationWarning)
            matrix = matrix_of(op)
    except FAILURES as error:
        site.refuse(untraceable(op, "matrix", "compute_matrix", error))
    return matrix.toarray() if scipy.sparse.issparse(matrix) else _followed(matrix)


def _followed(array: Any) -> Any:
    """An array that plain NumPy made of traced numbers, as one traced array."""
    return anp.array(array.tolist()) if np.asarray(plain(array)).dtype.kind == "O" else array


def untraceable(op: Operator, what: str, method: str, error: Exception) -> str:
    """What to write where an operation computes its matrix or parts in a way that autograd cannot follow."""
    if isinstance(op, Pow):
        return (
            f"a power of {op.base.name} cannot be followed where the exponent, or the gate under a fractional one, has "
            "parameters; scale the angle of the gate instead"
        )
    cause = f"{type(error).__name__}: {error}"
    if _works_on_numbers(op, what):
        return (
            f"the {what} of {op.name} works on numbers, but its arithmetic cannot be followed ({cause}); in its "
            f"{method} use qml.math (qml.math.cos, qml.math.stack, …) in place of math and numpy, and fill no array in "
            f"place. If what it is given is no parameter, {FIX_IT}"
        )
    return f"PennyLane fails to compute the {what} of {op.name} ({cause}); give it other values, or use other gates"


def _works_on_numbers(op: Operator, what: str) -> bool:
    try:
        fixed = qml.ops.functions.bind_new_parameters(op, [plain(value) for value in op.data])
        fixed.matrix() if what == "matrix" else fixed.decomposition()
    except FAILURES:
        return False
    return True
