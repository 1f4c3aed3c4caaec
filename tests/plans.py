"""Plans of steps: of a given circuit, and of a random one."""

import numpy as np

from qngd.circuit.observable import Observable
from qngd.measured.planner import Planner
from qngd.metrics import BlockDiagonal
from tests.strategies import random_observable, random_program


def planner_of(circuit, terms, **settings):
    return Planner(circuit, None if terms is None else Observable.from_mapping(terms), **settings)


def plan_of(circuit, terms, theta=None, grouping="qubit-wise", cross="hadamard", **what):
    theta = np.linspace(0.2, 1.7, circuit.num_parameters) if theta is None else theta
    return planner_of(circuit, terms, grouping=grouping, cross=cross).plan(np.asarray(theta, float), **what)


def some_plan(theta=None, terms=None, **what):
    circuit = random_program(5, 3, 25, 4).circuit()
    terms = random_observable(2, 3) if terms is None else terms
    return plan_of(circuit, terms, theta, **{"metric": BlockDiagonal(), **what})
