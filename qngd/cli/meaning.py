"""What options mean to `qngd.minimize` and `qngd.cost`: from texts to their arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qngd.cli.errors import UsageError
from qngd.cli.spending import read_budget
from qngd.cli.written import NAMES, built, read_optimizer_settings, read_rule, split
from qngd.cvar import CVaR
from qngd.errors import ParameterError, SettingError
from qngd.evaluators.given import AnyGiven, read_any
from qngd.interop import in_order
from qngd.problem import Problem
from qngd.run.budget import Budget
from qngd.run.names import SETTINGS
from qngd.run.optimizers import named
from qngd.solve.state import Optimizer

# arguments of minimize that options of the same name hold as they are
_AS_THEY_ARE = (
    "max_steps", "tol", "gtol", "target", "seed", "backend", "cross", "run_dir", "restarts", "final_shots",
    "wrap_angles",
)  # fmt: skip
_STEPS = 100  # of a run without a budget
_UNITS = ("jobs", "circuits", "shots", "seconds", "money", "wall")
NOT_HERE = {
    "problem_or_circuit": "PROBLEM",
    "observable": "the problem has it; --cvar and --set say more",
    "budget": "--budget-jobs and the others, a limit each",
    "progress": "the steps are shown anyway",
    "callback": "code: write it in Python",
    "state": "an object in memory: --run-dir goes on with a run that was kept",
}
"""Arguments of minimize that are no option, and what stands in for each."""


def meant(problem: Problem, given: AnyGiven, texts: Mapping[str, Any]) -> tuple[Problem, dict[str, Any]]:
    """The problem with the start and the objective that options say, and the other arguments of `minimize`.

    Raises:
        UsageError, SettingError: an option cannot be meant.
    """
    how = {name: texts[name] for name in _AS_THEY_ARE}
    how["shots"] = read_shots(texts["shots"])
    how["grouping"] = read_rule("grouping", texts["grouping"])
    how["optimizer"] = read_optimizer(texts)
    how["budget"] = budget_of(texts)
    if how["max_steps"] is None and (how["budget"] is None or how["budget"].is_open):
        how["max_steps"] = _STEPS
    how["frozen"] = texts["frozen"] or None
    how["bounds"] = read_bounds(texts["bounds"] or [])
    return with_start(with_cvar(problem, given, texts["cvar"]), texts["theta0"]), how


def budget_of(texts: Mapping[str, Any], before: Budget | None = None) -> Budget | None:
    """The budget that options say, where they leave something out as the one `before`, or None."""
    return read_budget(texts.get("price"), before, **{unit: texts.get(f"budget_{unit}") for unit in _UNITS})


def read_shots(text: str | None) -> Any:
    """The shots that an option says; raises UsageError.

    >>> read_shots("1000")
    1000
    """
    if text is None:
        return None
    if text.partition(":")[0].strip().lower() in NAMES["shots"]:
        return read_rule("shots", text)
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(
            f'--shots: {text!r} is neither a whole number of at least 1 nor "auto", auto:total=100000 or '
            "target-error:energy=0.01"
        )
    return int(text)


def read_optimizer(texts: Mapping[str, Any]) -> Optimizer:
    """The optimizer that options say: by its name, with its settings and those that have options of their own."""
    name, _, inside = texts["optimizer"].partition(":")
    given = read_optimizer_settings(name, inside, f"--optimizer {texts['optimizer']}")
    for key, read in _READ.items():
        if texts[key] is None:
            continue
        if key not in SETTINGS[name]:
            raise UsageError(f"--{key.replace('_', '-')} does not go with --optimizer {name}")
        if key in given:
            raise UsageError(f"--{key.replace('_', '-')}: --optimizer {texts['optimizer']} says it, too; leave one out")
        given[key] = read(texts[key])
    if name == "gd" and not given:
        raise UsageError("--optimizer gd needs a --learning-rate")
    return named(name, **given)


def read_another(text: str | None) -> Optimizer | None:
    """The optimizer that is priced besides, by its name with its settings; None where there is none."""
    if text is None:
        return None
    name, _, inside = text.partition(":")
    return named(name, **read_optimizer_settings(name, inside, f"--optimizer {text}"))


def _read_damping(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return read_rule("damping", text)


def _read_refresh(text: str) -> Any:
    from qngd.refresh import Refresh

    return built(Refresh, text, f"--refresh {text}")


_READ = {
    "learning_rate": lambda value: value,
    "step": lambda text: read_rule("step", text),
    "damping": _read_damping,
    "approx": lambda text: read_rule("approx", text),
    "gradient": lambda text: read_rule("gradient", text),
    "refresh": _read_refresh,
}
"""Settings of optimizers that have options of their own, and how each is read."""


def read_bounds(texts: Sequence[str]) -> Any:
    """The bounds that options say: one pair for all, or pairs by name; None without any.

    >>> read_bounds(["a=0,3.14", "b=none,1"])
    {'a': (0.0, 3.14), 'b': (None, 1.0)}
    """
    found: dict[str | None, tuple[float | None, float | None]] = {}
    for text in texts:
        name, equals, pair = text.rpartition("=")
        found[name.strip() if equals else None] = _pair(pair, text)
    if None not in found:
        return found or None
    if len(found) > 1:
        raise UsageError("--bounds: bounds of all parameters and of single ones exclude each other")
    return found[None]


def _pair(text: str, label: str) -> tuple[float | None, float | None]:
    sides = text.strip().strip("[]()").split(",")
    try:
        low, high = (None if side.strip().lower() in ("none", "null", '"none"') else float(side) for side in sides)
    except ValueError:
        raise UsageError(f"--bounds {label}: write LOW,HIGH or NAME=LOW,HIGH; none is no bound") from None
    return low, high


def with_cvar(problem: Problem, given: AnyGiven, text: str | None) -> Problem:
    """The problem with a CVaR of its observable, if one is asked for."""
    if text is None:
        return problem
    try:
        alphas = [float(part) for part in split(text)]
    except ValueError:
        raise UsageError(f"--cvar {text}: write a number above 0 and up to 1, or some after commas") from None
    if not alphas:
        raise UsageError("--cvar: write a number above 0 and up to 1")
    observable, theta0 = in_order(problem.observable, problem.theta0)
    if isinstance(observable, CVaR):
        observable = observable.observable
    elif not given.has_observable:
        raise UsageError("--cvar: it is of one circuit's observable, and this problem has none")
    else:
        observable = given.observable
    try:
        tail: Any = CVaR(observable, alphas[0] if len(alphas) == 1 else alphas)
        return replace(problem, observable=tail, theta0=theta0)
    except SettingError as error:
        raise SettingError(f"--cvar {text}: {error}") from None


def with_start(problem: Problem, text: str | None) -> Problem:
    """The problem with another start, if one is given."""
    if text is None:
        return problem
    try:
        start = json.loads(text)
    except ValueError:
        start = None
    if not isinstance(start, (list, dict)):
        raise UsageError(f"--theta0 {text}: write a list such as [0.1, 0.2], or an object of numbers by name")
    observable, _ = in_order(problem.observable, problem.theta0)
    found = replace(problem, observable=observable, theta0=start)
    try:
        read_any(found)
    except ParameterError as error:
        raise SettingError(f"--theta0 {text}: {error}") from None
    return found
