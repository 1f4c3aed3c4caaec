"""Losses of expectation values, over data: an `Objective` stands where a circuit and an observable go.

`model` resolves what the user gave into circuits bound to samples; `exact` and `sampled` are its evaluators.
"""
