"""What the zoo experiment runs: its problems, and its methods. One row each; add a candidate by adding a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

import qngd
from circuits import (
    h2,
    heisenberg,
    hydrogen_chain,
    lih,
    maxcut,
    pauli_ladder,
    qasm_ladder,
    sherrington_kirkpatrick,
    tfim,
)
from qngd.baselines import CMAES, SPSA, Adam, ExcitationSolve, GradientDescent, Rotosolve, SciPy
from qngd.damping import Relative, UnitDiagonal
from qngd.interop.given import read_given
from qngd.step import (
    Armijo,
    ConjugateDirections,
    CurvatureRate,
    DecayingRate,
    Momentum,
    QuasiNewton,
    TrustRegion,
)

RATES, DAMPINGS = (0.05, 0.1, 0.2, 0.5), (1e-3, 1e-2)


@dataclass(frozen=True)
class Case:
    """A problem for each seed. `is_one`: seeds differ in their starts alone, so the lowest energy that any seed reaches
    is the reference of all; else each seed is a problem of its own."""

    build: Callable[[int], qngd.Problem]
    is_one: bool = True
    max_steps: int = 200
    with_shots: bool = False


@dataclass(frozen=True)
class Method:
    """An optimizer. Of a `group` that is tuned (a grid of settings) the best setting per problem counts; `candidate`
    are those that might be the default. `steps` multiplies a problem's `max_steps`: a step may be a single energy, or a
    sweep of several for every parameter."""

    optimizer: Any
    group: str = "candidate"
    steps: float = 1
    with_shots: bool = False
    only: str = "*"  # problems, by a pattern: those that it can do


def case(module: Any, **settings: Any) -> Callable[[int], qngd.Problem]:
    """The problem's own starts or instances."""
    return lambda seed: module.problem(**settings, seed=seed)


def starts_around(module: Any, spread: float, **settings: Any) -> Callable[[int], qngd.Problem]:
    """Starts normally distributed around the problem's own, which is that of seed 0; it is built but once."""

    @cache
    def built() -> qngd.Problem:
        problem = module.problem(**settings)
        return replace(problem, circuit=read_given(problem).circuit)

    def build(seed: int) -> qngd.Problem:
        problem = built()
        flat = problem.circuit.flatten(problem.theta0)
        if seed:
            flat = flat + np.random.default_rng(seed).normal(0, spread, len(flat))
        return replace(problem, theta0=problem.circuit.unflatten(flat, problem.theta0))

    return build


CASES = {
    **{
        f"tfim-{n}-{start}": Case(case(tfim, num_qubits=n, start=start), max_steps=300, with_shots=n == 6)
        for n in (6, 8, 10)
        for start in ("small", "half-pi")
    },
    "h2-1": Case(case(h2, layers=1), with_shots=True),
    "h2-2": Case(case(h2, layers=2)),
    "heisenberg-4": Case(case(heisenberg, num_qubits=4), with_shots=True),
    "heisenberg-6": Case(case(heisenberg, num_qubits=6), max_steps=400),
    "hydrogen-chain-4": Case(starts_around(hydrogen_chain, 0.05)),
    "lih-3": Case(starts_around(lih, 0.1, active_orbitals=3)),
    "lih-5": Case(starts_around(lih, 0.1)),
    "maxcut-4": Case(starts_around(maxcut, 0.3), with_shots=True),
    "maxcut-8": Case(case(maxcut, num_vertices=8), is_one=False),
    "pauli-ladder-5": Case(case(pauli_ladder, num_qubits=5), is_one=False, with_shots=True),
    "pauli-ladder-7": Case(case(pauli_ladder, num_qubits=7), is_one=False),
    "qasm-ladder": Case(case(qasm_ladder), with_shots=True),
    "sk-6": Case(case(sherrington_kirkpatrick, num_qubits=6), is_one=False, with_shots=True),
    "sk-8": Case(case(sherrington_kirkpatrick, num_qubits=8), is_one=False),
}

DEFAULT = "default"
METHODS = {
    DEFAULT: Method(qngd.QNG(), with_shots=True),
    "curvature-rate": Method(qngd.QNG(step=CurvatureRate(), approx="full")),  # the default before 0.2
    "quasi-newton": Method(qngd.QNG(step=QuasiNewton())),
    "trust-region": Method(qngd.QNG(step=TrustRegion()), with_shots=True),
    "armijo": Method(qngd.QNG(step=Armijo())),
    "conjugate-directions": Method(qngd.QNG(step=ConjugateDirections())),
    "momentum": Method(qngd.QNG(step=Momentum(0.1))),
    "decaying-rate": Method(qngd.QNG(step=DecayingRate(0.5))),
    "damping-1e-3": Method(qngd.QNG(damping=1e-3), with_shots=True),
    "damping-1e-4": Method(qngd.QNG(damping=1e-4)),
    "relative-1e-2": Method(qngd.QNG(damping=Relative(1e-2)), with_shots=True),
    "unit-diagonal": Method(qngd.QNG(damping=UnitDiagonal()), with_shots=True),
    "block-diag": Method(qngd.QNG(approx="block-diag")),
    **{
        f"fixed-{rate}-{level:.0e}": Method(qngd.QNG(rate, damping=level), "fixed")
        for rate in RATES
        for level in DAMPINGS
    },
    **{f"gd-{rate}": Method(GradientDescent(rate), "gd", with_shots=rate == 0.05) for rate in (0.01, 0.05, 0.2)},
    **{f"adam-{rate}": Method(Adam(rate), "adam", with_shots=rate == 0.05) for rate in (0.02, 0.05, 0.15)},
    **{
        f"spsa-{change}": Method(SPSA(first_change=change), "spsa", 3, with_shots=change == 0.63)
        for change in (0.1, 0.63)  # the second is Kandala's 2π/10
    },
    **{
        f"momentum-qng-{rate}": Method(qngd.QNG(step=Momentum(rate, 0.9)), "momentum-qng") for rate in (0.02, 0.05, 0.1)
    },
    # not on spin glasses: their couplings have no common measure
    "rotosolve": Method(Rotosolve(), "rotosolve", 0.25, with_shots=True, only="[!s]*"),
    # single and double excitations alone; on others it is Rotosolve, or refuses
    "excitation-solve": Method(ExcitationSolve(), "excitation-solve", 0.25, only="lih-*"),
    **({"cma-es": Method(CMAES(), "cma-es", 3)} if find_spec("cma") else {}),
    "l-bfgs-b": Method(SciPy("L-BFGS-B", {"ftol": 1e-12, "gtol": 1e-7}), "l-bfgs-b", with_shots=True),
    "cobyla": Method(SciPy("COBYLA", {"rhobeg": 0.3, "tol": 1e-6}), "cobyla", 3, with_shots=True),
}
BASELINES = (
    "gd", "adam", "spsa", "momentum-qng", "rotosolve", "excitation-solve", "cma-es", "l-bfgs-b", "cobyla"
)  # fmt: skip


@cache
def problem_of(name: str, seed: int) -> qngd.Problem:
    """The problem with its circuit in the neutral form, made once in a process."""
    problem = CASES[name].build(seed)
    return replace(problem, circuit=read_given(problem).circuit)
