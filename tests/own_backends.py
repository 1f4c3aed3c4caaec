"""Backends of our own: one without noise that remembers what it was asked, one whose outcomes can be changed."""

import numpy as np

from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.estimates.evaluation import Cost
from qngd.measured.assemble import assemble
from qngd.measured.outcomes import Counts, Means
from qngd.measured.planner import Planner
from tests.dense_templates import expectations, outcome_probabilities, state, string_matrices

MANY = 1 << 50  # shots of one circuit, after which counts are exact to 15 digits


def exact_counts(template, angles, shots=MANY):
    """As many counts as expected of every outcome: `shots` in all, up to rounding."""
    counts = np.rint(outcome_probabilities(template, angles) * shots).astype(np.int64)
    seen = np.flatnonzero(counts)
    return Counts(seen.astype(np.uint64)[:, None], counts[seen])


def exact_means(template, angles):
    """What an estimator without shots returns."""
    values = expectations(template, angles)
    if template.pairs:
        psi = state(template, angles)
        vectors = np.array([matrix @ psi for matrix in string_matrices(template.strings)])
        products = (vectors.conj() @ vectors.T).real[np.triu_indices(len(vectors), 1)]
        values = np.concatenate([values, products])
    return Means(values, np.zeros(len(values)), 0)


EXACT = {"counts": exact_counts, "means": exact_means}


class ExactDevice:
    """A backend that returns exact outcomes, and remembers what it was asked."""

    is_noisy = False

    def __init__(self, kind="counts"):
        self.name = f"exact {kind}"
        self.submissions = []
        self._outcome = EXACT[kind]

    def submit(self, templates, requests, seed):
        self.submissions.append((templates, requests, seed))
        return templates, requests

    def collect(self, handle):
        templates, requests = handle
        return [self._outcome(templates[r.template], r.angles) for r in requests]


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
