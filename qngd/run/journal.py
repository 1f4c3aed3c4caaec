"""A run on disk: what it was started with, every step as a row, and the state it would go on from.

    run_dir/run.json      what was run: a fingerprint, the optimizer's settings, names
    run_dir/steps.jsonl   the energy at the start, then one row a step, appended
    run_dir/state.npz     the state after the last step, replaced atomically
    run_dir/jobs.jsonl    the ids of jobs at a provider, see `job_log`

A row is written before the state, so after a crash in between the surplus row is dropped: nothing that was
paid for and reached is lost, and the run continues to the same digits.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import SettingError, StorageError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.job_log import JobLog
from qngd.solve.direction import Spectrum
from qngd.solve.state import Optimizer, State, StepInfo

_NOT_FINITE = ("inf", "-inf", "nan")


def fingerprint(circuit: Circuit, observable: Observable, theta0: np.ndarray, *settings: object) -> str:
    """A hash of what determines a run: the circuit's rotations and angles, the observable, the start, settings.

    Raises:
        SettingError: a setting cannot be recognized when the run is resumed.
    """
    for setting in settings:
        _check_recognizable(setting)
    digest = hashlib.sha256()
    offset, jacobian = circuit.angle_map.linearize(theta0)
    arrays = (
        circuit.generators.x, circuit.generators.z, circuit.generators.sign, circuit.level,
        offset, jacobian.indptr, jacobian.indices, jacobian.data,
        circuit.frame.x, circuit.frame.z, circuit.frame.phase,
        observable.strings.x, observable.strings.z, observable.coefficients, theta0,
    )  # fmt: skip
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((circuit.num_qubits, circuit.parameters, settings)).encode())
    return digest.hexdigest()


def _check_recognizable(setting: Any) -> None:
    """Raise SettingError unless the text of `setting` says all of it: of other objects it holds an address."""
    if dataclasses.is_dataclass(setting) and not isinstance(setting, type):
        for field in dataclasses.fields(setting):
            _check_recognizable(getattr(setting, field.name))
    elif isinstance(setting, (tuple, list)):
        for part in setting:
            _check_recognizable(part)
    elif isinstance(setting, Mapping):
        _check_recognizable([*setting.items()])
    elif setting is not None and not isinstance(setting, (str, int, float, np.generic)):
        raise SettingError(
            f"run_dir: a stored run is recognized by its settings, and {setting!r} is none that can be written down; "
            "make rules frozen dataclasses of numbers, texts and such rules"
        )


class Journal:
    """The record of one run in `directory`, which is made if it does not exist."""

    def __init__(self, directory: str | Path, key: str, about: dict[str, Any]) -> None:
        self.directory = Path(directory)
        with _writable(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self.jobs = JobLog(self.directory / "jobs.jsonl")
            self._check_same_run(key, about)

    def _check_same_run(self, key: str, about: dict[str, Any]) -> None:
        path = self.directory / "run.json"
        if not path.exists():
            _replace(path, json.dumps({"fingerprint": key, **about}, indent=1).encode())
            return
        with _readable(path):
            known = dict(json.loads(path.read_text(encoding="utf-8")))
        if known.get("fingerprint") != key:
            raise SettingError(
                f"run_dir: {self.directory} holds a run of another circuit, observable, start, optimizer, "
                "backend or seed; give another directory, or delete this one to start anew"
            )

    def load(self) -> tuple[State, tuple[float, float], list[StepInfo]] | None:
        """The state to go on from, the energy at the start with its error, and the steps that led from there;
        None for a new run."""
        path = self.directory / "state.npz"
        if not path.exists():
            self.jobs.resume(-1)
            return None
        with _readable(path), np.load(path) as arrays:
            state = _state_from(dict(arrays))
        with _readable(self.jobs.path):
            self.jobs.resume(state.step)
        with _readable(self.directory / "steps.jsonl"):
            start, *steps = self._rows()
            steps = [row for row in steps if row["step"] <= state.step]
            found = state, (start["energy"], start["stderr"]), [_info_from(row) for row in steps]
        self._rewrite([start, *steps])
        return found

    def _rows(self) -> list[dict[str, Any]]:
        path = self.directory / "steps.jsonl"
        if not path.exists():
            return []
        complete = path.read_text(encoding="utf-8").split("\n")[:-1]  # a crash may cut the last line short
        return [_numbers(json.loads(line)) for line in complete]

    def begin(self, state: State) -> None:
        """Store the state after the first evaluation; the first row is the start."""
        energy = state.evaluation.energy
        self._rewrite([{"energy": float(energy.value), "stderr": float(energy.stderr)}])
        self.keep(state)

    def add(self, state: State, info: StepInfo) -> None:
        """Append a step and store the state it led to."""
        path = self.directory / "steps.jsonl"
        with _writable(self.directory), path.open("a", encoding="utf-8") as file:
            file.write(_line(_row_of(info, state)))
            file.flush()
            os.fsync(file.fileno())
        self.keep(state)

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        """Put `rows` in place of all rows: those after the stored state are what a crash left behind."""
        with _writable(self.directory):
            _replace(self.directory / "steps.jsonl", "".join(map(_line, rows)).encode())

    def keep(self, state: State) -> None:
        """Store the state; alone where a step has only made it costlier."""
        path = self.directory / "state.npz"
        partial = path.with_suffix(".partial.npz")
        with _writable(self.directory):
            np.savez(partial, **_state_arrays(state))
            os.replace(partial, path)
        self.jobs.step = state.step


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    """A full disk, or a folder that is none, is said to be one."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"run_dir: cannot write to {directory}: {error.strerror or error}") from error


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What is no file of ours is said to be none."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise StorageError(
            f"run_dir: {path} cannot be read ({type(error).__name__}: {error}); give another directory, or delete "
            "this one to start anew"
        ) from error


def about(name: str, optimizer: Optimizer, circuit: Circuit) -> dict[str, Any]:
    """What a person wants to know of a stored run."""
    return {
        "problem": name,
        "optimizer": repr(optimizer),
        "num_qubits": circuit.num_qubits,
        "parameters": list(circuit.parameters),
    }


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _line(row: dict[str, Any]) -> str:
    """A row as JSON, which has no word for numbers that are not finite: these are the texts of `_NOT_FINITE`."""
    return json.dumps(_plain(row), allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Arrays as lists, and what JSON cannot hold as text; Python's floats keep all digits."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _numbers(value: Any) -> Any:
    """What `_plain` wrote, numbers that are not finite as such."""
    if isinstance(value, dict):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return float(value) if value in _NOT_FINITE else value


def _row_of(info: StepInfo, state: State) -> dict[str, Any]:
    """A step as a row, its θ flat."""
    return {**dataclasses.asdict(dataclasses.replace(info, theta=None)), "theta": state.theta.tolist()}


def _state_arrays(state: State) -> dict[str, Any]:
    evaluation = state.evaluation
    arrays: dict[str, Any] = {
        "step": state.step,
        "evaluations": state.evaluations,
        "cost": dataclasses.astuple(state.cost),
        "theta": evaluation.theta,
        "evaluation_cost": dataclasses.astuple(evaluation.cost),
    }
    if evaluation.batch is not None:
        arrays["batch"] = evaluation.batch
    if state.seed is not None:
        arrays["seed"] = str(state.seed)  # of any size
    if state.best is not None:
        arrays["best_theta"], arrays["best_energy"] = state.best
    if state.finished:
        arrays["finished"], arrays["finished_as"] = state.finished, state.finished_as
    if state.trail is not None:
        arrays["trail"] = state.trail
    arrays["looked"], arrays["made_by"] = state.looked, state.made_by
    arrays.update({f"memory_{name}": array for name, array in state.memory.items()})
    for name in ("energy", "gradient", "metric"):
        part = getattr(evaluation, name)
        if part is not None:
            arrays[f"{name}_value"] = part.value
            arrays[f"{name}_stderr"] = part.stderr
            arrays[f"{name}_shots"] = part.shots
            if getattr(part, "covariance", None) is not None:
                arrays[f"{name}_covariance"] = part.covariance
    if evaluation.metric is not None:
        arrays["metric_approx"] = evaluation.metric.approx
        arrays["metric_note"] = evaluation.metric.note
        if evaluation.metric.unprojected is not None:
            arrays["metric_unprojected"] = evaluation.metric.unprojected
    if evaluation.spread is not None:
        for name in ("energy", "metric", "step"):
            arrays[f"spread_{name}"] = getattr(evaluation.spread, name)
    return arrays


def _state_from(arrays: dict[str, Any]) -> State:
    def estimate(name: str) -> Estimate | None:
        if f"{name}_value" not in arrays:
            return None
        return Estimate(
            arrays[f"{name}_value"][()],
            arrays[f"{name}_stderr"][()],
            int(arrays[f"{name}_shots"]),
            arrays.get(f"{name}_covariance"),
        )

    energy, metric = estimate("energy"), estimate("metric")
    assert energy is not None
    evaluation = Evaluation(
        theta=arrays["theta"],
        energy=energy,
        gradient=estimate("gradient"),
        metric=None
        if metric is None
        else MetricTensor(
            metric.value,
            metric.stderr,
            str(arrays["metric_approx"]),
            metric.shots,
            str(arrays["metric_note"]),
            arrays.get("metric_unprojected"),
        ),
        cost=Cost(*map(int, arrays["evaluation_cost"])),
        spread=None
        if "spread_energy" not in arrays
        else Spread(arrays["spread_energy"], arrays["spread_metric"], arrays["spread_step"]),
        batch=int(arrays["batch"]) if "batch" in arrays else None,
    )
    return State(
        step=int(arrays["step"]),
        evaluation=evaluation,
        memory={name.removeprefix("memory_"): array for name, array in arrays.items() if name.startswith("memory_")},
        evaluations=int(arrays["evaluations"]),
        cost=Cost(*map(int, arrays["cost"])),
        seed=int(str(arrays["seed"])) if "seed" in arrays else None,
        best=(arrays["best_theta"], float(arrays["best_energy"])) if "best_theta" in arrays else None,
        finished=str(arrays.get("finished", "")),
        finished_as=str(arrays.get("finished_as", "converged")),
        looked=bool(arrays.get("looked", False)),
        trail=arrays.get("trail"),
        made_by=str(arrays.get("made_by", "")),
    )


def _info_from(row: dict[str, Any]) -> StepInfo:
    seen = row["spectrum"]
    return StepInfo(
        **{
            **row,
            "spectrum": None if seen is None else Spectrum(**{**seen, "eigenvalues": np.array(seen["eigenvalues"])}),
            "cost": Cost(**row["cost"]),
            "step_cost": Cost(**row["step_cost"]),
            "theta": None if row.get("theta") is None else np.array(row["theta"]),
        }
    )
