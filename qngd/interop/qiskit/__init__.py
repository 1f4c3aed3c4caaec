"""Reading Qiskit's circuits and observables."""

from qngd.interop.qiskit.reader import read_circuit, read_observable

__all__ = ["read_circuit", "read_observable"]
