"""Metrics besides those of the layers: QN-SPSA, the Hamiltonian-aware one, and the one from random bases.

Imports `circuit` and `estimates`.
"""
