"""The neutral form of a circuit, and all that follows from it by algebra alone.

Gates come in through `builder`; out goes a `Circuit`: Pauli rotations, an angle map, units and layers. Nothing in it is
of size 2ⁿ. Imports `errors` and `_system`.
"""
