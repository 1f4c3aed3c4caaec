"""Numbers with their errors, and what an evaluator answers.

Plain data: estimates, metric tensors, costs; and the protocol that all evaluators keep. Imports `circuit`.
"""
