"""The closing table of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qngd.estimates.estimate import format_seconds, format_with_error
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import Prices
from qngd.evaluators.given import read_any
from qngd.problem import Problem
from qngd.report.circuits import describe_circuit
from qngd.report.run_data import error_rows, of_result

if TYPE_CHECKING:
    from qngd.run.budget import Budget
    from qngd.run.loop import Result


def spent_rows(cost: Cost, budget: Budget | None) -> dict[str, str]:
    """What a run has spent, from row names to text, under a budget whose prices say in which currency."""
    rows = {"cost": str(cost)}
    if cost.seconds:
        rows["device time"] = format_seconds(cost.seconds)
    if cost.money:
        rows["money"] = (Prices() if budget is None else budget.table).text(cost.money)
    return rows


def summary(
    result: Result, problem: Problem, seconds: float | None = None, budget: Budget | None = None
) -> dict[str, str]:
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
        **of_result(result).spread(),
        **_errors(result, problem),
        **spent_rows(result.cost, budget),
    }
    if result.note:
        rows["note"] = result.note
    if seconds is not None:
        rows["time"] = format_seconds(seconds)
    return rows


def _errors(result: Result, problem: Problem) -> dict[str, str]:
    """The rows of the closing table that need a reference energy."""
    if problem.reference_energy is None:
        return {}
    return error_rows(result.energy, result.stderr, problem.reference_energy, problem.unit)


def _with_unit(text: str, problem: Problem) -> str:
    return f"{text} {problem.unit}".strip()
