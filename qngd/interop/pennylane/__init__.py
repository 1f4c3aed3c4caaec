"""Reading PennyLane's circuits and observables.

A QNode, quantum function or script comes in, is recorded, and goes operation by operation into `circuit.builder`.
Imports `circuit`, what stands beside it in `interop`, and PennyLane.
"""

from qngd.interop.pennylane.reader import read_circuit, read_observable

__all__ = ["read_circuit", "read_observable"]
