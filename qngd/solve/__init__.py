"""The damped solve of a step, and the state that steps go from.

A gradient and a metric come in, a direction goes out, with what it saw of the metric. Imports `damping`.
"""
