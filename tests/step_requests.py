"""Templates and requests to run: those of a step, and one alone."""

from dataclasses import replace

import numpy as np

from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.measured.cutting import observable_template
from qngd.measured.plan import Request
from qngd.measured.planner import Planner
from qngd.metrics import BlockDiagonal
from tests.strategies import Sketch, random_observable, random_program

PROGRAM = random_program(1, 4, 18, 4)
CIRCUIT = PROGRAM.circuit()
THETA = PROGRAM.theta
OBSERVABLE = Observable.from_mapping(random_observable(1, 4, 8))


def requests_of(circuit=CIRCUIT, theta=THETA, observable=OBSERVABLE, shots=100, **what):
    """Templates and requests of a step."""
    plan = Planner(circuit, observable).plan(theta, **({"metric": BlockDiagonal()} | what))
    return plan.templates, [replace(request, shots=shots) for request in plan.requests]


def one_request(num_qubits=2, shots=100, label=None):
    """A circuit with one rotation, measured on all qubits."""
    circuit = Sketch(num_qubits, 1)
    circuit = circuit("ry", 0, circuit.t[0]).circuit()
    reads = PauliStrings.from_labels([label or "Z" * num_qubits])
    template = observable_template(circuit, reads)
    return [template], [Request(0, np.array([0.4]), shots)]
