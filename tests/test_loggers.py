"""Ready callbacks, with the packages that they write for."""

from __future__ import annotations

import csv
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import qngd
from qngd.errors import MissingPackageError, QngdWarning, SettingError
from qngd.loggers import CSV, Callback, Logging, MLflow, Several, TensorBoard, scalars
from tests.toy import problem


def run(callback, **how):
    return qngd.minimize(problem(), **{"shots": 50, "seed": 1, "max_steps": 3, "tol": 0, **how, "callback": callback})


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_line_a_step(caplog):
    with caplog.at_level(logging.INFO, logger="qngd.run"):
        result = run(Logging())
    lines = [record.getMessage() for record in caplog.records if record.name == "qngd.run"]
    assert len(lines) == 3
    assert f"energy {qngd.Estimate(result.energy, result.stderr)}" in lines[-1]
    assert str(result.cost) in lines[-1]
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="mine"):
        run(Logging("mine", logging.DEBUG))
    assert not [record for record in caplog.records if record.name == "mine"]


def test_a_row_a_step(tmp_path: Path):
    with CSV(tmp_path / "steps.csv") as table:
        result = run(table)
    with pytest.raises(SettingError, match="is closed"):
        run(table, max_steps=1)
    rows = rows_of(tmp_path / "steps.csv")
    assert [float(row["energy"]) for row in rows] == result.history[1:].tolist()
    assert [int(row["cost.shots"]) for row in rows] == [info.cost.shots for info in result.infos]
    assert [float(row["metric.condition"]) for row in rows] == [info.spectrum.condition for info in result.infos]
    with CSV(tmp_path / "steps.csv") as table:  # as by a run that is resumed
        run(table, optimizer="nelder-mead", shots=None)
    rows = rows_of(tmp_path / "steps.csv")
    assert len(rows) == 6
    assert rows[-1]["metric.condition"] == rows[-1]["rate"] == ""
    (tmp_path / "other.csv").write_text("a,b\n")
    with pytest.raises(SettingError, match="holds something else"):
        CSV(tmp_path / "other.csv")
    with pytest.raises(SettingError, match="no such file or directory"):
        CSV(tmp_path / "nowhere" / "steps.csv")


def test_several_are_all_called_and_any_may_stop():
    seen = []
    stop = Several(lambda info: info.step == 2, seen.append)
    assert run(stop).status == "stopped"
    assert [info.step for info in seen] == [1, 2]
    with pytest.raises(SettingError, match="must be a function"):
        Several(3)


def test_what_cannot_be_written_ends_no_run():
    class Full(Callback):
        def _write(self, info):
            raise OSError("disk full")

    with pytest.warns(QngdWarning, match="disk full; the run goes on"):
        assert run(Full()).steps == 3


def test_scalars_are_finite_numbers():
    result = qngd.minimize(problem(), max_steps=1)
    found = scalars(result.infos[0])
    assert found["energy"] == result.infos[0].energy
    assert found["metric.rank"] == result.infos[0].spectrum.rank
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values())
    assert "significance" not in found  # of an exact gradient it is infinite


def test_a_missing_package_is_named(monkeypatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingPackageError, match="tensorboardX"):
        TensorBoard(tmp_path)
    with pytest.raises(MissingPackageError, match="mlflow"):
        MLflow()


def test_events_that_tensorboard_reads(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    with TensorBoard(tmp_path / "events") as board:
        result = run(board)
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [event.step for event in events.Scalars("energy")] == [1, 2, 3]
    values = [event.value for event in events.Scalars("energy")]
    np.testing.assert_allclose(values, result.history[1:], rtol=1e-6)
    assert events.Scalars("cost/shots")[-1].value == result.cost.shots
    assert events.Tags()["histograms"] == ["metric/eigenvalues"]


@pytest.mark.filterwarnings("ignore")  # its database's own
def test_metrics_that_mlflow_keeps(tmp_path: Path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    with MLflow("spins", run_name="one", tracking_uri=uri, parameters={"shots": 50}) as kept:
        result = run(kept)
    client = mlflow.MlflowClient(tracking_uri=uri)
    found = client.get_run(kept.run_id)
    assert (found.info.status, found.info.run_name, found.data.params) == ("FINISHED", "one", {"shots": "50"})
    history = client.get_metric_history(kept.run_id, "energy")
    assert [(each.step, each.value) for each in history] == list(enumerate(result.history[1:].tolist(), 1))
    with pytest.raises(SettingError, match="has ended"):
        run(kept, max_steps=1)
    broken = MLflow("spins", tracking_uri=uri)
    with pytest.raises(ZeroDivisionError), broken:
        raise ZeroDivisionError
    assert client.get_run(broken.run_id).info.status == "FAILED"


def test_a_tracking_server_that_is_not_there():
    pytest.importorskip("mlflow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(SettingError, match="MLflow could not begin a run"):
            MLflow(tracking_uri="nonsense://nowhere")
