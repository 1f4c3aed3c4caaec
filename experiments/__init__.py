"""Measured claims, one module each: its docstring says what is measured, its `judge` what is claimed.

What each found is kept in evidence/ (`experiments.record`), and pages are made from that (`experiments.index`); plots
are drawn from data alone, and a `--smoke` mode shows that a measurement runs. The package belongs to the checkout and
is not installed with `qngd`.
"""
