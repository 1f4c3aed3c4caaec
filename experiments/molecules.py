"""Small molecules to chemical accuracy: what each optimizer spends, at its best setting of a declared grid.

H₂ along its dissociation curve, LiH, H₄ and BeH₂ in active spaces of four to eight qubits: STO-3G by PennyLane's own
Hartree–Fock, all double and then all single excitations of the Hartree–Fock state, ten starts that lie normally
distributed around it. A run has arrived where its exact energy is within 1.6 mHa of the lowest eigenvalue of the
electrons' number. Twice: with exact energies, where steps, the circuits that a device would run for them, and seconds
of the processor count; and with shots, for the smaller ones, where circuits and shots count. PennyLane's optimizers run
on H₂ at two distances alone: on LiH a step of theirs takes a quarter of a second.

    python -m experiments.molecules            five minutes on one core
    python -m experiments.molecules --smoke    H₂ at one distance, two starts, few methods
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pennylane as qml
from matplotlib.figure import Figure
from pennylane import numpy as pnp
from pennylane import qchem

import qngd
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
    named,
    race,
    row,
    winner,
)
from experiments.record import Experiment, Verdict, main
from experiments.zoo_cases import problem_of, starts_around
from qngd.baselines import SPSA, Adam, ExcitationSolve, SciPy

CHEMICAL_ACCURACY = 1.6e-3  # hartree
SEEDS, TUNED_ON, SPREAD = 10, 3, 0.1
DEFAULT = "QNG()"


@dataclass(frozen=True)
class Molecule:
    """A neutral molecule in STO-3G, in ångström; without an active space all electrons and orbitals."""

    symbols: tuple[str, ...]
    positions: tuple[tuple[float, float, float], ...]
    electrons: int
    active_orbitals: int | None = None

    @cached_property
    def _hamiltonian(self) -> tuple[Any, int]:
        molecule = qchem.Molecule(list(self.symbols), np.array(self.positions), unit="angstrom")
        active = (
            {}
            if self.active_orbitals is None
            else {"active_electrons": self.electrons, "active_orbitals": self.active_orbitals}
        )
        return qchem.molecular_hamiltonian(molecule, method="dhf", **active)

    @cached_property
    def _excitations(self) -> list[list[int]]:
        singles, doubles = qchem.excitations(self.electrons, self._hamiltonian[1])
        return [*doubles, *singles]

    @cached_property
    def lowest(self) -> float:
        """Of all states with as many electrons, by diagonalization."""
        hamiltonian, qubits = self._hamiltonian
        states = np.flatnonzero(np.bitwise_count(np.arange(2**qubits)) == self.electrons)
        matrix = hamiltonian.sparse_matrix(wire_order=range(qubits)).tocsr()
        return float(np.linalg.eigvalsh(matrix[states][:, states].toarray())[0])

    @cached_property
    def node(self) -> Any:
        """Its energy, with commuting terms measured together."""
        hamiltonian, qubits = self._hamiltonian
        grouped = qml.Hamiltonian(*hamiltonian.terms(), grouping_type="qwc")
        occupied, excitations = qchem.hf_state(self.electrons, qubits), self._excitations

        @qml.qnode(qml.device("default.qubit", wires=qubits, seed=1), diff_method="parameter-shift")
        def energy(angles: Any) -> Any:
            qml.BasisState(occupied, wires=range(qubits))
            for k, wires in enumerate(excitations):
                (qml.DoubleExcitation if len(wires) == 4 else qml.SingleExcitation)(angles[k], wires=wires)
            return qml.expval(grouped)

        return energy

    def problem(self) -> qngd.Problem:
        """From the Hartree–Fock state."""
        zeros = pnp.zeros(len(self._excitations), requires_grad=True)
        return qngd.Problem(self.node, None, zeros, reference_energy=self.lowest, unit="hartree")

    def starts(self, count: int, with_node: bool) -> list[Start]:
        build = starts_around(self, SPREAD)
        goal = Goal(build(0), self.lowest + CHEMICAL_ACCURACY, self.node if with_node else None)
        return [Start(goal, build(k + 1).theta0) for k in range(count)]


def line(symbols: Sequence[str], spacing: float, electrons: int, orbitals: int | None = None) -> Molecule:
    """Atoms on a line, equally far apart."""
    return Molecule(tuple(symbols), tuple((0.0, 0.0, spacing * k) for k in range(len(symbols))), electrons, orbitals)


DISTANCES = (0.5, 0.74, 1.0, 1.5, 2.0, 2.5)
CURVE = {f"H₂, {distance:g} Å": line("HH", distance, 2) for distance in DISTANCES}
MOLECULES = CURVE | {
    "LiH, 1.57 Å": line(("Li", "H"), 1.57, 2, 3),
    "LiH, 3 Å": line(("Li", "H"), 3.0, 2, 4),
    "H₄, 1 Å": line("HHHH", 1.0, 4),
    "BeH₂, 1.33 Å": line(("H", "Be", "H"), 1.33, 4, 4),
}

EXACT: dict[str, Grid] = {
    DEFAULT: {"": Ours(qngd.QNG())},
    "QNG, blocks": {"": Ours(qngd.QNG(approx="block-diag"))},
    "Adam": {f"{rate:g}": Ours(Adam(rate)) for rate in (0.02, 0.05, 0.15, 0.4)},
    "L-BFGS-B": {"": Ours(SciPy("L-BFGS-B", {"ftol": 1e-12, "gtol": 1e-7}))},
    "COBYLA": {
        f"{first:g}": Ours(SciPy("COBYLA", {"rhobeg": first, "tol": 1e-6}), max_steps=1500) for first in (0.1, 0.3, 1.0)
    },
    "SPSA": {f"{first:g}": Ours(SPSA(first_change=first), max_steps=1500) for first in (0.01, 0.03, 0.1, 0.63)},
    "ExcitationSolve": {"": Ours(ExcitationSolve(), max_steps=30)},
    "QN-SPSA": {
        f"{rate:g}": Ours(qngd.QNG.qn_spsa(rate, perturbation=0.01), max_steps=200) for rate in (0.01, 0.05, 0.2)
    },
}
THEIRS: dict[str, Grid] = {
    "PennyLane QNG": {
        f"{rate:g}, {level:g}": Theirs(lambda seed, rate=rate, level=level: qml.QNGOptimizer(rate, lam=level), 40)
        for rate, level in ((0.1, 1e-3), (0.1, 1e-1), (0.3, 1e-1))
    },
    "PennyLane QNSPSA": {
        f"{rate:g}": Theirs(lambda seed, rate=rate: qml.QNSPSAOptimizer(rate, seed=seed), 40) for rate in (0.05, 0.2)
    },
}

FEW, LIMIT = (20, 50, 200), 1_000_000
SHOTS: dict[str, Grid] = {
    DEFAULT: {str(shots): Ours(qngd.QNG(), shots, max_shots=LIMIT) for shots in ("auto", *FEW)},
    "Adam": {
        f"{rate:g}, {shots}": Ours(Adam(rate), shots, max_shots=LIMIT)
        for rate in (0.02, 0.05)
        for shots in ("auto", *FEW)
    },
    "L-BFGS-B": {str(shots): Ours(SciPy("L-BFGS-B"), shots, max_shots=LIMIT) for shots in (200, 1000)},
    "COBYLA": {
        str(shots): Ours(SciPy("COBYLA", {"rhobeg": 0.1, "tol": 1e-6}), shots, max_shots=LIMIT)
        for shots in (200, 1000, 10_000)
    },
    "SPSA": {
        f"{first:g}, {shots}": Ours(SPSA(first_change=first), shots, max_shots=LIMIT)
        for first in (0.03, 0.1)
        for shots in FEW
    },
    "ExcitationSolve": {str(shots): Ours(ExcitationSolve(), shots, 30, LIMIT) for shots in (*FEW, 1000)},
    "QN-SPSA": {str(shots): Ours(qngd.QNG.qn_spsa(0.05), shots, max_shots=LIMIT) for shots in (20, 200)},
}
THEIRS_WITH_SHOTS: dict[str, Grid] = {
    "PennyLane QNG": {
        str(shots): Theirs(lambda seed: qml.QNGOptimizer(0.1, lam=0.1), 40, shots) for shots in (20, 200)
    },
    "PennyLane QNSPSA": {"1000": Theirs(lambda seed: qml.QNSPSAOptimizer(0.05, seed=seed), 40, 1000)},
}
WITH_PENNYLANE = ("H₂, 0.74 Å", "H₂, 2 Å")
SAMPLED = ("H₂, 0.74 Å", "H₂, 2 Å", "LiH, 1.57 Å")


def generic() -> list[Start]:
    """H₂ in a hardware-efficient ansatz from random angles, most of which lead to an excited state."""
    problems = [problem_of("h2-1", seed) for seed in range(SEEDS)]
    reference = problems[0].reference_energy
    assert reference is not None
    goal = Goal(problems[0], reference + CHEMICAL_ACCURACY)
    return [Start(goal, problem.theta0) for problem in problems]


def measure(smoke: bool) -> dict[str, dict[str, Any]]:
    """Of exact runs and of those with shots, by molecule, what `race` found."""
    if smoke:
        starts = MOLECULES["H₂, 2 Å"].starts(2, True)
        exact = race(starts, brief(EXACT | THEIRS), 1)
        return {"exact": {"H₂, 2 Å": exact}, "shots": {"H₂, 2 Å": race(starts, brief({DEFAULT: SHOTS[DEFAULT]}), 1)}}
    exact, sampled = {}, {}
    for name, molecule in MOLECULES.items():
        print(name, flush=True)
        is_small = name in WITH_PENNYLANE
        starts = molecule.starts(SEEDS, is_small)
        exact[name] = race(starts, EXACT | (THEIRS if is_small else {}), TUNED_ON)
        if name in SAMPLED:
            sampled[name] = race(starts, SHOTS | (THEIRS_WITH_SHOTS if is_small else {}), TUNED_ON, "shots")
    exact["H₂, random start"] = race(generic(), EXACT, TUNED_ON)
    return {"exact": exact, "shots": sampled}


def judge(data: dict[str, dict[str, Any]]) -> list[Verdict]:
    around = {name: found for name, found in data["exact"].items() if "random" not in name}
    least = min(arrivals(found, DEFAULT) for found in around.values())
    steps = {name: (median(found, DEFAULT, "steps"), median(found, "Adam", "steps")) for name, found in around.items()}
    fewer = {
        name: median(found, "ExcitationSolve", "circuits") / median(found, DEFAULT, "circuits")
        for name, found in around.items()
    }
    verdicts = [
        Verdict(
            f"{DEFAULT}, which nobody tuned, arrives from every start near Hartree–Fock",
            least == 1,
            f"{100 * least:.0f} % of the runs on the molecule where fewest do",
        ),
        Verdict(
            "it takes at most as many steps as Adam at its best rate",
            all(own <= other for own, other in steps.values()),
            "; ".join(f"{name} {own:.0f} against {other:.0f}" for name, (own, other) in steps.items()),
        ),
        Verdict(
            "a baseline wins: ExcitationSolve arrives with fewer circuits where energies are exact",
            all(ratio < 1 for ratio in fewer.values()),
            "; ".join(f"{name} {ratio:.2f} times as many" for name, ratio in fewer.items()),
        ),
    ]
    sampled = data["shots"]
    verdicts.append(
        Verdict(
            f"with shots, {DEFAULT} takes fewer of them in the median than any other",
            all(winner(found, "shots") == DEFAULT for found in sampled.values()),
            "; ".join(f"{name}: {_first_two(found, 'shots')}" for name, found in sampled.items()),
        )
    )
    verdicts += [
        Verdict(f"{name}, exact", None, row(found, DEFAULT, ("circuits", "seconds")))
        for name, found in data["exact"].items()
    ]
    return verdicts + [
        Verdict(f"{name}, with shots", None, row(found, DEFAULT, ("circuits", "shots")))
        for name, found in sampled.items()
    ]


def _first_two(found: Raced, unit: str) -> str:
    ranked = sorted(found, key=lambda method: median(found, method, unit))[:2]
    return ", then ".join(f"{named(found, method)} {median(found, method, unit):.0f}" for method in ranked)


def draw(data: dict[str, dict[str, Any]]) -> Figure:
    figure, axes = plt.subplots(3, figsize=(9, 13), layout="constrained")
    methods = methods_of(data["exact"])
    draw_medians(axes[0], data["exact"], "circuits", "circuits to chemical accuracy, exact", methods)
    draw_medians(axes[1], data["exact"], "seconds", "seconds of the processor, exact", methods)
    draw_medians(axes[2], data["shots"], "shots", "shots to chemical accuracy", methods)
    axes[0].legend(fontsize="small", ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


EXPERIMENT = Experiment(
    "molecules",
    "On small molecules the default arrives from every start untuned; excitation by excitation takes fewer circuits",
    "five minutes",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
