"""Numbers with their errors, and what an evaluator answers.

Plain data: estimates, metric tensors, costs, evaluations. Imports `errors` alone.
"""
