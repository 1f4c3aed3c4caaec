"""The optimizer that an `optimizer` argument stands for: an object, or its name as on the command line."""

from __future__ import annotations

from typing import Any

from qngd.errors import SettingError, did_you_mean, shown
from qngd.qng import QNG
from qngd.solve.state import Optimizer
from qngd.step import Momentum

_PARTS = ("init", "preview", "step")


def as_optimizer(given: Any) -> Optimizer:
    """The optimizer itself, or the one with this name and its defaults; None is `QNG()`.

    Raises:
        SettingError: it is neither.

    >>> as_optimizer("adam")
    Adam(learning_rate=0.05, beta1=0.9, beta2=0.999, epsilon=1e-08)
    """
    if given is None:
        return QNG()
    if isinstance(given, str):
        return _named(given)
    if isinstance(given, type) or not all(callable(getattr(given, part, None)) for part in _PARTS):
        raise SettingError(
            f'optimizer must be a qngd.QNG, one of qngd.baselines or a name such as "adam"; got {shown(given)}'
        )
    chosen: Optimizer = given
    return chosen


def _named(name: str) -> Optimizer:
    from qngd.baselines import (
        CMAES,
        METHODS,
        SPSA,
        Adam,
        ExcitationSolve,
        Rotosolve,
        SciPy,
    )  # with all of scipy.optimize, for those who ask

    known: dict[str, Any] = {
        "qng": QNG,
        "adam": Adam,
        "spsa": SPSA,
        "momentum-qng": _momentum_qng,
        "rotosolve": Rotosolve,
        "excitation-solve": ExcitationSolve,
        "cma-es": CMAES,
    }
    methods = {method.lower(): method for method in METHODS}
    if name.lower() in known:
        chosen: Optimizer = known[name.lower()]()
        return chosen
    if name.lower() in methods:
        return SciPy(methods[name.lower()])
    names = (*known, *methods)
    if name.lower() in ("gd", "gradient-descent"):
        raise SettingError(
            "optimizer: gradient descent needs a rate; write optimizer=qngd.baselines.GradientDescent(0.1)"
        )
    raise SettingError(f"optimizer: {name!r} is none of {', '.join(names)}.{did_you_mean(name, names)}")


def _momentum_qng() -> QNG:
    """Momentum-QNG (arXiv:2409.01978)."""
    return QNG(step=Momentum(0.1))


def kind_of(optimizer: Optimizer) -> str:
    """The kind of optimizer that can go on from each other's states, as text."""
    parts = [type(optimizer).__name__]
    if isinstance(optimizer, QNG):
        parts.append(type(optimizer.step_rule).__name__)
        parts += ["matrix-free"] * (optimizer.approx == "matrix-free")
    return " ".join([*parts, *filter(None, [getattr(optimizer, "method", "")])])
