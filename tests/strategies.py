"""Circuits to test with: the standard gates as explicit matrices, sketches by hand, and random programs.

A program is run here from the matrices of its named gates, which share nothing with the builder's recipes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from scipy import sparse

from qngd.circuit.angles import AffineExpressions, Angle, Expressions
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import Circuit, finish
from qngd.circuit.ops import Op
from tests.dense import CLIFFORD, PAULI, apply, zero_state

Matrix = Callable[..., np.ndarray]


def examples(count: int) -> settings:
    """The settings of a property test: the same examples on every run, and no clock."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )


# --- the gate table, in matrices: the first qubit of a gate is the least significant bit ---


@dataclass(frozen=True)
class GateSpec:
    """`matrix` takes the gate's angles as arrays (B,) and gives (B, d, d), or (d, d) without angles."""

    num_qubits: int
    num_angles: int
    matrix: Matrix


def _fixed(matrix: object, num_qubits: int = 1) -> GateSpec:
    array = np.array(matrix, dtype=complex)
    return GateSpec(num_qubits, 0, lambda: array)


def _rotation(letters: str) -> GateSpec:
    """exp(−i a/2 P), letter i of P on the gate's i-th qubit."""
    pauli = functools.reduce(np.kron, [PAULI[letter] for letter in reversed(letters)])

    def matrix(a: np.ndarray) -> np.ndarray:
        half = np.asarray(a)[:, None, None] / 2
        return np.cos(half) * np.eye(len(pauli)) - 1j * np.sin(half) * pauli

    return GateSpec(len(letters), 1, matrix)


def _stack(rows: list[list[object]]) -> np.ndarray:
    columns = [np.broadcast_arrays(*row) for row in rows]
    flat = np.broadcast_arrays(*[entry for row in columns for entry in row])
    d = len(rows)
    return np.moveaxis(np.array(flat, dtype=complex).reshape(d, d, -1), -1, 0)


def _u(t: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    c, s = np.cos(t / 2), np.sin(t / 2)
    return _stack([[c, -np.exp(1j * q) * s], [np.exp(1j * p) * s, np.exp(1j * (p + q)) * c]])


def _r(t: np.ndarray, p: np.ndarray) -> np.ndarray:
    c, s = np.cos(t / 2), np.sin(t / 2)
    return _stack([[c, -1j * np.exp(-1j * p) * s], [-1j * np.exp(1j * p) * s, c]])


def _phase(a: np.ndarray) -> np.ndarray:
    return _stack([[1, 0], [0, np.exp(1j * a)]])


def _cu(t: np.ndarray, p: np.ndarray, q: np.ndarray, g: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = np.moveaxis(_u(t, p, q), 0, -1)
    phase = np.exp(1j * np.asarray(g))
    return _stack([[1, 0, 0, 0], [0, phase * a, 0, phase * b], [0, 0, 1, 0], [0, phase * c, 0, phase * d]])


def _xx_plus_yy(t: np.ndarray, b: np.ndarray) -> np.ndarray:
    c, s = np.cos(t / 2), -1j * np.sin(t / 2)
    return _stack([[1, 0, 0, 0], [0, c, s * np.exp(-1j * b), 0], [0, s * np.exp(1j * b), c, 0], [0, 0, 0, 1]])


def _xx_minus_yy(t: np.ndarray, b: np.ndarray) -> np.ndarray:
    c, s = np.cos(t / 2), -1j * np.sin(t / 2)
    return _stack([[c, 0, 0, s * np.exp(-1j * b)], [0, 1, 0, 0], [0, 0, 1, 0], [s * np.exp(1j * b), 0, 0, c]])


def _controlled(spec: GateSpec) -> GateSpec:
    """Control on the first qubit: the target's matrix stands on the basis states 1 and 3."""

    def matrix(*angles: np.ndarray) -> np.ndarray:
        inner = spec.matrix(*angles)
        outer = np.zeros((*inner.shape[:-2], 4, 4), dtype=complex)
        outer[..., 0, 0] = outer[..., 2, 2] = 1
        outer[..., 1::2, 1::2] = inner
        return outer

    return GateSpec(2, spec.num_angles, matrix)


_E = np.exp(1j * np.pi / 4)
_SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
_CX, _XC = CLIFFORD[Op.CX], np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
_P = GateSpec(1, 1, _phase)

GATES: dict[str, GateSpec] = {
    "id": _fixed(np.eye(2)),
    "h": _fixed(CLIFFORD[Op.H]),
    "s": _fixed(np.diag([1, 1j])),
    "sdg": _fixed(np.diag([1, -1j])),
    "x": _fixed(PAULI["X"]),
    "y": _fixed(PAULI["Y"]),
    "z": _fixed(PAULI["Z"]),
    "t": _fixed(np.diag([1, _E])),
    "tdg": _fixed(np.diag([1, _E.conj()])),
    "sx": _fixed(_SX),
    "sxdg": _fixed(_SX.conj()),
    "rx": _rotation("X"),
    "ry": _rotation("Y"),
    "rz": _rotation("Z"),
    "p": _P,
    "r": GateSpec(1, 2, _r),
    "u": GateSpec(1, 3, _u),
    "u2": GateSpec(1, 2, lambda p, q: _u(np.full_like(p, np.pi / 2), p, q)),
    "cx": _fixed(_CX, 2),
    "cy": _controlled(_fixed(PAULI["Y"])),
    "cz": _fixed(np.diag([1, 1, 1, -1]), 2),
    "ch": _controlled(_fixed(CLIFFORD[Op.H])),
    "cs": _controlled(_fixed(np.diag([1, 1j]))),
    "csdg": _controlled(_fixed(np.diag([1, -1j]))),
    "swap": _fixed(CLIFFORD[Op.SWAP], 2),
    "dcx": _fixed(_XC @ _CX, 2),
    "iswap": _fixed([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]], 2),
    "ecr": _fixed(np.array([[0, 1, 0, 1j], [1, 0, -1j, 0], [0, 1j, 0, 1], [-1j, 0, 1, 0]]) / np.sqrt(2), 2),
    "rxx": _rotation("XX"),
    "ryy": _rotation("YY"),
    "rzz": _rotation("ZZ"),
    "rzx": _rotation("ZX"),
    "crx": _controlled(_rotation("X")),
    "cry": _controlled(_rotation("Y")),
    "crz": _controlled(_rotation("Z")),
    "cp": _controlled(_P),
    "cu": GateSpec(2, 4, _cu),
    "cu3": GateSpec(2, 3, lambda t, p, q: _cu(t, p, q, np.zeros_like(t))),
    "xx_plus_yy": GateSpec(2, 2, _xx_plus_yy),
    "xx_minus_yy": GateSpec(2, 2, _xx_minus_yy),
}


# --- circuits written by hand ---


class Sketch:
    """A circuit written gate by gate, with angles that are numbers or combinations of `t`.

    sketch = Sketch(2, 1); sketch("ry", 0, 2 * sketch.t[0]); sketch("cx", 0, 1); sketch.circuit()
    """

    def __init__(self, num_qubits: int, num_parameters: int = 0) -> None:
        self.builder = OpsBuilder(num_qubits)
        self.t = [self.builder.slot() for _ in range(num_parameters)]

    def __call__(self, name: str, *arguments: int | float | Angle) -> Sketch:
        count = GATES[name].num_qubits
        qubits = [int(q) for q in arguments[:count]]
        self.builder.begin(name, qubits)
        assert self.builder.gate(name, qubits, arguments[count:])
        return self

    def circuit(self, **native: object) -> Circuit:
        count = len(self.t)
        identity = AffineExpressions(sparse.eye_array(count, format="csr"), np.zeros(count))
        angle_map = self.builder.angle_map(identity)
        return finish(self.builder, angle_map, [f"t{i}" for i in range(count)], **native)


def ansatz(num_qubits: int, repetitions: int = 2, entangler: str = "cx") -> Circuit:
    """RY and RZ on every qubit between chains of an entangler, asymmetric start, a T gate in the middle."""
    sketch = Sketch(num_qubits, 2 * num_qubits * repetitions)
    sketch("ry", 0, 0.3)
    angles = iter(sketch.t)
    for _ in range(repetitions):
        for name in ("ry", "rz"):
            for q in range(num_qubits):
                sketch(name, q, next(angles))
        sketch("t", num_qubits // 2)
        for q in range(num_qubits - 1):
            sketch(entangler, q, q + 1)
    return sketch.circuit()


# --- random programs ---


@dataclass(frozen=True)
class BentExpressions(Expressions):
    """e(θ) = y + bend·y² with y = A·θ + a: a reader whose user wrote nonlinear expressions."""

    matrix: sparse.csr_array
    offset: np.ndarray
    bend: float

    @property
    def pattern(self) -> sparse.csr_array:
        return self.matrix

    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        y = self.matrix @ theta + self.offset
        slope = sparse.diags_array(1 + 2 * self.bend * y)
        return y + self.bend * y**2, sparse.csr_array(slope @ self.matrix)


@dataclass(frozen=True)
class GateUse:
    """A gate, its qubits, and of each angle the coefficients of θ and the constant."""

    name: str
    qubits: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...] = ()
    offsets: tuple[float, ...] = ()


@dataclass(frozen=True)
class Program:
    """A list of standard gates with angles y + bend·y², y = row·θ + offset, and a θ to look at."""

    num_qubits: int
    gates: tuple[GateUse, ...]
    theta: np.ndarray = field(repr=False)
    bend: float = 0.0

    @property
    def num_parameters(self) -> int:
        return len(self.theta)

    def circuit(self) -> Circuit:
        builder = OpsBuilder(self.num_qubits)
        rows, offsets = [], []
        for use in self.gates:
            builder.begin(use.name, use.qubits)
            angles: list[Angle | float] = []
            for row, offset in zip(use.rows, use.offsets, strict=True):
                if any(row):
                    rows.append(row)
                    offsets.append(offset)
                    angles.append(builder.slot())
                else:
                    angles.append(offset + self.bend * offset**2)
            assert builder.gate(use.name, use.qubits, angles)
        matrix = sparse.csr_array(np.array(rows, float).reshape(len(rows), self.num_parameters))
        shift = np.array(offsets, float)
        made = BentExpressions(matrix, shift, self.bend) if self.bend else AffineExpressions(matrix, shift)
        names = [f"t{i}" for i in range(self.num_parameters)]
        return finish(builder, builder.angle_map(made), names)

    def states(self, thetas: np.ndarray) -> np.ndarray:
        """The states (B, 2ⁿ) at θ (B, P), by the gates' matrices."""
        states = zero_state(self.num_qubits, len(thetas))
        for use in self.gates:
            y = [thetas @ np.array(r, float) + o for r, o in zip(use.rows, use.offsets, strict=True)]
            matrix = GATES[use.name].matrix(*(v + self.bend * v**2 for v in y))
            states = apply(matrix, use.qubits, states)
        return states

    def reparametrized(self, matrix: np.ndarray) -> Program:
        """The same circuit in η, where θ = matrix·η."""
        gates = tuple(
            GateUse(
                use.name,
                use.qubits,
                tuple(tuple(np.array(row) @ matrix) for row in use.rows),
                use.offsets,
            )
            for use in self.gates
        )
        return Program(self.num_qubits, gates, np.linalg.solve(matrix, self.theta), self.bend)

    def inserted(self, place: int, *gates: GateUse) -> Program:
        """With these gates put in before gate `place`."""
        made = (*self.gates[:place], *gates, *self.gates[place:])
        return Program(self.num_qubits, made, self.theta, self.bend)


# Random programs are made of these; the others are products of them.
_DRAWN = {name: spec for name, spec in GATES.items() if name not in ("cu", "cu3", "xx_plus_yy", "xx_minus_yy")}
_PARAMETRIC = sorted(name for name, spec in _DRAWN.items() if spec.num_angles)
_COEFFICIENTS = st.sampled_from([1.0, -1.0, 2.0, 0.5, -1.3])
_NUMBERS = st.integers(-48, 48).map(lambda k: k / 16)
_CONSTANTS = st.one_of(_NUMBERS, st.integers(-4, 4).map(lambda k: k * np.pi / 4))


@st.composite
def _gate_uses(draw: st.DrawFn, num_qubits: int, num_parameters: int) -> GateUse:
    names = sorted(n for n, spec in _DRAWN.items() if spec.num_qubits <= num_qubits)
    parametric = [name for name in _PARAMETRIC if name in names]
    name = draw(st.one_of(st.sampled_from(parametric), st.sampled_from(names)))
    spec = GATES[name]
    qubits = draw(
        st.lists(
            st.integers(0, num_qubits - 1),
            min_size=spec.num_qubits,
            max_size=spec.num_qubits,
            unique=True,
        )
    )
    rows, offsets = [], []
    for _ in range(spec.num_angles):
        row = [0.0] * num_parameters
        for _ in range(draw(st.sampled_from([1, 1, 2, 0])) if num_parameters else 0):
            row[draw(st.integers(0, num_parameters - 1))] = draw(_COEFFICIENTS)
        rows.append(tuple(row))
        offsets.append(draw(_CONSTANTS))
    return GateUse(name, tuple(qubits), tuple(rows), tuple(offsets))


@st.composite
def programs(
    draw: st.DrawFn,
    *,
    min_qubits: int = 1,
    max_qubits: int = 7,
    min_parameters: int = 0,
    max_parameters: int = 5,
    max_gates: int = 24,
    bends: tuple[float, ...] = (0.0, 0.0, 0.1),
) -> Program:
    """Programs over the whole gate table; parameters may be shared, scaled, combined and left unused."""
    n = draw(st.integers(min_qubits, max_qubits))
    count = draw(st.integers(min_parameters, max_parameters))
    gates = draw(st.lists(_gate_uses(n, count), max_size=max_gates))
    theta = draw(st.lists(_NUMBERS, min_size=count, max_size=count))
    return Program(n, tuple(gates), np.array(theta, float), draw(st.sampled_from(bends)))


@st.composite
def observables(draw: st.DrawFn, num_qubits: int, max_terms: int = 8) -> dict[str, float]:
    """Pauli labels with real coefficients."""
    label = st.text("IXYZ", min_size=num_qubits, max_size=num_qubits)
    coefficient = st.integers(-24, 24).map(lambda k: k / 8 + 1 / 16)
    return draw(st.dictionaries(label, coefficient, min_size=1, max_size=max_terms))


def random_program(seed: int, num_qubits: int, num_gates: int, num_parameters: int, bend: float = 0.0) -> Program:
    """A program without any special values."""
    rng = np.random.default_rng(seed)
    names = sorted(n for n, spec in _DRAWN.items() if spec.num_qubits <= num_qubits)
    gates = []
    for _ in range(num_gates):
        spec = GATES[name := str(rng.choice(names))]
        qubits = tuple(int(q) for q in rng.choice(num_qubits, spec.num_qubits, replace=False))
        rows = np.zeros((spec.num_angles, num_parameters))
        for row in rows:
            for _ in range(int(rng.integers(0, 3)) if num_parameters else 0):
                row[rng.integers(num_parameters)] = rng.normal()
        offsets = tuple(rng.normal(size=spec.num_angles))
        gates.append(GateUse(name, qubits, tuple(map(tuple, rows)), offsets))
    return Program(num_qubits, tuple(gates), rng.normal(size=num_parameters), bend)


def random_observable(seed: int, num_qubits: int, num_terms: int = 12) -> dict[str, float]:
    """Pauli labels with coefficients of both signs."""
    rng = np.random.default_rng(seed)
    labels = ("".join(rng.choice(list("IXYZ"), num_qubits)) for _ in range(num_terms))
    return {label: float(rng.normal()) for label in labels}


def random_terms(seed: int, num_qubits: int, count: int) -> dict[str, float]:
    """The same with the identity among them, each label once."""
    rng = np.random.default_rng(seed)
    labels = {"".join(rng.choice(list("IXYZ"), num_qubits)) for _ in range(count)}
    return {label: float(rng.normal()) for label in [*sorted(labels), "I" * num_qubits]}


def random_labels(seed: int, num_qubits: int, count: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice(list("IXYZ"), (count, num_qubits))]


def terms_of(rows: Mapping[tuple[tuple[int, str], ...], float], num_qubits: int) -> dict[str, float]:
    """Labels from sparse terms: {((0, "Z"), (1, "X")): c} is c·Z₀X₁."""
    made: dict[str, float] = {}
    for places, c in rows.items():
        letters = ["I"] * num_qubits
        for q, letter in places:
            letters[num_qubits - 1 - q] = letter
        made["".join(letters)] = made.get("".join(letters), 0.0) + c
    return made


def ising(n: int) -> dict[str, float]:
    """The critical ring of n spins in a transverse field."""
    bonds = {((q, "Z"), ((q + 1) % n, "Z")): -1.0 for q in range(n)}
    return terms_of({**bonds, **{((q, "X"),): -1.0 for q in range(n)}}, n)


def phi_of(program: Program) -> np.ndarray:
    """The rotation angles of its circuit at its θ."""
    return program.circuit().angle_map(program.theta)
