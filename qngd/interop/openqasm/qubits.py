"""Which qubits the operands of OpenQASM statements mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openqasm3 import ast

from qngd.interop.openqasm.values import Qubits, integer, integers, refusal


def broadcast(node: ast.QASMNode, operands: Sequence[Qubits]) -> list[tuple[int, ...]]:
    """The qubits of each single gate, where some operands are registers."""
    sizes = {len(operand.numbers) for operand in operands if operand.is_register}
    if len(sizes) > 1:
        raise refusal(node, f"registers of {' and '.join(map(str, sorted(sizes)))} qubits cannot be paired")
    size = sizes.pop() if sizes else 1
    columns = [o.numbers if o.is_register else o.numbers * size for o in operands]
    return list(zip(*columns, strict=True)) if columns else [()]


def picked(
    node: ast.QASMNode,
    qubits: Qubits,
    index: ast.DiscreteSet | list[ast.Expression | ast.RangeDefinition],
    names: Mapping[str, Any],
) -> Qubits:
    """register[index], for an integer, a range or a set."""
    if not qubits.is_register:
        raise refusal(node, "a single qubit has no index; leave the index out")
    if isinstance(index, ast.DiscreteSet):
        places = list(integers(index, names))
    elif len(index) != 1:
        raise refusal(node, "a register has one index")
    elif isinstance(index[0], ast.RangeDefinition):
        places = _range(index[0], len(qubits.numbers), names)
    else:
        place = _place(node, integer(index[0], names), qubits)
        return Qubits((qubits.numbers[place],), is_register=False)
    return Qubits(tuple([qubits.numbers[_place(node, place, qubits)] for place in places]))


def _place(node: ast.QASMNode, index: int, qubits: Qubits) -> int:
    size = len(qubits.numbers)
    if not -size <= index < size:
        raise refusal(node, f"the index {index} is outside the register of {size} qubits")
    return index % size


def _range(node: ast.RangeDefinition, size: int, names: Mapping[str, Any]) -> list[int]:
    """A range of a register's places; a negative end counts from the last."""
    step = 1 if node.step is None else integer(node.step, names)
    if step == 0:
        raise refusal(node, "the step of a range must not be 0")
    first, last = (0, size - 1) if step > 0 else (size - 1, 0)
    start = first if node.start is None else integer(node.start, names)
    end = last if node.end is None else integer(node.end, names)
    start, end = (place + size if place < 0 else place for place in (start, end))
    return list(range(start, end + (1 if step > 0 else -1), step))
