"""On which physical qubits of a device a circuit runs, where the user says so.

In this order: a circuit that is written for the device runs on its own qubits; `QiskitSettings.initial_layout` counts;
a circuit that was transpiled (it has a layout) keeps its qubits though the device lacks some of its gates. Else Qiskit
chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from qiskit import QuantumCircuit
from qiskit.transpiler import Target

from qngd.backends.qiskit.device import Device
from qngd.backends.qiskit.native import is_written_for
from qngd.errors import BackendError
from qngd.measured.template import Template


class Placing:
    """The physical qubits of circuits on one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._last: tuple[QuantumCircuit, bool] | None = None

    def keeps(self, native: QuantumCircuit | None) -> bool:
        """Whether this circuit of the user's is written for the device, so that it can run as it is.

        An ideal simulator has all gates on all qubits: circuits are written for it only if they were transpiled.
        """
        target = self._device.target
        if target is None or not isinstance(native, QuantumCircuit):
            return False
        if self._last is None or self._last[0] is not native:
            meant = self._device.is_noisy or native.layout is not None
            self._last = native, meant and is_written_for(target, native)
        return self._last[1]

    def qubits(self, template: Template) -> tuple[int, ...] | None:
        """The physical qubits of the template's; None where the user leaves them to Qiskit.

        Raises:
            BackendError: the device does not have them.
        """
        target, numbers = self._device.target, template.numbers
        if target is None or numbers is None:
            return None
        if not template.is_pinned and not self.keeps(template.native):
            chosen = self._device.settings.initial_layout
            if chosen is not None and not isinstance(chosen, str):
                numbers = self._chosen(chosen, numbers)
            elif getattr(template.native, "layout", None) is None or self._may_move(numbers):
                return None
        return extended(numbers, template.num_wires, target)

    def _chosen(self, chosen: Sequence[int], numbers: tuple[int, ...]) -> tuple[int, ...]:
        """What `initial_layout` makes of these qubits of the circuit's."""
        if len(chosen) <= max(numbers):
            raise BackendError(
                f"backend: initial_layout places {len(chosen)} qubits, and the circuit uses qubit {max(numbers)}; give "
                "a physical qubit for every qubit of the circuit"
            )
        placed = tuple(chosen[number] for number in numbers)
        if not self._device.has(max(placed)):
            raise BackendError(
                f"backend: initial_layout names qubit {max(placed)}, and {self._device.name} has "
                f"{self._device.num_qubits} qubits; give numbers below that"
            )
        return placed

    def _may_move(self, numbers: tuple[int, ...]) -> bool:
        """Whether the qubits of a circuit that was transpiled for a larger device may stand anywhere on this one, as on
        an ideal simulator; False where they fit."""
        if self._device.has(max(numbers)):
            return False
        if not self._device.is_noisy and self._device.connects_all:
            return True
        raise BackendError(
            f"backend: the circuit was transpiled onto qubit {max(numbers)}, and {self._device.name} has "
            f"{self._device.num_qubits} qubits; give the circuit as it was before, or transpile it for this device"
        )


def extended(qubits: tuple[int, ...], needed: int, target: Target) -> tuple[int, ...]:
    """These physical qubits and more, `needed` in all: free ones that are coupled to them.

    Raises:
        BackendError: there are none.
    """
    coupling = target.build_coupling_map()
    edges = [] if coupling is None else coupling.get_edges()
    taken = list(qubits)
    while len(taken) < needed:
        beside = {q for edge in edges for q in edge if not set(taken).isdisjoint(edge)} - set(taken)
        if edges and not beside:
            raise BackendError(
                f"backend: the circuit stands on the qubits {', '.join(map(str, qubits))}, and the full metric takes "
                'another that is coupled to them, of which the device has none; take approx="block-diag" or '
                'cross="overlap", or give initial_layout= in another part of it'
            )
        taken.append(min(beside) if beside else next(q for q in count() if q not in taken))
    return tuple(taken)
