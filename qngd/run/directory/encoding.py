"""States, steps and outcomes as what the file of a run holds: named arrays, and JSON. All digits are kept.

Arrays stand together in one archive as `numpy.savez` makes it. JSON has no word for numbers that are not finite: these
are the texts of `_NOT_FINITE`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.measured.outcomes import Counts, Means, Outcome
from qngd.solve.direction import Spectrum
from qngd.solve.state import State, StepInfo

_NOT_FINITE = ("inf", "-inf", "nan")
_OF_SPREAD = tuple(field.name for field in dataclasses.fields(Spread))


def as_json(row: Any) -> str:
    """A value as JSON."""
    return json.dumps(_plain(row), allow_nan=False)


def from_json(text: str) -> Any:
    """The value that `as_json` wrote."""
    return _numbers(json.loads(text))


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Named arrays, and texts among them, as one archive."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def unpacked(archive: bytes) -> dict[str, Any]:
    """The arrays that `packed` put together."""
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        return dict(arrays)


def outcomes_to(outcomes: Sequence[Outcome]) -> bytes:
    """The outcomes of a job as one archive: of outcome number k `k_bits` and `k_counts`, or `k_values`, `k_stderr` and
    `k_shots`, with `k_covariance`, `k_shared` and `k_joint` where they are known."""
    arrays: dict[str, Any] = {"count": len(outcomes)}
    for k, outcome in enumerate(outcomes):
        parts = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
        arrays |= {f"{k}_{name}": part for name, part in parts.items() if part is not None}
    return packed(arrays)


def outcomes_from(archive: bytes) -> list[Outcome]:
    """The outcomes that `outcomes_to` put together."""
    arrays = unpacked(archive)
    return [_outcome(arrays, k) for k in range(int(arrays["count"]))]


def _outcome(arrays: Mapping[str, Any], k: int) -> Outcome:
    if f"{k}_bits" in arrays:
        return Counts(arrays[f"{k}_bits"], arrays[f"{k}_counts"])
    return Means(
        arrays[f"{k}_values"],
        arrays[f"{k}_stderr"],
        int(arrays[f"{k}_shots"]),
        arrays.get(f"{k}_covariance"),
        arrays.get(f"{k}_shared"),
        arrays.get(f"{k}_joint"),
    )


def as_row(info: StepInfo) -> dict[str, Any]:
    """A step as a row, its θ flat, as it must be here."""
    return {**dataclasses.asdict(replace(info, theta=None)), "theta": np.asarray(info.theta).tolist()}


def info_from(row: dict[str, Any]) -> StepInfo:
    """The step that `as_row` took apart, its θ flat."""
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


def arrays_of(state: State) -> dict[str, Any]:
    """A state as arrays by name."""
    evaluation = state.evaluation
    arrays: dict[str, Any] = {
        "step": state.step,
        "evaluations": state.evaluations,
        "cost": state.cost.as_numbers(),
        "theta": evaluation.theta,
        "evaluation_cost": evaluation.cost.as_numbers(),
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
    arrays["looked"], arrays["made_by"], arrays["stage"] = state.looked, state.made_by, state.stage
    arrays.update({f"memory_{name}": array for name, array in state.memory.items()})
    for name in ("energy", "gradient", "metric", "mean"):
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
    if (seen := evaluation.bit_strings) is not None:
        arrays.update(bits_ones=seen.ones, bits_energies=seen.energies, bits_probabilities=seen.probabilities)
        arrays["bits_shots"] = seen.shots
        if seen.measured is not None:
            arrays["bits_measured"] = seen.measured
    if evaluation.shots_for is not None:
        arrays["shots_for"] = json.dumps(dict(evaluation.shots_for))
    if evaluation.spread is not None:
        for name in _OF_SPREAD:
            if (part := getattr(evaluation.spread, name)) is not None:
                arrays[f"spread_{name}"] = part
    return arrays


def state_from(arrays: dict[str, Any]) -> State:
    """The state that `arrays_of` took apart."""

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
        cost=Cost.from_numbers(arrays["evaluation_cost"]),
        spread=None
        if "spread_energy" not in arrays
        # a run of before 0.2 has no more than its arrays
        else Spread(**{name: arrays[f"spread_{name}"][()] for name in _OF_SPREAD if f"spread_{name}" in arrays}),
        batch=int(arrays["batch"]) if "batch" in arrays else None,
        mean=estimate("mean"),
        shots_for=json.loads(str(arrays["shots_for"])) if "shots_for" in arrays else None,
        bit_strings=None
        if "bits_ones" not in arrays
        else BitStrings(
            arrays["bits_ones"],
            arrays["bits_energies"],
            arrays["bits_probabilities"],
            int(arrays["bits_shots"]),
            arrays.get("bits_measured"),
        ),
    )
    return State(
        step=int(arrays["step"]),
        evaluation=evaluation,
        memory={name.removeprefix("memory_"): array for name, array in arrays.items() if name.startswith("memory_")},
        evaluations=int(arrays["evaluations"]),
        cost=Cost.from_numbers(arrays["cost"]),
        seed=int(str(arrays["seed"])) if "seed" in arrays else None,
        best=(arrays["best_theta"], float(arrays["best_energy"])) if "best_theta" in arrays else None,
        finished=str(arrays.get("finished", "")),
        finished_as=str(arrays.get("finished_as", "converged")),
        looked=bool(arrays.get("looked", False)),
        trail=arrays.get("trail"),
        made_by=str(arrays.get("made_by", "")),
        stage=int(arrays.get("stage", 0)),
    )


def _plain(value: Any) -> Any:
    """A value as JSON takes it: arrays as lists, and what it cannot hold as text; Python's floats keep all digits."""
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
    """A value as it was before `_plain`, but for arrays: numbers that are not finite as such."""
    if isinstance(value, dict):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return float(value) if value in _NOT_FINITE else value
