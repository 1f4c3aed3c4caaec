"""A circuit that conserves particles, one on each pair of sites, and what is asked of it."""

import qngd

# two electrons, one of each spin: hops, a double excitation's worth of strings, and a Z rotation between them
ENERGY = {"ZZII": 0.4, "IZIZ": -0.3, "IIIZ": 0.7, "XXII": 0.25, "YYII": 0.25, "IIXX": 0.2, "IIYY": 0.2, "ZIIZ": 0.1}
START = [0.5, -0.8, 0.6]
SPINS = [(0, 1), (2, 3)]


def circuit():
    """Two particles, which hop by other angles."""
    made = qngd.CircuitBuilder(4)
    a, b, c = made.parameters("a", "b", "c")
    made.x(0).x(2)
    made.rxx(a, 0, 1).ryy(a, 0, 1).rz(c, 0)
    made.rxx(b, 2, 3).rzz(c, 1, 3).ryy(b, 2, 3)
    return made.rxx(c, 0, 1).ryy(c, 0, 1)
