"""Measured claims, one module each: its docstring says the claim, the command and the expected number.

Each writes its results as data under results/, draws plots from data alone, and has a `--smoke` mode that shows that
it runs. The package belongs to the checkout and is not installed with `qngd`.
"""
