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

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pennylane as qml
from pennylane.devices import (
    Device,
    ExecutionConfig,
    LegacyDevice,
    LegacyDeviceFacade,
    device_constructor,
)
from pennylane.devices.capabilities import DeviceCapabilities, ExecutionCondition
from pennylane.exceptions import DeviceError, QuantumFunctionError
from pennylane.measurements import MeasurementProcess, Shots
from pennylane.operation import Operator
from pennylane.tape import QuantumScript

from qngd.backends._retry import Retry
from qngd.errors import BackendError, MissingPackageError
from qngd.ops import Op
from qngd.outcomes import Counts, Means, Outcome
from qngd.pauli import LETTERS, pack_bits
from qngd.plan import Request
from qngd.template import Template

# Simulators that compute what the embedded one computes, only slower.
_STATEVECTOR = frozenset(
    {
        "default.qubit", "default.mixed", "reference.qubit",
        "lightning.qubit", "lightning.gpu", "lightning.kokkos", "lightning.amdgpu",
    }
)  # fmt: skip
_IDEAL = _STATEVECTOR | {"default.clifford", "default.tensor", "lightning.tensor", "null.qubit"}
_EXACT_ONLY = frozenset({"default.tensor"})
_INSERT = qml.noise.insert if hasattr(qml.noise, "insert") else qml.transforms.insert  # before 0.44
_NOISE = (qml.add_noise, _INSERT)

# PennyLane's own errors have no common base; these two are what devices raise.
_ERRORS = (DeviceError, QuantumFunctionError)
_REFUSALS = (*_ERRORS, RuntimeError, ValueError)

_CLIFFORDS: dict[int, Callable[..., Operator]] = {
    Op.H: qml.Hadamard,
    Op.S: qml.S,
    Op.SDG: lambda wires: qml.adjoint(qml.S(wires)),
    Op.X: qml.X,
    Op.Y: qml.Y,
    Op.Z: qml.Z,
    Op.CX: qml.CNOT,
    Op.CZ: qml.CZ,
    Op.SWAP: qml.SWAP,
}
_ROTATIONS = {
    "X": qml.RX, "Y": qml.RY, "Z": qml.RZ,
    "XX": qml.IsingXX, "YY": qml.IsingYY, "ZZ": qml.IsingZZ,
}  # fmt: skip


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
                f"backend: PennyLane knows no device {device!r}; installed are {', '.join(sorted(known))}"
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
            return self._given not in _IDEAL
        return _is_noisy(self._given)

    @property
    def default_shots(self) -> int | None:
        """The device's own shots (deprecated in PennyLane), used for requests that give none."""
        return None if isinstance(self._given, str) else self._given.shots.total_shots

    def submit(
        self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None
    ) -> _Job | None:
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
        except _REFUSALS as error:
            raise BackendError(
                f"{self.name} refuses the circuits: {type(error).__name__}: {error}"
            ) from error
        return _Job(device, tuple(batch), post, config, readings, seed)

    def collect(self, handle: _Job | None) -> list[Outcome]:
        """Run the job, in one `device.execute`, and read its results.

        Raises:
            BackendError: the device failed, or returned less than it was asked for.
        """
        if handle is None:
            return []
        results = self._retry.call(handle.execute, f"{self.name} failed", errors=_ERRORS)
        if len(results) != len(handle.batch):
            raise BackendError(
                f"{self.name} returned {len(results)} results for {len(handle.batch)} circuits"
            )
        try:
            pairs = zip(handle.readings, handle.post(results), strict=True)
            return [reading.outcome(result) for reading, result in pairs]
        except _Unreadable as error:
            raise BackendError(f"{self.name} returned {error}") from None

    def _scripts(
        self, templates: Sequence[Template], requests: Sequence[Request], device: Device
    ) -> tuple[list[QuantumScript], list[_Reading]]:
        wires = _wires(device, templates)
        programs = [_Program.of(template, wires) for template in templates]
        known: dict[tuple[int, int | None], _Reading] = {}
        scripts, readings = [], []
        for request in requests:
            shots = request.shots if request.shots is not None else self.default_shots
            _check_mode(device, shots)
            key = (request.template, shots)
            if key not in known:
                known[key] = _reading(templates[request.template], wires, shots, device)
            operations = programs[request.template].operations(request.angles)
            scripts.append(QuantumScript(operations, known[key].measurements, shots=shots))
            readings.append(known[key])
        return scripts, readings

    def _device(self, num_qubits: int) -> Device:
        """The device, made now if only its name was given."""
        if not isinstance(self._given, str):
            return self._given
        if self._made is None or len(self._made.wires) < num_qubits:
            self._made = _make(self._given, num_qubits)
        return self._made


@dataclass(frozen=True, eq=False)
class _Job:
    """Scripts as the device takes them, and the way back from its results to those of the requests."""

    device: Device
    batch: tuple[QuantumScript, ...]
    post: Callable[[Any], Any]
    config: ExecutionConfig
    readings: list[_Reading]
    seed: int | None

    def execute(self) -> Any:
        with _drawing_from(self.device, self.seed):
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


def default_for(device: Any, shots: Shots | None = None) -> tuple[PennyLaneBackend | None, int | None]:
    """Where a QNode runs whose user names no backend, and with how many shots (None: exact).

    The backend is None where the embedded simulator gives the same numbers faster: without shots, on a
    statevector simulator without noise that has no transforms of the user's own.

    Args:
        device: the QNode's device.
        shots: the QNode's own, `qnode.shots`; None for those of the device.
    """
    total = (device.shots if shots is None else shots).total_shots
    if total is None and _plain_name(device) in _STATEVECTOR and not _is_noisy(device):
        return None, None
    return PennyLaneBackend(device), total


def _plain_name(device: Device) -> str | None:
    """The device's name if it is of the very class that PennyLane makes under this name; else None, because a
    derived class (a device with the user's transforms is one) can do anything under the same name."""
    inner = device.target_device if isinstance(device, LegacyDeviceFacade) else device
    entry = device_constructor.plugin_devices.get(device.name)
    return str(device.name) if entry is not None and type(inner) is entry.load() else None


def _layers(device: Device) -> Iterator[Device]:
    """The device, and what is left of it as the transforms that were added to it come off one by one."""
    yield device
    while (original := getattr(device, "original_device", None)) is not None:
        yield (device := original)


def _innermost(device: Device) -> Device:
    return list(_layers(device))[-1]


def _is_noisy(device: Device) -> bool:
    if any(getattr(layer, "transform", None) in _NOISE for layer in _layers(device)):
        return True
    inner = _innermost(device)
    return _plain_name(inner) not in _IDEAL or bool(getattr(inner, "readout_err", None))


def _make(name: str, num_qubits: int) -> Device:
    try:
        return qml.device(name, wires=num_qubits)
    except ImportError as error:
        raise MissingPackageError(f"backend: {name} cannot be used: {error}") from error
    except (*_REFUSALS, TypeError) as error:  # TypeError: an option without a default, such as an ARN
        raise BackendError(
            f"backend: {name} cannot be made from its name and {num_qubits} wires ({error}); make it with "
            "qml.device(...) and give the device itself"
        ) from error


def _wires(device: Device, templates: Sequence[Template]) -> list[Any]:
    """The wire of each qubit.

    Raises:
        BackendError: there are too few.
    """
    needed = max(template.num_qubits for template in templates)
    own = device.wires
    if own is None:
        return list(range(needed))
    if len(own) < needed:
        raise BackendError(
            f"{device.name} has {len(own)} wires, the circuit needs {needed}; make the device with more"
        )
    return list(own)


def _check_mode(device: Device, shots: int | None) -> None:
    """Raise BackendError where the device is known to lack this mode: exact without shots, else sampling."""
    if shots is not None:
        if device.name in _EXACT_ONLY:
            raise BackendError(f"{device.name} takes no shots; leave shots out for exact results")
        return
    capabilities = getattr(device, "capabilities", None)
    if not isinstance(capabilities, DeviceCapabilities):
        return
    conditions = capabilities.measurement_processes.get("ExpectationMP", ())
    if ExecutionCondition.FINITE_SHOTS_ONLY in conditions:
        raise BackendError(f"{device.name} gives no exact expectation values; give a number of shots")


@contextmanager
def _drawing_from(device: Device, seed: int | None) -> Iterator[None]:
    """Let a simulator draw its random numbers from `seed`, then go on as if nothing had happened.

    The generator is changed in place, because lightning's state vector holds a reference to it. A JAX key is
    set aside: default.qubit would start from it anew, and draw the same noise, every time.
    """
    rng = getattr(device, "_rng", None)
    if not isinstance(rng, np.random.Generator):
        yield
        return
    state = rng.bit_generator.state
    keys = {name: getattr(device, name, None) for name in ("_prng_key", "_prng_seed")}
    keys = {name: key for name, key in keys.items() if key is not None}
    for name in keys:
        setattr(device, name, None)
    if seed is not None:
        rng.bit_generator.state = type(rng.bit_generator)(np.random.SeedSequence(seed)).state
    try:
        yield
    finally:
        for name, key in keys.items():
            setattr(device, name, key)
        if seed is not None:
            rng.bit_generator.state = state
            if device._rng is not rng:  # simulators with worker processes take a new one
                device._rng = rng


@dataclass(frozen=True, eq=False)
class _Open:
    """A rotation that awaits its angle."""

    label: str
    wires: list[Any]

    def at(self, angle: float) -> Operator:
        """exp(−i·angle/2·P): letter i of the label acts on wires[i]."""
        gate = _ROTATIONS.get(self.label)
        if gate is None:
            return qml.PauliRot(float(angle), self.label, wires=self.wires)
        return gate(float(angle), wires=self.wires)


@dataclass(frozen=True, eq=False)
class _Program:
    """A template's gates as operators, made once for all its requests."""

    gates: list[Operator | _Open]

    @classmethod
    def of(cls, template: Template, wires: Sequence[Any]) -> _Program:
        ops = template.all_ops
        gates: list[Operator | _Open] = []
        for position, kind in enumerate(ops.kind):
            on = [wires[qubit] for qubit in ops.qubits_of(position)]
            label = "".join(LETTERS[code] for code in ops.letters_of(position))
            if kind == Op.ROTATION:
                gates.append(_Open(label, on))
            elif kind == Op.QUARTER:
                gates.append(_Open(label, on).at(ops.turns[position] * np.pi / 2))
            else:
                gates.append(_CLIFFORDS[kind](wires=on))
        return cls(gates)

    def operations(self, angles: np.ndarray) -> list[Operator]:
        left = iter(angles)
        return [gate.at(next(left)) if isinstance(gate, _Open) else gate for gate in self.gates]


class _Unreadable(Exception):
    """A result that is not what the measurements ask for."""


class _Reading(Protocol):
    """What a script measures, and how its result reads."""

    @property
    def measurements(self) -> list[MeasurementProcess]: ...

    def outcome(self, result: Any) -> Outcome: ...


def _reading(template: Template, wires: Sequence[Any], shots: int | None, device: Device) -> _Reading:
    if shots is None:
        return _Expectations.of(template, wires)
    on = [wires[qubit] for qubit in template.measured]
    # Some plugins (Braket's) know counts alone; PennyLane's simulators sample many times faster.
    samples = _plain_name(_innermost(device)) in _IDEAL
    measurement = qml.sample(wires=on) if samples else qml.counts(wires=on)
    return _Samples([measurement], template.num_qubits, template.measured, shots)


@dataclass(frozen=True, eq=False)
class _Samples:
    """The measured qubits' bits, shot by shot (an array) or counted (a mapping from bitstrings)."""

    measurements: list[MeasurementProcess]
    num_qubits: int
    measured: np.ndarray
    shots: int

    def outcome(self, result: Any) -> Counts:
        if isinstance(result, Mapping):
            seen = "".join(result).encode()
            bits = np.frombuffer(seen, dtype=np.uint8) - ord("0")
            counts = np.fromiter(result.values(), dtype=np.int64, count=len(result))
        else:
            bits = np.asarray(result)
            counts = np.ones(bits.size // len(self.measured), dtype=np.int64)
        if counts.sum() != self.shots:
            raise _Unreadable(f"{counts.sum()} of {self.shots} shots of a circuit")
        ones = bits == 1
        if bits.size != len(counts) * len(self.measured) or not np.array_equal(ones, bits):
            raise _Unreadable(f"something else than the bits of {len(self.measured)} qubits")
        unpacked = np.zeros((len(counts), self.num_qubits), dtype=bool)
        unpacked[:, self.measured] = ones.reshape(len(counts), -1)
        masks = pack_bits(unpacked)
        return Counts(masks, counts) if isinstance(result, Mapping) else Counts(*_distinct(masks))


def _distinct(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of masks (shots, W), and how often each occurs."""
    if masks.shape[1] > 1:
        return np.unique(masks, axis=0, return_counts=True)
    rows, counts = np.unique(masks[:, 0], return_counts=True)  # ten times faster
    return rows[:, None], counts


@dataclass(frozen=True, eq=False)
class _Expectations:
    """Exact expectation values: value k of the template is sign[k] times that of measurement place[k]."""

    measurements: list[MeasurementProcess]
    place: np.ndarray
    sign: np.ndarray

    @classmethod
    def of(cls, template: Template, wires: Sequence[Any]) -> _Expectations:
        z, sign = template.basis.z, template.basis.sign.astype(float)
        if template.pairs:  # Z strings multiply without phases
            i, j = np.triu_indices(len(z), 1)
            z, sign = np.concatenate([z, z[i] ^ z[j]]), np.concatenate([sign, sign[i] * sign[j]])
        distinct, place = np.unique(z, axis=0, return_inverse=True)
        shifts = np.arange(64, dtype=np.uint64)
        bits = (distinct[:, :, None] >> shifts & np.uint64(1)).reshape(len(distinct), -1)
        strings = [[wires[int(qubit)] for qubit in np.flatnonzero(row)] for row in bits]
        measurements = [qml.expval(_z_string(on, wires[0])) for on in strings]
        return cls(measurements, place.reshape(-1), sign)

    def outcome(self, result: Any) -> Means:
        # a script with one measurement has a bare number as its result
        found = np.atleast_1d(np.asarray(result, dtype=float))
        if len(found) != len(self.measurements) or not np.isfinite(found).all():
            raise _Unreadable(f"{result!r} for {len(self.measurements)} expectation values")
        values = self.sign * found[self.place]
        return Means(values, np.zeros_like(values), 0)


def _z_string(on: list[Any], any_wire: Any) -> Operator:
    """The product of Z on these wires; without any, as for the square of a string, the identity."""
    if not on:
        return qml.Identity(any_wire)
    return qml.Z(on[0]) if len(on) == 1 else qml.prod(*map(qml.Z, on))
