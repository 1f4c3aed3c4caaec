"""A problem file that needs no SDK: two spins, H = Z₀Z₁ + field·X₁, RY rotations and CNOTs."""

import numpy as np
from scipy import sparse

import qngd
from qngd.circuit.angles import AffineExpressions
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import finish


def problem(
    *,
    layers: int = 2,
    field: float = 0.5,
    known: bool = True,
    start: list[float] | None = None,
    unit: str = "",
) -> qngd.Problem:
    """The ground state; `known` says whether the reference energy is given."""
    if layers < 1:
        raise ValueError(f"layers must be at least 1, got {layers}")
    circuit = ansatz(layers)
    return qngd.Problem(
        circuit,
        {"ZZ": 1.0, "XI": field},
        np.linspace(0.1, 1.0, circuit.num_parameters) if start is None else start,
        name="two spins, $1",
        reference_energy=-float(np.hypot(1.0, field)) if known else None,
        unit=unit,
    )


def ansatz(layers: int) -> qngd.Circuit:
    builder = OpsBuilder(2)
    for _ in range(layers):
        for qubit in (0, 1):
            builder.begin("ry", (qubit,))
            builder.gate("ry", (qubit,), [builder.slot()])
        builder.begin("cx", (0, 1))
        builder.gate("cx", (0, 1))
    count = builder.num_slots
    expressions = AffineExpressions(sparse.csr_array(np.eye(count)), np.zeros(count))
    return finish(builder, builder.angle_map(expressions), [f"t[{i}]" for i in range(count)])
