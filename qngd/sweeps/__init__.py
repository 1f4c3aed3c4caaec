"""Many runs: a grid of settings, each with some seeds, on many workers.

A problem and a grid come in, rows of plain data go out. Imports `run`. Dask is imported when a cluster is asked for.
"""
