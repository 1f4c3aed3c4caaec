"""Extra qiskit: a circuit and an observable of Qiskit's, OpenQASM 3, Aer and a fake device."""

from qiskit.circuit.library import n_local
from qiskit.quantum_info import SparsePauliOp

import qngd

ansatz = n_local(2, "ry", "cz", reps=1)
hamiltonian = SparsePauliOp.from_list([("ZZ", 1.0), ("XI", 0.5), ("IX", -0.2)])
exact = qngd.minimize(ansatz, hamiltonian, [0.1, 0.2, 0.3, 0.4])
print(exact)
for backend in ("aer", "fake_manila"):
    print(qngd.expectation(ansatz, hamiltonian, exact.theta, backend=backend, shots=2000, seed=1))
program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit[1] q; ry(a) q[0];'
assert abs(qngd.minimize(program, {"Z": 1.0}, [0.4]).energy + 1) < 1e-6
