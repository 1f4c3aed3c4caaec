"""A circuit of three qubits and three parameters, one scaled and one in two gates, with an observable and a start."""

import qngd

ENERGY = {"ZZI": 1.0, "XIY": 0.5, "IYX": -0.25, "ZIZ": 0.3}
START = [0.3, -0.7, 0.4]


def circuit():
    made = qngd.CircuitBuilder(3)
    a, b, c = made.parameters("a", "b", "c")
    return made.ry(a, 0).cx(0, 1).rz(2 * b, 1).rx(b, 2).ryy(c, 1, 2)
