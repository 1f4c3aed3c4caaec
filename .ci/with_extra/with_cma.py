"""Extra cma: CMA-ES by its name."""

import qngd

circuit = qngd.CircuitBuilder(1)
circuit.ry(circuit.parameter("a"), 0).rx(circuit.parameter("b"), 0)
print(qngd.minimize(circuit, {"Z": 1.0}, [0.3, 0.4], optimizer="cma-es", seed=1, max_steps=20))
