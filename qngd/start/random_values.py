"""Random starts."""

from __future__ import annotations

from math import isfinite, pi
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, checked_seed, require_positive, require_range
from qngd.evaluators.arguments import Whole
from qngd.evaluators.given import read_any
from qngd.evaluators.objectives.objective import Objective
from qngd.interop.arguments import CircuitLike, Theta
from qngd.problem import Problem


@hinted
def near_zero(
    circuit: Problem | Objective | CircuitLike,
    theta: Theta | None = None,
    *,
    scale: float = 0.1,
    seed: Whole | None = None,
) -> Any:
    """A start near θ = 0: independent normal numbers.

    Many circuits do nothing at θ = 0, so that a molecule's stays at Hartree–Fock, and deep ones have gradients there
    that do not vanish with the number of qubits, as they do at random angles (arXiv:2203.09376). At θ = 0 itself a
    gradient may vanish, which a small step to the side ends.

    Args:
        circuit: a `Problem` or an `Objective`, or anything `wrap` takes.
        theta: for a QNode or quantum function, arguments that it can be called with, an objective's without its data;
            of parameters only the shapes matter, but for those that an objective has frozen.
        scale: the standard deviation, in the parameters' own unit.
        seed: of the numbers; None draws new ones each time.

    Returns:
        θ in the user's structure.

    Raises:
        CircuitError, ParameterError, SettingError: an argument does not fit.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> qngd.start.near_zero(circuit, seed=1).round(3)
    array([0.035])
    """
    require_positive(scale, "scale")
    given = read_any(circuit, None, theta, role="example")
    rng = np.random.default_rng(checked_seed(seed))
    return given.shaped(rng.normal(scale=scale, size=len(given.theta)))


@hinted
def uniform(
    circuit: Problem | Objective | CircuitLike,
    theta: Theta | None = None,
    *,
    low: float = -pi,
    high: float = pi,
    seed: Whole | None = None,
) -> Any:
    """A start anywhere: independent numbers, uniform from `low` to `high`.

    Args:
        circuit, theta, seed: as for `near_zero`.
        low, high: in the parameters' own unit. A gate that turns by a multiple of its parameter goes around several
            times.

    Returns:
        θ in the user's structure.

    Raises:
        CircuitError, ParameterError, SettingError: an argument does not fit.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> qngd.start.uniform(circuit, low=0, seed=1).round(3)
    array([1.608])
    """
    require_range(low, "low", "a finite number", isfinite)
    require_range(high, "high", "a finite number", isfinite)
    if not low < high:
        raise SettingError(f"low must be below high; got low={low!r} and high={high!r}")
    given = read_any(circuit, None, theta, role="example")
    rng = np.random.default_rng(checked_seed(seed))
    return given.shaped(rng.uniform(low, high, size=len(given.theta)))
