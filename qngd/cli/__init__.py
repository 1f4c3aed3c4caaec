"""The command line.

Words and a problem file come in, text goes out. Imports `run` and `report`.
"""
