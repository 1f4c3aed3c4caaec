"""Readout errors undone on Qiskit's devices, where routing moves qubits."""

import numpy as np
import pytest
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError

import qngd
from qngd.backends import ReadoutCorrected, resolve

RATES = [(0.02, 0.09), (0.11, 0.01), (0.05, 0.15), (0.01, 0.02), (0.2, 0.1)]  # of five qubits in a line
TERMS = {"ZIIZ": 1.0, "IZZI": -0.4, "XXII": 0.5, "IIYY": 0.25, "ZIII": 0.3}
START = [0.3, -0.7, 0.4, 1.1]


def circuit():
    """All four qubits meet all others, which no line allows without swaps."""
    made = qngd.CircuitBuilder(4)
    for k, angle in enumerate(made.parameters("a", "b", "c", "d")):
        made.ry(angle, k)
    for pair in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        made.cz(*pair)
    for k in range(4):
        made.rx(0.3 + 0.2 * k, k)
    return made


def device(line):
    noise = NoiseModel(basis_gates=["cx", "id", "rz", "sx", "x"])
    for qubit, (p, r) in enumerate(RATES):
        noise.add_readout_error(ReadoutError([[1 - p, p], [r, 1 - r]]), [qubit])
    settings = {"noise_model": noise, "max_parallel_experiments": 0}
    if not line:
        return AerSimulator(**settings)
    edges = [[k, k + 1] for k in range(4)] + [[k + 1, k] for k in range(4)]
    made = AerSimulator.from_backend(GenericBackendV2(5, coupling_map=edges, seed=1))
    made.set_options(**settings)
    return made


@pytest.mark.parametrize("line", [True, False])
def test_what_is_corrected_is_the_qubit_that_reads(line):
    native = device(line)
    exact = qngd.expectation(circuit(), TERMS, START).value
    plain = qngd.expectation(circuit(), TERMS, START, backend=native, shots=20_000, seed=1)
    found = qngd.expectation(circuit(), TERMS, START, backend=ReadoutCorrected(native), shots=20_000, seed=1)
    assert abs(plain.value - exact) > 5 * plain.stderr
    assert abs(found.value - exact) < 4 * found.stderr


def test_the_line_does_move_qubits():
    """So that the test above is one of routing."""
    from qngd.circuit.observable import Observable
    from qngd.interop import wrap
    from qngd.measured.planner import Planner

    plan = Planner(wrap(circuit()), Observable.from_mapping(TERMS)).plan(np.array(START), gradient=False)
    backend = resolve(device(True))
    compiled = backend._compiler.compile(plan.templates)
    assert any(made.read_by != made.layout for made in compiled)
    for template, made, places in zip(plan.templates, compiled, backend.read_by(plan.templates), strict=True):
        for each in (each for each in made.circuit.data if each.name == "measure"):
            bit = made.circuit.find_bit(each.clbits[0]).index
            assert made.circuit.find_bit(each.qubits[0]).index == places[template.measured[bit]]
