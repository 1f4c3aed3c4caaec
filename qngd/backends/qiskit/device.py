"""What is known of a Qiskit device before anything is sent to it."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import warnings
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit.transpiler import InstructionProperties, Target

from qngd._system.packages import packages_of
from qngd.backends.limits import Limits, require_limits
from qngd.backends.retry import Retry
from qngd.errors import BackendError, SettingError, require_bool, require_range, settle_whole
from qngd.measured.template import Template

# https://quantum.cloud.ibm.com/docs/guides/job-limits and …/max-execution-time, read in 2026: 10 million executions a
# job of the Sampler, and three hours of a QPU. Jobs of the Estimator are said to be divided by the service; the same
# bound is kept for them, because the client-side one sends what it is given in one job.
_IBM = Limits(executions=10_000_000, seconds=3 * 3600)


BEST = "best"  # in place of an initial_layout


@dataclass(frozen=True)
class QiskitSettings:
    """How circuits are compiled and run.

    Args:
        optimization_level: of Qiskit's transpiler, 0 to 3.
        seed_transpiler: of its random numbers, so that a run can be repeated.
        fractional_gates: whether to use gates whose angle the device bounds (IBM's RZZ, 0 to π/2). Angles are
            set after compilation, and the shifts of a gradient can leave the bounds, so the default leaves
            such gates out.
        initial_layout: the physical qubit of each of the circuit's qubits; None leaves them to the transpiler, and
            "best" takes those on which it has the lowest errors by the device's properties. A circuit
            that is written for the device, with gates and qubits of its, keeps its own qubits.
        is_noisy: whether the device is noisy; None finds out.
        limits: what one job may hold, in place of what is known of the device and its provider.
        retries, backoff: how often, and after how many seconds each, a transient failure is tried again.
        timeout: seconds to wait for a job; None waits for ever.

    Raises:
        SettingError: a setting is out of range.
    """

    optimization_level: int = 2
    seed_transpiler: int = 0
    fractional_gates: bool = False
    initial_layout: Sequence[int] | str | None = None
    is_noisy: bool | None = None
    limits: Limits | None = None
    retries: int = 3
    backoff: tuple[float, ...] = (1.0, 4.0, 16.0)
    timeout: float | None = None

    def __post_init__(self) -> None:
        settle_whole(self, {"optimization_level": 0, "seed_transpiler": 0})
        require_range(self.optimization_level, "optimization_level", "0, 1, 2 or 3", lambda number: number <= 3)
        require_bool(self.fractional_gates, "fractional_gates")
        if self.is_noisy is not None:
            require_bool(self.is_noisy, "is_noisy")
        require_limits(self.limits)
        self.retry()
        if self.initial_layout is not None and self.initial_layout != BEST:
            object.__setattr__(self, "initial_layout", _physical(self.initial_layout))

    @property
    def compiling(self) -> list[str]:
        """What decides the compiled circuits, where it is not the default: name=value."""
        decide = ("optimization_level", "seed_transpiler", "fractional_gates", "initial_layout")
        usual = {each.name: each.default for each in fields(self)}
        return [f"{name}={getattr(self, name)!r}" for name in decide if getattr(self, name) != usual[name]]

    def retry(self) -> Retry:
        """How failures are tried again, and how long jobs are waited for."""
        return Retry(self.retries, self.backoff, timeout=self.timeout)


def _physical(layout: Any) -> tuple[int, ...]:
    """The physical qubits as plain numbers; raises SettingError where they are not distinct ones."""
    in_order = not isinstance(layout, (Mapping, Set, str))  # which have keys, or no order: not what runs where
    try:
        qubits = tuple(operator.index(qubit) for qubit in layout) if in_order else (-1,)
    except TypeError:
        qubits = (-1,)
    if min(qubits, default=-1) < 0 or len(set(qubits)) < len(qubits):
        raise SettingError(
            f"initial_layout is one physical qubit for each of the circuit's, such as [3, 5, 4], or {BEST!r}; got "
            f"{layout!r}"
        )
    return qubits


class Device:
    """A `BackendV2`, or None for primitives that simulate circuits as they are written."""

    def __init__(self, native: BackendV2 | None, name: str, settings: QiskitSettings) -> None:
        self.native = native
        self.name = name
        self.settings = settings

    @cached_property
    def target(self) -> Target | None:
        """What to compile for; without gates of bounded angle unless the settings want them."""
        if self.native is None:
            return None
        target = self.native.target
        bounded = _bounded(target)
        return _without(target, bounded) if bounded and not self.settings.fractional_gates else target

    @property
    def _noise_model(self) -> Any:
        if self.native is None:
            return None
        return getattr(self.native.options, "noise_model", getattr(self.native, "noise_model", None))

    @cached_property
    def noise_digest(self) -> str:
        """A hash of the noise model, where the device has one that can be written down, else nothing."""
        to_dict = getattr(self._noise_model, "to_dict", None)
        if to_dict is None:
            return ""
        text = json.dumps(_without_ids(to_dict(serializable=True)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def is_noisy(self) -> bool:
        """Whether there is a noise model, or the device is like a real one: gates are listed with errors or
        durations, or act on some pairs of qubits only.

        Aer can be like a device without its noise, so there only the noise model counts.
        """
        if self.settings.is_noisy is not None:
            return self.settings.is_noisy
        if self.native is None:
            return False
        if self._noise_model not in (None, "ideal"):  # "ideal": IonQ's word for none
            return True
        if "qiskit_aer" in packages_of(self.native):
            return False
        target = self.native.target
        listed = any(properties.error or properties.duration for properties in _properties(target))
        return listed or not _connects_all(target)

    @cached_property
    def connects_all(self) -> bool:
        """Whether two-qubit gates act on all pairs of qubits."""
        return self.target is None or _connects_all(self.target)

    @cached_property
    def num_qubits(self) -> int | None:
        """How many qubits the device has; None where circuits are simulated as they are written.

        Kept, because Aer makes its whole target anew to count them.
        """
        return None if self.native is None else self.native.num_qubits

    def has(self, qubit: int) -> bool:
        """Whether the device has a qubit of this number."""
        return self.num_qubits is None or qubit < self.num_qubits

    @cached_property
    def limits(self) -> Limits:
        """What is known of one job: the shots and circuits that the device says, and IBM's documented limits for
        devices and primitives of its package, stand-ins included."""
        if self.native is None:
            return Limits()
        documented = _IBM if "qiskit_ibm_runtime" in packages_of(self.native) else Limits()
        with warnings.catch_warnings():
            # IBM's fake devices deprecated it for a while: they have no limit any more, and return None
            warnings.simplefilter("ignore", DeprecationWarning)
            circuits = self.native.max_circuits or None
        return Limits(circuits=circuits, shots=self._max_shots(self.native)).over(documented)

    def _max_shots(self, native: BackendV2) -> int | None:
        """As Qiskit's options hold it, those of other providers (AQT's), or the configuration. A limit of one shot says
        nothing: IonQ's simulator had it and meant that it returns probabilities."""
        validator = getattr(native.options, "validator", {})
        bounds = validator.get("shots")
        if isinstance(bounds, tuple) and len(bounds) == 2:
            return int(bounds[1])
        own = getattr(native.options, "max_shots", None)
        limit = own() if callable(own) else self._configured("max_shots")
        return int(limit) if limit and limit > 1 else None

    @property
    def rep_delay(self) -> float:
        """Seconds between two shots, 0 where unknown."""
        return float(self._configured("default_rep_delay") or 0.0)

    def _configured(self, name: str) -> Any:
        """From the device's configuration, which `BackendV2` does not promise; None where it is not there."""
        configuration = getattr(self.native, "configuration", None)
        return getattr(configuration() if callable(configuration) else self.native, name, None)

    def check(self, templates: Sequence[Template]) -> None:
        """Raise BackendError where the device has too few qubits."""
        available = self.num_qubits
        needed = max((template.num_wires for template in templates), default=0)
        if available is not None and needed > available:
            is_aer = "qiskit_aer" in packages_of(self.native)
            hint = '; AerSimulator(method="matrix_product_state") takes more' if is_aer else ""
            raise BackendError(f"backend: {self.name} has {available} qubits, the circuit needs {needed}{hint}")

    def check_angles(self, circuit: QuantumCircuit, request: int) -> None:
        """Raise BackendError where a gate of this bound circuit has an angle that the device refuses."""
        if self.target is None:
            return
        bounded = _bounded(self.target)
        for instruction in circuit.data if bounded else ():
            name, angles = instruction.operation.name, instruction.operation.params
            if name in bounded and not self.target.supported_angle_bound(name, list(map(float, angles))):
                where = ", ".join(str(circuit.find_bit(qubit).index) for qubit in instruction.qubits)
                raise BackendError(
                    f"backend: {self.name} refuses {name}({angles[0]:.4g}) on qubits {where} of request "
                    f"{request}; use fractional_gates=False"
                )


def _bounded(target: Target) -> frozenset[str]:
    """The gates whose angles the device bounds; Qiskit before 2.2 knows of none."""
    has_bounds = getattr(target, "gate_has_angle_bounds", None)
    if has_bounds is None:
        return frozenset()
    return frozenset(name for name in target.operation_names if has_bounds(name))


def _without_ids(value: Any) -> Any:
    """A noise model as Aer writes it, without the names that it draws at random for its errors."""
    if isinstance(value, dict):
        return {name: _without_ids(part) for name, part in value.items() if name != "id"}
    if isinstance(value, (list, tuple)):
        return [_without_ids(part) for part in value]
    return value if isinstance(value, (str, int, float, type(None))) else type(value).__name__


def _without(target: Target, left_out: frozenset[str]) -> Target:
    """The target without these gates."""
    copy = Target(
        description=target.description,
        num_qubits=target.num_qubits,
        dt=target.dt,
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
        qubit_properties=target.qubit_properties,
        concurrent_measurements=target.concurrent_measurements,
    )
    for name in target.operation_names:
        if name in left_out:
            continue
        operation = target.operation_from_name(name)
        if isinstance(operation, type):  # control flow holds for the whole device
            copy.add_instruction(operation, name=name)
        else:
            copy.add_instruction(operation, dict(target[name]), name=name)
    return copy


def _properties(target: Target) -> list[InstructionProperties]:
    return [
        properties
        for name in target.operation_names
        for properties in (target[name] or {}).values()
        if properties is not None
    ]


def _connects_all(target: Target) -> bool:
    """Whether two-qubit gates act on all pairs of qubits."""
    coupling = target.build_coupling_map()
    if coupling is None:
        return True
    pairs = {frozenset(edge) for edge in coupling.get_edges()}
    return len(pairs) == math.comb(coupling.size(), 2)


def device_of(primitive: Any, settings: QiskitSettings) -> Device:
    """The device behind a primitive."""
    name = type(primitive).__name__
    native = getattr(primitive, "backend", None)
    if callable(native) and not isinstance(native, BackendV2):  # IBM's primitives have a method
        native = native()
    if native is None:
        native = getattr(primitive, "_backend", None)  # Aer's primitives have no public name for it
    if not isinstance(native, BackendV2):
        return Device(None, name, settings)
    return Device(native, f"{name} on {native.name}", settings)
