"""Operations in order with the data to use for them, and what gives them for parameter values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator
from pennylane.tape import QuantumScript

from qngd.interop.pennylane.arguments import Arguments
from qngd.interop.pennylane.frameworks import Framework


@dataclass(frozen=True, eq=False)
class Tape:
    """Operations in order, each with the data to use for it, and the measurements."""

    script: QuantumScript
    data: Sequence[Sequence[Any] | None]  # None: its own

    @property
    def operations(self) -> Iterator[tuple[Operator, Sequence[Any] | None]]:
        return zip(self.script.operations, self.data, strict=True)

    @property
    def measurements(self) -> list[MeasurementProcess]:
        return self.script.measurements

    @property
    def wires(self) -> tuple[Any, ...]:
        """The wires in the order that `default.qubit` gives them where its own are not set.

        Wires that are acted on come first, then those only measured, then work wires, each in order of
        first use; but if they are 0, 1, 2, … in this sense, they come in the order of the numbers.
        """
        acted = [op.wires for op in self.script.operations]
        measured = [m.wires for m in self.script.measurements]
        work = [getattr(op, "work_wires", None) or () for op in self.script.operations]
        order = _labels([*acted, *measured, *work])
        ends = [0, len(_labels(acted)), len(_labels([*acted, *measured])), len(order)]
        counted = all(set(order[start:end]) == set(range(start, end)) for start, end in itertools.pairwise(ends))
        return tuple(range(len(order))) if counted else tuple(order)


@dataclass(frozen=True)
class Way:
    """How a function is run: on autograd's boxes, or on a framework's own arrays, in double precision or in the
    precision that the user's arrays have."""

    framework: Framework | None = None
    double: bool = True


class Source(Protocol):
    """Something that is a circuit once its parameters have values."""

    arguments: Arguments
    way: Way
    changes_results: bool  # whether a transform computes with the values that the last tape measures

    @property
    def device(self) -> Any:
        """The user's own device, or None."""

    @property
    def device_shots(self) -> int | None:
        """The shots that go with it."""

    def tape(self, values: Sequence[Any]) -> Tape:
        """The circuit at these values (or boxes) of the arguments' trainable leaves."""

    def ways(self) -> list[Way]:
        """How it may be run, the first choice first."""

    def variant(self, way: Way, fixed_groups: frozenset[str]) -> Source:
        """The same circuit run this way, with the whole numbers of these groups fixed."""


def _labels(groups: Iterable[Iterable[Any]]) -> list[Any]:
    """The labels in all groups, in order of first use."""
    return list(dict.fromkeys(label for group in groups for label in group))
