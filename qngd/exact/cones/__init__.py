"""Exact numbers of many qubits, one light cone at a time.

An expectation value takes only the rotations that matter to it (`qngd.circuit.cones`), and these take |0…0⟩ through a
space that a few qubits have room for (`qngd.exact.kernels.spans`), however many the circuit has.
"""
