"""Who answers what an optimizer asks: the exact engine, or a backend by way of plan and assemble.

Imports `exact`, `measured` and `backends`; `sampled` chooses among them.
"""
