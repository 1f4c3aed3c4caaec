"""Where circuits run, behind one protocol. `None` and "statevector" mean the embedded simulator.

Templates and requests come in, outcomes go out. Imports `circuit`, `measured`, `exact` and `interop`, and each SDK only
when one of its objects, or the name of one of its devices, arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from qngd._system.packages import load, packages_of
from qngd.backends.base import Backend, BackendBase, Footprint, Load, ResumableBackend
from qngd.backends.boundary import calling
from qngd.backends.dask import Dask
from qngd.backends.executor import Executor
from qngd.backends.foreign import completed, is_backend
from qngd.backends.limits import Limits
from qngd.backends.post_selection import PostSelected
from qngd.backends.readout import ReadoutCorrected
from qngd.circuit.circuit import Circuit
from qngd.errors import BackendError, did_you_mean, shown

__all__ = [
    "Backend",
    "BackendBase",
    "Dask",
    "Executor",
    "Footprint",
    "Limits",
    "Load",
    "PostSelected",
    "ReadoutCorrected",
    "ResumableBackend",
    "default",
    "in_mode",
    "resolve",
]

_EXPECTED = (
    "Give None or 'statevector' (the embedded simulator), 'light-cone' (exact, for many qubits and few layers), "
    "'pauli-propagation' (approximate, for more layers), "
    "'aer', the name of a fake IBM device such as 'fake_nairobi' or of a PennyLane device such as 'lightning.qubit', "
    "a Qiskit BackendV2, V2 sampler or V2 estimator, a PennyLane device, an executor (a function that runs circuits), "
    "or a backend of your own with name, is_noisy, submit and collect"
)
# To suggest without an import: of the other names the beginning or the dot tells whose they are.
_NAMES = ("statevector", "light-cone", "pauli-propagation", "aer", "default.qubit", "lightning.qubit")
# What simulators are called elsewhere. Aer's names all begin with "aer", its older ones with "qasm".
_ELSEWHERE = dict.fromkeys(("cpu", "embedded", "exact", "local", "numpy", "qngd", "simulator"), "statevector")


def resolve(
    backend: Any,
    limits: Limits | None = None,
    timeout: float | None = None,
    initial_layout: Sequence[int] | str | None = None,
) -> BackendBase:
    """The backend that an object or a name stands for, with all that `BackendBase` has; a backend of your own that has
    only part of it gets the defaults for the rest.

    Args:
        backend: as in `minimize`.
        limits: what one of its jobs may hold, in place of what is known of the provider.
        timeout: seconds to wait for one of its jobs. One that takes longer ends a run with the status `failed`, and a
            text that names it; it is left alive, and with `run_dir` the same call later collects it. None waits for
            ever.
        initial_layout: of a Qiskit device, the physical qubit of each of the circuit's qubits, or "best": those with
            the lowest errors.

    Raises:
        BackendError: it is not known, or has no jobs that could be limited or waited for, or no qubits to choose from.
        SettingError: `timeout` is no number of seconds.
        MissingPackageError: the package that a name belongs to is not installed.

    >>> from qngd.backends import Limits, resolve
    >>> resolve("statevector").name
    'statevector'
    """
    if backend is None:
        backend = "statevector"
    if isinstance(backend, type):
        raise BackendError(f"backend: this is {shown(backend)}")
    with calling(backend if isinstance(backend, str) else type(backend).__name__):  # it may have to ask its device
        how = {name: value for name, value in (("limits", limits), ("timeout", timeout)) if value is not None}
        if initial_layout is not None:
            return _placed(backend, how, initial_layout)
        return _by_name(backend, how) if isinstance(backend, str) else _of_object(backend, how)


def _of_object(backend: Any, how: dict[str, Any]) -> BackendBase:
    if is_backend(backend):
        for name in how:
            raise BackendError(f"{name}: {type(backend).__name__} is a backend already; give it when that is made")
        return completed(backend)
    # "qiskit" also for qiskit_ibm_runtime, whose sessions derive from nothing of Qiskit itself
    packages = {package.partition("_")[0] for package in packages_of(backend)}
    for package in ("qiskit", "pennylane"):
        if package in packages:
            return _load(package).from_object(backend, **how)
    if callable(backend) or "mitiq" in packages:
        for name in how:
            raise BackendError(f"{name}: an executor is called with what there is; it has no jobs to limit or wait for")
        return Executor(backend)
    raise BackendError(f"backend: {type(backend).__name__} is not a backend. {_EXPECTED}")


def in_mode(
    backend: Any, mode: str, initial_layout: Sequence[int] | str | None = None, opens: bool = True
) -> AbstractContextManager[BackendBase]:
    """IBM's sampler on a backend of theirs, or a fake one, in one batch or session, which is closed at the end of the
    `with`, also after an error: `with in_mode(device, "batch") as backend: qngd.minimize(…, backend=backend)`.

    Args:
        mode: "batch" or "session".
        initial_layout: as in `resolve`.
        opens: False makes no batch or session: for a price, where nothing is run.

    Raises:
        BackendError: on entering, if it is no backend of IBM's.
        SettingError: on entering, if there is no such mode.
    """
    module = load("qngd.backends.qiskit.mode", "qiskit", "mode: a batch or session")
    settings = module.QiskitSettings(initial_layout=initial_layout)
    found: AbstractContextManager[BackendBase] = module.opened(backend, mode, settings, opens)
    return found


def _placed(backend: Any, how: dict[str, Any], initial_layout: Sequence[int] | str) -> BackendBase:
    """A Qiskit device with its qubits chosen."""
    name = backend if isinstance(backend, str) else ""
    fake = name == "aer" or name.lower().startswith("fake")
    if not fake and not (packages_of(backend) & {"qiskit", "qiskit_ibm_runtime", "qiskit_aer"} and not name):
        raise BackendError(
            f"initial_layout: {shown(backend)} has no physical qubits to choose from; it is for Qiskit's devices, "
            "samplers and estimators, as they come from the provider"
        )
    module = _load("qiskit")
    make = module.from_name if fake else module.from_object
    found: BackendBase = make(backend, module.QiskitSettings(initial_layout=initial_layout), **how)
    return found


def default(circuit: Circuit) -> tuple[BackendBase | None, int | None]:
    """The backend and shots of a circuit whose user names none: a QNode's own device, or None for the embedded exact
    simulator (also where the device is an exact simulator itself, which gives the same numbers)."""
    if circuit.device is None:
        return None, None
    return _load("pennylane").default_for(circuit.device, circuit.device_shots)


def _by_name(name: str, how: dict[str, Any]) -> BackendBase:
    if name == "statevector":
        from qngd.backends.statevector import StatevectorSampler

        for setting in how:
            raise BackendError(f"{setting}: the embedded simulator has no jobs to limit or wait for")
        return StatevectorSampler()
    if name == "light-cone":
        raise BackendError(
            "backend: 'light-cone' gives exact numbers and runs no circuits; it goes into minimize, expectation, "
            "gradient, metric_tensor, sample and cost"
        )
    if name == "pauli-propagation":
        raise BackendError(
            "backend: 'pauli-propagation' gives energies and gradients and runs no circuits; it goes into minimize, "
            "expectation, gradient, metric_tensor and cost"
        )
    if name == "aer" or name.lower().startswith("fake"):
        return _load("qiskit").from_name(name, **how)
    if "." in name:  # as in the names of all PennyLane devices
        return _load("pennylane").from_object(name, **how)
    if name.lower().startswith("ibm_"):
        raise BackendError(
            f"backend: {name!r} is the name of a machine behind an account; give the backend itself: "
            f"backend=QiskitRuntimeService().backend({name.lower()!r}), or a fake device such as 'fake_nairobi'"
        )
    raise BackendError(f"backend: {name!r} is not known.{_near(name)} {_EXPECTED}")


def _near(name: str) -> str:
    plain = name.lower().strip()
    same = "aer" if plain.startswith(("aer", "qasm")) else _ELSEWHERE.get(plain)
    return f" Did you mean {same!r}?" if same else did_you_mean(plain, _NAMES)


def _load(name: str) -> Any:
    return load(f"qngd.backends.{name}", name, "backend: this")
