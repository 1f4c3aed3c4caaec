"""Spin chains to 1e-4 of the ground energy: how many starts arrive, in how many steps and seconds of the processor.

The critical Ising ring and the Heisenberg chain, each with the Hamiltonian variational ansatz and with a
hardware-efficient one, exact, twenty random starts: `QNG()` beside rivals at their best setting of a declared grid (the
first three starts choose it, by arrivals and then steps; see `race`). A step of L-BFGS-B is an evaluation of energy and
gradient. PennyLane's optimizer runs on the smallest alone, which is written in PennyLane as well, for 40 steps at most:
one takes a tenth of a second. A rival is ahead in arrivals if it would be so by chance in less than one of a hundred
cases (see `chance`).

    python -m experiments.spin_chains            seven minutes on one core
    python -m experiments.spin_chains --smoke    the smallest, two starts, few steps
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pennylane as qml
from matplotlib.figure import Figure
from qiskit.quantum_info import SparsePauliOp

import qngd
from circuits import heisenberg, tfim
from experiments.chance import surely_ahead
from experiments.race import (
    Goal,
    Grid,
    Ours,
    Raced,
    Start,
    Theirs,
    arrivals,
    brief,
    draw_medians,
    median,
    methods_of,
    race,
    row,
)
from experiments.record import Experiment, Verdict, main
from experiments.wall_time import open_chain
from qngd.baselines import Adam, SciPy
from qngd.interop.given import read_given

NEAR = 1e-4  # of the ground energy
SEEDS, TUNED_ON = 20, 3
DEFAULT, LIMITED = "QNG()", "L-BFGS-B"


def heisenberg_hva(num_qubits: int, layers: int, seed: int) -> qngd.Problem:
    """The open Heisenberg chain from singlets on its even bonds; a layer turns odd bonds, then even ones, by one angle
    each for XX and YY together and one for ZZ (arXiv:1906.08948)."""
    model = heisenberg.problem(num_qubits=num_qubits)
    circuit = qngd.CircuitBuilder(num_qubits)
    even, odd = (range(parity, num_qubits - 1, 2) for parity in (0, 1))
    for i in even:
        circuit.x(i).x(i + 1).h(i).cx(i, i + 1)
    angles = iter(circuit.parameters(*(f"theta[{k}]" for k in range(4 * layers))))
    for _ in range(layers):
        for bonds in (odd, even):
            flip, along = next(angles), next(angles)
            for i in bonds:
                circuit.rxx(flip, i, i + 1).ryy(flip, i, i + 1).rzz(along, i, i + 1)
    start = np.random.default_rng(seed).uniform(-np.pi, np.pi, 4 * layers)
    return qngd.Problem(circuit.build(), model.observable, start, reference_energy=model.reference_energy)


def ising_node(num_qubits: int) -> Any:
    """circuits/tfim.py in PennyLane's own gates."""
    ring = [(i, (i + 1) % num_qubits) for i in range(num_qubits)]
    energy = qml.Hamiltonian(
        [-1.0] * (2 * num_qubits),
        [qml.Z(i) @ qml.Z(j) for i, j in ring] + [qml.X(i) for i in range(num_qubits)],
        grouping_type="qwc",
    )

    @qml.qnode(qml.device("default.qubit", wires=num_qubits))
    def node(theta: Any) -> Any:
        for i in range(num_qubits):
            qml.Hadamard(i)
        for layer in range(num_qubits // 2):
            for i, j in ring:
                qml.IsingZZ(2 * theta[2 * layer], wires=[i, j])
            for i in range(num_qubits):
                qml.RX(2 * theta[2 * layer + 1], wires=i)
        return qml.expval(energy)

    return node


CASES: dict[str, Callable[[int], qngd.Problem]] = {
    "Ising ring of 6, HVA": lambda seed: tfim.problem(num_qubits=6, start="half-pi", seed=seed),
    "Ising ring of 10, HVA": lambda seed: tfim.problem(num_qubits=10, start="half-pi", seed=seed),
    "Ising chain of 6, HEA": lambda seed: open_chain(6, 5, seed),
    "Heisenberg chain of 6, HVA": lambda seed: heisenberg_hva(6, 3, seed),
    "Heisenberg chain of 4, HEA": lambda seed: heisenberg.problem(num_qubits=4, seed=seed),
    "Heisenberg chain of 6, HEA": lambda seed: heisenberg.problem(num_qubits=6, seed=seed),
}
IN_PENNYLANE = "Ising ring of 6, HVA"
METHODS: dict[str, Grid] = {
    DEFAULT: {"": Ours(qngd.QNG(), max_steps=500)},
    "QNG, blocks": {"": Ours(qngd.QNG(approx="block-diag"), max_steps=500)},
    "QNG, blocks, fixed": {
        f"{rate:g}, {level:g}": Ours(qngd.QNG(rate, "block-diag", level), max_steps=500)
        for rate in (0.05, 0.1, 0.2)
        for level in (1e-3, 1e-2)
    },
    LIMITED: {"": Ours(SciPy("L-BFGS-B", {"ftol": 1e-13, "gtol": 1e-7}), max_steps=1000)},
    "Adam": {f"{rate:g}": Ours(Adam(rate), max_steps=1000) for rate in (0.02, 0.05, 0.15)},
}
THEIRS: dict[str, Grid] = {
    "PennyLane QNG": {
        f"{rate:g}, 0.01": Theirs(lambda seed, rate=rate: qml.QNGOptimizer(rate, lam=1e-2), 40) for rate in (0.05, 0.1)
    }
}


def starts(name: str, count: int) -> list[Start]:
    """Of one problem, whose circuit and ground energy all share."""
    problems = [CASES[name](seed) for seed in range(count)]
    first = replace(problems[0], circuit=read_given(problems[0]).circuit)
    ground = first.reference_energy
    if ground is None:
        ground = float(np.linalg.eigvalsh(SparsePauliOp.from_list([*first.observable.items()]).to_matrix())[0])
    node = ising_node(6) if name == IN_PENNYLANE else None
    goal = Goal(first, ground + NEAR * abs(ground), node)
    return [Start(goal, problem.theta0) for problem in problems]


def measure(smoke: bool) -> dict[str, Any]:
    """By chain what `race` found."""
    if smoke:
        return {IN_PENNYLANE: race(starts(IN_PENNYLANE, 2), brief(METHODS | THEIRS), 1, "steps")}
    found = {}
    for name in CASES:
        print(name, flush=True)
        methods = METHODS | (THEIRS if name == IN_PENNYLANE else {})
        found[name] = race(starts(name, SEEDS), methods, TUNED_ON, "steps")
    return found


def judge(data: dict[str, Any]) -> list[Verdict]:
    reached = {name: {m: arrivals(found, m) for m in found} for name, found in data.items()}
    behind = [name for name, found in data.items() if surely_ahead(_each(found), DEFAULT)]
    steps = {name: [median(found, m, "steps") for m in (DEFAULT, LIMITED)] for name, found in data.items()}
    both = {name: pair for name, pair in steps.items() if np.all(np.isfinite(pair))}
    seconds = {name: [median(data[name], m, "seconds") for m in (DEFAULT, LIMITED)] for name in both}
    slower = [name for name, (own, other) in seconds.items() if own > other]
    return [
        Verdict(
            f"no rival at its best setting arrives from more starts than {DEFAULT} by more than chance, on any chain",
            not behind,
            "; ".join(f"{n}: {f[DEFAULT]:.0%}, rivals {_best(f)}" for n, f in reached.items()),
        ),
        Verdict(
            f"where most runs arrive, it does so in no more steps than {LIMITED}",
            all(own <= other for own, other in both.values()),
            "; ".join(f"{name}: {own:.0f} against {other:.0f}" for name, (own, other) in both.items()),
        ),
        Verdict(
            f"seconds of the processor there, where {LIMITED}, a baseline, wins on {', '.join(slower) or 'none'}",
            None,
            "; ".join(f"{name}: {own:.2g} s against {other:.2g} s" for name, (own, other) in seconds.items()),
        ),
        *(Verdict(name, None, row(found, DEFAULT, ("steps", "seconds"))) for name, found in data.items()),
    ]


def _each(found: Raced) -> dict[str, list[bool]]:
    """By method that runs at all, whether it arrived, of every start."""
    return {name: one["each"] for name, one in found.items() if "refused" not in one}


def _best(shares: dict[str, float]) -> str:
    most = max(share for name, share in shares.items() if name != DEFAULT)
    return f"{most:.0%} ({', '.join(name for name, share in shares.items() if share == most and name != DEFAULT)})"


def draw(data: dict[str, Any]) -> Figure:
    figure, axes = plt.subplots(3, figsize=(9, 11), layout="constrained", sharex=True)
    methods = methods_of(data)
    for number, name in enumerate(methods):
        places = [column + 0.12 * (number - len(methods) / 2) for column in range(len(data))]
        shares = [arrivals(found, name) if name in found else np.nan for found in data.values()]
        axes[0].bar(places, shares, 0.1, color=f"C{number}", label=name)
    axes[0].set(ylabel=f"share of starts within {NEAR:g}")
    draw_medians(axes[1], data, "steps", "steps", methods)
    draw_medians(axes[2], data, "seconds", "seconds of the processor", methods)
    axes[0].legend(fontsize="small", ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


EXPERIMENT = Experiment(
    "spin_chains",
    "On spin chains the default reaches the ground energy from as many starts as its rivals, but for chance",
    "seven minutes",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
