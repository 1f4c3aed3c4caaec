"""A circuit in words: its size, and what a step measures with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qngd.circuit.active import active_qubits
from qngd.circuit.circuit import Circuit
from qngd.errors import counted

if TYPE_CHECKING:
    from qngd.run.pricing.planned import PlannedStep

_GROUPED = {
    "qubit-wise": "grouped qubit by qubit",
    "commuting": "grouped by what commutes",
    "auto": "grouped by cost",
}


def describe_circuit(circuit: Circuit) -> str:
    """The size of a circuit: '4 qubits, 12 parameters, 3 layers', or '127 qubits (4 active), …'."""
    counts = {
        "qubit": circuit.num_qubits,
        "parameter": circuit.num_parameters,
        "layer": circuit.num_layers,
    }
    texts = [counted(count, name) for name, count in counts.items()]
    active = len(active_qubits(circuit))
    if active < circuit.num_qubits:
        texts[0] += f" ({active} active)"
    return ", ".join(texts)


def step_measurements(step: PlannedStep) -> dict[str, str]:
    """What one step measures on a device, from row names to text: the circuits that `qngd.cost` counts."""
    energy = "no observable given"
    if step.num_terms:
        circuits, terms = counted(step.energy_circuits, "circuit"), counted(step.num_terms, "Pauli term")
        energy = f"{circuits} for {terms}, {_GROUPED.get(str(step.grouping), 'in random bases')}"
    own = "" if step.metric_circuits else " of its own"
    name = "none" if step.plan.metric is None else step.plan.metric.name
    rows = {"energy": energy, "metric": f"{counted(step.metric_circuits, 'circuit')}{own} ({name})"}
    if step.num_terms:
        rows["gradient"] = f"{counted(step.gradient_circuits, 'circuit')} of the energy at shifted angles"
    return rows
