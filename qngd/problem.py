"""A variational problem: what to minimize, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from qngd._system.brief import brief_fields
from qngd._system.keywords import hinted
from qngd.errors import SettingError, require_range, shown, unboxed

if TYPE_CHECKING:
    from qngd.evaluators.objectives.objective import Objective
    from qngd.interop.arguments import CircuitLike, ObservableLike, Theta


@hinted
@dataclass(frozen=True, eq=False)
class Problem:
    """A circuit, an observable and a start.

    Args:
        circuit: anything `qngd.wrap` takes, or a `qngd.Objective`, which has its own observables.
        observable: anything `qngd.expectation` takes; None for a QNode that brings its own.
        theta0: parameter values to start from, in the user's own structure.
        name: for progress, tables and plots.
        reference_energy: the exact lowest energy, if known, to show errors against.
        unit: of the energies, such as "hartree"; reports then say whether chemical accuracy was reached.

    >>> Problem("ry.qasm", {"Z": 1.0}, [0.1], name="one qubit", reference_energy=-1.0).name
    'one qubit'
    """

    circuit: CircuitLike | Objective
    observable: ObservableLike | Theta | None = None
    theta0: Theta | None = None
    name: str = "problem"
    reference_energy: float | None = None
    unit: str = ""

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        for name in ("name", "unit"):
            if not isinstance(getattr(self, name), str):
                raise SettingError(f"{name} must be a text; got {shown(getattr(self, name))}")
        object.__setattr__(self, "reference_energy", unboxed(self.reference_energy))
        if self.reference_energy is not None:
            require_range(self.reference_energy, "reference_energy", "a finite number", isfinite)
