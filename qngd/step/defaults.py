"""How far to step, and what damping goes with it, where the user has chosen neither.

energies                            step                         damping
exact                               Adaptive                     NoiseBound
means of shots                      AlignedMomentum(momentum=0)  NoiseBound
  with parameters of many gates     AlignedMomentum              NoiseBound(most=0.3)
anything else                       CurvatureRate                NoiseBound
a CVaR                              as above                     Absolute

On an exact backend energies cost no submissions and curvatures have no errors, so that it may be `Adaptive`; its memory
has all that of `CurvatureRate` has. Of a sampled expectation value or loss the curvatures that stand out of the noise
are chosen by it, and the agreement of slopes that `AlignedMomentum` follows is not; where many gates share a parameter,
errors average out along its way, too, so that the damping need not grow as they do. Where a device answers exactly
there are no errors; a CVaR's slope is seldom seen; and `CurvatureRate` has what mini-batches take.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from qngd.circuit.angles import is_shared
from qngd.damping import Absolute, Damping, NoiseBound, at_scale
from qngd.estimates.evaluation import Evaluation
from qngd.evaluators.base import Evaluator
from qngd.step.adaptive import Adaptive
from qngd.step.aligned import AlignedMomentum
from qngd.step.base import StepRule
from qngd.step.curvature import CurvatureRate

# made once, as they are asked for often
_ON_EXACT, OTHERWISE = Adaptive(), CurvatureRate()
_SAMPLED, _SHARED = AlignedMomentum(momentum=0.0), AlignedMomentum()
DAMPING, _OF_SHARED = NoiseBound(), NoiseBound(most=0.3)
# what a few shots below the quantile of a CVaR say of its slope is no more than an error or two, and all there is of a
# better state: nothing of that is damped away
_OF_TAIL = Absolute(DAMPING.floor)


def settled(
    evaluator: Evaluator, here: Evaluation | None, scale: float, given: StepRule | None
) -> tuple[StepRule, Damping]:
    """The rule of a step from `here`, None at the start of a run, for energies of this scale: the one given, or the
    default; and the damping that goes with it."""
    damping = DAMPING if here is None or here.mean is None else _OF_TAIL
    if given is not None:
        return given.at_scale(scale), _damping_at(damping, scale)
    if evaluator.is_exact:
        rule: StepRule = _ON_EXACT
    elif here is None or not _is_sampled_mean(here):
        rule = OTHERWISE
    elif is_shared(evaluator.circuit.angle_map.pattern):
        rule, damping = _SHARED, _OF_SHARED
    else:
        rule = _SAMPLED
    return _rule_at(rule, scale), _damping_at(damping, scale)


# every step of a run asks for the same
_damping_at = lru_cache(at_scale)


@lru_cache
def _rule_at(rule: StepRule, scale: float) -> StepRule:
    return rule.at_scale(scale)


def _is_sampled_mean(here: Evaluation) -> bool:
    """Whether a gradient has errors, and is that of one mean over all shots and samples."""
    return here.gradient is not None and bool(np.any(here.gradient.stderr)) and here.mean is None and here.batch is None
