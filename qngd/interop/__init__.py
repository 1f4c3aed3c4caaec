"""Reading what circuits and observables are written in, one folder an SDK, and the builder that needs none.

In comes what a user has; out goes a `Circuit` or an `Observable`. Imports `circuit`, and each SDK only when one of its
objects arrives.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Number
from typing import Any

import numpy as np

from qngd._system.packages import load, packages_of
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import CircuitError, ObservableError, ParameterError
from qngd.interop.arguments import CircuitLike
from qngd.interop.circuit_builder import CircuitBuilder

_ARRAYS = ("numpy", "jax", "jaxlib", "torch", "autograd")  # packages of arrays


def wrap(native: CircuitLike, *example_args: Any) -> Circuit:
    """The neutral form of a circuit.

    Args:
        native: a Qiskit `QuantumCircuit`; a PennyLane QNode (compiled or not), a function that returns its result as
            it is, a quantum function or a `QuantumScript`; an OpenQASM 3 program as text, or the path of a `.qasm`
            or `.qpy` file; a `CircuitBuilder`; or a `Circuit`, which comes back as it is. A list of one of these
            stands for it.
        *example_args: for a QNode or quantum function, arguments it can be called with. Of the parameters among them
            (`docs/pennylane.md`) only the shapes matter; all else keeps its value, and is named in the circuit's text.

    Raises:
        CircuitError: a gate has no exact decomposition into Clifford gates and Pauli rotations, or the
            circuit measures, resets or branches midway; the text names the gate, its position and wires.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> qngd.wrap(circuit.ry(circuit.parameter("a"), 0))
    Circuit(num_qubits=1, num_parameters=1, rotations=1, layers=1)
    >>> qngd.wrap('OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;')
    Circuit(num_qubits=1, num_parameters=1, rotations=1, layers=1)
    """
    if isinstance(native, (list, tuple)):
        if len(native) != 1:
            what = f"a {type(native).__name__} of {len(native)} is not a circuit"
            raise CircuitError(f"circuit: {what}; {instead_of(native) or 'give one of them'}")
        return wrap(native[0], *example_args)
    if isinstance(native, Circuit):
        return native
    if isinstance(native, CircuitBuilder):
        if example_args:
            raise CircuitError("circuit: a CircuitBuilder takes no example arguments; give it alone")
        return native.build()
    return _reader(native).read_circuit(native, *example_args)


def wrap_for(native: Any, theta: Any) -> Circuit:
    """`wrap` for parameter values in the user's structure, which serve a QNode or quantum function as its example
    arguments: a tuple holds one per argument."""
    if isinstance(native, Circuit) or not callable(native):
        return wrap(native)
    return wrap(native, *(theta if type(theta) is tuple else (theta,)))


def one_round_longer(circuit: Circuit, theta: Any, rounds: np.ndarray) -> Any:
    """θ of a quantum function that takes arrays of any length, in the user's structure: one entry longer along the axis
    along which the parameters' `rounds` (P,) count from 0.

    Raises:
        ParameterError: there is no such axis.
    """
    return _load("pennylane.longer").longer(circuit, theta, rounds)


def parameters_in(circuit: Circuit, theta: Any) -> np.ndarray | None:
    """The parameters (p,) in arguments of a quantum function like the circuit's, with arrays of other lengths; None
    where they are not as many arguments.

    Raises:
        ParameterError: one of them is no finite real number.
    """
    found: np.ndarray | None = _load("pennylane.longer").parameters_in(circuit, theta)
    return found


def is_function(native: Any) -> bool:
    """Whether it is a QNode or a quantum function, which is called with θ and data."""
    return callable(native) and not isinstance(native, (Circuit, CircuitBuilder))


def load_pennylane(part: str) -> Any:
    """A module of what reads PennyLane."""
    return load(f"qngd.interop.pennylane.{part}", "pennylane", "reading this")


def in_order(observable: Any, theta: Any) -> tuple[Any, Any]:
    """The observable and θ, also where θ stands in the observable's place, as in `minimize(node, theta0)`.

    Raises:
        ParameterError: each stands in the other's place.
    """
    if not is_parameters(observable) or (theta is not None and is_parameters(theta)):
        return observable, theta  # what is no observable is refused later
    if theta is None:
        return None, observable
    raise ParameterError(
        "observable: parameter values stand in its place; write (circuit, observable, theta0), or (node, theta0) for a "
        "QNode that returns an expectation value"
    )


def is_parameters(value: Any) -> bool:
    """Whether it is made of real numbers, as parameter values are and observables are not."""
    if isinstance(value, Mapping):
        labels = all(isinstance(key, str) and key and set(key) <= set("IXYZ") for key in value)
        return not labels and all(map(is_parameters, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_parameters, value))
    if isinstance(value, Number):
        return True
    return not packages_of(value).isdisjoint(_ARRAYS) and hasattr(value, "dtype")


def instead_of(native: Any) -> str:
    """What to write in place of something that stands where a circuit belongs, or nothing."""
    if isinstance(native, (list, tuple)) and not native:
        return ""
    if is_parameters(native):
        return "parameter values stand in its place: write (circuit, observable, theta), or (node, theta) for a QNode"
    if hasattr(native, "circuit") and hasattr(native, "loss"):  # an Objective
        return "give its circuit, at one sample"
    if hasattr(native, "circuit") and hasattr(native, "observable"):  # a Problem
        return "give its parts: (problem.circuit, problem.observable, problem.theta0)"
    if hasattr(native, "optimal_circuit"):  # what one of Qiskit's algorithms has found
        return "give what it found: (result.optimal_circuit, observable, result.optimal_point)"
    if hasattr(native, "compute_minimum_eigenvalue"):  # one of them itself
        return "give the circuit: the algorithm's .ansatz, or .optimal_circuit of its result"
    return ""


def as_target(native: Any, circuit: Circuit) -> Observable | CVaR:
    """What is to be low: an observable on the circuit's qubits, or the CVaR of one. Arguments and errors as for
    `as_observable`."""
    if isinstance(native, CVaR):
        return replace(native, observable=as_observable(native.observable, circuit))
    return as_observable(native, circuit)


def as_observable(native: Any, circuit: Circuit) -> Observable:
    """An observable on the circuit's qubits.

    Args:
        native: a mapping of Pauli labels to real coefficients (rightmost letter is qubit 0), or a list of pairs of
            these; Qiskit's `SparsePauliOp`, `SparseObservable`, `Pauli` or `Operator`; a PennyLane operator, Pauli
            sentence or Fermi sentence (Jordan–Wigner); OpenFermion's `QubitOperator`. None means what the circuit
            itself measures.
        circuit: the circuit that it belongs to.

    Raises:
        ObservableError: it is not Hermitian, acts on other qubits, has too many Pauli strings, or is missing.
    """
    if native is None:
        if circuit.observable is None:
            hint = circuit.no_observable or f"{_GIVE_AN_OBSERVABLE}, as in minimize(circuit, observable, theta0)"
            raise ObservableError(f"observable: the circuit brings none of its own; {hint}")
        return circuit.observable
    if isinstance(native, Observable):
        observable = native
    else:
        observable = _observable_reader(native).read_observable(native, circuit)
    circuit.check(observable)
    return observable


def _reader(native: Any) -> Any:
    """The module that reads this circuit."""
    if isinstance(native, (str, os.PathLike)):
        return _load("openqasm")
    package = _package_of(native, ("qiskit", "pennylane"))
    if is_parameters(native) or (package is None and not callable(native)):
        remedy = instead_of(native) or (
            "give a qngd.CircuitBuilder, a Qiskit QuantumCircuit, a PennyLane QNode, quantum function or "
            "QuantumScript, or OpenQASM 3 (text or path)"
        )
        raise CircuitError(f"circuit: {type(native).__name__} is not a circuit; {remedy}")
    return _load(package or "pennylane")  # what can be called is a quantum function


def _observable_reader(native: Any) -> Any:
    """The module that reads this observable."""
    package = _package_of(native, ("qiskit", "pennylane", "openfermion"))
    if package is None and isinstance(native, (Mapping, list, tuple)):
        package = "plain"
    if package is None:
        name = type(native).__name__
        hint = _ADVICE.get(_package_of(native, tuple(_ADVICE)) or "", _GIVE_AN_OBSERVABLE)
        raise ObservableError(f"observable: {name} is not an observable; {hint}")
    return _load(package)


def _package_of(native: Any, packages: Sequence[str]) -> str | None:
    """The first of these packages that the object's class, or a base of it, comes from."""
    found = packages_of(native)
    return next((package for package in packages if package in found), None)


_GIVE_AN_OBSERVABLE = (
    'give a mapping of Pauli labels to real coefficients such as {"ZZ": 1.0, "XI": 0.5}, a SparsePauliOp or a '
    "PennyLane operator"
)
_A_MATRIX = (
    "say which qubit is the first bit of the matrix's index: qml.Hermitian(matrix, wires=...), qml.SparseHamiltonian"
    "(scipy.sparse.csr_matrix(matrix), wires=...) or SparsePauliOp.from_operator(matrix)"
)
# What to write for the objects of other packages.
_ADVICE = {
    "numpy": _A_MATRIX,
    "scipy": _A_MATRIX,
    "qiskit_nature": "map it to qubits first: JordanWignerMapper().map(operator)",
}


def _load(name: str) -> Any:
    instead = "; qngd.CircuitBuilder needs no other package" if name == "openqasm" else ""
    extra = "pennylane" if name.startswith("pennylane") else "qiskit"
    return load(f"qngd.interop.{name}", extra, "reading this", instead)
