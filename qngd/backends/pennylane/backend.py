"""PennyLane devices: one `device.execute` of a whole batch of quantum scripts per submission, or several where limits
are given.

Qubit i is the i-th wire of the device, or wire i where the device has no wires of its own; a device that is given by
its name is made with the qubits alone that gates act on.

Random numbers. PennyLane's own simulators (default.*, lightning.*) draw from a NumPy generator of the
device. For one submission that generator is set to the given seed, afterwards it goes on from where it
stood; without a seed it is left alone. Other devices (hardware, and plugins that draw from NumPy's global
generator) draw their own numbers whatever the seed.

Noise. A device counts as noisy unless it is one of the simulators known by name to run circuits as written
(`IDEAL`), itself and not a class derived from it, without readout error and without noise added to it by
`qml.add_noise` or `insert`. So hardware is noisy, and so is a simulator that is not in the list.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pennylane.devices import (
    Device,
    ExecutionConfig,
    LegacyDevice,
    LegacyDeviceFacade,
    device_constructor,
)
from pennylane.tape import QuantumScript

from qngd._system.secrets import scrubbed
from qngd.backends.base import BackendBase, Load
from qngd.backends.boundary import DeficientResult, failure
from qngd.backends.limits import Limits, divided, require_limits
from qngd.backends.pennylane.devices import (
    IDEAL,
    STATEVECTOR,
    check_mode,
    drawing_from,
    innermost,
    is_noisy,
    make,
    noise_digest,
    plain_name,
    samples_fast,
    wires_of,
)
from qngd.backends.pennylane.scripts import Expectations, ResultReader, Samples, TemplateGates
from qngd.backends.results import Unreadable, said
from qngd.backends.retry import Retry, may_have_arrived
from qngd.backends.tallies import Tally, merged
from qngd.errors import BackendError, QngdWarning, did_you_mean
from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Means, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

_NO_LIMIT = 1 << 62  # shots


class PennyLaneBackend(BackendBase):
    """Runs requests on a PennyLane device.

    Args:
        device: a device, or the name of one, which is then made with as many wires as the circuits need.
        retry: how often a failure of the way to the provider is tried again.
        limits: what one `device.execute` may hold; PennyLane's devices do not say it themselves.

    Raises:
        BackendError: PennyLane knows no device of this name.
        SettingError: `limits` are no `Limits`.
    """

    def __init__(self, device: Device | str, retry: Retry | None = None, limits: Limits | None = None) -> None:
        known = device_constructor.plugin_devices
        if isinstance(device, str) and device not in known:
            raise BackendError(
                f"backend: PennyLane knows no device {device!r}.{did_you_mean(device, known)} Installed are "
                f"{', '.join(sorted(known))}"
            )
        require_limits(limits)
        self._given = device
        self._limits = limits or Limits()
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
    def noise_digest(self) -> str:
        """A hash of the noise that was added to the device, or nothing."""
        return "" if isinstance(self._given, str) else noise_digest(self._given)

    is_lazy = True  # devices return with their results

    @property
    def is_local(self) -> bool:
        """Whether it is one of PennyLane's own simulators, with noise or without."""
        return (self._given if isinstance(self._given, str) else plain_name(innermost(self._given))) in IDEAL

    @property
    def default_shots(self) -> int | None:
        """The device's own shots (deprecated in PennyLane), used for requests that give none."""
        return None if isinstance(self._given, str) else self._given.shots.total_shots

    @property
    def limits(self) -> Limits:
        """What one `device.execute` may hold."""
        return self._limits

    def preview(self, requests: Sequence[Request], templates: Sequence[Template] | None = None) -> Cost:
        """What submitting these requests would cost."""
        runs = self._runs(requests)
        return Cost(len(self._parts(runs)), len(runs), sum(shots or 0 for _, shots in runs))

    def loads(self, requests: Sequence[Request], templates: Sequence[Template] | None = None) -> list[Load]:
        """What each `device.execute` of a submission of these requests runs."""
        runs = self._runs(requests)
        rows = np.array([row for row, _ in runs], dtype=np.int64)
        shots = np.array([shots or 0 for _, shots in runs], dtype=float)
        return [Load(rows[part], shots[part]) for part in self._parts(runs)]

    def spent(self, handle: _Batch | None, requests: Sequence[Request]) -> Cost:
        """The jobs and circuits that a submission took."""
        return Cost() if handle is None else Cost(len(handle.jobs), len(handle.runs))

    def _runs(self, requests: Sequence[Request]) -> list[tuple[int, int | None]]:
        """The request and the shots of every circuit: one that needs more than the limit runs several times."""
        runs: list[tuple[int, int | None]] = []
        most = int(min(self.limits.most_shots(), _NO_LIMIT))
        for r, request in enumerate(requests):
            shots = request.shots if request.shots is not None else self.default_shots
            times = 1 if shots is None else -(-shots // most)
            runs += [(r, None if shots is None else (shots + k) // times) for k in range(times)]
        return runs

    def _parts(self, runs: Sequence[tuple[int, int | None]]) -> list[slice]:
        """Which circuits each `device.execute` holds."""
        shots = np.array([shots or 0 for _, shots in runs])
        return divided(self.limits, shots, np.arange(len(runs)), np.zeros(len(runs)))

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> _Batch | None:
        """Build the scripts and let the device preprocess them. They run when the batch is collected, because
        PennyLane's devices return only with their results.

        Raises:
            BackendError: the device has too few wires, needs a number of shots, or refuses a circuit.
        """
        if not requests:
            return None
        device = self._device(self._needed(templates))
        runs = self._runs(requests)
        scripts, readings = self._scripts(templates, requests, runs, device)
        parts = self._parts(runs)
        root = None if seed is None else np.random.SeedSequence(seed)
        seeds = [root] * len(parts) if root is None or len(parts) == 1 else root.spawn(len(parts))
        jobs = [self._job(device, scripts[part], own) for part, own in zip(parts, seeds, strict=True)]
        return _Batch(tuple(jobs), tuple(runs), tuple(readings), templates, requests)

    def _job(self, device: Device, scripts: list[QuantumScript], seed: np.random.SeedSequence | None) -> _DeviceJob:
        try:
            config = device.setup_execution_config(ExecutionConfig(), scripts[0])
            batch, post = device.preprocess_transforms(config)(scripts)
        except Exception as error:  # of the device's own code
            said = scrubbed(str(error))
            raise BackendError(f"{self.name} refuses the circuits: {type(error).__name__}: {said}") from error
        return _DeviceJob(device, tuple(batch), post, config, seed)

    def collect(self, handle: _Batch | None) -> list[Outcome]:
        """Run the jobs, each in one `device.execute`, and read their results.

        Raises:
            BackendError: the device failed, or returned something other than what it was asked for.
        """
        if handle is None:
            return []
        again = [partial(handle.again, number, True) for number in range(len(handle.jobs))]
        results = [result for job, sent in zip(handle.jobs, again, strict=True) for result in self._results(job, sent)]
        parts: list[list[Tally | Means]] = [[] for _ in handle.requests]
        lost = 0
        for (r, _), reading, result in zip(handle.runs, handle.readings, results, strict=True):
            try:
                found, missing = reading.read(result)
            except Unreadable as error:
                raise DeficientResult(f"{self.name} returned {error} (request {r})") from error.__cause__
            parts[r].append(found)
            lost += missing
        if lost:
            warnings.warn(f"{self.name} lost {lost} shots (NaN); they are left out", QngdWarning, stacklevel=2)
        pairs = zip(parts, handle.requests, strict=True)
        return [_outcome(found, handle.templates[request.template]) for found, request in pairs]

    def _results(self, job: _DeviceJob, again: Callable[[], Any]) -> list[Any]:
        """What the device returned for each script of a job; `again` is called before what may have run is run once
        more.

        Raises:
            BackendError: it failed.
            DeficientResult: it returned something for other than all of them.
        """
        in_doubt = False  # whether the last answer was lost on its way: all of it may have run

        def execute() -> Any:
            nonlocal in_doubt
            if in_doubt:
                again()
            try:
                return job.execute()
            except Exception as error:
                in_doubt = may_have_arrived(error)
                raise

        found = self._retry.wait(execute, self.name, "PennyLane gives no id of what it has sent; ask the provider")
        if not isinstance(found, (Sequence, np.ndarray)):
            raise DeficientResult(f"{self.name} returned {said(found)} where {len(job.batch)} results were expected")
        if len(found) != len(job.batch):
            raise DeficientResult(f"{self.name} returned {len(found)} results for {len(job.batch)} circuits")
        try:
            return list(job.post(found))
        except Exception as error:  # of the device's own code
            raise DeficientResult(failure(f"{self.name}, reading its results,", error)) from error

    def _scripts(
        self,
        templates: Sequence[Template],
        requests: Sequence[Request],
        runs: Sequence[tuple[int, int | None]],
        device: Device,
    ) -> tuple[list[QuantumScript], list[ResultReader]]:
        every = wires_of(device, self._needed(templates))
        on = [[every[number] for number in self._numbers(template)] for template in templates]
        counted = not samples_fast(device)
        programs = [TemplateGates.of(template, wires) for template, wires in zip(templates, on, strict=True)]
        known: dict[tuple[int, int | None], ResultReader] = {}
        scripts, readings = [], []
        for r, shots in runs:
            check_mode(device, shots)
            key = (requests[r].template, shots)
            if key not in known:
                template, wires = templates[requests[r].template], on[requests[r].template]
                if shots is None:
                    known[key] = Expectations.of(template, wires)
                else:
                    known[key] = Samples.of(template, wires, shots, counted)
            operations = programs[requests[r].template].operations(requests[r].angles)
            scripts.append(QuantumScript(operations, known[key].measurements, shots=shots))
            readings.append(known[key])
        return scripts, readings

    def _numbers(self, template: Template) -> Sequence[int]:
        """The place of the template's qubits among the device's wires. A device made for the circuits has no others."""
        return range(template.num_qubits) if isinstance(self._given, str) else template.wires

    def _needed(self, templates: Sequence[Template]) -> int:
        return 1 + max(max(self._numbers(template)) for template in templates)

    def _device(self, num_qubits: int) -> Device:
        """The device, made now if only its name was given."""
        if not isinstance(self._given, str):
            return self._given
        if self._made is None or len(self._made.wires) < num_qubits:
            self._made = make(self._given, num_qubits)
        return self._made


@dataclass(frozen=True, eq=False)
class _DeviceJob:
    """Scripts as the device takes them, and the way back from its results to those of the scripts as made."""

    device: Device
    batch: tuple[QuantumScript, ...]
    post: Callable[[Any], Any]
    config: ExecutionConfig
    seed: np.random.SeedSequence | None

    def execute(self) -> Any:
        with drawing_from(self.device, self.seed):
            return self.device.execute(self.batch, self.config)


@dataclass(eq=False)
class _Batch:
    """A submission: its jobs, and for every circuit in them the request, the shots and how its result reads. `again` is
    called before what may have run is run once more."""

    jobs: tuple[_DeviceJob, ...]
    runs: tuple[tuple[int, int | None], ...]
    readings: tuple[ResultReader, ...]
    templates: Sequence[Template]
    requests: Sequence[Request]
    again: Callable[[int, bool], Any] = lambda place, in_doubt: None

    def announce(self, call: Callable[[int, bool], Any]) -> None:
        """Call `call` before what may have run is run once more: with its place in the submission, and that it may."""
        self.again = call


def _outcome(found: Sequence[Tally | Means], template: Template) -> Outcome:
    """Of the circuits of one request."""
    tallies = [part for part in found if isinstance(part, Tally)]
    if tallies:
        return merged(tallies).outcome(template)
    (exact,) = found
    assert isinstance(exact, Means)
    return exact


def from_object(native: Any, limits: Limits | None = None, timeout: float | None = None) -> PennyLaneBackend:
    """The backend for a PennyLane device or the name of one, such as "lightning.qubit". `limits` are those of one
    `device.execute`, and `timeout` the seconds to wait for it.

    Raises:
        BackendError: it is neither.
    """
    if isinstance(native, LegacyDevice):
        native = LegacyDeviceFacade(native)
    if not isinstance(native, (Device, str)):
        raise BackendError(
            f"backend: {type(native).__name__} is not a PennyLane device; give one made by qml.device(...)"
        )
    return PennyLaneBackend(native, Retry(timeout=timeout), limits)


def default_for(device: Any, shots: Any = ...) -> tuple[PennyLaneBackend | None, int | None]:
    """Where a QNode runs whose user names no backend, and with how many shots (None: exact).

    The backend is None where the embedded simulator gives the same numbers faster: without shots, on a
    statevector simulator without noise that has no transforms of the user's own.

    Args:
        device: the QNode's device.
        shots: the QNode's, which may be None where its device has a number; without it those of the device.
    """
    total = device.shots.total_shots if shots is ... else shots
    if total is None and plain_name(device) in STATEVECTOR and not is_noisy(device):
        return None, None
    return PennyLaneBackend(device), total
