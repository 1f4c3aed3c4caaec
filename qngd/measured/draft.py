"""A plan in the making, at one θ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

from qngd.circuit.circuit import Circuit
from qngd.measured.book import Book
from qngd.measured.cross import CrossMethod
from qngd.measured.shifts import ShiftRule
from qngd.measured.template import Template

Entry = tuple[int, int, float]  # of the shift rules: direction, request, weight
_Made = TypeVar("_Made")


@dataclass(frozen=True, eq=False)
class Draft:
    """What a metric's circuits can be made of, and the book that takes the requests.

    Attributes:
        circuit: the circuit on its active qubits.
        theta: (P,).
        phi: the angles (K,) there.
        inner: ∂v/∂θ of the variables v that move the angles linearly.
        jacobian: ∂φ/∂θ, (K, P).
        rules: the shift rules, and the matrix that takes their derivatives to those by v.
        cross: how entries between layers are measured.
        seed: of random circuits.
        book: the requests so far.
        kept: what earlier plans of the circuit have made, see `once`.
        kept_of_angles: what they have made of the Jacobian, where it is the same at every θ, see `once_of_angles`.
    """

    circuit: Circuit
    theta: np.ndarray
    phi: np.ndarray
    inner: sparse.csr_array
    jacobian: sparse.csr_array
    rules: tuple[list[ShiftRule], sparse.csr_array]
    cross: CrossMethod
    seed: int | None
    book: Book
    kept: dict[Any, Any]
    kept_of_angles: dict[Any, Any]

    def once(self, make: Callable[..., _Made], *settings: Any) -> _Made:
        """`make(circuit, *settings)`, which is the same at every θ: made for the first plan alone."""
        made: _Made = _kept_in(self.kept, make, (self.circuit,), settings)
        return made

    def once_of_angles(self, make: Callable[..., _Made], *settings: Any) -> _Made:
        """`make(circuit, jacobian, *settings)`: made for the first plan alone where the Jacobian is the same at every
        θ, as that of angles that are affine in it."""
        kept = self.kept_of_angles if self.circuit.angle_map.is_affine else {}
        made: _Made = _kept_in(kept, make, (self.circuit, self.jacobian), settings)
        return made

    @cached_property
    def mixing(self) -> sparse.csr_array:
        """(P, D): takes the derivatives of the shift rules to the gradient."""
        return self.mixed([self.rules[1]])

    def mixed(self, mixings: Sequence[sparse.csr_array]) -> sparse.csr_array:
        """(P, D): takes derivatives to the gradient, from the matrices that take them to those by the variables."""
        size = self.inner.shape[1]
        if not mixings:
            return sparse.csr_array((size, 0))
        whole = mixings[0] if len(mixings) == 1 else sparse.hstack(mixings, format="csr")
        return whole if self.circuit.angle_map.is_affine else (self.inner.T @ whole).tocsr()

    def slopes(
        self,
        t: int,
        template: Template,
        inside: np.ndarray,
        own: Sequence[float] | np.ndarray = (),
        rules: Sequence[ShiftRule] | None = None,
    ) -> list[Entry]:
        """Entries of the shift rules of template number `t`, whose last angles are its `own`. What it measures depends
        on the rotations `inside` (mask over K) alone, so directions without any of these are not run. The `rules` are
        those for whatever may be measured, unless others are given."""
        entries = []
        rotations = template.rotations[: len(template.rotations) - len(own)]
        for d, direction in enumerate(self.rules[0] if rules is None else rules):
            if not inside[direction.rotations].any():
                continue
            for shift, weight in zip(direction.shifts, direction.weights, strict=True):
                for side in (1.0, -1.0):
                    angles = self.phi.copy()
                    angles[direction.rotations] += side * shift * direction.coefficients
                    moved = angles[rotations]
                    request = self.book.request(t, np.append(moved, own) if len(own) else moved)
                    entries.append((d, request, side * float(weight)))
        return entries

    def slope_matrix(self, entries: Sequence[Entry], size: int | None = None) -> sparse.csr_array:
        """(D, R) over the requests that are in the book by now; D is the `size`, or the number of the rules."""
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        shape = (len(self.rules[0]) if size is None else size, len(self.book.requests))
        return sparse.coo_array((np.array(values, dtype=float), (rows, columns)), shape=shape).tocsr()


def _kept_in(kept: dict[Any, Any], make: Callable[..., Any], known: tuple[Any, ...], settings: tuple[Any, ...]) -> Any:
    """`make(*known, *settings)`, kept by what does not stay the same: what makes it, and the settings."""
    key = (make, *settings)
    if key not in kept:
        kept[key] = make(*known, *settings)
    return kept[key]
