"""What the default optimizer takes in time beside ours that know no metric, and beside itself with one choice fixed.

Claim: on molecules, MaxCut and chains `QNG()` is in wall time within a small factor of the fastest of all optimizers
of this package that reach as low, in no more steps than with the full metric at every step and `CurvatureRate`, which
was the default before.

    python -m experiments.wall_time                    results/wall_time/table.md; a quarter of an hour on one core
    python -m experiments.wall_time --only 'maxcut-*'  problems by pattern; what is there of others is kept
    python -m experiments.wall_time --smoke            seconds

One process with one thread runs all methods on a problem in turn, `--repeats` times, and the fastest of each counts: in
processor time beside wall time, since other work may share the cores. A cell is steps to within 1e-6 of the lowest
energy that any method found (relative, at least 1e-6), steps in all, seconds in all of the processor and by the clock.
"In all" includes the look around at the end, which is the same for all.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ONE_THREAD = dict.fromkeys(("QNGD_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ.update(ONE_THREAD)  # before numba and BLAS look at it

import numpy as np  # noqa: E402

import qngd  # noqa: E402
from circuits import heisenberg, hydrogen_chain, maxcut, tfim  # noqa: E402
from qngd.baselines import SciPy  # noqa: E402
from qngd.step import ConjugateDirections, CurvatureRate  # noqa: E402

OUT = Path("results/wall_time")
NEAR = 1e-6
METHODS: dict[str, Any] = {
    "QNG()": qngd.QNG(),
    "before": qngd.QNG(step=CurvatureRate(), approx="full"),
    "blocks": qngd.QNG(step=CurvatureRate(), approx="block-diag"),
    "conjugate": qngd.QNG(step=ConjugateDirections()),
    "l-bfgs-b": SciPy("L-BFGS-B", {"ftol": 1e-13, "gtol": 1e-7}),
}
SLOW = dict.fromkeys(("h2o-14", "beh2-14"), ("before", "conjugate"))  # ten minutes and more


def uccsd(symbols: list[str], positions: list[list[float]], electrons: int) -> qngd.Problem:
    """A molecule in STO-3G with all its orbitals, by unitary coupled cluster from the Hartree–Fock state."""
    import pennylane as qml
    from pennylane import numpy as pnp
    from pennylane import qchem

    molecule = qchem.Molecule(symbols, np.array(positions), unit="angstrom")
    hamiltonian, num_qubits = qchem.molecular_hamiltonian(molecule, method="dhf")
    singles, doubles = qchem.excitations(electrons, num_qubits)
    single_wires, double_wires = qchem.excitations_to_wires(singles, doubles)
    start = qchem.hf_state(electrons, num_qubits)

    @qml.qnode(qml.device("default.qubit", wires=num_qubits))
    def energy(weights: Any) -> Any:
        qml.UCCSD(weights, wires=range(num_qubits), s_wires=single_wires, d_wires=double_wires, init_state=start)
        return qml.expval(hamiltonian)

    zeros = pnp.zeros(len(singles) + len(doubles), requires_grad=True)
    return qngd.Problem(energy, None, zeros, name="UCCSD", unit="hartree")


def open_chain(num_qubits: int, reps: int, seed: int) -> qngd.Problem:
    """The critical Ising chain with Qiskit's `real_amplitudes`, from random angles."""
    from qiskit.circuit.library import real_amplitudes

    circuit = real_amplitudes(num_qubits, reps=reps)
    terms = {"I" * (num_qubits - i - 2) + "ZZ" + "I" * i: -1.0 for i in range(num_qubits - 1)}
    terms |= {"I" * (num_qubits - i - 1) + "X" + "I" * i: -1.0 for i in range(num_qubits)}
    start = np.random.default_rng(seed).uniform(-np.pi, np.pi, circuit.num_parameters)
    return qngd.Problem(circuit, terms, start, name=f"Ising chain, {num_qubits} spins")


CASES: dict[str, Callable[[], qngd.Problem]] = {
    "h2-4": lambda: uccsd(["H", "H"], [[0, 0, 0], [0, 0, 0.735]], 2),
    "h4-8": lambda: hydrogen_chain.problem(seed=0),
    "lih-12": lambda: uccsd(["Li", "H"], [[0, 0, 0], [0, 0, 1.57]], 4),
    "lih-12-far": lambda: uccsd(["Li", "H"], [[0, 0, 0], [0, 0, 2.6]], 4),
    "h2o-14": lambda: uccsd(["O", "H", "H"], [[0, 0, 0.1173], [0, 0.7572, -0.4692], [0, -0.7572, -0.4692]], 10),
    "beh2-14": lambda: uccsd(["H", "Be", "H"], [[0, 0, -1.33], [0, 0, 0], [0, 0, 1.33]], 6),
    **{
        f"maxcut-16-p{depth}-{seed}": (
            lambda depth=depth, seed=seed: maxcut.problem(num_vertices=16, depth=depth, seed=seed)
        )
        for depth in range(1, 6)
        for seed in range(2)
    },
    **{
        f"tfim-{n}-{seed}": (lambda n=n, seed=seed: tfim.problem(num_qubits=n, start="small", seed=seed))
        for n in (8, 10)
        for seed in range(1, 4)
    },
    **{
        f"chain-{n}-{reps}-{seed}": (lambda n=n, reps=reps, seed=seed: open_chain(n, reps, seed))
        for n, reps in ((6, 5), (8, 3), (11, 2))
        for seed in range(4)
    },
    **{f"heisenberg-6-{seed}": (lambda seed=seed: heisenberg.problem(num_qubits=6, seed=seed)) for seed in range(2)},
}


def measured(problem: qngd.Problem, methods: list[str], repeats: int, max_steps: int) -> dict[str, dict[str, Any]]:
    """Of every method its energies, and the least time of all repeats."""
    found: dict[str, dict[str, Any]] = {}
    for _ in range(repeats):
        for name in methods:
            wall, processor = time.perf_counter(), time.process_time()
            result = qngd.minimize(
                problem, optimizer=METHODS[name], backend="statevector", max_steps=max_steps, tol=1e-9
            )
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            known = found.setdefault(name, {"wall": np.inf, "processor": np.inf})
            known["wall"], known["processor"] = min(wall, known["wall"]), min(processor, known["processor"])
            known["energies"], known["status"] = result.history.tolist(), str(result.status)
    return found


def table(stored: dict[str, dict[str, dict[str, Any]]]) -> str:
    """What was measured, a row a problem."""
    lines = [
        "A cell: steps to within 1e-6 of the lowest energy of the row (– is never); steps in all; seconds of the",
        "processor; seconds by the clock. Bold: the least processor time of those that came as near.",
        "",
        f"| problem | {' | '.join(METHODS)} |",
        f"| {' | '.join(['---'] * (1 + len(METHODS)))} |",
    ]
    for name, of in stored.items():
        lowest = min(min(one["energies"]) for one in of.values())
        goal = lowest + NEAR * max(1.0, abs(lowest))
        reached = {m: np.flatnonzero(np.array(one["energies"]) <= goal) for m, one in of.items()}
        fastest = min((m for m in of if len(reached[m])), key=lambda m: of[m]["processor"])
        cells = []
        for method in METHODS:
            one = of.get(method)
            if one is None:
                cells.append("")
                continue
            steps = str(reached[method][0]) if len(reached[method]) else "–"
            seconds = f"{one['processor']:.3g}"
            seconds = f"**{seconds}**" if method == fastest else seconds
            cells.append(f"{steps}; {len(one['energies']) - 1}; {seconds}; {one['wall']:.3g}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", metavar="PROBLEM", help="a pattern; may be repeated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--max-steps", type=int, default=400)
    parser.add_argument("--smoke", action="store_true", help="one small problem, to show that it runs")
    arguments = parser.parse_args()
    patterns, repeats = arguments.only or ["*"], arguments.repeats
    if arguments.smoke:
        patterns, repeats = ["tfim-8-1"], 1
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "runs.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, build in CASES.items():
        if not any(fnmatch(name, pattern) for pattern in patterns):
            continue
        problem = build()
        problem = qngd.Problem(qngd.wrap(problem.circuit, *_example(problem)), problem.observable, problem.theta0)
        methods = [m for m in METHODS if m not in SLOW.get(name, ())]
        measured(problem, methods[:1], 1, 2)  # compiles and plans
        stored[name] = measured(problem, methods, repeats, arguments.max_steps)
        path.write_text(json.dumps(stored), encoding="utf-8")
        print(name, {m: round(one["processor"], 3) for m, one in stored[name].items()}, flush=True)
    ordered = {name: stored[name] for name in CASES if name in stored}
    (OUT / "table.md").write_text(table(ordered), encoding="utf-8")
    print(OUT / "table.md")


def _example(problem: qngd.Problem) -> tuple[Any, ...]:
    """Arguments to wrap a QNode with."""
    if not callable(problem.circuit) or isinstance(problem.circuit, qngd.Circuit):
        return ()
    return problem.theta0 if isinstance(problem.theta0, tuple) else (problem.theta0,)


if __name__ == "__main__":
    main()
