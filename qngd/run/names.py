"""The optimizers that have a name, in Python as on the command line, and the settings that are given beside it. It
imports none of them."""

from __future__ import annotations

from typing import Literal

OptimizerName = Literal[
    "qng", "adam", "spsa", "gd", "momentum-qng", "rotosolve", "excitation-solve", "cma-es",
    "l-bfgs-b", "bfgs", "cg", "slsqp", "tnc", "cobyla", "cobyqa", "nelder-mead", "powell",
]  # fmt: skip

SETTINGS: dict[str, tuple[str, ...]] = {
    "qng": ("learning_rate", "approx", "damping", "gradient"),
    "gd": ("learning_rate",),
    "adam": ("learning_rate",),
}
"""Those of each that has any; all have defaults but the learning rate of gradient descent."""
