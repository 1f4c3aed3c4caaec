"""A device of our own with noise that is known: bits misread qubit by qubit, and bits flipped before that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.pauli import pack_bits
from qngd.measured.outcomes import Counts
from qngd.measured.plan import Request
from qngd.measured.template import Template


class Misreading:
    """The embedded sampler; qubit q of the user's reads 1 of |0⟩ with probability `rates[0][q]` and 0 of |1⟩ with
    `rates[1][q]`, and with probability `lost` all shots' bit 0 becomes 0, as where an excitation decays."""

    name, is_noisy = "misreading lab", True

    def __init__(self, rates: Any, lost: float = 0.0) -> None:
        self.rates, self.lost = np.array(rates), lost
        self.asked: list[Any] = []

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        self.asked.append((templates, requests))
        self.seed = np.random.SeedSequence(seed)
        return StatevectorSampler().submit(templates, requests, seed), templates, requests

    def collect(self, handle: Any) -> list[Counts]:
        inner, templates, requests = handle
        found = zip(StatevectorSampler().collect(inner), requests, strict=True)
        return [self.misread(outcome, templates[request.template]) for outcome, request in found]

    def misread(self, outcome: Counts, template: Template) -> Counts:
        rng = np.random.default_rng(self.seed.spawn(1)[0])
        bits = np.repeat(outcome.unpacked(template.num_qubits), outcome.counts, axis=0)
        bits[rng.random(len(bits)) < self.lost, 0] = False
        for q in template.measured:
            rate = np.where(bits[:, q], *self.rates[::-1, template.wires[q]])
            bits[:, q] ^= rng.random(len(bits)) < rate
        found, counts = np.unique(pack_bits(bits)[:, 0], return_counts=True)
        return Counts(found[:, None], counts)
