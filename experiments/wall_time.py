"""What the default optimizer takes in time beside ours that know no metric, and beside itself with one choice fixed.

Molecules, MaxCut and chains, each from ten starts, and the molecule with many minima from sixty. One process with one
thread runs all methods from a start in turn; processor time counts, since other work may share the cores. A run is
counted as it is, with all that it takes to begin, its last steps at rest, and the look around at the end, which is the
same for all. In which minimum it ends is often a matter of chance, so what counts is the time per arrival: the seconds
of all starts, over the number of those from which a method came within 1e-6 of the lowest energy that any of them found
from there, as if a failure were tried again (arXiv:1603.08785). Beside it stands the time until that energy alone, the
same accuracy for all. A rival is ahead in arrivals if it would be so by chance in less than one of a hundred cases (a
sign test of the starts from which only one of the two arrives, see `chance`): of ten starts that takes seven at least.

The chains with many minima have sixty starts in `chain_minima`.

    python -m experiments.wall_time                    four minutes on one core
    python -m experiments.wall_time --smoke            seconds
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

ONE_THREAD = dict.fromkeys(("QNGD_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
if __name__ == "__main__":  # who judges the record keeps his threads
    os.environ.update(ONE_THREAD)  # before numba and BLAS look at it

import numpy as np  # noqa: E402

import qngd  # noqa: E402
from circuits import heisenberg, hydrogen_chain, maxcut, tfim  # noqa: E402
from experiments.chance import surely_ahead  # noqa: E402
from experiments.record import Experiment, Verdict, main  # noqa: E402
from qngd.baselines import SciPy  # noqa: E402
from qngd.step import ConjugateDirections, CurvatureRate  # noqa: E402

_NEAR = 1e-6  # of the lowest energy, relative and at least absolute
_STARTS, _MAX_STEPS = 10, 400
_MORE_STARTS = {"h4-square": 60}  # where it is chance in which minimum a run ends
_SPREAD = 0.1  # radians around the Hartree–Fock state, from where the first start is
_FACTOR = 1.2  # over the fastest
_OURS = "QNG()"
METHODS: dict[str, Any] = {
    _OURS: qngd.QNG(),
    "before": qngd.QNG(step=CurvatureRate(), approx="full"),
    "blocks": qngd.QNG(step=CurvatureRate(), approx="block-diag"),
    "conjugate": qngd.QNG(step=ConjugateDirections()),
    "l-bfgs-b": SciPy("L-BFGS-B", {"ftol": 1e-13, "gtol": 1e-7}),
}
SLOW = ("before", "conjugate")  # with the 92 parameters of LiH ten times as long: left out there


def uccsd(symbols: list[str], positions: list[list[float]], electrons: int) -> Callable[[int], qngd.Problem]:
    """A molecule in STO-3G with all its orbitals, by unitary coupled cluster from the Hartree–Fock state or near it."""
    import pennylane as qml
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

    at_hartree_fock = np.zeros(len(singles) + len(doubles))
    circuit = qngd.wrap(energy, at_hartree_fock)

    def problem(seed: int) -> qngd.Problem:
        away = np.random.default_rng(seed).normal(0, _SPREAD, at_hartree_fock.shape)
        return qngd.Problem(circuit, None, away if seed else at_hartree_fock, name="UCCSD", unit="hartree")

    return problem


def open_chain(num_qubits: int, reps: int, seed: int) -> qngd.Problem:
    """The critical Ising chain with Qiskit's `real_amplitudes`, from random angles."""
    from qiskit.circuit.library import real_amplitudes

    circuit = real_amplitudes(num_qubits, reps=reps)
    terms = {"I" * (num_qubits - i - 2) + "ZZ" + "I" * i: -1.0 for i in range(num_qubits - 1)}
    terms |= {"I" * (num_qubits - i - 1) + "X" + "I" * i: -1.0 for i in range(num_qubits)}
    start = np.random.default_rng(seed).uniform(-np.pi, np.pi, circuit.num_parameters)
    return qngd.Problem(circuit, terms, start, name=f"Ising chain, {num_qubits} spins")


CASES: dict[str, Callable[[], Callable[[int], qngd.Problem]]] = {  # by the number of the start
    "h2-4": lambda: uccsd(["H", "H"], [[0, 0, 0], [0, 0, 0.735]], 2),
    "h4-8": lambda: lambda seed: hydrogen_chain.problem(seed=seed),
    "h4-square": lambda: uccsd(["H"] * 4, [[0, 0, 0], [1.2, 0, 0], [1.2, 1.2, 0], [0, 1.2, 0]], 4),
    "lih-12": lambda: uccsd(["Li", "H"], [[0, 0, 0], [0, 0, 1.57]], 4),
    "lih-12-far": lambda: uccsd(["Li", "H"], [[0, 0, 0], [0, 0, 2.6]], 4),
    **{
        f"maxcut-16-p{p}": (lambda p=p: lambda seed: maxcut.problem(num_vertices=16, depth=p, seed=seed))
        for p in (1, 2, 3)
    },
    **{f"tfim-{n}": (lambda n=n: lambda seed: tfim.problem(num_qubits=n, start="small", seed=seed)) for n in (8, 10)},
    "chain-6": lambda: lambda seed: open_chain(6, 5, seed),
    "heisenberg-6": lambda: lambda seed: heisenberg.problem(num_qubits=6, seed=seed),
}


def run(problem: qngd.Problem, method: str, max_steps: int = _MAX_STEPS) -> tuple[list[float], list[float]]:
    """The energies from the start on, and the seconds of processor time until each was known; the last is that of all
    the run."""
    began = time.process_time()
    passed: list[float] = []
    result = qngd.minimize(
        problem, optimizer=METHODS[method], backend="statevector", max_steps=max_steps, tol=1e-9,
        callback=lambda info: passed.append(time.process_time() - began),
    )  # fmt: skip
    return result.history.tolist(), [0.0, *passed, time.process_time() - began]


def measure(smoke: bool) -> list[dict[str, Any]]:
    """Of each problem and method, by start: steps to the lowest energy of all methods from there (None: never), the
    seconds until then, and steps, seconds and what is left at the end."""
    rows = []
    for name, build in CASES.items():
        if smoke and name != "tfim-8":
            continue
        methods = [m for m in METHODS if not (name.startswith("lih") and m in SLOW)]
        start, found = build(), {method: [] for method in methods}
        for seed in range(2 if smoke else _MORE_STARTS.get(name, _STARTS)):
            problem = wrapped(start(seed))
            if not seed:
                for method in methods:
                    run(problem, method, 2)  # compiles and plans
            for method, one in _from_one(problem, methods).items():
                found[method].append(one)
        rows.append({"problem": name, "methods": {m: _by_key(each) for m, each in found.items()}})
        print(
            name,
            {m: (_arrivals(each), round(_per_arrival(each, "seconds"), 4)) for m, each in rows[-1]["methods"].items()},
            flush=True,
        )
    return rows


def _from_one(problem: qngd.Problem, methods: list[str]) -> dict[str, dict[str, Any]]:
    """What every method does from one start."""
    runs = {method: run(problem, method) for method in methods}
    lowest = min(min(energies) for energies, _ in runs.values())
    found = {}
    for method, (energies, seconds) in runs.items():
        reached = np.flatnonzero(np.array(energies) <= lowest + _NEAR * max(1.0, abs(lowest)))
        first = int(reached[0]) if len(reached) else None
        found[method] = {
            "to_goal": first,
            "seconds_to_goal": None if first is None else round(seconds[first], 5),
            "steps": len(energies) - 1,
            "seconds": round(seconds[-1], 5),
            "above": min(energies) - lowest,
        }
    return found


def _by_key(runs: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {key: [each[key] for each in runs] for key in runs[0]}


def _arrivals(found: dict[str, list[Any]]) -> int:
    return sum(steps is not None for steps in found["to_goal"])


def _arrived(row: dict[str, Any]) -> dict[str, list[bool]]:
    """By method, whether it arrived, of every start."""
    return {method: [steps is not None for steps in each["to_goal"]] for method, each in row["methods"].items()}


def _per_arrival(found: dict[str, list[Any]], until: str) -> float:
    """Seconds, or steps, of all runs over the number of those that arrived; infinite where none did. Until the goal, a
    run that does not arrive counts with all that it took."""
    whole = found[until.removesuffix("_to_goal")]
    taken = [there if there is not None else all_of_it for there, all_of_it in zip(found[until], whole, strict=True)]
    count = _arrivals(found)
    return sum(taken) / count if count else float("inf")


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    over = _over_the_least(rows, "seconds")
    slow = {name: factor for name, factor in over.items() if factor > _FACTOR}
    count = {row["problem"]: {m: _arrivals(each) for m, each in row["methods"].items()} for row in rows}
    fewer = {name: found for name, found in count.items() if found[_OURS] < max(found.values())}
    behind = {row["problem"]: surely_ahead(_arrived(row), _OURS) for row in rows}
    totals = {
        m: sum(found[m] for found in count.values()) for m in METHODS if all(m in found for found in count.values())
    }
    to_goal = _over_the_least(rows, "seconds_to_goal")
    late = {name: factor for name, factor in to_goal.items() if factor > _FACTOR}
    before = {
        row["problem"]: [_per_arrival(row["methods"][m], "steps") for m in (_OURS, "before")]
        for row in rows
        if "before" in row["methods"]
    }
    return [
        Verdict(
            "in processor time per arrival QNG() is within 1.2 of the least of all, on every problem",
            not slow,
            _found(over, slow),
        ),
        Verdict(
            "no other arrives from more starts than it by more than chance, on any problem",
            not any(behind.values()),
            f"on {sum(map(bool, behind.values()))} of {len(behind)}, and from fewer than some other on {len(fewer)}; "
            + "of all starts: "
            + ", ".join(f"{m} {number}" for m, number in totals.items())
            + "".join(f"; {name}: " + ", ".join(f"{m} {n}" for m, n in found.items()) for name, found in fewer.items()),
        ),
        Verdict(
            "until the energy is within 1e-6 of the lowest alone, by the same measure",
            None,
            _found(to_goal, late),
        ),
        Verdict(
            "in no more steps per arrival than the full metric at every step with CurvatureRate, the default of before",
            None,
            f"on {sum(ours <= theirs for ours, theirs in before.values())} of {len(before)}",
        ),
    ]


def _found(factors: dict[str, float], slow: dict[str, float]) -> str:
    """On how many problems it is near the least, and the others with their factors (inf: only others arrive)."""
    others = "".join(f"; {name} {factor:.2f}" for name, factor in slow.items())
    return f"on {len(factors) - len(slow)} of {len(factors)}; median {np.median(list(factors.values())):.2f}{others}"


def _over_the_least(rows: list[dict[str, Any]], until: str) -> dict[str, float]:
    """By problem, the time of `QNG()` per arrival over the least of all methods."""
    found = {}
    for row in rows:
        taken = {method: _per_arrival(each, until) for method, each in row["methods"].items()}
        found[row["problem"]] = taken[_OURS] / min(taken.values())
    return found


def wrapped(problem: qngd.Problem) -> qngd.Problem:
    """The same with its circuit in the neutral form."""
    return qngd.Problem(qngd.wrap(problem.circuit, *_example(problem)), problem.observable, problem.theta0)


def _example(problem: qngd.Problem) -> tuple[Any, ...]:
    """Arguments to wrap a QNode with."""
    if not callable(problem.circuit) or isinstance(problem.circuit, qngd.Circuit):
        return ()
    return problem.theta0 if isinstance(problem.theta0, tuple) else (problem.theta0,)


EXPERIMENT = Experiment(
    "wall_time",
    "What the exact default takes in time beside the fastest of all optimizers here, and where it loses",
    "four minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
