"""Reading the SDKs' objects. Each SDK is imported only when one of its objects arrives."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from qngd.circuit import Circuit
from qngd.errors import CircuitError, MissingPackageError, ObservableError
from qngd.observable import Observable


def wrap(native: Any, *example_args: Any) -> Circuit:
    """The neutral form of a circuit.

    Args:
        native: a Qiskit `QuantumCircuit`; a PennyLane QNode, quantum function or `QuantumScript`; an
            OpenQASM 3 program as text, or the path of a `.qasm` or `.qpy` file; or a `Circuit`, which comes
            back as it is. A list of one of these stands for it.
        *example_args: for a QNode or quantum function, arguments it can be called with. Their values do
            not matter; their shapes, and which of them are trainable, do.

    Raises:
        CircuitError: a gate has no exact decomposition into Clifford gates and Pauli rotations, or the
            circuit measures, resets or branches midway; the text names the gate, its position and wires.

    >>> qngd.wrap('OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;')
    Circuit(num_qubits=1, num_parameters=1, rotations=1, layers=1)
    """
    if isinstance(native, (list, tuple)):
        if len(native) != 1:
            raise CircuitError(
                f"circuit: a {type(native).__name__} of {len(native)} is not a circuit; give one of them"
            )
        return wrap(native[0], *example_args)
    if isinstance(native, Circuit):
        return native
    return _reader(native, "circuit").read_circuit(native, *example_args)


def wrap_for(native: Any, theta: Any) -> Circuit:
    """`wrap` for parameter values in the user's structure, which serve a QNode or quantum function as its example
    arguments: a tuple holds one per argument."""
    if not callable(native):
        return wrap(native)
    return wrap(native, *(theta if isinstance(theta, tuple) else (theta,)))


def as_observable(native: Any, circuit: Circuit) -> Observable:
    """An observable on the circuit's qubits, from a `SparsePauliOp`, a PennyLane operator or a mapping of Pauli
    labels to real coefficients; None means what the circuit itself measures.

    Raises:
        ObservableError: it is not Hermitian, acts on other qubits, or is missing.
    """
    if native is None:
        if circuit.observable is None:
            raise ObservableError(
                "observable: the circuit brings none of its own; give a SparsePauliOp, a PennyLane "
                "operator or a mapping of Pauli labels to real coefficients"
            )
        return circuit.observable
    if isinstance(native, Observable):
        observable = native
    elif isinstance(native, Mapping):
        observable = Observable.from_mapping(native)
    else:
        observable = _reader(native, "observable").read_observable(native, circuit)
    if observable.num_qubits != circuit.num_qubits:
        raise ObservableError(
            f"the observable acts on {observable.num_qubits} qubits, the circuit has {circuit.num_qubits}"
        )
    return observable


def _reader(native: Any, role: str) -> Any:
    """The module that reads this object, by the package that its class (or a base) comes from."""
    if isinstance(native, (str, os.PathLike)) and role == "circuit":
        return _load("openqasm")
    packages = {(base.__module__ or "").partition(".")[0] for base in type(native).__mro__}
    for package in ("qiskit", "pennylane"):
        if package in packages:
            return _load(package)
    if callable(native) and role == "circuit":
        return _load("pennylane")  # a quantum function
    if role == "circuit":
        raise CircuitError(
            f"circuit: {type(native).__name__} is not a circuit; give a Qiskit QuantumCircuit, a "
            "PennyLane QNode, quantum function or QuantumScript, or OpenQASM 3 (text or path)"
        )
    raise ObservableError(
        f"observable: {type(native).__name__} is not an observable; give a SparsePauliOp, a "
        "PennyLane operator or a mapping of Pauli labels to real coefficients"
    )


def _load(name: str) -> Any:
    try:
        return importlib.import_module(f"qngd.interop.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("qngd"):
            raise
        raise MissingPackageError(
            f"reading this needs the package {error.name}; install it with "
            f"pip install 'qngd[{'pennylane' if name == 'pennylane' else 'qiskit'}]'"
        ) from error
