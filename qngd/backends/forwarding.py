"""A backend that answers for another one."""

from __future__ import annotations

from collections.abc import Sequence

from qngd.backends.base import BackendBase, Footprint
from qngd.backends.limits import Limits
from qngd.circuit.circuit import Circuit
from qngd.measured.template import Template


class Forwarding(BackendBase):
    """A backend whose circuits another one runs, the `inner`: what holds there holds here."""

    inner: BackendBase

    @property
    def noise_digest(self) -> str:
        """The inner backend's own, by which a stored run is recognized."""
        return str(getattr(self.inner, "noise_digest", ""))

    @property
    def set_to(self) -> str:
        """As `noise_digest`."""
        return str(getattr(self.inner, "set_to", ""))

    @property
    def is_noisy(self) -> bool:
        return self.inner.is_noisy

    @property
    def default_shots(self) -> int | None:
        return self.inner.default_shots

    @property
    def gives_counts(self) -> bool | None:
        return self.inner.gives_counts

    @property
    def sent_whole(self) -> bool:
        return self.inner.sent_whole

    @property
    def least_shots(self) -> int:
        return self.inner.least_shots

    @property
    def has_one_number(self) -> bool:
        return self.inner.has_one_number

    @property
    def circuit_start(self) -> float:
        return self.inner.circuit_start

    @property
    def limits(self) -> Limits:
        return self.inner.limits

    @property
    def rep_delay(self) -> float | None:
        return self.inner.rep_delay

    def describe(self, templates: Sequence[Template]) -> list[Footprint] | None:
        return self.inner.describe(templates)

    def runs_whole(self, circuit: Circuit) -> bool:
        return self.inner.runs_whole(circuit)
