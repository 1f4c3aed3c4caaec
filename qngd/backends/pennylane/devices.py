"""What is known of PennyLane's devices: which are ideal, what they lack, where they draw from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices import Device, LegacyDeviceFacade, device_constructor
from pennylane.devices.capabilities import DeviceCapabilities, ExecutionCondition
from pennylane.exceptions import DeviceError, QuantumFunctionError

from qngd.errors import BackendError, MissingPackageError, counted

# Simulators that compute what the embedded one computes, only slower.
STATEVECTOR = frozenset(
    {
        "default.qubit", "default.mixed", "reference.qubit",
        "lightning.qubit", "lightning.gpu", "lightning.kokkos", "lightning.amdgpu",
    }
)  # fmt: skip
IDEAL = STATEVECTOR | {"default.clifford", "default.tensor", "lightning.tensor", "null.qubit"}
_EXACT_ONLY = frozenset({"default.tensor"})
_NOISE = (qml.add_noise, qml.noise.insert)

# PennyLane's own errors have no common base; the first two are what devices raise.
_REFUSALS = (DeviceError, QuantumFunctionError, RuntimeError, ValueError)


def make(name: str, num_qubits: int) -> Device:
    """The device of this name.

    Raises:
        BackendError: it cannot be made from a name and a number of wires.
        MissingPackageError: it needs a package that is not installed.
    """
    try:
        return qml.device(name, wires=num_qubits)
    except ImportError as error:
        raise MissingPackageError(f"backend: {name} cannot be used: {error}") from error
    except (*_REFUSALS, TypeError) as error:  # TypeError: an option without a default, such as an ARN
        raise BackendError(
            f"backend: {name} cannot be made from its name and {num_qubits} wires ({error}); make it with "
            "qml.device(...) and give the device itself"
        ) from error


def plain_name(device: Device) -> str | None:
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


def innermost(device: Device) -> Device:
    """The device without the transforms that were added to it."""
    return list(_layers(device))[-1]


def is_noisy(device: Device) -> bool:
    """Whether the device is not known to run circuits as written, by the rule at the head of `pennylane`."""
    if any(getattr(layer, "transform", None) in _NOISE for layer in _layers(device)):
        return True
    inner = innermost(device)
    return plain_name(inner) not in IDEAL or bool(getattr(inner, "readout_err", None))


def noise_digest(device: Device) -> str:
    """A hash of the noise that was added to the device and of its readout error, as far as they have a text; nothing
    where there is none."""
    added = [
        (str(layer.transform), layer.targs, sorted(layer.tkwargs.items()))
        for layer in _layers(device)
        if getattr(layer, "transform", None) in _NOISE
    ]
    misread = getattr(innermost(device), "readout_err", None)
    if not added and not misread:
        return ""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr((added, misread)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def samples_fast(device: Device) -> bool:
    """Whether to ask for samples rather than for counts.

    Some plugins (Braket's) know counts alone. PennyLane's own simulators make counts from samples, in a loop
    over the shots that takes longer than the simulation.
    """
    return plain_name(innermost(device)) in IDEAL


def wires_of(device: Device, needed: int) -> list[Any]:
    """The wires of qubits 0, 1, ….

    Raises:
        BackendError: there are fewer than `needed`.
    """
    own = device.wires
    if own is None:
        return list(range(needed))
    if len(own) < needed:
        raise BackendError(
            f"{device.name} has {counted(len(own), 'wire')}, the circuit needs {needed}; make the device with more"
        )
    return list(own)


def check_mode(device: Device, shots: int | None) -> None:
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
def drawing_from(device: Device, seed: np.random.SeedSequence | None) -> Iterator[None]:
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
        rng.bit_generator.state = type(rng.bit_generator)(seed).state
    try:
        yield
    finally:
        for name, key in keys.items():
            setattr(device, name, key)
        if seed is not None:
            rng.bit_generator.state = state
            if device._rng is not rng:  # simulators with worker processes take a new one
                device._rng = rng
