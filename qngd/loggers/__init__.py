"""Ready callbacks for `minimize`: `Logging`, `CSV`, `TensorBoard` and `MLflow`, and `Several` for more than one.

    with qngd.loggers.CSV("steps.csv") as log:
        qngd.minimize(problem, callback=log)

Each takes a step's `StepInfo`, and writes the numbers that `scalars` finds in it. `TensorBoard` and `MLflow` need the
packages of their extras, "tensorboard" and "mlflow".
"""

from __future__ import annotations

from qngd.loggers.base import Callback, Several, scalars
from qngd.loggers.of_mlflow import MLflow
from qngd.loggers.of_tensorboard import TensorBoard
from qngd.loggers.plain import CSV, Logging

__all__ = ["CSV", "Callback", "Logging", "MLflow", "Several", "TensorBoard", "scalars"]
