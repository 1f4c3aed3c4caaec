"""One circuit of three qubits, its observable and its θ."""

import numpy as np

import qngd
from tests.strategies import Sketch

THETA = np.array([0.3, -0.7, 1.1, 0.4])
TERMS = {"XXI": 0.7, "ZIZ": -0.4, "IZZ": 0.3, "YIX": 0.2, "IIZ": 0.5, "III": 2.0, "ZZI": 0.6}


def ansatz() -> qngd.Circuit:
    """With a T gate and a parameter that two layers share."""
    sketch = Sketch(3, 4)
    sketch("ry", 0, sketch.t[0])("rx", 1, sketch.t[1])("cx", 0, 1)("t", 1)("ry", 2, sketch.t[0])("cx", 1, 2)
    sketch("rz", 2, sketch.t[2])("ry", 1, sketch.t[3])
    return sketch.circuit()
