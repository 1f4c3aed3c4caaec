"""The gate that is being read: how its parameters become angles, and how it is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from autograd import numpy as anp
from pennylane.operation import Operator

from qngd.circuit.angles import Angle
from qngd.errors import CircuitError
from qngd.interop.pennylane.slots import Slots
from qngd.interop.pennylane.trace import Node, node_of, plain

_REAL_TOLERANCE = 1e-12
# How to say that a number is no parameter.
FIX_IT = "mark the arguments requires_grad=False (in a script: leave it out of trainable_params)"


class Batched(CircuitError):
    """A gate with a batch of `size` parameters in the place of one."""

    def __init__(self, text: str, size: int) -> None:
        super().__init__(text)
        self.size = size


class Site:
    """One gate of the user's circuit at a time; `enter` moves on to the next."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._position = -1
        self._op: Operator | None = None

    @property
    def position(self) -> int:
        """The number of the gate in the circuit, from 0."""
        return self._position

    def enter(self, position: int, op: Operator) -> None:
        self._position, self._op = position, op

    def refuse(self, reason: str) -> NoReturn:
        """Raises CircuitError with the gate's name, position and wires before the reason."""
        assert self._op is not None
        wires = list(self._op.wires)
        raise CircuitError(f"gate #{self._position}, {self._op.name} on wires {wires}: {reason}")

    def refuse_batch(self, reason: str, size: int) -> NoReturn:
        """Raises Batched: the gate stands for `size` gates at once."""
        try:
            self.refuse(
                f"{reason}; broadcasted (batched) parameters are not supported, since the metric is of one state"
            )
        except CircuitError as error:
            raise Batched(str(error), size) from None

    def angle(self, value: Any) -> Angle | float:
        """A parameter of an operation: a slot if a parameter of the user's moves it, else a number.

        Raises:
            CircuitError: it is an array (a batch), complex, or not finite.
        """
        if type(value) is float and math.isfinite(value):
            return value
        node = node_of(value)
        if node is not None and type(node.value) in (float, np.float64):
            return self._slots.of(node)
        number = plain(value)
        if np.asarray(number).dtype.kind not in "biufcO" or isinstance(number, Mapping):
            self.refuse(f"its parameter is {number!r}, which is no number")
        if np.ndim(number) != 0:
            what = "data have" if node is None and np.asarray(number).dtype != object else "a parameter has"
            shape = np.shape(number)
            self.refuse_batch(f"{what} shape {shape} where one number belongs", shape[0])
        if abs(np.imag(number)) > _REAL_TOLERANCE:
            self.refuse(f"its parameter is {number}, and must be real")
        if node is not None:
            return self.slot(anp.real(value) if np.iscomplexobj(number) else value)
        if not math.isfinite(np.real(number)):
            self.refuse(f"its parameter is {number}")
        return float(np.real(number))

    def slot(self, box: Any) -> Angle:
        """The slot of a traced real number."""
        node = node_of(box)
        assert node is not None
        return self._slots.of(node)

    def frozen(self, value: float, *nodes: Node) -> Angle:
        """A slot that has this value now; its derivative stands in other slots of the gate."""
        return self._slots.frozen(value, nodes)
