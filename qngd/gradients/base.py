"""What makes a way to take gradients: a frozen dataclass with a `name`, `exact` and `asked`; `gradient=` takes its
objects."""

from __future__ import annotations

from abc import abstractmethod

from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate
from qngd.exact.point import Point
from qngd.gradients.names import GradientName, as_gradient
from qngd.measured.gradient import MeasuredGradient


class GradientMethod(MeasuredGradient):
    """A way to take gradients: of exact engines, and measured (`MeasuredGradient` says what that takes).

    They are frozen dataclasses, so that a stored run knows its own again.
    """

    @abstractmethod
    def exact(self, point: Point) -> Estimate:
        """∇E (P,) from an engine's exact energies, with the error that chance makes."""


GradientLike = GradientName | GradientMethod
Asked = bool | GradientMethod  # whether a gradient is asked for, and how: True is as the evaluator does by default


def as_asked(gradient: GradientLike) -> Asked:
    """How evaluators are asked for the gradient that a user has chosen: "shift" is their default, which those of
    anybody know."""
    return gradient == "shift" or as_gradient(gradient)


def is_random(asked: Asked) -> bool:
    """Whether chance decides which circuits are run for it."""
    return isinstance(asked, GradientMethod) and asked.is_random


def require_shifts(asked: Asked, where: str) -> bool:
    """Whether a gradient is asked for; raises SettingError unless it is one by shift rules, which `where` takes
    alone."""
    if isinstance(asked, GradientMethod) and asked.is_random:
        raise SettingError(f'gradient="{asked.name}" does not go with {where}; take gradient="shift"')
    return bool(asked)
