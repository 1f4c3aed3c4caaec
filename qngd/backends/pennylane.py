"""PennyLane devices: one `device.execute` of a whole batch of quantum scripts per submission.

Qubit i is the i-th wire of the device, or wire i where the device has no wires of its own.

Random numbers. PennyLane's own simulators (default.*, lightning.*) draw from a NumPy generator of the
device. For one submission that generator is set to the given seed, afterwards it goes on from where it
stood; without a seed it is left alone. Other devices (hardware, and plugins that draw from NumPy's global
generator) draw their own numbers whatever the seed.

Noise. A device counts as noisy unless it is one of the simulators known by name to run circuits as written
(`_IDEAL`), itself and not a class derived from it, without readout error and without noise added to it by
`qml.add_noise` or `insert`. So hardware is noisy, and so is a simulator that is not in the list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pennylane.devices import (
    Device,
    ExecutionConfig,
    LegacyDevice,
    LegacyDeviceFacade,
    device_constructor,
)
from pennylane.tape import QuantumScript

from qngd.backends._pennylane_devices import (
    ERRORS,
    IDEAL,
    REFUSALS,
    STATEVECTOR,
    check_mode,
    drawing_from,
    is_noisy,
    make,
    plain_name,
    samples_fast,
    wires_of,
)
from qngd.backends._pennylane_scripts import Expectations, Program, Reading, Samples, Unreadable
from qngd.backends._retry import Retry
from qngd.errors import BackendError, did_you_mean
from qngd.evaluate import Cost
from qngd.outcomes import Outcome
from qngd.plan import Request
from qngd.template import Template


class PennyLaneBackend:
    """Runs requests on a PennyLane device.

    Args:
        device: a device, or the name of one, which is then made with as many wires as the circuits need.
        retry: how often a failure of the way to the provider is tried again.

    Raises:
        BackendError: PennyLane knows no device of this name.
    """

    def __init__(self, device: Device | str, retry: Retry | None = None) -> None:
        known = device_constructor.plugin_devices
        if isinstance(device, str) and device not in known:
            raise BackendError(
                f"backend: PennyLane knows no device {device!r}.{did_you_mean(device, known)} Installed are "
                f"{', '.join(sorted(known))}"
            )
        self._given = device
        self._retry = retry or Retry()
        self._made: Device | None = None

    @property
    def name(self) -> str:
        return self._given if isinstance(self._given, str) else str(self._given.name)

    @property
    def is_noisy(self) -> bool:
        """Whether the device is not known to run circuits as written; see the head of this module."""
        if isinstance(self._given, str):
            return self._given not in IDEAL
        return is_noisy(self._given)

    @property
    def default_shots(self) -> int | None:
        """The device's own shots (deprecated in PennyLane), used for requests that give none."""
        return None if isinstance(self._given, str) else self._given.shots.total_shots

    def preview(self, requests: Sequence[Request]) -> Cost:
        """What submitting these requests would cost."""
        return Cost(min(len(requests), 1), len(requests), sum(self._shots(request) or 0 for request in requests))

    def _shots(self, request: Request) -> int | None:
        return request.shots if request.shots is not None else self.default_shots

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> _Job | None:
        """Build the scripts and let the device preprocess them. They run when the job is collected, because
        PennyLane's devices return only with their results.

        Raises:
            BackendError: the device has too few wires, needs a number of shots, or refuses a circuit.
        """
        if not requests:
            return None
        device = self._device(max(template.num_qubits for template in templates))
        scripts, readings = self._scripts(templates, requests, device)
        try:
            config = device.setup_execution_config(ExecutionConfig(), scripts[0])
            batch, post = device.preprocess_transforms(config)(scripts)
        except REFUSALS as error:
            raise BackendError(f"{self.name} refuses the circuits: {type(error).__name__}: {error}") from error
        return _Job(device, tuple(batch), post, config, readings, seed)

    def collect(self, handle: _Job | None) -> list[Outcome]:
        """Run the job, in one `device.execute`, and read its results.

        Raises:
            BackendError: the device failed, or returned less than it was asked for.
        """
        if handle is None:
            return []
        results = self._retry.call(handle.execute, f"{self.name} failed", errors=ERRORS)
        if len(results) != len(handle.batch):
            raise BackendError(f"{self.name} returned {len(results)} results for {len(handle.batch)} circuits")
        try:
            pairs = zip(handle.readings, handle.post(results), strict=True)
            return [reading.outcome(result) for reading, result in pairs]
        except Unreadable as error:
            raise BackendError(f"{self.name} returned {error}") from None

    def _scripts(
        self, templates: Sequence[Template], requests: Sequence[Request], device: Device
    ) -> tuple[list[QuantumScript], list[Reading]]:
        wires = wires_of(device, max(template.num_qubits for template in templates))
        counted = not samples_fast(device)
        programs = [Program.of(template, wires) for template in templates]
        known: dict[tuple[int, int | None], Reading] = {}
        scripts, readings = [], []
        for request in requests:
            shots = self._shots(request)
            check_mode(device, shots)
            key = (request.template, shots)
            if key not in known:
                template = templates[request.template]
                if shots is None:
                    known[key] = Expectations.of(template, wires)
                else:
                    known[key] = Samples.of(template, wires, shots, counted)
            operations = programs[request.template].operations(request.angles)
            scripts.append(QuantumScript(operations, known[key].measurements, shots=shots))
            readings.append(known[key])
        return scripts, readings

    def _device(self, num_qubits: int) -> Device:
        """The device, made now if only its name was given."""
        if not isinstance(self._given, str):
            return self._given
        if self._made is None or len(self._made.wires) < num_qubits:
            self._made = make(self._given, num_qubits)
        return self._made


@dataclass(frozen=True, eq=False)
class _Job:
    """Scripts as the device takes them, and the way back from its results to those of the requests."""

    device: Device
    batch: tuple[QuantumScript, ...]
    post: Callable[[Any], Any]
    config: ExecutionConfig
    readings: list[Reading]
    seed: int | None

    def execute(self) -> Any:
        with drawing_from(self.device, self.seed):
            return self.device.execute(self.batch, self.config)


def from_object(native: Any) -> PennyLaneBackend:
    """The backend for a PennyLane device or the name of one, such as "lightning.qubit".

    Raises:
        BackendError: it is neither.
    """
    if isinstance(native, LegacyDevice):
        native = LegacyDeviceFacade(native)
    if not isinstance(native, (Device, str)):
        raise BackendError(
            f"backend: {type(native).__name__} is not a PennyLane device; give one made by qml.device(...)"
        )
    return PennyLaneBackend(native)


def default_for(device: Any, shots: int | None = None) -> tuple[PennyLaneBackend | None, int | None]:
    """Where a QNode runs whose user names no backend, and with how many shots (None: exact).

    The backend is None where the embedded simulator gives the same numbers faster: without shots, on a
    statevector simulator without noise that has no transforms of the user's own.

    Args:
        device: the QNode's device.
        shots: the QNode's own; None for those of the device.
    """
    total = device.shots.total_shots if shots is None else shots
    if total is None and plain_name(device) in STATEVECTOR and not is_noisy(device):
        return None, None
    return PennyLaneBackend(device), total
