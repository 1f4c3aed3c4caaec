"""No limit on what a run may spend is ever exceeded, in any unit, on any kind of backend.

Random limits on jobs, circuits, shots, device seconds, money and time by the clock, with random optimizers and rules
for shots. What was spent is counted by the device itself: what it was given to run, the times that Qiskit gives the
circuits that came, and a bill by hand. On a provider whose jobs fail now and then every other run is killed on the way,
and goes on.

    python -m experiments.budgets            50 limits on each kind of backend: four minutes on one core
    python -m experiments.budgets --smoke    one on some
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as qml
from qiskit.primitives import BackendEstimatorV2, StatevectorSampler
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeTorino

import qngd
from experiments import crash_runs
from experiments.crash_provider import bill, is_lost
from experiments.crash_runs import SEVERAL, TERMS, THETA, circuit, finished, jobs_in, killed_after, new_folder
from experiments.record import Experiment, Verdict, main
from qngd.backends.statevector import StatevectorSampler as EmbeddedSampler

LIMITS = 50  # of each kind
UNITS = ("jobs", "circuits", "shots", "seconds", "money", "wall")
PRICE = {"per_task": 0.3, "per_circuit": 0.02, "per_shot": 0.001, "per_second": 1.6, "minimum": 0.5}
A_SHOT = 1e-3  # seconds, where a backend gives no times
OPTIMIZERS: tuple[Any, ...] = (
    None, qngd.QNG(0.1), qngd.QNG(0.1, refresh=qngd.refresh.Refresh(3)), "spsa", "rotosolve",
    qngd.QNG.qn_spsa(),  # which needs counts
)  # fmt: skip
SHOTS: tuple[Any, ...] = (60, qngd.AutoShots(), qngd.TargetError(0.05))
_ROUNDING = 1 + 1e-8  # of seconds and money
_LATE = 0.05  # seconds between two readings of the clock, at most


@dataclass
class Account:
    """What a device was given: circuits, shots and seconds of each job."""

    jobs: list[tuple[int, int, float]] = field(default_factory=list)

    def book(self, circuits: int, shots: int, seconds: float | None = None) -> None:
        self.jobs.append((circuits, shots, A_SHOT * shots if seconds is None else seconds))

    @property
    def total(self) -> dict[str, float]:
        """The bill."""
        bill = (
            PRICE["per_task"] + PRICE["per_circuit"] * c + PRICE["per_shot"] * n + PRICE["per_second"] * s
            for c, n, s in self.jobs
        )  # fmt: skip
        circuits, shots, seconds = (sum(job[k] for job in self.jobs) for k in range(3))
        money = sum(max(PRICE["minimum"], each) for each in bill)
        return dict(zip(UNITS, (len(self.jobs), circuits, shots, seconds, money), strict=False))


# --- devices that keep an account ---


class Embedded(EmbeddedSampler):
    def __init__(self, account: Account) -> None:
        self.account = account

    def submit(self, templates: Any, requests: Any, seed: Any) -> Any:
        self.account.book(len(requests), sum(request.shots for request in requests))
        return super().submit(templates, requests, seed)


class Aer(AerSimulator):
    def __init__(self, account: Account) -> None:
        super().__init__(max_parallel_threads=1)
        self.account = account

    def run(self, circuits: Any, **options: Any) -> Any:
        self.account.book(len(circuits), len(circuits) * options["shots"])
        return super().run(circuits, **options)


class Torino(FakeTorino):
    """The device with its times and without its noise."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account, self._simulator = account, AerSimulator(max_parallel_threads=1)

    def run(self, circuits: Any, **options: Any) -> Any:
        shots, delay = options["shots"], self.configuration().default_rep_delay
        times = sum(made.estimate_duration(self.target) + delay for made in circuits)
        self.account.book(len(circuits), len(circuits) * shots, shots * times)
        return self._simulator.run(circuits, **options)


class Sampler(StatevectorSampler):
    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account

    def run(self, pubs: Any, **options: Any) -> Any:
        sizes = [(int(np.prod(np.shape(pub[1])[:-1])) if len(pub) > 1 else 1, pub[2]) for pub in pubs]
        self.account.book(sum(rows for rows, _ in sizes), sum(rows * shots for rows, shots in sizes))
        return super().run(pubs, **options)


class Estimator(BackendEstimatorV2):
    """A precision of 1/√N is N shots of a circuit."""

    def __init__(self, account: Account) -> None:
        super().__init__(backend=AerSimulator(max_parallel_threads=1))
        self.account = account

    def run(self, pubs: Any, *, precision: float | None = None) -> Any:
        rows = sum(len(pub[2]) if len(pub) > 2 else 1 for pub in pubs)
        assert precision
        self.account.book(rows, rows * round(1 / precision**2))
        return super().run(pubs, precision=precision)


class PennyLane(qml.devices.DefaultQubit):
    def __init__(self, account: Account) -> None:
        super().__init__(wires=2, seed=1)
        self.account = account

    def execute(self, circuits: Any, execution_config: Any = None) -> Any:
        self.account.book(len(circuits), sum(script.shots.total_shots for script in circuits))
        return super().execute(circuits, execution_config)


DEVICES: dict[str, Callable[[Account], Any]] = {
    "embedded sampler": Embedded,
    "Aer": Aer,
    "Aer in several jobs": lambda account: qngd.backends.resolve(Aer(account), limits=SEVERAL),
    "times of fake_torino": Torino,
    "V2 sampler": Sampler,
    "V2 estimator": Estimator,
    "PennyLane device": PennyLane,
}


class Steps:
    """The time of a run's steps, as its callback sees it."""

    def __init__(self) -> None:
        self.ends = [time.monotonic()]

    def __call__(self, info: Any) -> None:
        self.ends.append(time.monotonic())

    def began_in_time(self, wall: float) -> bool:
        """Whether the last step was begun within `wall` seconds, and the longest before it would still have fitted."""
        ends = [end - self.ends[0] for end in self.ends]
        if len(ends) < 3:  # the start and the first step are one
            return True
        longest = max((b - a for a, b in pairwise(ends[1:-1])), default=0.0)
        return ends[-2] + longest <= wall + _LATE


@dataclass
class Row:
    """Random limits on one kind of backend: how many, how many were exceeded, of how many results the cost was not the
    bill, how runs ended, and the largest share of a limit that was spent."""

    kind: str
    limits: int = 0
    exceeded: int = 0
    miscounted: int = 0
    odd: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    largest_share: float = 0.0
    kills: int = 0
    lost: int = 0

    def add(self, unit: str, limit: float, spent: dict[str, float], told: dict[str, Any]) -> None:
        """Count a run that ended within a limit, given the bill and what the run told."""
        self.limits += 1
        status = told["status"]
        self.ends[status] = self.ends.get(status, 0) + 1
        self.odd += status not in ("max_steps", "budget", "refused", "noise", "converged")
        if unit in spent:
            self.exceeded += spent[unit] > limit * _ROUNDING
            self.largest_share = max(self.largest_share, spent[unit] / limit)
        cost = told.get("cost")
        if cost is not None and not all(np.isclose(cost[name], spent[name], rtol=1e-8) for name in cost):
            self.miscounted += 1
            print(f"{self.kind}: {cost} where {spent} was billed")


def prices(kind: str) -> qngd.Prices:
    """What is paid; with the time of a shot, where the backend does not know it."""
    return qngd.Prices(**PRICE, seconds_per_shot=None if "times" in kind else A_SHOT)


def settings(random: np.random.Generator, kind: str) -> dict[str, Any]:
    """Those of a run, drawn at random."""
    known = OPTIMIZERS[:-1] if "estimator" in kind else OPTIMIZERS
    return {
        "optimizer": known[random.integers(len(known))],
        "shots": SHOTS[random.integers(len(SHOTS))],
        "final_shots": [None, 80][random.integers(2)],
        "seed": int(random.integers(10**6)),
        "max_steps": 4,
        "tol": 0,
    }


def spent_by(result: qngd.Result) -> dict[str, float]:
    """What a run says it has spent."""
    return {name: getattr(result.cost, name) for name in UNITS[:-1]}


def on_device(kind: str, limits: int, random: np.random.Generator) -> Row:
    """Random limits on runs of this process, each of a share of what the same run takes without one."""
    row = Row(kind)
    for _ in range(limits):
        how, unit = settings(random, kind), UNITS[random.integers(len(UNITS))]
        share = random.uniform(0.25, 1.1)
        free, began = Account(), time.monotonic()
        _run(kind, free, how, qngd.Budget(prices=prices(kind)))
        whole = free.total | {"wall": time.monotonic() - began}
        limit = share * whole[unit]
        limit = max(1, int(limit)) if unit in ("jobs", "circuits", "shots") else limit
        account, steps = Account(), Steps()
        told = _run(kind, account, how | {"callback": steps}, qngd.Budget(**{unit: limit}, prices=prices(kind)))
        row.add(unit, limit, account.total, told)
        if unit == "wall":
            row.exceeded += not steps.began_in_time(limit)
    return row


def _run(kind: str, account: Account, how: dict[str, Any], budget: qngd.Budget) -> dict[str, Any]:
    try:
        result = qngd.minimize(circuit(), TERMS, THETA, backend=DEVICES[kind](account), budget=budget, **how)
    except qngd.SettingError as error:
        return {"status": "refused", "message": str(error)}
    return {"status": str(result.status), "cost": spent_by(result)}


def on_provider(limits: int, random: np.random.Generator) -> Row:
    """Random limits on runs whose provider fails now and then, of which every other one is killed."""
    row, kind = Row("provider that fails, runs killed"), "provider"
    units = UNITS[:-1]  # each call has a clock of its own
    for number in range(limits):
        how, unit = settings(random, kind), units[random.integers(len(units))]
        budget = {"prices": prices(kind)}
        whole = _kept(kind, how | {"budget": qngd.Budget(**budget)}, 0.0, 0.0)
        limit = random.uniform(0.25, 1.1) * whole["spent"][unit]
        limit = max(1, int(limit)) if unit in ("jobs", "circuits", "shots") else limit
        how["budget"] = qngd.Budget(**budget, **{unit: limit})
        kill = random.uniform(0, whole["seconds"]) if number % 2 == 0 else 0.0
        found = _kept(kind, how, 0.08, kill)
        row.kills += found["killed"]
        row.lost += found["lost"]
        row.add(unit, limit, found["spent"], found["told"])
    return row


def _kept(kind: str, how: dict[str, Any], trouble: float, kill: float) -> dict[str, Any]:
    """A run in a folder, killed once after some seconds, and what its provider bills. A job that gave nothing is one
    all the same, and costs nothing else."""

    def work() -> dict[str, Any]:
        result = crash_runs.run(kind, folder, trouble, **how)
        return {"status": str(result.status), "message": result.message, "cost": spent_by(result)}

    with new_folder() as folder:
        began = time.monotonic()
        killed = kill > 0 and killed_after(kill, work, folder / "answer.json")
        told = finished(work, folder)
        jobs = bill(jobs_in(folder))
        account = Account([(job["circuits"], job["shots"], A_SHOT * job["shots"]) for job in jobs if not is_lost(job)])
        spent = account.total | {"jobs": len(jobs)}
    return {
        "told": told, "spent": spent, "lost": len(jobs) - len(account.jobs), "killed": killed,
        "seconds": time.monotonic() - began,
    }  # fmt: skip


# --- the experiment ---


def measure(smoke: bool) -> list[dict[str, Any]]:
    """A row for each kind of backend."""
    random, limits = np.random.default_rng(15), 1 if smoke else LIMITS
    rows = []
    for kind in ("embedded sampler", "times of fake_torino") if smoke else DEVICES:
        rows.append(vars(on_device(kind, limits, random)))
        print(rows[-1], flush=True)
    qngd.cost(
        circuit(), TERMS, THETA, backend=crash_runs.backend_of("provider", Path(), 0.0), shots=60
    )  # compiled here
    rows.append(vars(on_provider(limits, random)))
    print(rows[-1], flush=True)
    return rows


def judge(rows: list[dict[str, Any]]) -> Iterator[Verdict]:
    for row in rows:
        ends = ", ".join(f"{count} {status}" for status, count in sorted(row["ends"].items()))
        kills = f"; {row['kills']} kills, {row['lost']} jobs lost" if row["kills"] else ""
        yield Verdict(
            f"budgets hold, and costs are the bill: {row['kind']}",
            not (row["exceeded"] or row["miscounted"] or row["odd"]),
            f"{row['limits'] - row['exceeded']} of {row['limits']} limits held, up to {row['largest_share']:.1%} "
            f"of one was spent, {row['miscounted']} costs were not the bill; ended: {ends}{kills}",
        )


EXPERIMENT = Experiment(
    "budgets",
    "No limit on what a run may spend is ever exceeded, in any unit, on any kind of backend",
    "four minutes",
    measure,
    lambda rows: list(judge(rows)),
)

if __name__ == "__main__":
    main(EXPERIMENT)
