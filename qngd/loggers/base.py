"""What the callbacks share: the numbers of a step, and how a callback begins and ends."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Self

from qngd.errors import QngdError, QngdWarning, SettingError, counted, shown
from qngd.solve.state import StepInfo

_OF_STEP = (
    "energy", "stderr", "mean", "decrease", "predicted_decrease", "rate", "length", "radius", "gradient_norm",
    "significance", "natural_norm",
)  # fmt: skip
_OF_SPECTRUM = ("rank", "condition", "smallest", "largest", "damping")


def scalars(info: StepInfo) -> dict[str, float]:
    """The numbers of a step by name; what is not known, or not finite, is left out.

    `energy`, `stderr` and the costs so far, `cost.shots` and so on, are those after the step; `gradient_norm` and what
    begins with `metric.` belong to the point that the step was taken from.
    """
    found: dict[str, Any] = {name: getattr(info, name) for name in _OF_STEP}
    found["accepted"] = float(info.accepted)
    if info.spectrum is not None:
        found |= {f"metric.{name}": getattr(info.spectrum, name) for name in _OF_SPECTRUM}
    found |= {f"cost.{unit}": spent for unit, spent in info.cost.in_units().items()}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


class Callback:
    """A callback that holds something open, such as a file: used with `with`, or closed when nobody has it any more."""

    def __call__(self, info: StepInfo) -> Any:
        """Write a step down.

        Warns:
            QngdWarning: it could not be written, say because a disk is full or a server is gone. The run goes on.
        """
        try:
            self._write(info)
        except QngdError:
            raise
        except Exception as error:  # of the system, or of other people's packages: what was paid for is worth more
            text = f"{self!r} could not write step {info.step}: {type(error).__name__}: {error}; the run goes on"
            warnings.warn(text, QngdWarning, stacklevel=2)

    def _write(self, info: StepInfo) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open; a closed one can be used no more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        self.close()


class Several(Callback):
    """Several callbacks as one, called in their order; the run stops if one of them asks for it.

    Raises:
        SettingError: one is no function.

    >>> Several(print, lambda info: info.energy < -1.0)
    Several(2 callbacks)
    """

    def __init__(self, *callbacks: Callable[[StepInfo], Any]) -> None:
        for each in callbacks:
            if not callable(each):
                raise SettingError(f"callbacks: each must be a function of a step's StepInfo; got {shown(each)}")
        self._callbacks = callbacks

    def __call__(self, info: StepInfo) -> Any:
        answers = [each(info) for each in self._callbacks]  # all of them, whatever the first says
        return any(map(bool, answers))

    def close(self) -> None:
        for each in self._callbacks:
            if isinstance(each, Callback):
                each.close()

    def __repr__(self) -> str:
        return f"Several({counted(len(self._callbacks), 'callback')})"
