"""The angle expressions of a traced circuit: their values, their exact Jacobian, and its pattern."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd.circuit.angles import AffineExpressions, Angle, AngleMap, Expressions
from qngd.circuit.builder import Gate, OpsBuilder
from qngd.circuit.ops import Ops
from qngd.errors import CircuitError, ParameterError
from qngd.interop.pennylane.trace import Node, Trace, gradient, is_affine_in, reach

_FIXED_TOLERANCE = 1e-12  # radians; fixed angles of two runs that differ by more are not fixed
# Derivatives beside the largest by the same parameter: below the first they are rounding errors, above the
# second they certainly are none.
_ROUNDING, _NOT_ROUNDING = 1e-13, 1e-9


@dataclass(frozen=True, eq=False)
class Frozen:
    """An angle whose value follows the parameters but whose derivative stands elsewhere (see
    `_pennylane_moving.moving`); `nodes` are what it depends on."""

    value: float
    nodes: tuple[Node, ...]


class Slots:
    """Hands out a slot of the builder for every traced number that serves as an angle."""

    def __init__(self, builder: OpsBuilder) -> None:
        self._builder = builder
        self._sources: list[Node | Frozen] = []
        self._gates: list[int] = []
        self._known: dict[int, Angle] = {}

    def of(self, node: Node) -> Angle:
        """The slot of a traced number; the same number has one slot."""
        angle = self._known.get(node.serial)
        if angle is None:
            angle = self._known[node.serial] = self._add(node)
        return angle

    def frozen(self, value: float, nodes: tuple[Node, ...]) -> Angle:
        return self._add(Frozen(value, nodes))

    def _add(self, source: Node | Frozen) -> Angle:
        self._sources.append(source)
        self._gates.append(len(self._builder.gates) - 1)
        return self._builder.slot()

    @property
    def are_linear(self) -> bool:
        return all(isinstance(source, Node) and source.linear for source in self._sources)

    def are_affine_in(self, free: np.ndarray) -> bool:
        """Whether all are affine functions of the parameters in `free` (mask), whatever the others are."""
        return all(isinstance(source, Node) and is_affine_in(source, free) for source in self._sources)

    @property
    def are_smooth(self) -> np.ndarray:
        """(S,) false for the slots of gates whose derivatives stand in other slots than their values."""
        gates = np.array(self._gates, dtype=np.int64)
        frozen = [isinstance(source, Frozen) for source in self._sources]
        return ~np.isin(gates, gates[np.array(frozen, dtype=bool)])

    def check_equal(self, expected: np.ndarray, found: np.ndarray, tolerance: float) -> None:
        """Raises CircuitError where a slot does not follow its own derivatives."""
        wrong = np.flatnonzero(~(np.abs(expected - found) <= tolerance * (1.0 + np.abs(expected))))
        if len(wrong):
            raise CircuitError(
                f"{self.name_of(int(wrong[0]))}: its angle does not change as its derivatives say, so it "
                "uses random numbers, or parameter values taken out of their arrays; keep its arithmetic "
                "in pennylane.numpy"
            )

    @property
    def are_finite(self) -> bool:
        return bool(np.isfinite(self._values()).all())

    def _values(self) -> np.ndarray:
        return np.array([float(np.real(source.value)) for source in self._sources])

    def values(self) -> np.ndarray:
        """e(θ), shape (S,).

        Raises:
            ParameterError: one is not finite.
        """
        values = self._values()
        self._check_finite(values, np.arange(len(values)), "angle")
        return values

    def jacobian(self, num_parameters: int) -> sparse.csr_array:
        """∂e/∂θ, shape (S, P), without stored zeros and what is zero but for rounding.

        Raises:
            CircuitError: autograd cannot differentiate the arithmetic.
            ParameterError: a derivative is not finite.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # what is not finite is reported below
            # autograd drops the imaginary part where a real number was cast to a complex one, as it should
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            rows = [self._gradient(row) for row in range(len(self._sources))]
        matrix = _csr(rows, num_parameters)
        self._check_finite(matrix.data, np.repeat(np.arange(len(rows)), np.diff(matrix.indptr)), "derivative")
        return _without_small(matrix, _ROUNDING)

    def _gradient(self, row: int) -> dict[int, float]:
        source = self._sources[row]
        try:
            return gradient(source) if isinstance(source, Node) else {}
        except (NotImplementedError, TypeError) as error:
            raise CircuitError(
                f"{self.name_of(row)}: the arithmetic of its angle cannot be differentiated ({error}); "
                "write it with other functions of pennylane.numpy"
            ) from error

    def reachable(self, num_parameters: int, *, frozen_only: bool = False) -> sparse.csr_array:
        """(S, P), 1 where the graph of the arithmetic alone does not exclude a dependence.

        With `frozen_only` just for the frozen slots, whose rows of `jacobian` are empty.
        """
        rows = []
        for source in self._sources:
            if isinstance(source, Frozen):
                nodes = source.nodes
            else:
                nodes = () if frozen_only else (source,)
            rows.append(dict.fromkeys(reach(nodes), 1.0))
        return _csr(rows, num_parameters)

    def _check_finite(self, values: np.ndarray, rows: np.ndarray, what: str) -> None:
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ParameterError(
                f"{self.name_of(int(rows[bad[0]]))}: its {what} is {values[bad[0]]} at these parameter "
                "values; use others, or write its arithmetic so that it stays finite"
            )

    def name_of(self, row: int) -> str:
        """The gate that a slot belongs to, for messages."""
        position = self._gates[row]
        gate = self._builder.gates[position]
        return f"gate #{position}, {gate.name} on qubits {list(gate.qubits)}"


def _csr(rows: Sequence[dict[int, float]], columns: int) -> sparse.csr_array:
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    indices = np.array([c for row in rows for c in sorted(row)], dtype=np.int64)
    data = np.array([row[c] for row in rows for c in sorted(row)], dtype=float)
    return sparse.csr_array((data, indices, indptr), shape=(len(rows), columns))


def _without_small(matrix: sparse.csr_array, tolerance: float) -> sparse.csr_array:
    """Without the entries that are small beside the largest of their column, the parameter's own scale."""
    if matrix.nnz == 0:
        return matrix
    largest = abs(matrix).max(axis=0).toarray().reshape(-1)
    kept = matrix.copy()
    kept.data[np.abs(kept.data) <= tolerance * largest[kept.indices]] = 0.0
    kept.eliminate_zeros()
    return kept


@dataclass(frozen=True, eq=False)
class TracedRun:
    """One run of a circuit at one θ: what was built, and which of its angles are traced."""

    builder: OpsBuilder
    slots: Slots
    trace: Trace

    def angle_map(self, expressions: Expressions) -> AngleMap:
        return self.builder.angle_map(expressions)


class TracedExpressions(Expressions):
    """`Expressions` that run the user's function again at every θ.

    Each run must build the circuit that was built at wrapping: same operations, same fixed angles.
    """

    def __init__(self, read: Callable[[np.ndarray], TracedRun], first: TracedRun, pattern: sparse.csr_array) -> None:
        self._read = read
        self._first = first
        self._pattern = sparse.csr_array(pattern != 0, dtype=float)
        self._last: tuple[np.ndarray, np.ndarray, sparse.csr_array] | None = None

    @property
    def pattern(self) -> sparse.csr_array:
        return self._pattern

    @property
    def branches(self) -> bool:
        return self._first.trace.branched

    def is_affine_in(self, free: np.ndarray) -> bool:
        return not self._first.trace.branched and self._first.slots.are_affine_in(free)

    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        """The values e(θ) and the exact Jacobian; those of the last θ are kept.

        Raises:
            CircuitError: the circuit at this θ is another one than at wrapping.
            ParameterError: an angle or a derivative is not finite.
        """
        theta = np.array(theta, dtype=float)
        if self._last is None or not np.array_equal(self._last[0], theta):
            reading = self._read(theta)
            check_same_circuit(self._first, reading)
            jacobian = reading.slots.jacobian(self.shape[1])
            self._check_pattern(jacobian)
            jacobian = sparse.csr_array(jacobian.multiply(self.pattern))
            self._last = (theta, reading.slots.values(), jacobian)
        return self._last[1], self._last[2]

    def _check_pattern(self, jacobian: sparse.csr_array) -> None:
        large = _without_small(jacobian, _NOT_ROUNDING)
        outside = (large - large.multiply(self.pattern)).tocoo()
        new = np.flatnonzero(outside.data)
        if len(new):
            raise CircuitError(
                f"{self._first.slots.name_of(int(outside.row[new[0]]))}: its angle depends on "
                f"parameter {int(outside.col[new[0]])} here but did not at wrapping; wrap the circuit "
                "again with example arguments of the kind that you use it with"
            )


def check_same_circuit(first: TracedRun, second: TracedRun) -> None:
    """Both runs built the same operations with the same fixed angles.

    Raises:
        CircuitError: they did not; the text names the first gate that differs.
    """
    ours, theirs = first.builder.gates, second.builder.gates
    for position, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            _refuse(position, _text(one), _text(other))
    if len(ours) != len(theirs):
        _refuse(min(len(ours), len(theirs)), "there", "missing")
    a, b = first.builder.ops(), second.builder.ops()
    for k in range(max(len(a), len(b)) if not _same_ops(a, b) else 0):
        if k >= min(len(a), len(b)) or _operation(a, k) != _operation(b, k):
            longer = a if k < len(a) else b
            _refuse(int(longer.gate[k]), "one sequence of rotations", "another")
    _check_same_angles(first, second)


def _same_ops(a: Ops, b: Ops) -> bool:
    names = ("kind", "start", "qubits", "letters", "turns", "gate")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def _operation(ops: Ops, k: int) -> tuple[object, ...]:
    place = tuple(ops.qubits_of(k)), tuple(ops.letters_of(k))
    return ops.kind[k], ops.turns[k], ops.gate[k], *place


def _check_same_angles(first: TracedRun, second: TracedRun) -> None:
    ours, theirs = first.builder, second.builder
    if ours.num_slots != theirs.num_slots:
        _refuse(-1, f"{ours.num_slots} varying angles", f"{theirs.num_slots}")
    nothing = AffineExpressions(_csr([{}] * ours.num_slots, 0), np.zeros(ours.num_slots))
    a, b = ours.angle_map(nothing), theirs.angle_map(nothing)
    change = np.abs(a.constant - b.constant) + abs(a.combination - b.combination).sum(axis=1)
    different = np.flatnonzero(change > _FIXED_TOLERANCE)
    if len(different):
        ops = ours.ops()
        _refuse(int(ops.gate[ops.rotations[different[0]]]), "of one fixed angle", "of another")


def _text(gate: Gate) -> str:
    return f"{gate.name} on qubits {list(gate.qubits)}"


def _refuse(position: int, one: str, other: str) -> None:
    where = f"gate #{position} is" if position >= 0 else "it has"
    raise CircuitError(
        f"the circuit's structure depends on parameter values (or on random numbers): {where} {one} at "
        f"some values and {other} at others; choose gates and fixed angles by arguments that are not "
        "trainable (integers, or arrays with requires_grad=False)"
    )
