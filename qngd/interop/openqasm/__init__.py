"""Reading OpenQASM programs."""

from qngd.interop.openqasm.reader import read_circuit

__all__ = ["read_circuit"]
