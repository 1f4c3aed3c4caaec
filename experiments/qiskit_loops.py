"""`qngd.qiskit.Minimizer` in the packages that are built on Qiskit's algorithms, in an environment of its own.

VQE and QAOA of qiskit-algorithms, the solver of qiskit-nature, a `MinimumEigenOptimizer` of qiskit-optimization and a
classifier of qiskit-machine-learning take it where they take an optimizer of their own. VQE on H₂ from five random
starts, with and without a gradient of Qiskit's, beside SLSQP; the Hubbard dimer; a quadratic program of four variables
by QAOA with 1024 seeded shots; the loss of a classifier after 15 steps beside 15 of L-BFGS-B, whose estimator is
sampled and does not repeat.

    python -m experiments.qiskit_loops            two minutes on one core; installs them in .bench/qiskit_loops first
    python -m experiments.qiskit_loops --smoke    in the present environment, with what is installed of them
"""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.peers.environments import ROOT, python_of
from experiments.record import Experiment, Verdict, main

GROUND = -1.857275030202380  # of H₂, in hartree
MARGIN = 0.02  # of the classifier's loss, whose estimator is sampled
H2 = (
    ["II", "IZ", "ZI", "ZZ", "XX"],
    [-1.052373245772859, 0.39793742484318045, -0.39793742484318045, -0.01128010425623538, 0.18093119978423156],
)


def vqe(starts: int) -> list[dict[str, Any]]:
    """H₂ of Qiskit's tutorials, with ours and with SLSQP."""
    from qiskit.circuit.library import n_local
    from qiskit.primitives import StatevectorEstimator
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_algorithms import VQE
    from qiskit_algorithms.gradients import ReverseEstimatorGradient
    from qiskit_algorithms.optimizers import SLSQP

    import qngd

    operator, ansatz = SparsePauliOp(*H2), n_local(2, "ry", "cz", reps=3)
    rows = []
    for seed in range(starts):
        start = np.random.default_rng(seed).uniform(-np.pi, np.pi, ansatz.num_parameters)
        ways: list[tuple[str, Any, Any]] = [
            ("qngd", qngd.qiskit.Minimizer(ansatz), None),
            ("qngd, with gradient", qngd.qiskit.Minimizer(ansatz), ReverseEstimatorGradient()),
            ("SLSQP", SLSQP(), None),
        ]
        for name, optimizer, gradient in ways:
            solver = VQE(StatevectorEstimator(), ansatz, optimizer, gradient=gradient, initial_point=start)
            found = solver.compute_minimum_eigenvalue(operator)
            outcome = found.optimizer_result
            rows.append(
                {"what": "VQE, H2", "optimizer": name, "seed": seed, "value": float(found.eigenvalue)}
                | {"calls": int(outcome.nfev), "steps": int(outcome.nit)}
            )
    return rows


def hubbard(starts: int) -> list[dict[str, Any]]:
    """The Hubbard dimer by qiskit-nature, and its exact ground energy."""
    from qiskit.circuit.library import efficient_su2
    from qiskit.primitives import StatevectorEstimator
    from qiskit_algorithms import VQE, NumPyMinimumEigensolver
    from qiskit_nature.second_q.algorithms import GroundStateEigensolver
    from qiskit_nature.second_q.hamiltonians import FermiHubbardModel
    from qiskit_nature.second_q.hamiltonians.lattices import LineLattice
    from qiskit_nature.second_q.mappers import JordanWignerMapper
    from qiskit_nature.second_q.problems import LatticeModelProblem

    import qngd

    lattice = LineLattice(2, edge_parameter=-1.0, onsite_parameter=0.0)
    problem = LatticeModelProblem(FermiHubbardModel(lattice, onsite_interaction=2.0))
    ansatz = efficient_su2(4, reps=2)
    start = np.random.default_rng(0).uniform(-1, 1, ansatz.num_parameters)
    solvers = {
        "qngd": VQE(StatevectorEstimator(), ansatz, qngd.qiskit.Minimizer(ansatz), initial_point=start),
        "exact": NumPyMinimumEigensolver(),
    }
    return [
        {"what": "Hubbard dimer", "optimizer": name}
        | {"value": float(GroundStateEigensolver(JordanWignerMapper(), solver).solve(problem).groundenergy)}
        for name, solver in solvers.items()
    ]


def program(starts: int) -> list[dict[str, Any]]:
    """A quadratic program by QAOA, whose ansatz is made of it, and its exact optimum."""
    from qiskit.primitives import StatevectorSampler
    from qiskit_optimization import QuadraticProgram
    from qiskit_optimization.algorithms import MinimumEigenOptimizer
    from qiskit_optimization.minimum_eigensolvers import QAOA, NumPyMinimumEigensolver

    import qngd

    made = QuadraticProgram()
    for name in "abcd":
        made.binary_var(name)
    couplings = {("a", "b"): 2.0, ("b", "c"): -1.5, ("c", "d"): 0.7, ("a", "d"): 1.1}
    made.minimize(linear=[-1.0, -2.0, 1.0, -0.5], quadratic=couplings)
    minimizer = qngd.qiskit.Minimizer(lambda: qaoa.ansatz, seed=1, max_steps=20)
    qaoa = QAOA(
        StatevectorSampler(seed=np.random.default_rng(3)), minimizer, reps=2, initial_point=[0.3, 0.2, 0.4, 0.6]
    )
    solvers = {"qngd": qaoa, "exact": NumPyMinimumEigensolver()}
    return [
        {"what": "quadratic program", "optimizer": name, "value": float(MinimumEigenOptimizer(solver).solve(made).fval)}
        for name, solver in solvers.items()
    ]


def classifier(starts: int) -> list[dict[str, Any]]:
    """A classifier of twelve points by qiskit-machine-learning; the metric is averaged over them."""
    from qiskit.circuit.library import real_amplitudes, z_feature_map
    from qiskit.primitives import StatevectorEstimator
    from qiskit_machine_learning.algorithms import NeuralNetworkClassifier
    from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
    from qiskit_machine_learning.neural_networks import EstimatorQNN
    from qiskit_machine_learning.optimizers import L_BFGS_B

    import qngd

    points = np.random.default_rng(0).uniform(-1, 1, (12, 2))
    labels = np.where(points[:, 0] * points[:, 1] > 0, 1, -1)
    features, ansatz = z_feature_map(2, reps=1), real_amplitudes(2, reps=2)
    circuit = features.compose(ansatz)
    network = EstimatorQNN(
        circuit=circuit, input_params=list(features.parameters), weight_params=list(ansatz.parameters),
        estimator=StatevectorEstimator(), gradient=ParamShiftEstimatorGradient(StatevectorEstimator()),
    )  # fmt: skip
    samples = [circuit.assign_parameters(dict(zip(features.parameters, x, strict=True))) for x in points]
    rows = []
    for name, optimizer in (("qngd", qngd.qiskit.Minimizer(samples, max_steps=15)), ("L-BFGS-B", L_BFGS_B(maxiter=15))):
        model = NeuralNetworkClassifier(network, optimizer=optimizer, initial_point=np.full(6, 0.2))
        model.fit(points, labels)
        rows.append(
            {"what": "classifier", "optimizer": name, "value": float(model.fit_result.fun)}
            | {"calls": int(model.fit_result.nfev), "score": float(model.score(points, labels))}
        )
    return rows


PARTS: tuple[Callable[[int], list[dict[str, Any]]], ...] = (vqe, hubbard, program, classifier)


def rows_here(starts: int, may_miss: bool) -> list[dict[str, Any]]:
    """All parts in this environment; those whose package is missing are left out if that may be."""
    rows = []
    for part in PARTS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # their own deprecations
                rows += part(starts)
        except ModuleNotFoundError as error:
            if not may_miss:
                raise
            rows.append({"what": part.__name__, "missing": error.name})
    return rows


def measure(smoke: bool) -> list[dict[str, Any]]:
    if smoke:
        return rows_here(1, may_miss=True)
    program = (
        "import json; from experiments.qiskit_loops import rows_here as r; print(json.dumps(r(5, may_miss=False)))"
    )
    command = [str(python_of("qiskit_loops")), "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    rows = json.loads(done.stdout.splitlines()[-1])
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()), flush=True)
    return rows


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    tried = [row for row in rows if "missing" not in row]
    of = {what: [row for row in tried if row["what"] == what] for what in dict.fromkeys(row["what"] for row in tried)}
    found = [_vqe(of["VQE, H2"])] if "VQE, H2" in of else []
    for what, claim, margin in (
        ("Hubbard dimer", "qiskit-nature, the Hubbard dimer: the exact ground energy, to 1e-6", 1e-6),
        ("quadratic program", "qiskit-optimization, a quadratic program by QAOA: its optimum", 1e-9),
        ("classifier", f"qiskit-machine-learning, a classifier: a loss as low as L-BFGS-B's, to {MARGIN}", MARGIN),
    ):
        if what in of:
            ours, theirs = of[what]
            said = f"{ours['value']:.9g}; {theirs['optimizer']} {theirs['value']:.9g}"
            found.append(Verdict(claim, ours["value"] <= theirs["value"] + margin, said))
    missing = [row["missing"] for row in rows if "missing" in row]
    return [*found, *([Verdict("not installed", None, ", ".join(missing))] if missing else [])]


def _vqe(rows: list[dict[str, Any]]) -> Verdict:
    by = {name: [row for row in rows if row["optimizer"] == name] for name in ("qngd", "qngd, with gradient", "SLSQP")}
    said = [
        f"{name}: at most {max(row['value'] for row in runs) - GROUND:.0e} above, {_range(runs, 'steps')} steps, "
        f"{_range(runs, 'calls')} evaluations"
        for name, runs in by.items()
    ]
    worst = max(row["value"] for row in [*by["qngd"], *by["qngd, with gradient"]])
    claim = (
        f"qiskit-algorithms, VQE of H₂: every one of {len(by['qngd'])} random starts within 1e-6 of the ground energy"
    )
    return Verdict(claim, worst <= GROUND + 1e-6, "; ".join(said))


def _range(rows: list[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows]
    return f"{min(values)} to {max(values)}"


EXPERIMENT = Experiment(
    "qiskit_loops",
    "In the loops of Qiskit's packages the natural gradient ends as low as their own optimizers",
    "two minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
