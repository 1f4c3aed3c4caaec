"""States as named arrays, which the file of a run holds together in one archive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.solve.state import State

Part = TypeVar("Part", Estimate, MetricTensor, BitStrings, Spread)


def arrays_of(state: State) -> dict[str, Any]:
    """A state as arrays by name; there is none of what is None."""
    best_theta, best_energy = (None, None) if state.best is None else state.best
    arrays = {
        "step": state.step,
        "evaluations": state.evaluations,
        "cost": state.cost.as_numbers(),
        "seed": None if state.seed is None else str(state.seed),  # of any size
        "best_theta": best_theta,
        "best_energy": best_energy,
        "finished": state.finished or None,
        "finished_as": state.finished_as if state.finished else None,
        "trail": state.trail,
        "looked": state.looked,
        "made_by": state.made_by,
        "stage": state.stage,
        "ends_at": state.ends_at,
        **{f"memory_{name}": array for name, array in state.memory.items()},
        **_arrays_of_evaluation(state.evaluation),
    }
    return {name: array for name, array in arrays.items() if array is not None}


def state_from(arrays: Mapping[str, Any]) -> State:
    """The state that `arrays_of` took apart."""
    return State(
        step=int(arrays["step"]),
        evaluation=_evaluation_from(arrays),
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
        ends_at=float(arrays["ends_at"]) if "ends_at" in arrays else None,
    )


def _arrays_of_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    used = evaluation.shots_for
    return {
        "theta": evaluation.theta,
        "evaluation_cost": evaluation.cost.as_numbers(),
        "batch": evaluation.batch,
        "energy_scale": evaluation.energy_scale,
        "shots_for": None if used is None else json.dumps(dict(used)),
        **_apart("energy", evaluation.energy),
        **_apart("gradient", evaluation.gradient),
        **_apart("metric", evaluation.metric),
        **_apart("mean", evaluation.mean),
        **_apart("spread", evaluation.spread),
        **_apart("bits", evaluation.bit_strings),
    }


def _evaluation_from(arrays: Mapping[str, Any]) -> Evaluation:
    energy = _together(Estimate, "energy", arrays)
    assert energy is not None
    return Evaluation(
        theta=arrays["theta"],
        energy=energy,
        gradient=_together(Estimate, "gradient", arrays),
        metric=_together(MetricTensor, "metric", arrays),
        cost=Cost.from_numbers(arrays["evaluation_cost"]),
        spread=_together(Spread, "spread", arrays),
        batch=int(arrays["batch"]) if "batch" in arrays else None,
        energy_scale=float(arrays["energy_scale"]) if "energy_scale" in arrays else None,
        mean=_together(Estimate, "mean", arrays),
        shots_for=json.loads(str(arrays["shots_for"])) if "shots_for" in arrays else None,
        bit_strings=_together(BitStrings, "bits", arrays),
    )


def _apart(name: str, part: Part | None) -> dict[str, Any]:
    """The fields of a part, each under its name with that of the part."""
    return {} if part is None else {f"{name}_{field.name}": getattr(part, field.name) for field in fields(part)}


def _together(kind: type[Part], name: str, arrays: Mapping[str, Any]) -> Part | None:
    """The part whose fields stand under these names, None where there are none; a run of before 0.2 lacks some."""
    names = {field.name: f"{name}_{field.name}" for field in fields(kind)}
    found = {field: _number(arrays[key]) for field, key in names.items() if key in arrays}
    return kind(**found) if found else None


def _number(array: Any) -> Any:
    """Arrays as they are; of those without axes the text, the whole number or NumPy's float in them."""
    return array[()] if np.ndim(array) or array.dtype.kind == "f" else array.item()
