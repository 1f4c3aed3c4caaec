"""Whole runs: the loop, its records on disk, its price, and what comes out.

A problem and an optimizer come in, a `Result` goes out, and rows and states into a folder. Imports evaluators and
optimizers.
"""
