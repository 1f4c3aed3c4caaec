"""Who answers what an optimizer asks: the exact engine, or a backend by way of plan and assemble.

`base` says what they are asked, `choice` chooses among them. Imports `exact`, `measured`, `metrics` and `backends`.
"""
