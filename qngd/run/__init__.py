"""Whole runs: the loop, its records on disk, its price, and what comes out.

Imports evaluators and optimizers.
"""
