"""What users may give, as types: a type checker refuses what can be no circuit and no observable.

Objects of an SDK are described by what they have, not by their classes: an SDK may be missing, and a class that a type
checker cannot find would stand for anything at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.interop.circuit_builder import CircuitBuilder


class _QiskitCircuit(Protocol):
    """A `QuantumCircuit`."""

    @property
    def num_qubits(self) -> Any: ...

    @property
    def data(self) -> Any: ...


class _QuantumScript(Protocol):
    """A `QuantumScript` of PennyLane."""

    @property
    def operations(self) -> Any: ...

    @property
    def measurements(self) -> Any: ...


class _Operator(Protocol):
    """An operator of Qiskit or PennyLane, or an array of parameter values in an observable's place."""

    def __matmul__(self, other: Any, /) -> Any: ...


class _Terms(Protocol):
    """A `QubitOperator` of OpenFermion."""

    @property
    def terms(self) -> Any: ...


# a QNode or quantum function can be called; a list of one of these stands for it
CircuitLike = (
    Circuit
    | CircuitBuilder
    | str
    | os.PathLike[str]
    | Callable[..., Any]
    | _QiskitCircuit
    | _QuantumScript
    | Sequence["CircuitLike"]
)
Theta = ArrayLike | Mapping[Any, Any] | Sequence[Any]  # in the structure of the circuit's own arguments
# parameters by name, a list of such, or a mask; and a pair (low, high), or pairs by name
Frozen = str | Sequence[Any] | np.ndarray
Bounds = tuple[Any, Any] | Sequence[tuple[Any, Any]] | Mapping[Any, tuple[Any, Any]]
ObservableLike = Observable | Mapping[Any, Any] | Sequence[tuple[str, Any]] | _Operator | _Terms
