"""Qiskit's devices, simulators and primitives.

A `BackendV2` runs circuits (`QiskitBackend`), a V2 sampler returns shots (`QiskitSampler`), a V2 estimator
expectation values (`QiskitEstimator`). Sessions and batches need nothing from here: make the primitive with
`mode=` and give it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.primitives.base import BaseEstimatorV2, BaseSamplerV2
from qiskit.providers import BackendV2

from qngd._system.packages import packages_of
from qngd.backends.base import Footprint
from qngd.backends.limits import Limits
from qngd.backends.qiskit.defaults import device_shots, estimator_shots, sampler_shots
from qngd.backends.qiskit.device import QiskitSettings
from qngd.backends.qiskit.estimator import QiskitEstimator
from qngd.backends.qiskit.jobs import Handle, is_local
from qngd.backends.qiskit.run import QiskitBackend
from qngd.backends.qiskit.sampler import QiskitSampler
from qngd.backends.qiskit.seeds import own_seed
from qngd.backends.retry import Retry
from qngd.errors import BackendError, MissingPackageError, did_you_mean, how_to_install

__all__ = [
    "Footprint",
    "Handle",
    "QiskitBackend",
    "QiskitEstimator",
    "QiskitSampler",
    "QiskitSettings",
    "Retry",
    "from_name",
    "from_object",
    "known_names",
]

# Aer: threads share out circuits rather than the shots of each. A step is many short circuits, and where
# other processes are busy too, waiting for each other within every one takes ten times as long.
_MANY_SMALL_CIRCUITS = {"max_parallel_experiments": 0}


def from_object(
    native: Any,
    settings: QiskitSettings | None = None,
    retry: Retry | None = None,
    limits: Limits | None = None,
    timeout: float | None = None,
) -> QiskitBackend | QiskitSampler | QiskitEstimator:
    """The backend for a Qiskit object: a `BackendV2`, a V2 sampler or a V2 estimator. `limits` and `timeout` are those
    of the settings if not given.

    IBM's backends no longer run circuits themselves; they get a sampler in job mode. Qiskit's own primitives over a
    provider's backend give ids of their own in place of the provider's, by which no job is found: their backend is run
    as it is, with their settings.

    Raises:
        BackendError: it is none of these.
    """
    settings = _with(settings, limits, timeout)
    if type(native) in (BackendSamplerV2, BackendEstimatorV2) and not is_local(native.backend):
        return _unwrapped(native, settings, retry)
    if isinstance(native, BaseSamplerV2):
        return QiskitSampler(native, settings, retry)
    if isinstance(native, BaseEstimatorV2):
        return QiskitEstimator(native, settings, retry)
    if not isinstance(native, BackendV2):
        raise BackendError(
            f"backend: {type(native).__name__} is not a BackendV2, a V2 sampler or a V2 estimator; make one "
            "of these from it (a session or batch is the `mode` of a sampler or estimator)"
        )
    if "qiskit_ibm_runtime" in packages_of(native) and _is_ibm_hardware(native):
        return QiskitSampler(_ibm_sampler(native), settings, retry)
    return QiskitBackend(native, settings, retry)


def from_name(
    name: str,
    settings: QiskitSettings | None = None,
    retry: Retry | None = None,
    limits: Limits | None = None,
    timeout: float | None = None,
) -> QiskitBackend:
    """The backend for "aer", the ideal Aer simulator, or for a fake IBM device such as "fake_nairobi".

    Raises:
        BackendError: the name is not known.
        MissingPackageError: the package that it comes from is not installed.
    """
    settings = _with(settings, limits, timeout)
    if name == "aer":
        try:
            from qiskit_aer import AerSimulator
        except ModuleNotFoundError as error:
            raise _missing("qiskit-aer", name) from error
        return QiskitBackend(AerSimulator(**_MANY_SMALL_CIRCUITS), settings, retry)
    try:
        fakes = _fake_devices()
    except ModuleNotFoundError as error:
        raise _missing("qiskit-ibm-runtime", name) from error
    if name not in fakes:
        known = known_names()
        raise BackendError(f"backend: {name!r} is not known.{did_you_mean(name, known)} Give one of {', '.join(known)}")
    device = fakes[name]()
    if hasattr(device.options, "max_parallel_experiments"):  # it simulates by Aer
        device.set_options(**_MANY_SMALL_CIRCUITS)
    return QiskitBackend(device, settings, retry)


def _with(settings: QiskitSettings | None, limits: Limits | None, timeout: float | None) -> QiskitSettings:
    settings = settings or QiskitSettings()
    settings = settings if limits is None else replace(settings, limits=limits)
    return settings if timeout is None else replace(settings, timeout=timeout)


def _unwrapped(
    native: BackendSamplerV2 | BackendEstimatorV2, settings: QiskitSettings, retry: Retry | None
) -> QiskitBackend:
    """The backend behind a primitive of Qiskit's, run as that would run it."""
    shots = sampler_shots(native) if isinstance(native, BackendSamplerV2) else estimator_shots(native)
    more = getattr(native.options, "run_options", None) or {}
    options = {name: value for name, value in {**more, "shots": shots}.items() if value is not None}
    return QiskitBackend(native.backend, settings, retry, options, own_seed(native))


def known_names() -> list[str]:
    """The names that `from_name` takes with what is installed."""
    try:
        return ["aer", *sorted(_fake_devices())]
    except ModuleNotFoundError:
        return ["aer"]


def _missing(package: str, name: str) -> MissingPackageError:
    return MissingPackageError(
        f"backend: {name!r} needs the package {package}; install it with {how_to_install('qiskit')}"
    )


def _fake_devices() -> dict[str, Callable[[], BackendV2]]:
    """The classes of IBM's fake devices by the devices' names."""
    from qiskit_ibm_runtime import fake_provider

    members = (getattr(fake_provider, name) for name in dir(fake_provider))
    names = ((getattr(member, "backend_name", None), member) for member in members)
    return {name: member for name, member in names if isinstance(name, str)}


def _is_ibm_hardware(native: BackendV2) -> bool:
    from qiskit_ibm_runtime import IBMBackend

    return isinstance(native, IBMBackend)


def _ibm_sampler(native: BackendV2) -> BaseSamplerV2:
    """IBM's sampler in job mode: the client-side one where there is one."""
    try:
        from qiskit_ibm_runtime.executor_sampler import Sampler
    except ModuleNotFoundError:
        from qiskit_ibm_runtime import SamplerV2 as Sampler
    shots = device_shots(native)
    return Sampler(mode=native, options={} if shots is None else {"default_shots": shots})
