"""Steps for MLflow, by its client; `mlflow-skinny` is enough."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import Any

from qngd._system.keywords import hinted
from qngd._system.packages import load
from qngd.errors import SettingError
from qngd.loggers.base import Callback, scalars
from qngd.solve.state import StepInfo


@hinted
class MLflow(Callback):
    """The numbers of every step as metrics of a run of its own. No global state of MLflow is touched.

    Args:
        experiment: its name; it is made if there is none.
        run_name: of the run.
        tracking_uri: of the server, or of a folder or database; None is MLflow's own setting.
        parameters: what to keep of the run besides, such as {"optimizer": "qng", "shots": 1000}.

    Attributes:
        run_id: by which MLflow knows the run.

    Raises:
        MissingPackageError: MLflow is not installed.
        SettingError: MLflow could not begin a run.
    """

    def __init__(
        self,
        experiment: str = "qngd",
        *,
        run_name: str | None = None,
        tracking_uri: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self._mlflow = load("mlflow", "mlflow", "qngd.loggers.MLflow")
        try:
            self._client = self._mlflow.MlflowClient(tracking_uri=tracking_uri)
            self.run_id = self._begun(experiment, run_name, parameters or {})
        except Exception as error:  # of MLflow, its server or its database
            raise SettingError(f"MLflow could not begin a run: {type(error).__name__}: {error}") from error
        # also where nobody closes it: a run that has no end is shown as one that goes on
        self._end = weakref.finalize(self, self._client.set_terminated, self.run_id)

    def _begun(self, experiment: str, run_name: str | None, parameters: Mapping[str, Any]) -> str:
        """The id of a new run."""
        known = self._client.get_experiment_by_name(experiment)
        number = self._client.create_experiment(experiment) if known is None else known.experiment_id
        run_id: str = self._client.create_run(number, run_name=run_name).info.run_id
        for name, value in parameters.items():
            self._client.log_param(run_id, name, value)
        return run_id

    def _write(self, info: StepInfo) -> None:
        if not self._end.alive:
            raise SettingError("this MLflow run has ended; begin another: qngd.loggers.MLflow(…)")
        now = int(1000 * time.time())
        make = self._mlflow.entities.Metric
        metrics = [make(name, value, now, info.step) for name, value in scalars(info).items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def close(self) -> None:
        self._end()

    def __exit__(self, kind: object = None, *_: object) -> None:
        if kind is not None and self._end.detach() is not None:
            self._client.set_terminated(self.run_id, status="FAILED")
        self.close()

    def __repr__(self) -> str:
        return f"MLflow(run_id={self.run_id!r})"
