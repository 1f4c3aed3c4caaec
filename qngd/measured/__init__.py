"""What a device runs in a step, and what its outcomes mean.

`plan` turns a `Circuit` and θ into requests, plain data that can be counted before any shot is spent; `assemble`
turns outcomes into estimates with errors; `shots` divides shots. Neither touches a backend. Imports `circuit`,
`estimates` and `metrics`, and knows nothing of `exact`.
"""
