"""A backend that hands on what it is asked to another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qngd.backends.base import BackendBase, Footprint
from qngd.circuit.circuit import Circuit
from qngd.measured.template import Template


def of_inner(name: str) -> Any:
    """A property that is the inner backend's."""
    return property(lambda self: getattr(self.inner, name))


class Forwarding(BackendBase):
    """A backend whose circuits another one runs, the `inner`: what holds there holds here."""

    inner: BackendBase

    is_noisy = of_inner("is_noisy")
    noise_digest = of_inner("noise_digest")
    set_to = of_inner("set_to")
    default_shots = of_inner("default_shots")
    gives_counts = of_inner("gives_counts")
    sent_whole = of_inner("sent_whole")
    shares_errors = of_inner("shares_errors")
    least_shots = of_inner("least_shots")
    has_one_number = of_inner("has_one_number")
    circuit_start = of_inner("circuit_start")
    limits = of_inner("limits")
    rep_delay = of_inner("rep_delay")

    def describe(self, templates: Sequence[Template]) -> list[Footprint] | None:
        return self.inner.describe(templates)

    def runs_whole(self, circuit: Circuit) -> bool:
        return self.inner.runs_whole(circuit)
