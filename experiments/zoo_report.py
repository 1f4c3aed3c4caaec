"""How the zoo experiment counts: scores of runs, verdicts over all problems, and the figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.chance import LEVEL, ahead
from experiments.record import Verdict
from experiments.zoo_cases import BASELINES, CASES, DEFAULT, METHODS

RELATIVE, CHEMICAL, WITH_SHOTS = 1e-3, 1.6e-3, 1e-2  # of a success: relative; hartree; relative, with shots
Runs = Mapping[str, Mapping[str, Any]]  # method -> its runs
_COLORS = (
    "#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#6B6B6B",
    "#8C564B", "#9467BD", "#17BECF",
)  # fmt: skip


@dataclass(frozen=True)
class Score:
    """How a method did on a problem: seeds that reached the goal, that stopped above it of their own accord
    (caught in another state) and that ran out of steps; medians over the successful ones. `steps` has an entry per
    seed, infinite for no success."""

    method: str
    successes: int
    trapped: int
    unfinished: int
    median_steps: float
    median_circuits: float
    median_seconds: float
    steps: tuple[float, ...]

    @property
    def rank(self) -> tuple[float, float]:
        """The better, the smaller."""
        return -self.successes, self.median_steps

    @property
    def text(self) -> str:
        return f"{self.successes}/{len(self.steps)}, {_number(self.median_steps)}"


# --- scores ---


def references(name: str, runs: Runs) -> dict[int, float]:
    """By seed the ground energy, if any method came that near, else the lowest value that any method found."""
    lowest: dict[int, float] = {}
    ground: dict[int, float | None] = {}
    for one in _all(runs):
        seed = one["seed"]
        lowest[seed] = min(lowest.get(seed, np.inf), float(np.nanmin(one["energies"])))
        ground[seed] = one["ground"]
    if CASES[name].is_one:
        lowest = dict.fromkeys(lowest, min(lowest.values()))
    return {seed: _near(ground[seed], low) for seed, low in lowest.items()}


def _near(ground: float | None, lowest: float) -> float:
    return ground if ground is not None and lowest <= ground + RELATIVE * abs(ground) else lowest


def _goal(reference: float, unit: str, relative: float = RELATIVE) -> float:
    slack = relative * abs(reference)
    return reference + (min(slack, CHEMICAL) if unit == "hartree" else slack)


def _all(runs: Runs) -> Iterable[Mapping[str, Any]]:
    return (one for file in runs.values() for one in file["runs"])


def _scores(name: str, runs: Runs) -> dict[str, Score]:
    reference = references(name, runs)
    return {method: _score(method, file, reference) for method, file in runs.items()}


def _score(method: str, file: Mapping[str, Any], reference: Mapping[int, float]) -> Score:
    steps, seconds, trapped = [], [], 0
    for one in file["runs"]:
        below = np.asarray(one["energies"]) <= _goal(reference[one["seed"]], one["unit"])
        reached = bool(below.any())
        steps.append(float(np.argmax(below)) if reached else np.inf)
        trapped += not reached and one["status"] == "converged"
        if reached:
            seconds.append(one["seconds"] * steps[-1] / max(len(below) - 1, 1))
    hits = [s for s in steps if np.isfinite(s)]
    median = float(np.median(hits)) if hits else np.inf
    return Score(
        method, len(hits), trapped, len(steps) - len(hits) - trapped, median, median * file["circuits_per_step"],
        float(np.median(seconds)) if seconds else np.inf, tuple(steps),
    )  # fmt: skip


def _best(scores: Mapping[str, Score], groups: Sequence[str]) -> Score | None:
    return min((s for s in scores.values() if METHODS[s.method].group in groups), key=lambda s: s.rank, default=None)


def compact(name: str, exact: Runs, shots: Runs) -> dict[str, Any]:
    """What a record keeps of a problem's runs. Exact, by method: the steps to the goal of each seed (None: it was not
    reached), how many stopped above it, the seconds of the processor to it (median), and the circuits of a step. With
    shots: how far above the reference, relatively, the exact energy ends, whether that is near, and the shots spent."""
    reference = references(name, {**exact, **{f"{method} with shots": _ended(file) for method, file in shots.items()}})
    return {
        "problem": name,
        "parameters": next(iter(_all(exact)))["parameters"],
        "max_steps": CASES[name].max_steps,
        "exact": {method: _as_plain(_score(method, file, reference)) for method, file in exact.items()},
        "shots": {method: _with_shots(file, reference) for method, file in shots.items()},
    }


def _ended(file: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the exact energies at the ends in place of the sampled ones."""
    return {**file, "runs": [{**one, "energies": [one["final"]]} for one in file["runs"]]}


def _as_plain(score: Score) -> dict[str, Any]:
    """A score with None for what is infinite, as JSON wants it."""
    known = {key: None if value == np.inf else value for key, value in asdict(score).items()}
    return known | {"steps": [None if step == np.inf else step for step in score.steps]}


def _from_plain(kept: Mapping[str, Any]) -> Score:
    known = {key: np.inf if value is None else value for key, value in kept.items()}
    return Score(**known | {"steps": tuple(np.inf if step is None else step for step in kept["steps"])})


def _with_shots(file: Mapping[str, Any], reference: Mapping[int, float]) -> dict[str, Any]:
    runs = file["runs"]
    excess = [(one["final"] - reference[one["seed"]]) / abs(reference[one["seed"]]) for one in runs]
    hits = sum(one["final"] <= _goal(reference[one["seed"]], one["unit"], WITH_SHOTS) for one in runs)
    return {"hits": hits, "of": len(runs), "excess": excess, "shots": float(np.median([one["shots"] for one in runs]))}


# --- verdicts ---


def judge(data: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    scores = {row["problem"]: {m: _from_plain(kept) for m, kept in row["exact"].items()} for row in data}
    limits = [row["max_steps"] for row in data]
    return [
        _as_many(scores, ("fixed",), "the best fixed (η, λ) of the grid for each problem"),
        _as_many(scores, BASELINES, "the best baseline, at its best setting, for each problem"),
        _fewer_than_one_setting(scores, limits),
        *_verdict_with_shots(data),
        Verdict("candidates: steps relative to the best of them, failures", None, _ranking(scores, limits)),
        *(Verdict(name, None, _row(of)) for name, of in scores.items()),
    ]  # fmt: skip


def _as_many(scores: Mapping[str, Mapping[str, Score]], groups: Sequence[str], rivals: str) -> Verdict:
    """By a sign test of all starts of all problems, since those of one say little."""
    fewer: list[str] = []
    ours: list[bool] = []
    theirs: list[bool] = []
    for name, of in scores.items():
        best, own = _best(of, groups), of[DEFAULT]
        assert best is not None
        ours += np.isfinite(own.steps).tolist()
        theirs += np.isfinite(best.steps).tolist()
        if own.successes < best.successes:
            fewer.append(f"{name} {own.successes} against {best.successes} of {best.method}")
    likely = ahead(theirs, ours)
    found = f"{sum(ours)} of {len(ours)} starts against {sum(theirs)}, p = {likely:.2g}"
    return Verdict(
        f"QNG() reaches the goal from as many starts as {rivals}, or from fewer by chance (p ≥ {LEVEL:g} over all)",
        likely >= LEVEL,
        found + (f"; fewer on {', '.join(fewer)}" if fewer else ""),
    )


def _fewer_than_one_setting(scores: Mapping[str, Mapping[str, Score]], limits: Sequence[int]) -> Verdict:
    fixed = [m for m in METHODS if METHODS[m].group == "fixed" and all(m in of for of in scores.values())]
    steps = {m: [np.array(of[m].steps) for of in scores.values()] for m in (DEFAULT, *fixed)}
    found = relative_steps(steps, limits)
    best = min(fixed, key=lambda m: found[m][0])
    return Verdict(
        "its steps, relative to the fewest from each start (geometric mean; a failure counts as all that are allowed), "
        "are fewer than those of any one fixed setting for all problems",
        found[DEFAULT][0] < found[best][0],
        "; ".join(f"{m} {found[m][0]:.2f}, {found[m][1]} failures" for m in (DEFAULT, best)),
    )


def _verdict_with_shots(data: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    rows = [row for row in data if row["shots"]]
    hits: dict[str, int] = {}
    for m in METHODS:
        if all(m in row["shots"] for row in rows):
            hits[m] = sum(row["shots"][m]["hits"] for row in rows)
    if not hits:
        return []
    rivals = {m: count for m, count in hits.items() if METHODS[m].group in BASELINES}
    total = sum(row["shots"][DEFAULT]["of"] for row in rows)
    claim = "with shots the exact energy at the end is near the reference from as many starts as with any baseline"
    every = ", ".join(f"{m} {count}" for m, count in sorted(hits.items(), key=lambda item: -item[1]))
    return [
        Verdict(claim, hits[DEFAULT] >= max(rivals.values()), f"{hits[DEFAULT]} of {total}; all: {every}"),
        *(Verdict(f"{row['problem']} with shots", None, _row_with_shots(row["shots"])) for row in rows),
    ]


def _row_with_shots(of: Mapping[str, Mapping[str, Any]]) -> str:
    """Of every method its successes, the median of the excess, and of the shots."""
    return "; ".join(
        f"{m} {kept['hits']}/{kept['of']}, {np.median(kept['excess']):.1e}, {kept['shots']:.1e} shots"
        for m, kept in of.items()
    )


def _row(of: Mapping[str, Score]) -> str:
    """The default, the best fixed setting and the best of each baseline: successes and median steps; who wins."""
    rivals = [best for group in ("fixed", *BASELINES) if (best := _best(of, (group,))) is not None]
    shown = "; ".join(f"{s.method} {s.text}" for s in (of[DEFAULT], *rivals))
    contenders = [of[DEFAULT], *rivals]
    most = max(s.successes for s in contenders)
    cheapest = min((s for s in contenders if s.successes == most), key=lambda s: s.median_circuits)
    fastest = min((s for s in contenders if s.successes == most), key=lambda s: s.median_seconds)
    return (
        f"{shown}; fewest steps {min(contenders, key=lambda s: s.rank).method}, fewest circuits {cheapest.method}, "
        f"fastest {fastest.method}"
    )


def _ranking(scores: Mapping[str, Mapping[str, Score]], limits: Sequence[int]) -> str:
    candidates = [m for m in METHODS if METHODS[m].group == "candidate" and all(m in of for of in scores.values())]
    found = relative_steps({m: [np.array(of[m].steps) for of in scores.values()] for m in candidates}, limits)
    ordered = sorted(candidates, key=lambda m: found[m][0])
    return ", ".join(f"{m} {found[m][0]:.2f}, {found[m][1]}" for m in ordered)


def relative_steps(steps: Mapping[str, Sequence[np.ndarray]], limits: Sequence[int]) -> dict[str, tuple[float, int]]:
    """Of each method: the geometric mean over problems of its steps relative to the best of these methods, seed by
    seed where any of them succeeds, a failure counting as all steps allowed; and its failures there.

    Args:
        steps: per method and problem an array (seeds,), infinite for no success.
        limits: the steps allowed for each problem.
    """
    logs: dict[str, list[float]] = {name: [] for name in steps}
    failures = dict.fromkeys(steps, 0)
    for problem, limit in enumerate(limits):
        table = np.array([of[problem] for of in steps.values()])
        table = table[:, np.isfinite(table).any(axis=0)]
        if not table.size:
            continue
        # a start that is a solution takes no step; it counts as one
        counted = np.maximum(np.where(np.isfinite(table), table, limit), 1.0)
        ratios = np.log(counted / counted.min(axis=0))
        for row, name in enumerate(steps):
            logs[name].append(float(ratios[row].mean()))
            failures[name] += int(np.isinf(table[row]).sum())
    return {name: (float(np.exp(np.mean(of))) if of else np.nan, failures[name]) for name, of in logs.items()}


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


# --- figure ---


def draw(data: Sequence[Mapping[str, Any]]) -> Figure:
    """Performance profiles (Dolan and Moré, doi:10.1007/s101070100263), and what is reached with shots."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    _profile(left, _curves({row["problem"]: {m: _from_plain(k) for m, k in row["exact"].items()} for row in data}))
    rows = [row["shots"] for row in data if row["shots"]]
    names = [m for m in METHODS if rows and all(m in of for of in rows)]
    shares = [np.mean([of[m]["hits"] / of[m]["of"] for of in rows]) for m in names]
    right.barh(names[::-1], shares[::-1], color=["0.6"] * (len(names) - 1) + ["black"])
    right.set(xlim=(0, 1), xlabel="share of starts near the reference", title=f"with shots, {len(rows)} problems")
    return figure


def _profile(axes: Axes, curves: Mapping[str, np.ndarray]) -> None:
    best = np.min(np.maximum(list(curves.values()), 1.0), axis=0)
    solved = np.isfinite(best)
    factors = np.geomspace(1, 100, 400)
    for color, (name, steps) in zip(_COLORS, curves.items(), strict=False):
        ratios = np.maximum(steps, 1.0)[solved] / best[solved]
        width = 2.4 if name == DEFAULT else 1.2
        axes.step(factors, [(ratios <= f).mean() for f in factors], where="post", label=name, color=color, lw=width)
    axes.set(
        xscale="log", xlim=(1, 100), ylim=(0, 1.02), xlabel="steps over the fewest of all methods shown, τ",
        ylabel="fraction of (problem, seed) solved within τ", title="exact, problems and seeds that any of them solves",
    )  # fmt: skip
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.legend(loc="lower right", fontsize=8)


def _curves(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, np.ndarray]:
    """Steps of the default, of the best fixed setting of each problem, of the best one for all, of each baseline at
    its best for the problem: over all (problem, seed), infinite for no success or where it cannot do the problem."""
    curves = {DEFAULT: [of[DEFAULT].steps for of in scores.values()]}
    for group in ("fixed", *BASELINES):
        found = [(_best(of, (group,)), of[DEFAULT]) for of in scores.values()]
        if 2 * sum(best is not None for best, _ in found) <= len(found):
            continue  # made for few of the problems
        label = f"{group}, best per problem" if group in ("fixed", "gd", "adam", "spsa", "momentum-qng") else group
        curves[label] = [(np.inf,) * len(own.steps) if best is None else best.steps for best, own in found]
    common = [m for m in METHODS if METHODS[m].group == "fixed" and all(m in of for of in scores.values())]
    one = min(common, key=lambda m: -sum(of[m].successes for of in scores.values()))
    curves[f"{one} everywhere"] = [of[one].steps for of in scores.values()]
    return {name: np.concatenate(steps) for name, steps in curves.items()}
