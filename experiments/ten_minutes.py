"""Ten minutes of device time train QAOA on 100 qubits, from a ramp, to .95 of what exact training reaches.

MaxCut of the first 100 qubits of fake_torino, joined as there (112 edges, heavy-hex), QAOA with p = 2, 600 seconds by
that device's times. Shots are drawn from exact light cones (`experiments.cone_shots`): their means and covariances
are exact, and the device's noise is not in them. The first 20 qubits are run with true samples of their statevector,
and with drawn ones beside them, four steps. The answer of a run is the exact cut ⟨C⟩ at the point that it returns, as a
part of the one that exact training from the ramp reaches; `rise` is the part of the way from where the run began to
where exact training from there ends.

    python -m experiments.ten_minutes            five minutes on one core
    python -m experiments.ten_minutes --smoke    one seed, 12 qubits, two steps
"""

from __future__ import annotations

from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from qiskit_ibm_runtime.fake_provider import FakeTorino

import qngd
from experiments.cone_shots import AsOn, ConeShots
from experiments.light_cones import maxcut
from experiments.record import Experiment, Verdict, main
from qngd.backends import resolve
from qngd.backends.statevector import StatevectorSampler

SECONDS, WANTED = 600.0, 0.95
SHOTS, FINAL = 4000, 4000
SEEDS, FEW, FEWEST = 10, 4, 2
STEPS, SHORT = (200, 50), 4  # at most; with "auto", whose steps take a hundredth of a second of device time
PRICES = qngd.Prices(per_circuit=0.30, per_shot=0.0009, currency="USD")  # as of a provider with a task a circuit
MONEY, FEWER_SHOTS = 250.0, 400


@cache
def heavy_hex(num_qubits: int) -> tuple[tuple[int, int], ...]:
    """The edges among the device's first qubits."""
    edges = {tuple(sorted(edge)) for edge in FakeTorino().coupling_map.get_edges()}
    return tuple(sorted((a, b) for a, b in edges if b < num_qubits))


class Graph:
    """MaxCut with p = 2 on these edges, and what exact training makes of it."""

    def __init__(self, edges: tuple[tuple[int, int], ...]) -> None:
        self.edges = edges
        self.circuit, self.cost = maxcut(list(edges), 1 + max(map(max, edges)), 2)
        self.ramp = qngd.start.ramp(self.circuit, self.cost, backend="light-cone")
        self.best = self.cut(qngd.minimize(self.circuit, self.cost, self.ramp, backend="light-cone").theta)

    def cut(self, theta: Any) -> float:
        """The exact ⟨C⟩."""
        energy = qngd.expectation(self.circuit, self.cost, theta, backend="light-cone").value
        return 0.5 * len(self.edges) - float(energy)

    def run(self, backend: Any, start: Any, shots: Any, seed: int, budget: qngd.Budget, steps: int) -> dict[str, Any]:
        """What a run reaches, and what it spends."""
        result = qngd.minimize(
            self.circuit,
            self.cost,
            start,
            backend=backend,
            shots=shots,
            seed=seed,
            budget=budget,
            final_shots=FINAL,
            max_steps=steps,
        )
        at_start, reached = self.cut(start), self.cut(result.theta)
        # of a random start the end of an exact run from there may be another
        own = self.cut(qngd.minimize(self.circuit, self.cost, start, backend="light-cone").theta)
        return {
            "seed": seed,
            "start": at_start / self.best,
            "reached": reached / self.best,
            "exact": own / self.best,
            "rise": (reached - at_start) / (own - at_start),
            "measured": (0.5 * len(self.edges) - result.energy) / self.best,
            "stderr": result.stderr / self.best,
            "steps": result.steps,
            "status": result.status,
            "circuits": result.cost.circuits,
            "shots": result.cost.shots,
            "seconds": result.cost.seconds,
            "money": result.cost.money,
        }


def measure(smoke: bool) -> list[dict[str, Any]]:
    """A row a way to run: its name and its runs."""
    device = resolve("fake_torino")
    large, small = (Graph(heavy_hex(count)) for count in ((12, 8) if smoke else (100, 20)))
    cones, true = AsOn(ConeShots(), device), AsOn(StatevectorSampler(), device)
    time, money = qngd.Budget(seconds=SECONDS), qngd.Budget(money=MONEY, prices=PRICES)
    many, few, fewest = (range(1 if smoke else count) for count in (SEEDS, FEW, FEWEST))
    long, short = ((2, 2), 2) if smoke else (STEPS, SHORT)
    rows: list[dict[str, Any]] = []

    def row(name: str, graph: Graph, backend: Any, ramp: bool, shots: Any, seeds: range, budget: qngd.Budget) -> None:
        starts = (graph.ramp if ramp else qngd.start.uniform(graph.circuit, seed=seed) for seed in seeds)
        steps = short if graph is small else long[shots == "auto"]
        runs = [
            graph.run(backend, start, shots, seed, budget, steps) for seed, start in zip(seeds, starts, strict=True)
        ]
        rows.append({"name": name, "vertices": graph.circuit.num_qubits, "edges": len(graph.edges), "runs": runs})
        print(name, {key: np.round(np.mean([run[key] for run in runs]), 4) for key in ("reached", "rise", "steps")})

    row("ramp", large, cones, True, SHOTS, many, time)
    row("ramp, auto", large, cones, True, "auto", few, time)
    row("random start", large, cones, False, SHOTS, many, time)
    row("money", large, cones, True, FEWER_SHOTS, many, money)
    row("money, auto", large, cones, True, "auto", few, money)
    row("true samples", small, true, True, SHOTS, fewest, time)
    row("drawn samples", small, cones, True, SHOTS, many, time)
    return rows


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    found = {row["name"]: row for row in rows}

    def reach(name: str) -> str:
        return f"{_mean(found[name], 'reached')} from {_mean(found[name], 'start', False)}; {_spent(found[name])}"

    def is_enough(name: str) -> bool:
        return float(np.mean([run["reached"] for run in found[name]["runs"]])) >= WANTED

    def above(name: str) -> str:
        return (
            f"{name}: {_mean(found[name], 'reached')} of exact training's cut, {_mean(found[name], 'rise')} of the way"
        )

    timed = [row for row in rows if not row["name"].startswith("money")]
    longest = max(run["seconds"] for row in timed for run in row["runs"])
    dearest = max(run["money"] for row in rows if row["name"].startswith("money") for run in row["runs"])
    true, drawn = found["true samples"], found["drawn samples"]
    n, m, less = found["ramp"]["vertices"], found["ramp"]["edges"], true["vertices"]
    return [
        Verdict(
            f"{n} qubits, {m} edges, from a ramp: the mean cut is at least {WANTED} of exact training's",
            is_enough("ramp"),
            reach("ramp"),
        ),
        Verdict('the same with shots="auto"', is_enough("ramp, auto"), reach("ramp, auto")),
        Verdict(f"{less} qubits, true samples: the same", is_enough("true samples"), reach("true samples")),
        Verdict(f"no run takes more than {SECONDS:.0f} s", longest <= SECONDS, f"at most {longest:.1f} s"),
        Verdict(
            f"where money is limited instead, none takes more than {MONEY:.0f} {PRICES.currency}",
            dearest <= MONEY,
            f"at most {dearest:.2f} {PRICES.currency}; {above('money')}; {above('money, auto')}",
        ),
        Verdict(
            f"of the way from the ramp's own cut to that of exact training, the mean is at least {WANTED} too",
            float(np.mean([run["rise"] for run in found["ramp"]["runs"]])) >= WANTED,
            f"{_mean(found['ramp'], 'rise')}; auto {_mean(found['ramp, auto'], 'rise')}; true samples "
            f"{_mean(true, 'rise')}",
        ),
        Verdict(
            f"{less} qubits, {SHORT} steps: the part of the way with true samples, and with drawn ones",
            None,
            f"{_mean(true, 'rise')} of {len(true['runs'])}, and {_mean(drawn, 'rise')} of {len(drawn['runs'])}",
        ),
        Verdict(
            "random starts",
            None,
            f"{_mean(found['random start'], 'reached')}, where exact training from the same starts ends at "
            f"{_mean(found['random start'], 'exact')}",
        ),
    ]


def _mean(row: dict[str, Any], key: str, with_error: bool = True) -> str:
    values = np.array([run[key] for run in row["runs"]])
    error = f" ± {values.std(ddof=1) / np.sqrt(len(values)):.4f}" if with_error and len(values) > 1 else ""
    return f"{values.mean():.4f}{error}"


def _spent(row: dict[str, Any]) -> str:
    median = {key: np.median([run[key] for run in row["runs"]]) for key in ("steps", "circuits", "shots", "seconds")}
    return (
        f"{median['steps']:.0f} steps, {median['circuits']:.0f} circuits, {median['shots']:.0f} shots, "
        f"{median['seconds']:.0f} s in the median of {len(row['runs'])}"
    )


def draw(rows: list[dict[str, Any]]) -> Figure:
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for place, row in enumerate(rows):
        axes.plot([run["start"] for run in row["runs"]], [place] * len(row["runs"]), "|", color="0.5", label="start")
        axes.plot([run["reached"] for run in row["runs"]], [place] * len(row["runs"]), "o", color="C0", label="reached")
    axes.axvline(WANTED, color="C1", label=str(WANTED))
    axes.set_yticks(range(len(rows)), [f"{row['name']}, {row['vertices']} qubits" for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="exact ⟨C⟩ / that of exact training from the ramp")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(*zip(*dict(zip(labels, zip(handles, labels, strict=True), strict=True)).values(), strict=True))
    return figure


EXPERIMENT = Experiment(
    "ten_minutes",
    "Ten minutes of device time train QAOA on 100 qubits, from a ramp, to .95 of what exact training reaches",
    "five minutes",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
