"""The transverse-field Ising model on a two-leg ladder, its circuit in OpenQASM 3 (``ladder.qasm``
beside this file).

H = -J Σ Z_i Z_j over the four bonds along the legs, -K Σ Z_i Z_j over the three rungs, -h Σ X_i
over the six spins. The circuit is the Hamiltonian variational ansatz (arXiv:2008.02941): three
layers with one angle each for legs, rungs and field. The observable is a plain mapping of Pauli
labels, so this file needs no SDK of its own.
"""

import math
from functools import reduce
from numbers import Integral, Real
from pathlib import Path

import numpy as np

import qngd

CIRCUIT = Path(__file__).with_name("ladder.qasm")
NUM_QUBITS = 6
LEGS = ((0, 1), (1, 2), (3, 4), (4, 5))
RUNGS = ((0, 3), (1, 4), (2, 5))
NUM_PARAMETERS = 9


def problem(*, leg: float = 1.0, rung: float = 1.0, field: float = 1.5, seed: int = 0) -> qngd.Problem:
    """The ground state of the ladder.

    Args:
        leg: J, in the unit of the energy.
        rung: K, in the unit of the energy.
        field: h, in the unit of the energy.
        seed: of the starting angles, uniform in [0.01, 0.2) radians.

    Returns:
        A problem with nine parameters in the order in which ``ladder.qasm`` declares them: legs,
        rungs, field, layer by layer. Its reference is the lowest eigenvalue of H, -10.4339 with the
        default settings; three layers reach -10.4064.

    Raises:
        ValueError: if a setting is out of range.
    """
    for name, value in (("leg", leg), ("rung", rung), ("field", field)):
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
    if leg == rung == field == 0:
        raise ValueError("leg, rung and field must not all be 0: no Hamiltonian is left")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")

    observable = {_label("Z", bond): -float(leg) for bond in LEGS}
    observable |= {_label("Z", bond): -float(rung) for bond in RUNGS}
    observable |= {_label("X", [i]): -float(field) for i in range(NUM_QUBITS)}
    return qngd.Problem(
        CIRCUIT,
        observable,
        np.random.default_rng(seed).uniform(0.01, 0.2, NUM_PARAMETERS),
        name=f"Ising ladder, J={leg:g}, K={rung:g}, h={field:g}",
        reference_energy=_lowest_energy(observable),
    )


def _label(letter: str, qubits) -> str:
    """The Pauli label with ``letter`` on ``qubits``; the rightmost letter belongs to qubit 0."""
    return "".join(letter if i in qubits else "I" for i in reversed(range(NUM_QUBITS)))


def _lowest_energy(observable: dict[str, float]) -> float:
    pauli = {"I": np.eye(2), "X": np.array([[0.0, 1.0], [1.0, 0.0]]), "Z": np.diag([1.0, -1.0])}
    hamiltonian = sum(c * reduce(np.kron, [pauli[p] for p in label]) for label, c in observable.items())
    return float(np.linalg.eigvalsh(hamiltonian)[0])
