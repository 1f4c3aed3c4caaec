"""One step as plain data: which circuits to run with which angles and shots, and what the counts mean.

Planning and assembling never touch a backend. A plan can be counted, priced, hashed and stored before any
shot is spent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy import sparse

from qngd._system.brief import brief_fields
from qngd.circuit.angles import is_shared
from qngd.measured.gradient import Chance
from qngd.measured.metric import MeasuredMetric
from qngd.measured.template import Template

OF_TAILS = "observable: a CVaR needs the distribution of the energies; take a sampler with a number of shots"


@dataclass(frozen=True, eq=False)
class Request:
    """Run template `template` with `angles` (R,) for `shots` shots (None: exact expectation values)."""

    template: int
    angles: np.ndarray
    shots: int | None

    __repr__ = brief_fields


@dataclass(frozen=True, eq=False)
class Submission:
    """What goes to a backend together: `requests` of `templates`, which have `coefficients` (m,) of their strings where
    they are an observable's, and None where they are of a metric alone."""

    templates: tuple[Template, ...]
    coefficients: tuple[np.ndarray | None, ...]
    requests: tuple[Request, ...]

    __repr__ = brief_fields

    @property
    def num_circuits(self) -> int:
        return len(self.requests)

    @property
    def of_single_shots(self) -> str:
        """What of it is made of single shots, and what to take where there are none but expectation values; nothing
        where these do."""
        return ""

    @cached_property
    def of_metric(self) -> np.ndarray:
        """Which requests (mask over R) are of the metric alone."""
        return np.array([self.coefficients[request.template] is None for request in self.requests], dtype=bool)

    @property
    def num_shots(self) -> int:
        return sum(request.shots or 0 for request in self.requests)

    def with_shots(self, shots: np.ndarray | None) -> Self:
        """The same with these shots (R,) per request, or exact values for None."""
        counts = [None] * self.num_circuits if shots is None else [int(s) for s in shots]
        requests = zip(self.requests, counts, strict=True)
        # thousands in a step: `replace` takes three times as long
        return replace(self, requests=tuple(Request(r.template, r.angles, s) for r, s in requests))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that will be run."""
        digest = hashlib.sha256()
        for template in self.templates:
            ops, z = template.all_ops, template.basis.z
            for array in (ops.kind, ops.start, ops.qubits, ops.letters, ops.turns, z):
                digest.update(np.ascontiguousarray(array).tobytes())
            digest.update(repr((template.wires, template.whole)).encode())
        for request in self.requests:
            digest.update(repr((request.template, request.shots)).encode())
            digest.update(np.ascontiguousarray(request.angles).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Starts:
    """What it costs to start a circuit besides its shots, in shots.

    Attributes:
        paid: as prices or times say it; 0 where they say nothing, infinite where shots cost nothing.
        divided: where one number of shots is to hold for all circuits, so that one with more runs several times; None
            where every circuit has a number of its own.
        free: shots of a circuit, on average, that are paid for anyway, by the least price of a job or because none
            costs anything, as far as its jobs have room for them.
    """

    paid: float = 0.0
    divided: float | None = None
    free: float = 0.0


@dataclass(frozen=True)
class Overlaps:
    """Where a plan has the overlaps with other states: the number of their template, and their requests (D,) at θ."""

    template: int
    requests: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Plan(Submission):
    """The requests of one step, and how energy, gradient and metric follow from what comes back.

    A request of an observable's template has an energy e_r = Σ_t coefficients[t]·⟨string t⟩, and the energies
    of different requests are independent. All results but the metric are linear in them:

        E = constant + energy_weights·e,   ∇E = mixing·slopes·e.

    The energy of a request of an overlap's template is how often all its bits are 0.

    With a `share` below 1, E is the mean of the lowest share of the energies of single shots: see `tail`.

    Attributes:
        templates: the circuits.
        coefficients: per template the (m,) coefficients of its strings, or None for a layer of the metric.
        requests: what to run, R in number, without duplicates.
        constant: the observable's identity coefficient.
        energy_weights: (R,).
        slopes: (D, R), derivatives along directions in the space of angles.
        mixing: (P, D); None if no gradient is asked for, and the metric does not need it either.
        jacobian: (K, P), rotations to parameters.
        metric: which, or None.
        terms: how the metric follows from the outcomes, in its own words (see `MeasuredMetric.asked`).
        is_noisy: whether it is for a device with noise, on which nothing is certain.
        share: of a CVaR its α; all energies come from one template then. None for the mean.
        chance: how chance chose the gradient's circuits, or None where it did not.
        bases: how many templates of the observable, the first ones, are random bases, each an estimate of its own; None
            where they were not drawn.
        overlaps: the template of the overlaps with other states, and the requests (D,) of these at θ; None where there
            are none.
        least_shots: of every circuit where a rule chooses them, by the backend that it goes to.
        starts: what the start of a circuit costs there.
    """

    constant: float
    energy_weights: np.ndarray
    slopes: sparse.csr_array
    mixing: sparse.csr_array | None
    jacobian: sparse.csr_array
    metric: MeasuredMetric | None
    terms: Any = None
    is_noisy: bool = False
    share: float | None = None
    chance: Chance | None = None
    bases: int | None = None
    overlaps: Overlaps | None = None
    least_shots: int = 1
    starts: Starts = field(default_factory=Starts)

    __repr__ = brief_fields

    def is_overlap(self, request: int | np.integer) -> bool:
        """Whether a request is of an overlap."""
        return self.overlaps is not None and self.requests[request].template == self.overlaps.template

    @property
    def of_single_shots(self) -> str:
        if self.share is not None:
            return OF_TAILS
        if self.overlaps is not None:
            return (
                "an overlap of two states needs counts; take a sampler with shots, or the embedded simulator "
                "(backend=None)"
            )
        return "" if self.metric is None else self.metric.of_single_shots(self)

    @property
    def without_overlaps(self) -> Plan:
        """The same requests, whose energy is that of the observable alone."""
        if self.overlaps is None:
            return self
        weights = self.energy_weights.copy()
        weights[list(self.overlaps.requests)] = 0.0
        return replace(self, energy_weights=weights)

    @cached_property
    def bit_template(self) -> int | None:
        """The one template of the energy, if its measured bits are those of the circuit's qubits: of a diagonal
        observable. None otherwise."""
        (places,) = np.nonzero(self.energy_weights)
        used = {self.requests[r].template for r in places if not self.is_overlap(r)}
        if len(used) != 1:
            return None
        (number,) = used
        template = self.templates[number]
        return number if not template.strings.x.any() and not len(template.basis.ops) else None

    @property
    def num_parameters(self) -> int:
        return self.jacobian.shape[1]

    @property
    def has_gradient(self) -> bool:
        return self.mixing is not None

    @property
    def averages_gradients(self) -> bool:
        """Whether the default step goes along a mean of several gradients."""
        return is_shared(self.jacobian)

    @property
    def is_curved(self) -> bool:
        """Whether what is estimated is no linear function of the energies, so that few shots leave a bias in it."""
        return self.share is not None

    @cached_property
    def linear(self) -> sparse.csr_array:
        """(P, R), of requests with a gradient: takes the energies of the requests to it."""
        assert self.mixing is not None
        return (self.mixing @ self.slopes).tocsr()

    def shots_for_metric(self, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        """The shots (R,) that keep every entry of the metric within a standard error: see `MeasuredMetric`."""
        return needed if self.metric is None else self.metric.shots_for(self, seen, error, needed)

    def reading(self, request: int) -> Template:
        """The template of a request, as its outcomes are read: at its angles, or on a noisy device."""
        asked = self.requests[request]
        template = self.templates[asked.template]
        return template.with_noise if self.is_noisy else template.at(asked.angles)
