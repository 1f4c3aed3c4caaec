"""Circuits and observables as data: the neutral form as named arrays, from which it is made again to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from qngd.circuit.angles import AffineExpressions, AngleMap, Expressions
from qngd.circuit.builder import Gate
from qngd.circuit.circuit import Circuit
from qngd.circuit.frame import Frame
from qngd.circuit.observable import Observable
from qngd.circuit.ops import Ops
from qngd.circuit.pauli import PauliStrings
from qngd.circuit.theta import FlatTheta
from qngd.interop.angle_slots import NonlinearSlot, SymbolicExpressions
from qngd.interop.node_program import NodeProgram
from qngd.run.directory.encoding import as_json, from_json, packed, unpacked

_OPS = ("kind", "start", "qubits", "letters", "turns", "gate")
_MATRIX = ("data", "indices", "indptr")


class NoData(Exception):
    """A circuit that is no data: its angles are somebody's function. The text says which."""


def circuit_to(circuit: Circuit) -> bytes:
    """A circuit as one archive; docs/run-directory.md says what stands in it. What belongs to the user's SDK is left
    out: the structure of θ, the device, the circuit as the user wrote it.

    Raises:
        NoData: its angles are a function that only the user's own code can evaluate.
    """
    arrays: dict[str, Any] = {
        "num_qubits": circuit.num_qubits,
        "parameters": as_json(circuit.parameters),
        "gates": as_json([(gate.name, gate.qubits) for gate in circuit.gates]),
        "fixed": as_json(circuit.fixed),
        "numbers": as_json(circuit.numbers),
        **{name: getattr(circuit, name) for name in ("moving", "unit", "level", "order")},
        **{f"ops_{name}": getattr(circuit.ops, name) for name in _OPS},
        **{f"generators_{name}": getattr(circuit.generators, name) for name in ("x", "z", "sign")},
        **{f"frame_{name}": getattr(circuit.frame, name) for name in ("x", "z", "phase")},
        **_matrix_to("combination", circuit.angle_map.combination),
        "constant": circuit.angle_map.constant,
        **_expressions_to(circuit.angle_map),
    }
    return packed(arrays)


def circuit_from(archive: bytes) -> Circuit:
    """The circuit that `circuit_to` wrote."""
    arrays = unpacked(archive)
    n, parameters = int(arrays["num_qubits"]), tuple(from_json(str(arrays["parameters"])))
    numbers = from_json(str(arrays["numbers"]))
    return Circuit(
        num_qubits=n,
        parameters=parameters,
        ops=Ops(**{name: arrays[f"ops_{name}"] for name in _OPS}),
        gates=tuple(Gate(name, tuple(qubits)) for name, qubits in from_json(str(arrays["gates"]))),
        generators=PauliStrings(n, *(arrays[f"generators_{name}"] for name in ("x", "z", "sign"))),
        angle_map=AngleMap(_matrix_from("combination", arrays), arrays["constant"], _expressions_from(arrays)),
        **{name: arrays[name] for name in ("moving", "unit", "level", "order")},
        frame=Frame(n, *(arrays[f"frame_{name}"] for name in ("x", "z", "phase"))),
        structure=FlatTheta(parameters),
        fixed=tuple(from_json(str(arrays["fixed"]))),
        numbers=None if numbers is None else tuple(numbers),
    )


def observable_to(observable: Observable) -> bytes:
    """An observable as one archive."""
    strings = observable.strings
    return packed(
        {
            "num_qubits": strings.num_qubits,
            "x": strings.x,
            "z": strings.z,
            "sign": strings.sign,
            "coefficients": observable.coefficients,
        }
    )


def observable_from(archive: bytes) -> Observable:
    """The observable that `observable_to` wrote."""
    arrays = unpacked(archive)
    strings = PauliStrings(int(arrays["num_qubits"]), arrays["x"], arrays["z"], arrays["sign"])
    return Observable(strings, arrays["coefficients"])


def _expressions_to(angle_map: AngleMap) -> dict[str, Any]:
    found = angle_map.expressions
    if type(angle_map) is not AngleMap:
        raise NoData("its frozen parameters stand in angles that are not affine")
    if isinstance(found, AffineExpressions):
        return {"kind": "affine", **_matrix_to("matrix", found.matrix), "offset": found.offset}
    if isinstance(found, SymbolicExpressions):
        slots = [(slot.columns, slot.text, slot.place) for slot in found.slots]
        program = {f"program_{name}": array for name, array in found.program.as_arrays().items()}
        return {"kind": "symbolic", "names": as_json(found.names), "slots": as_json(slots), **program}
    raise NoData("its angles come out of a function of Python's, which is run again at every step")


def _expressions_from(arrays: Mapping[str, Any]) -> Expressions:
    if str(arrays["kind"]) == "affine":
        return AffineExpressions(_matrix_from("matrix", arrays), arrays["offset"])
    prefix = "program_"
    program = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    slots = from_json(str(arrays["slots"]))
    return SymbolicExpressions(
        tuple(from_json(str(arrays["names"]))),
        tuple(NonlinearSlot(tuple(columns), text, place) for columns, text, place in slots),
        NodeProgram.from_arrays(program),
    )


def _matrix_to(name: str, matrix: sparse.csr_array) -> dict[str, Any]:
    parts = {f"{name}_{part}": getattr(matrix, part) for part in _MATRIX}
    return {**parts, f"{name}_shape": np.array(matrix.shape)}


def _matrix_from(name: str, arrays: Mapping[str, Any]) -> sparse.csr_array:
    parts = tuple(arrays[f"{name}_{part}"] for part in _MATRIX)
    return sparse.csr_array(parts, shape=tuple(arrays[f"{name}_shape"].tolist()))
