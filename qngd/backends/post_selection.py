"""Shots that break a symmetry of the circuit left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from qngd.backends.around import Around, AroundHandle, Asked
from qngd.backends.base import Footprint, ResumableBackend
from qngd.backends.boundary import DeficientResult
from qngd.backends.readout import ReadoutCorrected
from qngd.backends.sieve import Sieve
from qngd.circuit.pauli import LETTERS
from qngd.errors import BackendError, SettingError, shown
from qngd.measured.outcomes import Counts, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


class PostSelected(Around):
    """A backend that gives counts, without the shots that break a symmetry of the circuit.

    What a symmetry's value is follows from the circuit. Energies, gradients and metrics use it alike, each circuit
    where it holds (see `qngd.backends.sieve`). Circuits measure the qubits that a symmetry needs besides their own, in
    bases that need no further two-qubit gates. Shots left out have been paid for and count; errors are those of the
    shots that are kept. Around `ReadoutCorrected` it selects what is read when readout errors are undone, and gives
    expectation values alone; they are ratios, whose bias falls as 1/N² with the shots.

    Args:
        backend: as in `minimize`; one that gives counts, or a `ReadoutCorrected` one.
        parities: Pauli strings that the circuit conserves, as labels such as "ZZZZ" (rightmost letter is qubit 0).
        particles: sets of qubits on each of which the number of ones is conserved, as [(0, 1), (2, 3)], or "all" for
            the number on all qubits. Where a circuit conserves only the parity of a number, that is used.

    Raises:
        BackendError: it is no backend, or has shots left out already.
        SettingError: no symmetry is given, or one is none.
    """

    about = "post-selected"
    goes_around = (ReadoutCorrected,)
    least_shots = 20  # so that some are kept of every circuit: with half of them lost, all are once in a million

    def __init__(self, backend: Any, *, parities: Iterable[str] = (), particles: Any = ()) -> None:
        super().__init__(backend)
        self.parities = _labels(parities)
        self.particles = _sets(particles)
        if not self.parities and not self.particles:
            raise SettingError('give a symmetry: parities=["ZZZZ"], particles=[(0, 1), (2, 3)] or particles="all"')
        self._sieves: WeakKeyDictionary[Template, Sieve] = WeakKeyDictionary()

    @property
    def corrects(self) -> str:
        return f"parities={self.parities}, particles={self.particles}"

    def sent(self, templates: Sequence[Template], requests: Sequence[Request]) -> Asked:
        """The same requests of circuits that measure what the symmetries need.

        Raises:
            BackendError: no symmetry holds for any of them.
        """
        if requests and not any(self._sieve(templates[r.template]).checks(r.angles) for r in requests):
            raise BackendError(
                f"backend: {self.name}: none of its circuits ({len(requests)}) conserves {self._all} in a "
                "basis that shows it, so that no shot could be left out; give symmetries of the circuit, or the "
                "backend itself"
            )
        return self.of_job(templates, requests)

    def of_job(self, templates: Sequence[Template], requests: Sequence[Request]) -> Asked:
        return Asked([self._sieve(template).template for template in templates], requests)

    @property
    def by_job(self) -> bool:
        """As the inner backend: every circuit stands for itself."""
        return isinstance(self.inner, ResumableBackend) and self.inner.by_job

    def describe(self, templates: Sequence[Template]) -> list[Footprint] | None:
        return self.inner.describe([self._sieve(template).template for template in templates])

    def collect(self, handle: AroundHandle) -> list[Outcome]:
        if not isinstance(self.inner, ReadoutCorrected):
            return super().collect(handle)
        templates = handle.asked.templates
        sectors = [self._sieve(templates[r.template]).sector(r.angles) for r in handle.asked.requests]
        return self.inner.selected(handle.inner, templates, sectors)

    def read(self, handle: AroundHandle, outcomes: list[Counts]) -> list[Outcome]:
        asked, found = handle.asked, []
        for r, (request, outcome) in enumerate(zip(asked.requests, outcomes, strict=True)):
            kept = self._sieve(asked.templates[request.template]).kept(outcome, request.angles)
            if not kept.shots:
                raise DeficientResult(
                    f"{self.name}: none of the {outcome.shots} shots of request {r} conserves {self._all}; take more "
                    "shots, or a device with less noise"
                )
            found.append(kept)
        return [*found]

    @property
    def _all(self) -> str:
        numbers = ("all qubits" if each is None else f"qubits {', '.join(map(str, each))}" for each in self.particles)
        return " or ".join([*self.parities, *(f"the number of ones on {each}" for each in numbers)])

    def _sieve(self, template: Template) -> Sieve:
        if template not in self._sieves:
            self._sieves[template] = Sieve.of(template, self.parities, self.particles)
        return self._sieves[template]


def _labels(parities: Any) -> tuple[str, ...]:
    labels = (parities,) if isinstance(parities, str) else tuple(parities)
    for label in labels:
        if not isinstance(label, str) or not label.strip("I") or label.strip(LETTERS):
            raise SettingError(f"parities are Pauli strings such as 'ZZZZ', not the identity; got {shown(label)}")
    return labels


def _sets(particles: Any) -> tuple[tuple[int, ...] | None, ...]:
    if isinstance(particles, str) and particles == "all":
        return (None,)
    try:
        given = tuple(particles)
        sets = (given,) if given and all(isinstance(each, (int, np.integer)) for each in given) else given
        found = tuple(tuple(int(qubit) for qubit in each) for each in sets)
        wrong = any(not each or min(each) < 0 or len(set(each)) < len(each) for each in found)
    except (TypeError, ValueError):
        wrong, found = True, ()
    if wrong or isinstance(particles, str):
        raise SettingError(f'particles are sets of qubits, as [(0, 1), (2, 3)], or "all"; got {shown(particles)}')
    return found
