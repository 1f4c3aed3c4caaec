"""Reading PennyLane's circuits and observables."""

from qngd.interop.pennylane.reader import read_circuit, read_observable

__all__ = ["read_circuit", "read_observable"]
