"""Where runs start: `ramp` for QAOA, `interpolated` from a circuit to a deeper one, `near_zero`, `uniform`.

Each gives θ in the user's own structure, to be handed to `minimize` as theta0.
"""

from qngd.start.interpolate import interpolated
from qngd.start.ramps import ramp
from qngd.start.random_values import near_zero, uniform

__all__ = ["interpolated", "near_zero", "ramp", "uniform"]
