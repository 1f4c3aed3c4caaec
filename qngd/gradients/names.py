"""The ways to take gradients by name. Loads none of them, so that the command line can show its help at once."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from qngd.errors import SettingError, check_word, shown

if TYPE_CHECKING:
    from qngd.gradients.base import GradientMethod

GradientName = Literal["shift", "sampled", "spsa", "auto"]

# by name: the module in this folder, the class, and a few words for people
HOMES: dict[GradientName, tuple[str, str, str]] = {
    "shift": ("shift", "ParameterShift", "all circuits of the shift rules"),
    "sampled": ("sampled", "SampledShift", "a random part of them"),
    "spsa": ("perturbation", "SimultaneousPerturbation", "differences along random directions"),
    "auto": ("economical", "EconomicalShift", "of every parameter what takes the fewest shots"),
}
GRADIENTS = tuple(HOMES)


def as_gradient(given: Any, name: str = "gradient") -> GradientMethod:
    """The way itself, or the one with this name; `name` is what the argument is called.

    Raises:
        SettingError: it is neither.

    >>> as_gradient("shift")
    ParameterShift(rule='auto')
    """
    if isinstance(given, str):
        check_word(given, GRADIENTS, name)
        return _named(given)
    from qngd.gradients.base import GradientMethod

    if not isinstance(given, GradientMethod):
        raise SettingError(f"{name}: {shown(given)} is none of {', '.join(GRADIENTS)}, and no object of qngd.gradients")
    return given


@lru_cache
def _named(name: GradientName) -> GradientMethod:
    module, class_name, _ = HOMES[name]
    made: GradientMethod = getattr(importlib.import_module(f"qngd.gradients.{module}"), class_name)()
    return made
