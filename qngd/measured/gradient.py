"""What a step with shots asks of a way to take gradients: its circuits, and how gradient and errors follow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    """Strings of the observable that one circuit measures, in a plan: the `number` of their template in the book, the
    template, their coefficients (m,), the rotations (mask over K) that they can depend on, and `rules`, the shift rules
    of a kind for their energy with the matrix that takes these to the variables."""

    number: int
    template: Template
    coefficients: np.ndarray
    inside: np.ndarray
    rules: Callable[[ShiftKind], Rules]


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
        own = draft.slopes(each.number, each.template, each.inside, rules=rules[0])
        entries += [(done + d, request, weight) for d, request, weight in own]
        done += len(rules[0])
        mixings.append(rules[1])
    return AskedGradient(entries, draft.mixed(mixings))
