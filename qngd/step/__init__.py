"""Step rules: how far to go along a natural direction, and whether to accept where it led.

A direction and evaluations come in, a proposal goes out. Imports `estimates` and `solve`.

FixedRate            δ = −η·d
DecayingRate         η falls with the number of steps
Momentum             a heavy ball
CurvatureRate        the rate follows the curvature met; the default
TrustRegion          the length in state space is bounded by an adapted radius
LevenbergMarquardt   the damping λ·diag(g) is adapted
Armijo               backtracking
ConjugateDirections  the plane of the direction and the last step
"""

from qngd.step.base import Memory, Proposal, StepRule, Trial
from qngd.step.curvature import CurvatureRate
from qngd.step.rates import DecayingRate, FixedRate, Momentum
from qngd.step.search import Armijo, ConjugateDirections
from qngd.step.trust import LevenbergMarquardt, TrustRegion

__all__ = [
    "Armijo",
    "ConjugateDirections",
    "CurvatureRate",
    "DecayingRate",
    "FixedRate",
    "LevenbergMarquardt",
    "Memory",
    "Momentum",
    "Proposal",
    "StepRule",
    "Trial",
    "TrustRegion",
]
