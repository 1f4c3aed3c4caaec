"""The optimizer that an `optimizer` argument stands for: an object, or its name as on the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

from qngd.errors import SettingError, did_you_mean, shown
from qngd.qng import QNG
from qngd.run.names import SETTINGS, OptimizerName
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
        return named(given)
    if isinstance(given, type) or not all(callable(getattr(given, part, None)) for part in _PARTS):
        raise SettingError(
            f'optimizer must be a qngd.QNG, one of qngd.baselines or a name such as "adam"; got {shown(given)}'
        )
    chosen: Optimizer = given
    return chosen


def named(name: str, **settings: Any) -> Optimizer:
    """The optimizer with this name, with these of its settings and its defaults for the others.

    Raises:
        SettingError: no optimizer has the name, or a setting is not its own or out of range.

    >>> named("adam", learning_rate=0.1).beta1
    0.9
    """
    known = get_args(OptimizerName)
    word = name.lower()
    if word not in known:
        raise SettingError(f"optimizer: {name!r} is none of {', '.join(known)}.{did_you_mean(name, known)}")
    for setting in settings:
        if setting not in SETTINGS.get(word, ()):
            raise SettingError(f"{setting} does not go with optimizer={name!r}")
    if word == "gd" and not settings:
        raise SettingError(
            "optimizer: gradient descent needs a rate; write optimizer=qngd.baselines.GradientDescent(0.1)"
        )
    chosen: Optimizer = maker(word)(**settings)
    return chosen


def maker(word: str) -> Callable[..., Any]:
    """What makes the optimizer with this name in lower case, of keyword arguments that are its settings."""
    if word == "qng":
        return QNG
    if word == "qn-spsa":
        return QNG.qn_spsa
    if word == "momentum-qng":
        return _momentum
    from qngd import baselines  # with all of scipy.optimize

    methods = {method.lower(): method for method in baselines.METHODS}
    if word in methods:
        return partial(baselines.SciPy, methods[word])
    kinds: dict[str, Callable[..., Any]] = {
        "gd": baselines.GradientDescent,
        "adam": baselines.Adam,
        "spsa": baselines.SPSA,
        "rotosolve": baselines.Rotosolve,
        "excitation-solve": baselines.ExcitationSolve,
        "cma-es": baselines.CMAES,
    }
    return kinds[word]


def _momentum(learning_rate: float | None = None, momentum: float = 0.5) -> QNG:
    """Momentum-QNG (arXiv:2409.01978)."""
    return QNG(step=Momentum(learning_rate, momentum))


def kind_of(optimizer: Optimizer) -> str:
    """The kind of optimizer that can go on from each other's states, as text."""
    parts = [type(optimizer).__name__]
    if isinstance(optimizer, QNG):
        parts.append(type(optimizer.step_rule).__name__)
        parts += ["matrix-free"] * optimizer.is_matrix_free
    return " ".join([*parts, *filter(None, [getattr(optimizer, "method", "")])])
