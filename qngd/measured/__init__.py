"""What a device runs in a step, and what its outcomes mean.

`planner` turns a `Circuit` and θ into a plan of requests, plain data that can be counted before any shot is spent;
`assemble` turns outcomes into estimates with errors; `shots` divides shots. None touches a backend, and a metric is to
them what `metric` says. Imports `circuit` and `estimates`, and knows nothing of `exact`.
"""
