"""Tables, data files and plots of a run.

A `Result` or a stored run comes in, files and lines of text go out. Imports `run`.
"""
