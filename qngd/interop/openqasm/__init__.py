"""Reading OpenQASM programs.

Text or a file comes in, a `Circuit` goes out. Imports `circuit`, what stands beside it in `interop`, and the parser.
"""

from qngd.interop.openqasm.reader import read_circuit

__all__ = ["read_circuit"]
