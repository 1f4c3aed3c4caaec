"""The command line.

Imports `run` and `report`.
"""
