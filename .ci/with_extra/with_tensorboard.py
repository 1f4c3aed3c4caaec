"""Extra tensorboard: steps as scalars, in a folder that TensorBoard reads."""

from pathlib import Path

import qngd

circuit = qngd.CircuitBuilder(1)
circuit.ry(circuit.parameter("a"), 0)
with qngd.loggers.TensorBoard("scalars") as board:
    qngd.minimize(circuit, {"Z": 1.0}, [0.3], max_steps=3, callback=board)
assert list(Path("scalars").rglob("events.out.tfevents.*"))
