"""Step rules: how far to go along a natural direction, and whether to accept where it led.

A direction and evaluations come in, a proposal goes out. Imports `estimates` and `solve`.

FixedRate            δ = −η·d
DecayingRate         η falls with the number of steps
Momentum             a heavy ball
Blocking             a fixed rate; steps after which the energy is higher are taken back
CurvatureRate        the rate follows the curvature met
QuasiNewton          curvature pairs (L-BFGS) on top of the metric
Adaptive             QuasiNewton, and ConjugateDirections where it stagnates; the default on exact backends
TrustRegion          the length in state space is bounded by an adapted radius
AlignedMomentum      the rate follows how steps and slopes agree, along a mean of gradients; the default with shots
Armijo               backtracking
ConjugateDirections  the plane of the direction and the last step
"""

from qngd.step.adaptive import Adaptive
from qngd.step.aligned import AlignedMomentum
from qngd.step.base import Memory, Proposal, StepRule, Trial
from qngd.step.blocking import Blocking
from qngd.step.curvature import CurvatureRate
from qngd.step.quasi_newton import QuasiNewton
from qngd.step.rates import DecayingRate, FixedRate, Momentum
from qngd.step.search import Armijo, ConjugateDirections
from qngd.step.trust import TrustRegion

__all__ = [
    "Adaptive",
    "AlignedMomentum",
    "Armijo",
    "Blocking",
    "ConjugateDirections",
    "CurvatureRate",
    "DecayingRate",
    "FixedRate",
    "Memory",
    "Momentum",
    "Proposal",
    "QuasiNewton",
    "StepRule",
    "Trial",
    "TrustRegion",
]
