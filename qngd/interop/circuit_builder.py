"""Circuits written gate by gate, without an SDK."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd._system.brief import brief
from qngd._system.keywords import hinted
from qngd.circuit import builder
from qngd.circuit.angles import Angle
from qngd.circuit.circuit import Circuit, finish
from qngd.circuit.gates import STANDARD_GATES
from qngd.circuit.pauli import PauliStrings, anticommute
from qngd.errors import CircuitError, counted, did_you_mean, is_number, shown, whole_number
from qngd.interop.angle_slots import AngleSlots
from qngd.interop.expressions import Expression, Graph
from qngd.interop.named_theta import NamedTheta

_ELSEWHERE = {"cnot": "cx", "cu1": "cp", "hadamard": "h", "paulirot": "rotation", "phase": "p", "u1": "p", "u3": "u"}


@dataclass(frozen=True, slots=True)
class _Instruction:
    """A gate as it was written; `terms` are the Pauli strings of a rotation with their factors, none for a gate of the
    table."""

    name: str
    terms: tuple[tuple[str, float], ...]
    angles: tuple[Expression | float, ...]
    qubits: tuple[int, ...]


@hinted
class CircuitBuilder:
    """A circuit to be written gate by gate; it goes wherever a circuit goes, as does what `build` returns.

    A gate is a method with its OpenQASM name, which takes its angles, in radians, then its qubits:

    {gates}

    `gate` takes the name as its first argument, and `rotation` is exp(−i·angle/2·P) for any Pauli string P, or sum of
    commuting ones. All return the builder, so that they can be chained. Global phases are left out. Gates act in the
    order in which they are written, on |0…0⟩; qubit 0 is the rightmost letter of an observable's label.

    An angle is a number, a parameter that `parameter` or `parameters` has declared, or what `+ - * / **`, `abs` and
    NumPy's `sin cos tan arcsin arccos arctan sinh cosh tanh exp log sqrt square` make of these. θ is in the order of
    declaration.

    Args:
        num_qubits: at least 1.

    Raises:
        SettingError: `num_qubits` is no such number.
        CircuitError: (of all methods) a gate, qubit, angle or name cannot be meant; the text names the gate and its
            position, and says what to write.

    >>> circuit = qngd.CircuitBuilder(2)
    >>> a, b = circuit.parameters("a", "b")
    >>> circuit.h(0).ry(a, 1).cx(0, 1).crx(a * b + 0.3, 0, 1).rotation("ZY", 2 * np.sin(b), 0, 1)
    CircuitBuilder(num_qubits=2, parameters=('a', 'b'), gates=5)
    >>> print(qngd.expectation(circuit, {"ZZ": 1.0, "XI": 0.5}, {"a": 0.1, "b": 0.2}))
    1.089225078

    Many parameters are best kept in an array:

    >>> circuit = qngd.CircuitBuilder(3)
    >>> turns = np.reshape(circuit.parameters(*(f"t{i}" for i in range(6))), (2, 3))
    >>> for layer in turns:
    ...     for qubit in range(3):
    ...         circuit = circuit.ry(layer[qubit] / 2, qubit)
    ...     circuit = circuit.cz(0, 1).cz(1, 2)
    >>> circuit.build()
    Circuit(num_qubits=3, num_parameters=6, rotations=6, layers=2)
    """

    def __init__(self, num_qubits: int) -> None:
        self.num_qubits = whole_number(num_qubits, "num_qubits", 1)
        self._graph = Graph()
        self._names: set[str] = set()
        self._instructions: list[_Instruction] = []
        self._built: Circuit | None = None

    def __repr__(self) -> str:
        names = brief(tuple(self._graph.names))
        return f"CircuitBuilder(num_qubits={self.num_qubits}, parameters={names}, gates={len(self._instructions)})"

    def parameter(self, name: str) -> Expression:
        """A new parameter, the next of θ.

        >>> circuit = qngd.CircuitBuilder(1)
        >>> 2 * circuit.parameter("a") + 0.5
        2*a + 0.5
        """
        if not isinstance(name, str) or not name:
            raise CircuitError(f"parameter: a name is a text such as 'a'; got {shown(name)}")
        if name in self._names:
            raise CircuitError(
                f"parameter: {name!r} is declared already; use what parameter({name!r}) returned, or another name"
            )
        column = len(self._names)
        self._names.add(name)
        self._graph.names.append(name)
        self._built = None
        return Expression(self._graph, self._graph.parameter(column))

    def parameters(self, *names: str) -> tuple[Expression, ...]:
        """New parameters with these names, in this order.

        >>> qngd.CircuitBuilder(1).parameters("b", "a")
        (b, a)
        """
        return tuple([self.parameter(name) for name in names])

    def gate(self, name: str, *arguments: Expression | float) -> CircuitBuilder:
        """Append a gate by its name: its angles, then its qubits.

        >>> qngd.CircuitBuilder(2).gate("h", 0).gate("crx", 0.3, 0, 1)
        CircuitBuilder(num_qubits=2, parameters=(), gates=2)
        """
        known = STANDARD_GATES.get(name) if isinstance(name, str) else None
        if known is None:
            raise self._refusal(
                shown(name), f"there is no such gate.{_near(name)} The gates are {', '.join(STANDARD_GATES)}"
            )
        angles, qubits = known.angles, known.qubits
        if len(arguments) != len(angles) + len(qubits):
            got = counted(len(arguments), "argument")
            raise self._refusal(name, f"it is written {_written(name)}; got {got}")
        return self._append(name, (), arguments[: len(angles)], arguments[len(angles) :])

    def rotation(self, pauli: str | Mapping[str, float], angle: Expression | float, *qubits: int) -> CircuitBuilder:
        """Append exp(−i·angle/2·P), where letter i of `pauli` acts on the i-th of the qubits.

        In the label of an observable the rightmost letter is qubit 0: one of n letters acts on `*reversed(range(n))`.

        Args:
            pauli: a Pauli string, or a sum of strings that commute with each other, such as the generator of a double
                excitation, as a mapping of strings to real coefficients. The strings of one sum are measured together
                where they can be, so that the metric's diagonal entry of its angle is exact.
            angle: in radians.
            *qubits: one for each letter.

        >>> circuit = qngd.CircuitBuilder(3)
        >>> print(circuit.rotation("XZ", 0.3, 2, 0).build().rotations[0])
        rotation #0 on 2, 0: R_XZ(0.3)
        >>> circuit.rotation({"XX": 0.5, "YY": 0.5}, circuit.parameter("a"), 0, 1).build().num_layers
        1
        """
        terms = self._terms(pauli)
        length = len(terms[0][0])
        if len(qubits) != length:
            first, places = terms[0][0], ", ".join(map(str, range(length)))
            raise self._refusal(
                "rotation",
                f"{first!r} needs {counted(length, 'qubit')}, one a letter, and has {len(qubits)}; write "
                f"rotation({first!r}, angle, {places}), or *reversed(range({length})) for the label of an observable",
            )
        return self._append("rotation", terms, (angle,), qubits)

    def build(self) -> Circuit:
        """The circuit so far; more gates may follow, and do not change it.

        >>> qngd.CircuitBuilder(1).h(0).build()
        Circuit(num_qubits=1, num_parameters=0, rotations=0, layers=0)
        """
        if self._built is None:
            self._built = self._finished()
        return self._built

    def __getattr__(self, name: str) -> Callable[..., CircuitBuilder]:
        """Raises AttributeError: the gates are found before."""
        raise AttributeError(f"CircuitBuilder has no gate or method {name!r}.{_near(name)}", name=name)

    def _append(
        self,
        name: str,
        terms: tuple[tuple[str, float], ...],
        angles: tuple[Expression | float, ...],
        qubits: tuple[Any, ...],
    ) -> CircuitBuilder:
        read = tuple([self._angle(name, angle) for angle in angles])
        places = tuple([self._qubit(name, qubit) for qubit in qubits])
        if len(set(places)) != len(places):
            raise self._refusal(_on(name, places), "it acts on a qubit twice; give different qubits")
        self._instructions.append(_Instruction(name, terms, read, places))
        self._built = None
        return self

    def _terms(self, pauli: Any) -> tuple[tuple[str, float], ...]:
        terms = tuple(pauli.items()) if isinstance(pauli, Mapping) else ((pauli, 1.0),)
        for letters, factor in terms:
            if not isinstance(letters, str) or not letters or not set(letters) <= set("IXYZ"):
                raise self._refusal("rotation", f"a Pauli string is made of I, X, Y and Z; got {shown(letters)}")
            if not (is_number(factor) and abs(factor) <= sys.float_info.max):
                raise self._refusal("rotation", f"{letters!r} has the factor {shown(factor)}; give a finite number")
        if len({len(letters) for letters, _ in terms}) != 1:
            raise self._refusal("rotation", f"give Pauli strings of the same length; got {shown(pauli)}")
        self._check_commuting([letters for letters, _ in terms])
        return tuple([(letters, float(factor)) for letters, factor in terms])

    def _check_commuting(self, labels: list[str]) -> None:
        if len(labels) == 1:
            return
        strings = PauliStrings.from_labels(labels)
        clash = np.argwhere(anticommute(strings, strings))
        if len(clash):
            one, other = (labels[k] for k in clash[0])
            raise self._refusal(
                "rotation",
                f"{one!r} and {other!r} do not commute, and the exponential of their sum is not the product of "
                "theirs; write a rotation for each, which is a product formula",
            )

    def _angle(self, gate: str, angle: Any) -> Expression | float:
        if isinstance(angle, Expression):
            if angle.graph is self._graph:
                return angle
            problem = f"the angle {angle} has parameters of another circuit; declare them with parameter() in this one"
        elif is_number(angle):
            if abs(angle) <= sys.float_info.max:
                return float(angle)
            problem = f"the angle is {shown(angle)}; angles must be finite"
        elif isinstance(angle, str):
            problem = f"the angle is a text; declare a parameter with a = circuit.parameter({shown(angle)}), and give a"
        else:
            problem = f"{shown(angle)} is no angle; give a real number, a parameter, or a function of parameters"
        raise self._refusal(gate, f"{problem}. It is written {_written(gate)}")

    def _qubit(self, gate: str, qubit: Any) -> int:
        try:
            number = -1 if isinstance(qubit, bool) else operator.index(qubit)
        except TypeError:
            raise self._refusal(
                gate, f"{shown(qubit)} is no qubit; give a whole number. It is written {_written(gate)}"
            ) from None
        if not 0 <= number < self.num_qubits:
            raise self._refusal(gate, f"there is no qubit {qubit}; the circuit's are 0 to {self.num_qubits - 1}")
        return number

    def _refusal(self, gate: str, problem: str) -> CircuitError:
        """An error about the gate that is being written."""
        return CircuitError(f"circuit: instruction {len(self._instructions)}, {gate}: {problem}")

    def _finished(self) -> Circuit:
        made = builder.OpsBuilder(self.num_qubits)
        slots = AngleSlots(made, self._graph)
        for position, each in enumerate(self._instructions):
            made.begin(each.name, each.qubits)
            try:
                angles = [slots.angle(a.node) if isinstance(a, Expression) else a for a in each.angles]
            except ValueError as error:
                raise CircuitError(f"circuit: instruction {position}, {_on(each.name, each.qubits)}: {error}") from None
            _emit(made, each, angles)
        names = tuple(self._graph.names)
        return finish(made, made.angle_map(slots.expressions()), names, NamedTheta(names))


def _emit(made: builder.OpsBuilder, instruction: _Instruction, angles: list[Angle | float]) -> None:
    if not instruction.terms:
        made.gate(instruction.name, instruction.qubits, angles)
    for pauli, factor in instruction.terms:
        made.rotation(pauli, instruction.qubits, angles[0] * factor)


def _on(gate: str, qubits: tuple[int, ...]) -> str:
    return f"{gate} on qubits ({', '.join(map(str, qubits))})"


def _written(gate: str) -> str:
    """A gate with its arguments, as in "crx(angle, control, target)"."""
    if gate == "rotation":
        return "rotation(pauli, angle, *qubits)"
    known = STANDARD_GATES[gate]
    return f"{gate}({', '.join(known.angles + known.qubits)})"


def _near(name: Any) -> str:
    if not isinstance(name, str):
        return ""
    same = _ELSEWHERE.get(name.lower())
    methods = [method for method in vars(CircuitBuilder) if not method.startswith("_")]
    return f" Did you mean {same!r}?" if same else did_you_mean(name, methods)


def _method(gate: str) -> Callable[..., CircuitBuilder]:
    def append(self: CircuitBuilder, *arguments: Expression | float) -> CircuitBuilder:
        return self.gate(gate, *arguments)

    append.__name__, append.__qualname__ = gate, f"CircuitBuilder.{gate}"
    append.__doc__ = f"Append {_written(gate)}."
    return append


def _gates_by_arguments() -> str:
    """The gates that take the same arguments in one line, and so on."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, gate in STANDARD_GATES.items():
        groups.setdefault(gate.angles + gate.qubits, []).append(name)
    return "\n".join(f"    - `{' '.join(names)}` ({', '.join(arguments)})" for arguments, names in groups.items())


def offer_gates() -> None:
    """Make every gate of the table a method, and name it in the help."""
    CircuitBuilder.__doc__ = (_DOC or "").replace("{gates}", _gates_by_arguments().strip())
    for gate in STANDARD_GATES:
        setattr(CircuitBuilder, gate, _method(gate))


_DOC = CircuitBuilder.__doc__
offer_gates()
