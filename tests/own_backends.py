"""Backends of our own: one without noise that remembers what it was asked, one whose outcomes can be changed."""

import numpy as np

from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.estimates.evaluation import Cost
from qngd.measured.assemble import assemble
from qngd.measured.outcomes import Counts, Means
from qngd.measured.planner import Planner
from tests.dense_templates import states, string_matrices

MANY = 1 << 50  # shots of one circuit, after which counts are exact to 15 digits


def exact_counts(template, angles, shots=MANY):
    """As many counts as expected of every outcome: `shots` in all, up to rounding."""
    return all_counts(template, [angles], shots)[0]


def all_counts(template, angles, shots=MANY):
    """The same for every row of angles (B, R)."""
    every = np.rint(np.abs(states(template.num_qubits, template.all_ops, angles)) ** 2 * shots).astype(np.int64)
    seen = [np.flatnonzero(counts) for counts in every]
    return [Counts(at.astype(np.uint64)[:, None], counts[at]) for at, counts in zip(seen, every, strict=True)]


def all_means(template, angles):
    """What an estimator without shots returns for every row of angles (B, R)."""
    found, matrices = [], string_matrices(template.strings)
    for psi in states(template.num_qubits, template.ops, angles):
        vectors = np.array([matrix @ psi for matrix in matrices])
        products = (vectors.conj() @ vectors.T).real[np.triu_indices(len(vectors), 1)]
        values = np.concatenate([(vectors @ psi.conj()).real, products if template.pairs else []])
        found.append(Means(values, np.zeros(len(values)), 0))
    return found


EXACT = {"counts": all_counts, "means": all_means}


class ExactDevice:
    """A backend that returns exact outcomes, and remembers what it was asked."""

    is_noisy = False

    def __init__(self, kind="counts"):
        self.name = f"exact {kind}"
        self.submissions = []
        self._outcomes = EXACT[kind]

    def submit(self, templates, requests, seed):
        self.submissions.append((templates, requests, seed))
        return templates, requests

    def collect(self, handle):
        templates, requests = handle
        found = {}
        for number in {request.template for request in requests}:
            places = [place for place, request in enumerate(requests) if request.template == number]
            outcomes = self._outcomes(templates[number], [requests[place].angles for place in places])
            found.update(zip(places, outcomes, strict=True))
        return [found[place] for place in range(len(requests))]


def assembled(circuit, theta, terms, kind="counts", grouping="qubit-wise", cross="hadamard", **what):
    observable = None if terms is None else Observable.from_mapping(terms)
    plan = Planner(circuit, observable, grouping, cross).plan(np.asarray(theta, float), **what)
    device = ExactDevice(kind)
    outcomes = device.collect(device.submit(plan.templates, plan.requests, None))
    return assemble(plan, outcomes, theta, Cost())


class Own:
    """The embedded sampler; from its third submission on, `change` makes the outcomes."""

    name, is_noisy = "my lab", False

    def __init__(self, change=None, refuse=None):
        self.submissions = 0
        self.change, self.refuse = change, refuse

    def submit(self, templates, requests, seed):
        self.submissions += 1
        if self.refuse is not None and self.submissions > 2:
            raise self.refuse
        return StatevectorSampler().submit(templates, requests, seed)

    def collect(self, handle):
        outcomes = StatevectorSampler().collect(handle)
        return outcomes if self.change is None or self.submissions <= 2 else self.change(outcomes)
