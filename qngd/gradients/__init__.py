"""Ways to take gradients, each an object in a file of its own: what it is of an exact engine, and what it asks of a
device. `docs/gradients.md` says which to choose.

ParameterShift            all circuits of the shift rules
SampledShift              a random part of them, weighted
SimultaneousPerturbation  differences along random directions, whatever P is
EconomicalShift           of every parameter what takes the fewest shots

Imports `exact` and `measured`, as `metrics` does. They are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qngd._system.members import lazily
from qngd.gradients.names import HOMES, as_gradient

if TYPE_CHECKING:
    from qngd.gradients.base import GradientMethod
    from qngd.gradients.economical import EconomicalShift
    from qngd.gradients.perturbation import SimultaneousPerturbation
    from qngd.gradients.sampled import SampledShift
    from qngd.gradients.shift import ParameterShift

__all__ = [
    "EconomicalShift",
    "GradientMethod",
    "ParameterShift",
    "SampledShift",
    "SimultaneousPerturbation",
    "as_gradient",
]

_MODULE_OF = {"GradientMethod": "base", **{class_name: module for module, class_name, _ in HOMES.values()}}

if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for one that is there
    __getattr__ = lazily(__name__, _MODULE_OF)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
