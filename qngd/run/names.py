"""The optimizers that have a name, in Python as on the command line, and the settings that are given beside it. It
imports none of them."""

from __future__ import annotations

from typing import Literal

OptimizerName = Literal[
    "qng", "adam", "spsa", "gd", "qn-spsa", "momentum-qng", "rotosolve", "excitation-solve", "cma-es",
    "l-bfgs-b", "bfgs", "cg", "slsqp", "tnc", "cobyla", "cobyqa", "nelder-mead", "powell",
]  # fmt: skip

_OF_SCIPY = ("l-bfgs-b", "bfgs", "cg", "slsqp", "tnc", "cobyla", "cobyqa", "nelder-mead", "powell")

SETTINGS: dict[str, tuple[str, ...]] = {
    "qng": ("learning_rate", "approx", "damping", "step", "refresh", "gradient"),
    "qn-spsa": ("learning_rate", "perturbation", "resamplings", "regularization", "blocking", "allowed_increase"),
    "momentum-qng": ("learning_rate", "momentum"),
    "gd": ("learning_rate",),
    "adam": ("learning_rate", "beta1", "beta2", "epsilon"),
    "spsa": ("a", "c", "stability", "alpha", "gamma", "first_change", "calibration"),
    "rotosolve": (),
    "excitation-solve": (),
    "cma-es": ("sigma", "options"),
    **dict.fromkeys(_OF_SCIPY, ("options",)),
}
"""The settings of each; all have defaults but the learning rate of gradient descent."""
