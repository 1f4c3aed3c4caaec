"""Tables, data files and plots of a run.

Imports `run`.
"""
