"""Extra mlflow: steps as metrics of a run, in a database in this folder."""

import mlflow

import qngd

mlflow.set_tracking_uri("sqlite:///tracking.db")
circuit = qngd.CircuitBuilder(1)
circuit.ry(circuit.parameter("a"), 0)
with qngd.loggers.MLflow("experiment") as kept:
    result = qngd.minimize(circuit, {"Z": 1.0}, [0.3], max_steps=3, callback=kept)
(run,) = mlflow.MlflowClient().search_runs([mlflow.get_experiment_by_name("experiment").experiment_id])
assert abs(run.data.metrics["energy"] - result.energy) < 1e-12, run.data.metrics
