"""Compiled loops over statevectors, one file for each way through memory.

Arrays come in and are changed or reduced. Imports `_system`.
"""
