"""Quantum natural gradient descent for variational quantum circuits.

    import qngd
    result = qngd.minimize(circuit, observable, theta0)

`circuit` is a `CircuitBuilder`, a Qiskit QuantumCircuit, a PennyLane QNode or OpenQASM 3. See `minimize`,
`metric_tensor`, `gradient`, `expectation`, `sample`, `wrap`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from qngd._system.version import __version__ as __version__

if TYPE_CHECKING:
    from qngd import backends as backends
    from qngd import baselines as baselines
    from qngd import damping as damping
    from qngd import errors as errors
    from qngd import gradients as gradients
    from qngd import loggers as loggers
    from qngd import metrics as metrics
    from qngd import pennylane as pennylane
    from qngd import qiskit as qiskit
    from qngd import refresh as refresh
    from qngd import scipy as scipy
    from qngd import start as start
    from qngd import step as step
    from qngd.api import expectation, gradient, metric_tensor, outputs, probabilities, sample, statevector
    from qngd.circuit.circuit import Circuit
    from qngd.cvar import CVaR
    from qngd.errors import (
        BackendError,
        CircuitError,
        MemoryLimitError,
        MissingPackageError,
        ObservableError,
        ParameterError,
        QngdError,
        QngdWarning,
        SettingError,
        StorageError,
    )
    from qngd.estimates.estimate import Estimate, MetricTensor
    from qngd.estimates.evaluation import Cost
    from qngd.estimates.prices import Prices
    from qngd.evaluators.objectives.objective import Objective
    from qngd.exact.propagation import PauliPropagation
    from qngd.interop import wrap
    from qngd.interop.circuit_builder import CircuitBuilder
    from qngd.measured.auto_shots import AutoShots
    from qngd.measured.random_bases import RandomPaulis
    from qngd.measured.target_error import TargetError
    from qngd.problem import Problem
    from qngd.qng import QNG
    from qngd.report.comparison import Comparison
    from qngd.run.budget import Budget
    from qngd.run.directory.loaded import StoredRun, load
    from qngd.run.excited import ExcitedState, excited_states
    from qngd.run.loop import Result, Status, minimize
    from qngd.run.own_loop import evaluator
    from qngd.run.pricing.price import Price, cost
    from qngd.run.side_by_side import compare
    from qngd.solve.state import StepInfo
    from qngd.sweeps.python import sweep


# Names are loaded when first used: `import qngd` stays fast, and no kernel is compiled for `qngd --help`.
_HOME = {
    "AutoShots": "measured.auto_shots",
    "TargetError": "measured.target_error",
    "RandomPaulis": "measured.random_bases",
    "expectation": "api",
    "gradient": "api",
    "metric_tensor": "api",
    "outputs": "api",
    "probabilities": "api",
    "sample": "api",
    "statevector": "api",
    "Circuit": "circuit.circuit",
    "BackendError": "errors",
    "CircuitError": "errors",
    "MemoryLimitError": "errors",
    "MissingPackageError": "errors",
    "ObservableError": "errors",
    "ParameterError": "errors",
    "QngdError": "errors",
    "QngdWarning": "errors",
    "SettingError": "errors",
    "StorageError": "errors",
    "Estimate": "estimates.estimate",
    "MetricTensor": "estimates.estimate",
    "Cost": "estimates.evaluation",
    "CVaR": "cvar",
    "PauliPropagation": "exact.propagation",
    "wrap": "interop",
    "CircuitBuilder": "interop.circuit_builder",
    "StoredRun": "run.directory.loaded",
    "load": "run.directory.loaded",
    "ExcitedState": "run.excited",
    "excited_states": "run.excited",
    "Budget": "run.budget",
    "Prices": "estimates.prices",
    "Result": "run.loop",
    "Status": "run.loop",
    "minimize": "run.loop",
    "Objective": "evaluators.objectives.objective",
    "evaluator": "run.own_loop",
    "QNG": "qng",
    "Price": "run.pricing.price",
    "cost": "run.pricing.price",
    "Problem": "problem",
    "Comparison": "report.comparison",
    "compare": "run.side_by_side",
    "StepInfo": "solve.state",
    "sweep": "sweeps.python",
}
_MODULES = (
    "backends", "baselines", "damping", "errors", "gradients", "loggers", "metrics", "pennylane", "qiskit", "refresh",
    "scipy", "start", "step",
)  # fmt: skip

__all__ = [
    "QNG",
    "AutoShots",
    "BackendError",
    "Budget",
    "CVaR",
    "Circuit",
    "CircuitBuilder",
    "CircuitError",
    "Comparison",
    "Cost",
    "Estimate",
    "ExcitedState",
    "MemoryLimitError",
    "MetricTensor",
    "MissingPackageError",
    "Objective",
    "ObservableError",
    "ParameterError",
    "PauliPropagation",
    "Price",
    "Prices",
    "Problem",
    "QngdError",
    "QngdWarning",
    "RandomPaulis",
    "Result",
    "SettingError",
    "Status",
    "StepInfo",
    "StorageError",
    "StoredRun",
    "TargetError",
    "compare",
    "cost",
    "evaluator",
    "excited_states",
    "expectation",
    "gradient",
    "load",
    "metric_tensor",
    "minimize",
    "outputs",
    "probabilities",
    "sample",
    "statevector",
    "sweep",
    "wrap",
]


_NAMES = sorted({*_HOME, *_MODULES, *(name for name in globals() if name.startswith("__"))})

if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for one that is there

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"qngd.{name}")
        if name not in _HOME:
            raise AttributeError(_no_attribute(name), name=name)
        value = getattr(importlib.import_module(f"qngd.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def _no_attribute(name: str) -> str:
    text = f"module 'qngd' has no attribute {name!r}"
    if name.startswith("_"):  # what Python and its tools look for, not what somebody misspelt
        return text
    from qngd.errors import did_you_mean

    inside = next((module for module in _MODULES if _has(module, name)), None)
    return f"{text}.{did_you_mean(name, _NAMES)}" if inside is None else f"{text}. Write qngd.{inside}.{name}"


def _has(module: str, name: str) -> bool:
    there = importlib.import_module(f"qngd.{module}")
    return name in getattr(there, "__all__", ()) or getattr(vars(there).get(name), "__module__", "") == there.__name__


def __dir__() -> list[str]:
    return list(_NAMES)
