"""The page about adding a gate does what it says: a row of the table is a gate, in the builder and in the readers."""

import numpy as np
import pytest
import qiskit.circuit.library as lib
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, Statevector

import qngd
from qngd.circuit import gates
from qngd.circuit.ops import Op
from qngd.interop import circuit_builder
from tests import dense
from tests.pages import blocks


@pytest.fixture
def new_gate(monkeypatch):
    """The table with the page's row, and the builder with its method, as they are after an import."""
    row, usage = blocks("howto/add-a-gate.md")
    added = eval("{" + row + "}", vars(gates))
    monkeypatch.setattr(qngd.CircuitBuilder, "__doc__", qngd.CircuitBuilder.__doc__)
    for name, gate in added.items():
        monkeypatch.setitem(gates.STANDARD_GATES, name, gate)
        monkeypatch.setattr(qngd.CircuitBuilder, name, None, raising=False)
    circuit_builder.offer_gates()
    return usage


def test_a_row_of_the_table_is_a_gate(new_gate):
    here = {"qngd": qngd}
    exec(new_gate, here)
    assert here["circuit"].csx.__doc__ == "Append csx(control, target)."
    assert "csx" in qngd.CircuitBuilder.__doc__
    native = QuantumCircuit(3)
    native.ry(0.4, 0)
    native.h(2)
    native.csx(2, 0)
    native.rx(0.4 * -1.3, 1)
    native.cx(0, 1)
    assert dense.same_state(qngd.statevector(here["circuit"], [0.4, -1.3]), Statevector(native).data)
    assert dense.same_state(qngd.statevector(native, []), Statevector(native).data)
    for program in (
        'OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; ry(0.4) q[0]; h q[2]; csx q[2], q[0]; rx(-0.52) q[1]; '
        "cx q[0], q[1];",
        "OPENQASM 3.0; qubit[3] q; ry(0.4) q[0]; h q[2]; cv q[2], q[0]; rx(-0.52) q[1]; cnot q[0], q[1];",
    ):
        wrapped = qngd.wrap(program)
        assert list(wrapped.ops.kind).count(Op.H) == 1  # that of the program
        assert dense.same_state(qngd.statevector(wrapped, []), Statevector(native).data)
    terms = {"ZIX": 1.0, "IYZ": 0.5, "YIY": -0.7}
    sampled = qngd.gradient(here["circuit"], terms, [0.4, -1.3], backend="aer", shots=3000, seed=1)
    exact = qngd.gradient(here["circuit"], terms, [0.4, -1.3]).value
    assert np.all(abs(sampled.value - exact) <= 4.5 * np.asarray(sampled.stderr))
    assert np.all(abs(exact) > 0.1)
    with pytest.raises(qngd.CircuitError, match=r"it is written csx\(control, target\)"):
        here["circuit"].csx(0)


def test_a_row_of_the_table_is_used_by_the_reader_of_qiskit(new_gate):
    """One gate of three commuting rotations, on any qubits in any order."""
    for qubits in ((0, 1), (1, 0), (2, 0)):
        native = QuantumCircuit(3)
        native.append(lib.CSXGate(), qubits)
        wrapped = qngd.wrap(native)
        assert set(wrapped.ops.kind) == {Op.ROTATION}  # Qiskit decomposes it with H
        assert len(wrapped.rotations) == 3
        for start in range(8):  # columns of the matrix, by states prepared before
            prepared = QuantumCircuit(3)
            for q in range(3):
                prepared.ry(0.3 + start + q, q)
            prepared.append(lib.CSXGate(), qubits)
            state = Operator(prepared).data[:, 0]
            assert dense.same_state(qngd.statevector(prepared, []), state)
