"""Reading Qiskit's circuits and observables.

A `QuantumCircuit` comes in and gate by gate goes into `circuit.builder`. Imports `circuit`, what stands beside it in
`interop`, and Qiskit.
"""

from qngd.interop.qiskit.reader import read_circuit, read_observable

__all__ = ["read_circuit", "read_observable"]
