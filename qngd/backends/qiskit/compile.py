"""Compiling templates once a run, all of them onto the same physical qubits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.circuit import Delay
from qiskit.exceptions import QiskitError
from qiskit.transpiler import StagedPassManager, Target, TranspileLayout
from qiskit.utils.units import apply_prefix

from qngd._system.packages import packages_of
from qngd.backends.base import Footprint
from qngd.backends.qiskit.best import best_layout
from qngd.backends.qiskit.circuits import build
from qngd.backends.qiskit.device import BEST, Device
from qngd.backends.qiskit.native import with_open_angles
from qngd.backends.qiskit.placing import Placing, extended
from qngd.circuit.ops import select
from qngd.errors import BackendError
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class Compiled:
    """A template's circuit for the device. Its parameters, in the order of `circuit.parameters`, are the
    angles of the rotations `columns`: compilation can drop rotations that no measurement sees. `placed` says on which
    physical qubits the template's qubits begin and end, or is None where the device connects all with all."""

    circuit: QuantumCircuit
    columns: np.ndarray
    placed: TranspileLayout | None

    @classmethod
    def of(cls, circuit: QuantumCircuit, placed: TranspileLayout | None) -> Compiled:
        columns = [parameter.index for parameter in circuit.parameters]
        return cls(circuit, np.array(columns, dtype=np.int64), placed)

    def values(self, angles: np.ndarray) -> np.ndarray:
        """The parameters' values for angles (…, R), in (−π, π]: one turn more is a global phase."""
        return np.pi - np.remainder(np.pi - angles[..., self.columns], 2 * np.pi)

    @property
    def layout(self) -> tuple[int, ...] | None:
        """The physical qubits of the template's qubits; None where the device connects all with all."""
        return None if self.placed is None else tuple(self.placed.initial_index_layout(filter_ancillas=True))

    @property
    def read_by(self) -> tuple[int, ...] | None:
        """The physical qubits where the template's qubits end; None as above."""
        return None if self.placed is None else tuple(self.placed.final_index_layout(filter_ancillas=True))

    def bind(self, angles: np.ndarray) -> QuantumCircuit:
        return self.circuit.assign_parameters(self.values(angles))


class Compiler:
    """Compiles each template once and keeps the result as long as the template lives.

    Where the user has placed the qubits (see `Placing`), all templates run there. A template that is a whole circuit
    written for the device runs as it is, with the measurement compiled alone and appended.

    Elsewhere the circuit that they belong to is laid out with all its gates, whatever a template has of them, and they
    are pinned to its physical qubits; an ancilla takes one beside these. So all parts of a run see the same noise, the
    measurement at its end and what a later call adds included.
    """

    def __init__(self, device: Device, measure: bool) -> None:
        self.device = device
        self.placing = Placing(device)
        self._measure = measure
        self._known: WeakKeyDictionary[Template, Compiled] = WeakKeyDictionary()
        self._sizes: WeakKeyDictionary[Template, Footprint] = WeakKeyDictionary()
        self._managers: dict[tuple[int, ...] | None, StagedPassManager] = {}
        self._homes: dict[tuple[Any, ...], tuple[int, ...] | None] = {}
        self._last: tuple[QuantumCircuit, QuantumCircuit] | None = None

    def compile(self, templates: Sequence[Template]) -> list[Compiled]:
        """The templates' circuits, in order.

        Raises:
            BackendError: Qiskit cannot compile a circuit for the device.
        """
        for template in templates:
            if template not in self._known:
                self._known[template] = self._compile(template)
        return [self._known[template] for template in templates]

    def footprints(self, templates: Sequence[Template]) -> list[Footprint]:
        """What the compiled templates take on the device."""
        pairs = list(zip(templates, self.compile(templates), strict=True))
        for template, made in pairs:
            if template not in self._sizes:
                self._sizes[template] = _footprint(made.circuit, self.device.target)
        return [self._sizes[template] for template in templates]

    def _opened(self, template: Template) -> QuantumCircuit:
        """The user's circuit with open angles, which all whole templates of it share."""
        native, target = template.native, self.device.target
        assert target is not None
        assert template.numbers is not None
        if self._last is None or self._last[0] is not native:
            size = target.num_qubits or native.num_qubits
            self._last = native, with_open_angles(native, template.ops, template.numbers, size, self._on)
        return self._last[1]

    def _on(self, circuit: QuantumCircuit, qubits: tuple[int, ...]) -> QuantumCircuit:
        """The circuit for the device, on these physical qubits."""
        made = self._run(circuit, qubits)
        if made.layout.final_index_layout() != list(qubits):
            raise BackendError(
                f"backend: {self.device.name} cannot turn the rotations of a gate on qubits {qubits} apart without "
                "moving its qubits; write the gate with one-qubit and two-qubit gates"
            )
        return made

    def _run(self, circuit: QuantumCircuit, layout: tuple[int, ...] | None) -> QuantumCircuit:
        if layout not in self._managers:
            self._managers[layout] = self._manager(layout)
        return self._managers[layout].run(circuit)

    def _compile(self, template: Template) -> Compiled:
        target = self.device.target
        if target is None:
            return Compiled.of(build(template, self._measure), None)
        try:
            layout = self.placing.qubits(template) or self._at_home(template)
            if not template.whole:
                made = self._run(build(template, self._measure), layout)
                return Compiled.of(made, made.layout)
            end = self._run(build(_measurement(template), self._measure), layout)
            circuit = self._opened(template).copy()
            circuit.add_register(*end.cregs)
            return Compiled.of(circuit.compose(end), end.layout)
        except QiskitError as error:
            raise BackendError(f"backend: Qiskit cannot compile a circuit for {self.device.name}: {error}") from error

    def _at_home(self, template: Template) -> tuple[int, ...] | None:
        """The physical qubits of a template where Qiskit chooses them; None where the device connects all with all."""
        home = self._home(template.complete)
        return None if home is None else extended(home, template.num_wires, self.device.target)

    def _home(self, template: Template) -> tuple[int, ...] | None:
        """Those of a circuit with all its gates."""
        key = template.num_qubits, *(part.tobytes() for part in template.ops.arrays)
        if key not in self._homes:
            circuit = build(template, self._measure)
            if self.device.settings.initial_layout == BEST:
                self._homes[key] = best_layout(circuit, self._manager, self.device)
            else:
                self._homes[key] = Compiled.of(made := self._run(circuit, None), made.layout).layout
        return self._homes[key]

    def _manager(self, layout: tuple[int, ...] | None, seed: int = 0) -> StagedPassManager:
        """Qiskit's passes. A provider's device can bring passes of its own; for Aer's, Qiskit refuses to
        combine a coupling map with the gates on three qubits that the target holds. `seed` is added to that of the
        settings."""
        native = self.device.native
        return generate_preset_pass_manager(
            optimization_level=self.device.settings.optimization_level,
            backend=None if "qiskit_aer" in packages_of(native) else native,
            target=self.device.target,
            initial_layout=None if layout is None else list(layout),
            seed_transpiler=self.device.settings.seed_transpiler + seed,
        )


def _measurement(template: Template) -> Template:
    """The template's measurement alone."""
    nothing = select(template.ops, np.zeros(len(template.ops), dtype=bool))
    return replace(template, ops=nothing, rotations=template.rotations[:0])


def _footprint(circuit: QuantumCircuit, target: Target | None) -> Footprint:
    return Footprint(
        depth=circuit.depth(),
        two_qubit_gates=circuit.num_nonlocal_gates(),
        two_qubit_depth=circuit.depth(lambda instruction: len(instruction.qubits) > 1),
        seconds=None if target is None else _seconds(circuit, target),
    )


def _seconds(circuit: QuantumCircuit, target: Target) -> float | None:
    """The longest path through the circuit by the target's durations; None if it gives none."""
    ready = np.zeros(circuit.num_qubits)
    known = False
    for instruction in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
        if isinstance(instruction.operation, Delay):
            duration: float | None = _delay_seconds(instruction.operation, target)
        else:
            properties = target.get(instruction.operation.name, {}).get(qubits)
            duration = getattr(properties, "duration", None)
            known = known or duration is not None
        ready[list(qubits)] = ready[list(qubits)].max() + (duration or 0.0)
    return float(ready.max()) if known else None


def _delay_seconds(delay: Delay, target: Target) -> float:
    """A delay's time; 0 where it is in samples of a time that the target does not give."""
    if delay.unit == "dt":
        return float(delay.duration) * (target.dt or 0.0)
    return float(apply_prefix(delay.duration, delay.unit))
