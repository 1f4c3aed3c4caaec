"""A run as plain data, from a result or from files: what tables, plots and pages are made from.

In row k of `history` the energies and costs are those after step k; `gradient_norm`, `significance`, `rank`,
`condition` and `damping` belong to the point that step k was taken from. A cell of which nothing is known is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qngd.errors import counted
from qngd.estimates.estimate import format_with_error
from qngd.estimates.evaluation import Cost
from qngd.solve.state import StepInfo

CHEMICAL_ACCURACY = 1.6e-3  # hartree, about 1 kcal/mol
HISTORY_COLUMNS = (
    "step", "energy", "stderr", "error", "accepted", "decrease", "predicted_decrease", "rate", "length", "radius",
    "gradient_norm", "natural_norm", "rank", "condition", "smallest", "largest", "damping", "jobs", "circuits", "shots",
    "significance", "seconds", "money", "shots_energy", "shots_gradient", "shots_metric",
)  # fmt: skip
LATER_COLUMNS = HISTORY_COLUMNS[20:]
"""Those that files of 0.1 do not have."""
_PURPOSES = ("energy", "gradient", "metric")
_STRINGS = 16  # bit strings that are kept, the lowest and the most probable
_BEST = 3  # bit strings that are listed in words
_SURE = 3.0  # standard errors


@dataclass(frozen=True, eq=False)
class RunData:
    """A run: `result` is what result.json holds, `history` maps each of `HISTORY_COLUMNS` to an array (steps + 1,), NaN
    where a cell is empty; `eigenvalues` is (steps, P), ascending, NaN where a step saw none; `metrics` are the metric
    tensors (P, P) that were kept, by the number of steps after which they were measured."""

    result: dict[str, Any]
    history: dict[str, np.ndarray]
    eigenvalues: np.ndarray
    metrics: Mapping[int, np.ndarray] = field(default_factory=dict)
    label: str = ""

    @property
    def name(self) -> str:
        """The problem's name."""
        return str(self.result["problem"]["name"])

    @property
    def unit(self) -> str:
        """The unit of its energies, or nothing."""
        return str(self.result["problem"]["unit"])

    @property
    def reference(self) -> float | None:
        """Its reference energy, or None."""
        energy = self.result["problem"]["reference_energy"]
        return None if energy is None else float(energy)

    @property
    def steps(self) -> int:
        """Steps taken."""
        return len(self.history["step"]) - 1

    @property
    def energy(self) -> float:
        """The energy that the run returned; NaN where it was none."""
        energy = self.result["energy"]
        return math.nan if energy is None else float(energy)

    @property
    def stderr(self) -> float:
        """Its standard error."""
        stderr = self.result["stderr"]
        return math.nan if stderr is None else float(stderr)

    @property
    def has_shots(self) -> bool:
        """Whether energies have errors."""
        return bool(np.any(self.history["stderr"] > 0))

    def labelled(self, label: str) -> RunData:
        """The same under this name, among others."""
        return replace(self, label=label)

    def rows(self) -> dict[str, str]:
        """The run in words, from row names to text: how it ended, what came out and what it cost."""
        rejected = int(np.sum(self.history["accepted"] == 0))
        rows = {
            "status": str(self.result["status"]).replace("_", " "),
            "message": str(self.result["message"]),
            "steps": f"{self.steps}" + (f", {rejected} of them rejected" if rejected else ""),
            "energy": self.with_unit(format_with_error(self.energy, self.stderr)),
            **self.spread(),
            **self._errors(),
            "cost": self.spent(),
        }
        if note := self.result.get("note"):
            rows["note"] = str(note)
        return rows

    def spread(self) -> dict[str, str]:
        """The rows about all energies together: their mean where the energy is a CVaR, and the best bit strings of a
        diagonal observable."""
        rows, mean = {}, self.result.get("mean_energy")
        if mean is not None and mean != self.result["energy"]:
            rows["mean energy"] = self.with_unit(format_with_error(mean, self.result.get("mean_stderr") or 0.0))
        if listed := self.result.get("bit_strings"):
            texts = (f"{each['bits']} ({each['energy']:.6g}; {each['probability']:.1%})" for each in listed[:_BEST])
            rows["best bit strings"] = ", ".join(texts)
        return rows

    def spent(self) -> str:
        """The cost in words."""
        cost = self.result["cost"]
        text = ", ".join(counted(cost[f"{unit}s"], unit, ",") for unit in ("job", "circuit", "shot"))
        if cost.get("depth"):
            text += f"; circuits up to depth {cost['depth']} with {counted(cost['two_qubit_gates'], 'two-qubit gate')}"
        if cost.get("seconds"):
            text += f"; {cost['seconds']:.3g} s of the device"
        return text + (f"; {cost['money']:.4g} of money" if cost.get("money") else "")

    def with_unit(self, text: str) -> str:
        """A text about energies, with their unit."""
        return f"{text} {self.unit}".strip()

    def _errors(self) -> dict[str, str]:
        if self.reference is None:
            return {}
        return error_rows(self.energy, self.stderr, self.reference, self.unit)


def error_rows(energy: float, stderr: float, reference: float, unit: str) -> dict[str, str]:
    """The rows of a closing table that need a reference energy."""
    error = energy - reference
    text = f"{error:.2e}" + (f" ± {stderr:.1e}" if stderr else "")
    rows = {"reference": f"{reference:.10g} {unit}".strip(), "error": f"{text} {unit}".strip()}
    if unit == "hartree":
        rows["chemical accuracy"] = _chemical_accuracy(error, stderr)
    return rows


def _chemical_accuracy(error: float, stderr: float) -> str:
    """Whether the error is below 0.0016 hartree: known where it is further from that than three standard errors, on
    either side; and of an exact energy."""
    limit = f"{CHEMICAL_ACCURACY:g} hartree"
    if not (math.isfinite(error) and math.isfinite(stderr)):
        return "cannot tell: the energy is no number"
    beyond = abs(error) - CHEMICAL_ACCURACY
    if stderr > 0 and abs(beyond) <= _SURE * stderr:
        if stderr > CHEMICAL_ACCURACY:
            return f"cannot tell: the energy's own error exceeds {limit}"
        return f"cannot tell: {_count_of(abs(beyond) / stderr)} from the limit of {limit}"
    return f"{'yes' if beyond <= 0 else 'no'} ({limit})"


def _count_of(errors: float) -> str:
    return f"{errors:.1f} standard error{'' if f'{errors:.1f}' == '1.0' else 's'}"


def of_result(
    result: Any,
    problem: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    metrics: Mapping[int, np.ndarray] | None = None,
) -> RunData:
    """What a result says, or what looks like one, and what it is about: `problem` and `run` as result.json holds them,
    those of the result where they are left out. `metrics` are those that were kept; of a result the last one."""
    about = result.about
    known = about.get("problem") or _nameless(result)
    document = _document(result, dict(known if problem is None else problem), about, run)
    reference = document["problem"]["reference_energy"]
    rows = np.array(list(_history_rows(result, math.nan if reference is None else float(reference))), dtype=float)
    history = {name: rows[:, place] for place, name in enumerate(HISTORY_COLUMNS)}
    count = len(result.state.theta)
    spectra = np.array([_eigenvalues(info, count) for info in result.infos]).reshape(-1, count)
    last = result.state.evaluation.metric
    if metrics is None:
        metrics = {} if last is None else {int(history["step"][-1]): np.asarray(last)}
    return RunData(document, history, spectra, metrics)


def _nameless(result: Any) -> dict[str, Any]:
    names = [f"θ[{place}]" for place in range(len(result.state.theta))]
    return {"name": "problem", "unit": "", "reference_energy": None, "parameters": names}


def _document(
    result: Any, problem: dict[str, Any], about: Mapping[str, Any], run: Mapping[str, Any] | None
) -> dict[str, Any]:
    cost, seen = result.cost, result.bit_strings
    versions = dict(about.get("versions", {}))
    return {
        "qngd": versions.get("qngd", ""),
        "versions": versions,
        "began": about.get("began", ""),
        "problem": problem,
        "run": dict(about.get("settings", {}) if run is None else run),
        "status": str(result.status),
        "message": result.message,
        "note": result.note,
        "steps": result.steps,
        "energy": finite(result.energy),
        "stderr": finite(result.stderr),
        "mean_energy": finite(result.mean),
        "mean_stderr": finite(result.mean_stderr),
        "bit_strings": [] if seen is None else [each._asdict() for each in seen.best(10)],
        "most_probable": [] if seen is None else [each._asdict() for each in seen.most_probable(_STRINGS)],
        "bit_shots": 0 if seen is None else seen.shots,
        "theta": [finite(value) for value in result.state.lowest[0]],
        "cost": {
            "jobs": cost.jobs, "circuits": cost.circuits, "shots": cost.shots, "depth": cost.depth,
            "two_qubit_gates": cost.two_qubit_gates, "seconds": cost.seconds, "money": cost.money,
        },
    }  # fmt: skip


def finite(value: float | None) -> float | None:
    """The number, or None for one that JSON has no word for: NaN and infinities."""
    return float(value) if value is not None and math.isfinite(value) else None


def _history_rows(result: Any, reference: float) -> Iterable[tuple[Any, ...]]:
    energy, stderr = float(result.history[0]), float(result.history_stderr[0])
    begun = result.infos[0].cost - result.infos[0].step_cost if result.infos else result.cost
    first = result.infos[0].step - 1 if result.infos else result.state.step
    known = {"step": first, "energy": energy, "stderr": stderr, "error": energy - reference, **_costs(begun)}
    yield tuple(known.get(name, math.nan) for name in HISTORY_COLUMNS)
    for info in result.infos:
        known = _of_step(info, reference)
        yield tuple(known.get(name, math.nan) for name in HISTORY_COLUMNS)


def _costs(cost: Cost) -> dict[str, float]:
    return {unit: spent for unit, spent in cost.in_units().items() if spent is not None}


def _of_step(info: StepInfo, reference: float) -> dict[str, Any]:
    """A step as cells by the names of their columns."""
    seen, parts = info.spectrum, info.shots_for
    cells = {
        "step": info.step, "energy": info.energy, "stderr": info.stderr, "error": info.energy - reference,
        "accepted": int(info.accepted), "decrease": info.decrease, "predicted_decrease": info.predicted_decrease,
        "rate": info.rate, "length": info.length, "radius": info.radius, "gradient_norm": info.gradient_norm,
        "natural_norm": info.natural_norm, "significance": info.significance, **_costs(info.cost),
    }  # fmt: skip
    if seen is not None:
        names = ("rank", "condition", "smallest", "largest", "damping")
        cells.update({name: getattr(seen, name) for name in names})
    if parts is not None:
        cells.update({f"shots_{name}": parts.get(name, 0) for name in _PURPOSES})
    return cells


def _eigenvalues(info: StepInfo, count: int) -> np.ndarray:
    """The largest eigenvalues that a step saw, (count,), after NaN for those that it did not see."""
    seen = np.zeros(0) if info.spectrum is None else info.spectrum.eigenvalues[-count:]
    return np.concatenate([np.full(count - len(seen), np.nan), seen])
