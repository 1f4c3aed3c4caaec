"""Statevectors: energies, gradients and metrics of a `Circuit` without any error.

Angles come in, numbers go out; `kernels` holds the compiled loops. Imports `circuit` and `_system`, and knows
nothing of `measured`.
"""
