"""Tables and plot of the zoo experiment, from its stored runs alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.zoo_cases import BASELINES, CASES, DEFAULT, METHODS

RELATIVE, CHEMICAL, WITH_SHOTS = 1e-3, 1.6e-3, 1e-2  # of a success: relative; hartree; relative, with shots
LADDER_STEPS = 50
Runs = Mapping[str, Mapping[str, Any]]  # method -> its file
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


def write(out: Path) -> list[Path]:
    """Draw all there is data for; returns the files."""
    exact, shots = (_load(out / "runs" / part) for part in ("exact", "shots"))
    scores = {name: _scores(name, runs) for name, runs in exact.items()}
    lines = ["# The zoo: `QNG()` against fixed settings and baselines", ""]
    lines += _main_table(exact, scores) + _ranking(scores) + _ladder_table(exact) + _shots_table(exact, shots)
    paths = [out / "table.md", out / "summary.json", out / "profile.png"]
    paths[0].write_text("\n".join(lines) + "\n", encoding="utf-8")
    summary = {name: [asdict(s) for s in of.values()] for name, of in scores.items()}
    paths[1].write_text(json.dumps(summary, indent=1), encoding="utf-8")
    curves = _curves(scores)
    if curves:
        _profile(curves).savefig(paths[2], dpi=150)
    return [path for path in paths if path.exists()]


def _load(folder: Path) -> dict[str, Runs]:
    """The stored runs by problem and method, in the order of the tables of cases."""
    found: dict[str, Runs] = {}
    for name in CASES:
        paths = {method: folder / name / f"{method}.json" for method in METHODS}
        runs = {method: json.loads(path.read_text(encoding="utf-8")) for method, path in paths.items() if path.exists()}
        if runs:
            found[name] = runs
    return found


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


# --- tables ---


def _main_table(exact: Mapping[str, Runs], scores: Mapping[str, Mapping[str, Score]]) -> list[str]:
    lines = [
        "Exact. A cell is seeds that reached the goal, median steps of those; t: seeds that stopped above it, caught",
        "in another state; s: seconds. The goal: within 1e-3 relative (1.6e-3 hartree) of the ground energy, or of the",
        "lowest value that any method found. Circuits: steps times what one takes at most on a device, where the",
        "metric is the block-diagonal one.",
        "",
        _row("problem", "P", "`QNG()`", "t", "s", "best fixed η-λ", "best candidate", "best baseline", "winner (steps)",
             "winner (circuits)"),
        _row(*["---"] * 10),
    ]  # fmt: skip
    for name, of in scores.items():
        ours = of.get(DEFAULT)
        if ours is None:
            continue
        rivals = [_best(of, groups) for groups in (("fixed",), ("candidate",), BASELINES)]
        contenders = [s for s in (ours, rivals[0], rivals[2]) if s is not None]
        most = max(s.successes for s in contenders)
        fewest = min((s for s in of.values() if s.successes >= most and s.method not in _others()),
                     key=lambda s: s.median_circuits)  # fmt: skip
        parameters = next(iter(_all(exact[name])))["parameters"]
        lines.append(
            _row(
                name,
                parameters,
                ours.text,
                ours.trapped,
                _number(ours.median_seconds),
                *("" if s is None else f"{s.method}: {s.text}" for s in rivals),
                min(contenders, key=lambda s: s.rank).method,
                f"{fewest.method}: {_number(fewest.median_circuits)} (`QNG()` {_number(ours.median_circuits)})",
            )
        )
    return [*lines, ""]


def _others() -> set[str]:
    """The candidates besides the default: they do not compete with it in the first table."""
    return {name for name, method in METHODS.items() if method.group == "candidate"} - {DEFAULT}


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


def _ranking(scores: Mapping[str, Mapping[str, Score]]) -> list[str]:
    # of an experiment that is not done, what most of its problems have
    candidates = [
        m for m, method in METHODS.items()
        if method.group == "candidate" and 2 * sum(m in of for of in scores.values()) > len(scores)
    ]  # fmt: skip
    complete = {name: of for name, of in scores.items() if set(candidates) <= set(of)}
    fixed = [m for m in METHODS if METHODS[m].group == "fixed" and all(m in of for of in complete.values())]
    steps = {m: [np.array(of[m].steps) for of in complete.values()] for m in (*candidates, *fixed)}
    found = relative_steps(steps, [CASES[name].max_steps for name in complete])
    lines = [
        f"The candidates over {len(complete)} problems: geometric mean of steps relative to the best of all candidates",
        "and fixed settings on each seed (a failure counts as all steps allowed), the seeds it fails where one of them",
        "succeeds, and the seeds it stops above the goal; below them the three fixed settings that are best as one",
        "setting for all problems.",
        "",
        _row("candidate", "steps relative to the best", "failures", "trapped"),
        _row(*["---"] * 4),
    ]
    for name in (*sorted(candidates, key=lambda m: found[m][0]), *sorted(fixed, key=lambda m: found[m][0])[:3]):
        trapped = sum(of[name].trapped for of in complete.values())
        lines.append(_row(name, f"{found[name][0]:.3f}", found[name][1], trapped))
    return [*lines, ""]


def _ladder_table(exact: Mapping[str, Runs]) -> list[str]:
    """R7: what 50 steps reach."""
    names = [name for name in exact if name.startswith("pauli-ladder")]
    if not names:
        return []
    lines = [f"Mean energy after {LADDER_STEPS} steps (the lowest until then), the best settings of each kind:", ""]
    groups = [("`QNG()`", [DEFAULT])]
    groups += [(g, [m for m, one in METHODS.items() if one.group == g]) for g in ("fixed", "candidate", *BASELINES)]
    lines += [_row("problem", *(title for title, _ in groups)), _row(*["---"] * (1 + len(groups)))]
    for name in names:
        cells = []
        for _, methods in groups:
            means = {m: _mean_after(exact[name][m], LADDER_STEPS) for m in methods if m in exact[name]}
            best = min(means, key=lambda m: means[m], default="")
            cells.append(f"{means[best]:.4f} ({best})" if best else "")
        lines.append(_row(name, *cells))
    return [*lines, ""]


def _mean_after(file: Mapping[str, Any], steps: int) -> float:
    return float(np.mean([np.min(one["energies"][: steps + 1]) for one in file["runs"]]))


def _shots_table(exact: Mapping[str, Runs], shots: Mapping[str, Runs]) -> list[str]:
    if not shots:
        return []
    methods = [m for m, one in METHODS.items() if one.with_shots and any(m in runs for runs in shots.values())]
    lines = [
        "1000 shots a circuit, 60 steps at most (180 for SPSA and COBYLA). A cell: seeds whose *exact* energy at the",
        "end is within 1e-2 relative (1.6e-3 hartree) of the reference; median of its excess; median of shots spent.",
        "",
        _row("problem", *methods),
        _row(*["---"] * (1 + len(methods))),
    ]
    for name, runs in shots.items():
        reference = references(name, {**exact.get(name, {}), **({} if name in exact else _ended(runs))})
        lines.append(_row(name, *(_shots_cell(runs.get(m), reference) for m in methods)))
    return [*lines, ""]


def _ended(runs: Runs) -> Runs:
    """The same with the exact energies at the ends in place of the sampled ones."""
    return {m: {**f, "runs": [{**one, "energies": [one["final"]]} for one in f["runs"]]} for m, f in runs.items()}


def _shots_cell(file: Mapping[str, Any] | None, reference: Mapping[int, float]) -> str:
    if file is None:
        return ""
    runs = file["runs"]
    hits = sum(one["final"] <= _goal(reference[one["seed"]], one["unit"], WITH_SHOTS) for one in runs)
    excess = np.median([one["final"] - reference[one["seed"]] for one in runs])
    return f"{hits}/{len(runs)}, {excess:.1e}, {np.median([one['shots'] for one in runs]):.1e}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


# --- plot ---


def _profile(curves: Mapping[str, np.ndarray]) -> Figure:
    """Performance profiles (Dolan and Moré, doi:10.1007/s101070100263)."""
    best = np.min(np.maximum(list(curves.values()), 1.0), axis=0)
    solved = np.isfinite(best)
    factors = np.geomspace(1, 100, 400)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
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
    return figure


def _curves(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, np.ndarray]:
    """Steps of the default, of the best fixed setting of each problem, of the best one for all, of each baseline at
    its best for the problem: over all (problem, seed), infinite for no success."""
    ours = [of for of in scores.values() if DEFAULT in of]
    # what most problems have: of an experiment that is not done, and of methods that cannot do all
    groups = [g for g in ("fixed", *BASELINES) if 2 * sum(_best(of, (g,)) is not None for of in ours) > len(ours)]
    every = [of for of in ours if all(_best(of, (g,)) for g in groups)]
    curves = {DEFAULT: [of[DEFAULT].steps for of in every]}
    for group in groups:
        label = f"{group}, best per problem" if group in ("fixed", "gd", "adam", "spsa", "momentum-qng") else group
        curves[label] = [best.steps for of in every if (best := _best(of, (group,))) is not None]
    common = [m for m in METHODS if METHODS[m].group == "fixed" and all(m in of for of in every)]
    if common and every:
        one = min(common, key=lambda m: -sum(of[m].successes for of in every))
        curves[f"{one} everywhere"] = [of[one].steps for of in every]
    return {name: np.concatenate(steps) for name, steps in curves.items()} if every else {}
