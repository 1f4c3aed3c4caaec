"""What a step with shots asks of a way to take gradients: its circuits, and how gradient and errors follow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from scipy import sparse

from qngd.measured.shifts import ShiftKind, ShiftRule
from qngd.measured.template import Template

if TYPE_CHECKING:  # what a gradient is asked with
    from qngd.measured.draft import Draft, Entry
    from qngd.measured.plan import Plan

Rules = tuple[list[ShiftRule], sparse.csr_array]


@dataclass(frozen=True, eq=False)
class MeasuredGroup:
    """What one circuit measures of the energy: strings of the observable, or an overlap.

    Attributes:
        template: measures them.
        coefficients: of the strings (m,); those of an overlap are 0.
        inside: the rotations (mask over K) that they can depend on.
        rules: the shift rules of a kind for it, with the matrix that takes these to the variables.
        weight: what an overlap counts by.
        own: the angles of the template's last rotations, which stand still: an overlap's way back.
        number: of the template in the book of a plan.
    """

    template: Template
    coefficients: np.ndarray
    inside: np.ndarray
    rules: Callable[[ShiftKind], Rules]
    weight: float = 1.0
    own: np.ndarray = field(default_factory=lambda: np.zeros(0))
    number: int = -1

    @property
    def size(self) -> float:
        """What one shot varies by at most, or about that."""
        return float(np.linalg.norm(self.coefficients)) if not len(self.own) else 0.5

    def angles(self, phi: np.ndarray) -> np.ndarray:
        """The template's, where those of the circuit are `phi` (K,)."""
        return np.append(phi[self.template.rotations[: len(self.template.rotations) - len(self.own)]], self.own)


class Chance(Protocol):
    """How chance chose the circuits of a gradient."""

    def covariance(self, plan: Plan, values: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """The covariance (P, P) of the gradient, errors of shots included, from the energies of the plan's requests
        (R,) and their variances."""


@dataclass(frozen=True, eq=False)
class AskedGradient:
    """How a gradient follows from the energies of requests: `entries` of a matrix (D, R) that takes them to
    derivatives, `mixing` (P, D), and how chance chose, if it did."""

    entries: Sequence[Entry]
    mixing: sparse.csr_array
    chance: Chance | None = None


class MeasuredGradient(ABC):
    """A way to take gradients, as planning sees it."""

    is_random: ClassVar[bool] = False  # whether the seed decides which circuits it asks for

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called; a class attribute does."""

    @abstractmethod
    def asked(self, draft: Draft, groups: Sequence[MeasuredGroup]) -> AskedGradient:
        """Put its requests into `draft.book`, and say how the gradient follows from their energies. A plan of another θ
        or seed has as many requests."""


def all_shifts(draft: Draft, groups: Sequence[MeasuredGroup], kind: ShiftKind = "auto") -> AskedGradient:
    """All circuits of the shift rules of this kind."""
    entries: list[Entry] = []
    mixings, done = [], 0
    for each in groups:
        rules = each.rules(kind)
        own = draft.slopes(each.number, each.template, each.inside, each.own, rules[0])
        entries += [(done + d, request, each.weight * weight) for d, request, weight in own]
        done += len(rules[0])
        mixings.append(rules[1])
    return AskedGradient(entries, draft.mixed(mixings))
