"""The physical qubits on which a circuit has the lowest errors, by the device's own properties."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qiskit import QuantumCircuit
from qiskit.transpiler import PassManager, StagedPassManager, Target
from qiskit.transpiler.passes import VF2PostLayout

from qngd.backends.qiskit.device import Device

_SEEDS = 10
_TRIALS = 2500  # of placements that are coupled alike, for each of them


def best_layout(
    circuit: QuantumCircuit, manager: Callable[[tuple[int, ...] | None, int], StagedPassManager], device: Device
) -> tuple[int, ...] | None:
    """The physical qubits of the circuit's; None where the device connects all with all.

    `manager` makes the passes for a layout and a seed. Each seed may route otherwise, and `VF2PostLayout` (as
    mapomatic, arXiv:2209.15512) moves what came out to qubits with lower errors that are coupled alike. What counts is
    the loss of the circuit as it is compiled onto the layout in the end.
    """
    target = device.target
    if target is None or target.build_coupling_map() is None:
        return None
    layouts: dict[tuple[int, ...], None] = {}
    for seed in range(_SEEDS):
        made = manager(None, seed).run(circuit)
        if made.layout is None:
            return None
        first = tuple(made.layout.initial_index_layout(filter_ancillas=True))
        layouts[first] = None
        if (moved := _moved(made, target, seed)) is not None:
            layouts[tuple(moved[qubit] for qubit in first)] = None
    return min(layouts, key=lambda layout: loss(manager(layout, 0).run(circuit), target))


def _moved(made: QuantumCircuit, target: Target, seed: int) -> list[int] | None:
    """Where each physical qubit of a compiled circuit goes; None where it stays."""
    search = PassManager([VF2PostLayout(target=target, seed=seed, strict_direction=False, max_trials=_TRIALS)])
    search.run(made)
    found = search.property_set["post_layout"]
    if found is None:
        return None
    return [int(found[qubit]) if qubit in found.get_virtual_bits() else k for k, qubit in enumerate(made.qubits)]


def loss(circuit: QuantumCircuit, target: Target) -> float:
    """−Σ log(1 − error) over the gates and readouts of a compiled circuit: what is lost of its fidelity."""
    total = 0.0
    for instruction in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
        error = getattr((target.get(instruction.operation.name) or {}).get(qubits), "error", None)
        total -= float(np.log1p(-min(error or 0.0, 1 - 1e-9)))
    return total
