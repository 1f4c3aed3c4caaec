"""What was given to a run, as data: circuit, observable and start."""

from __future__ import annotations

from typing import Any

import numpy as np

from qngd.cvar import CVaR
from qngd.evaluators.given import AnyGiven
from qngd.evaluators.objectives.given import GivenObjective
from qngd.run.directory.circuits import (
    NoData,
    circuit_from,
    circuit_to,
    observable_from,
    observable_to,
)  # fmt: skip
from qngd.run.directory.encoding import as_json, from_json


def problem_to(given: AnyGiven) -> dict[str, bytes]:
    """The problem, part by part; `circuit` is missing where `no circuit` says why it is no data."""
    parts = {"theta0": np.asarray(given.theta, dtype="<f8").tobytes()}
    if isinstance(given, GivenObjective):
        return {**parts, "no circuit": b"the loss of an Objective is a function of Python's"}
    try:
        parts["circuit"] = circuit_to(given.circuit)
    except NoData as error:
        parts["no circuit"] = str(error).encode()
    parts["observable"] = observable_to(given.observable)
    if isinstance(given.target, CVaR):
        parts["alpha"] = as_json(given.target.alpha).encode()
    return parts


def target_from(parts: dict[str, bytes]) -> Any:
    """The observable that was minimized, or the CVaR of it; None where there was none."""
    if "observable" not in parts:
        return None
    observable = observable_from(parts["observable"])
    if "alpha" not in parts:
        return observable
    alpha = from_json(parts["alpha"].decode())
    return CVaR(observable, alpha if isinstance(alpha, float) else tuple(alpha))


def circuit_of(parts: dict[str, bytes]) -> Any:
    """The circuit; None where it is no data."""
    return circuit_from(parts["circuit"]) if "circuit" in parts else None
