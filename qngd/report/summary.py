"""The closing table of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qngd.estimates.estimate import format_seconds, format_with_error
from qngd.evaluators.objectives.given import read_any
from qngd.problem import Problem
from qngd.report.circuits import describe_circuit
from qngd.report.run_data import CHEMICAL_ACCURACY

if TYPE_CHECKING:
    from qngd.run.loop import Result

_LISTED = 3  # bit strings
_SURE = 3.0  # standard errors


def summary(result: Result, problem: Problem, seconds: float | None = None) -> dict[str, str]:
    """The closing table, from row names to text: what was run, how it ended and what to do, what came out,
    what it cost."""
    rejected = sum(not info.accepted for info in result.infos)
    rows = {
        "problem": problem.name,
        "circuit": describe_circuit(read_any(problem, role="example").circuit),
        "status": str(result.status).replace("_", " "),
        "message": result.message,
        "steps": f"{result.steps}" + (f", {rejected} of them rejected" if rejected else ""),
        "energy": _with_unit(format_with_error(result.energy, result.stderr), problem),
        **_means(result, problem),
        **_errors(result, problem),
        "cost": str(result.cost),
    }
    if result.cost.seconds:
        rows["device time"] = format_seconds(result.cost.seconds)
    if result.cost.money:
        rows["money"] = f"{result.cost.money:,.2f}"
    if result.note:
        rows["note"] = result.note
    if seconds is not None:
        rows["time"] = format_seconds(seconds)
    return rows


def _means(result: Result, problem: Problem) -> dict[str, str]:
    """The rows of the closing table about a CVaR, and about bit strings where the observable is diagonal."""
    rows = {}
    if (mean := result.state.evaluation.mean) is not None:
        rows["mean energy"] = _with_unit(format_with_error(result.mean, float(mean.stderr)), problem)
    if (found := result.bit_strings) is not None and len(found):
        listed = (f"{each.bits} ({each.energy:.6g}; {each.probability:.1%})" for each in found.best(_LISTED))
        rows["best bit strings"] = ", ".join(listed)
    return rows


def _errors(result: Result, problem: Problem) -> dict[str, str]:
    """The rows of the closing table that need a reference energy."""
    reference = problem.reference_energy
    if reference is None:
        return {}
    error, stderr = result.energy - reference, result.stderr
    text = f"{error:.2e}" + (f" ± {stderr:.1e}" if stderr else "")
    rows = {"reference": _with_unit(f"{reference:.10g}", problem), "error": _with_unit(text, problem)}
    if problem.unit == "hartree":
        rows["chemical accuracy"] = _chemical_accuracy(error, stderr)
    return rows


def _chemical_accuracy(error: float, stderr: float) -> str:
    limit = f"{CHEMICAL_ACCURACY:g} hartree"
    beyond = abs(error) - CHEMICAL_ACCURACY
    if stderr > CHEMICAL_ACCURACY and beyond <= _SURE * stderr:
        return f"cannot tell: the energy's own error exceeds {limit}"
    return f"{'yes' if beyond <= 0 else 'no'} ({limit})"


def _with_unit(text: str, problem: Problem) -> str:
    return f"{text} {problem.unit}".strip()
