"""What a stored run is recognized by: a hash of all that determines it, and what a person wants to know of it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import SettingError
from qngd.evaluators.objectives.given import AnyGiven, GivenObjective
from qngd.solve.state import Optimizer


@dataclass(frozen=True, eq=False)
class RunIdentity:
    """The identity of a run of `optimizer` on what was given, with the other `settings` that its steps depend on."""

    given: AnyGiven
    optimizer: Optimizer
    settings: tuple[object, ...]

    @cached_property
    def key(self) -> str:
        """The run's hash; raises SettingError where a setting could not be recognized in a later run."""
        return fingerprint_of(self.given, self.given.theta, self.optimizer, *self.settings)

    @property
    def about(self) -> dict[str, Any]:
        """What a person wants to know of a stored run, as JSON takes it."""
        circuit = self.given.circuit
        return {
            "problem": self.given.name,
            "optimizer": repr(self.optimizer),
            "num_qubits": circuit.num_qubits,
            "parameters": list(circuit.parameters),
        }


def fingerprint_of(given: AnyGiven, theta0: np.ndarray, *settings: object) -> str:
    """A hash of what determines a run from θ0 of what was given; raises as `fingerprint` does."""
    if not isinstance(given, GivenObjective):
        return fingerprint(given.circuit, given.observable, theta0, *settings)
    for setting in settings:
        _check_recognizable(setting)
    digest = hashlib.sha256(given.model.likeness)
    digest.update(np.ascontiguousarray(theta0).tobytes())
    digest.update(repr(settings).encode())
    return digest.hexdigest()


def fingerprint(circuit: Circuit, observable: Observable, theta0: np.ndarray, *settings: object) -> str:
    """A hash of what determines a run: the circuit's rotations and angles, the observable, the start, settings.

    Raises:
        SettingError: a setting cannot be recognized when the run is resumed.
    """
    for setting in settings:
        _check_recognizable(setting)
    digest = hashlib.sha256()
    offset, jacobian = circuit.angle_map.linearize(theta0)
    arrays = (
        circuit.generators.x, circuit.generators.z, circuit.generators.sign, circuit.level,
        offset, jacobian.indptr, jacobian.indices, jacobian.data,
        circuit.frame.x, circuit.frame.z, circuit.frame.phase,
        observable.strings.x, observable.strings.z, observable.coefficients, theta0,
    )  # fmt: skip
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr((circuit.num_qubits, circuit.parameters, settings)).encode())
    return digest.hexdigest()


def _check_recognizable(setting: Any) -> None:
    """Raise SettingError unless the text of `setting` says all of it: of other objects it holds an address."""
    if dataclasses.is_dataclass(setting) and not isinstance(setting, type):
        for field in dataclasses.fields(setting):
            _check_recognizable(getattr(setting, field.name))
    elif isinstance(setting, (tuple, list)):
        for part in setting:
            _check_recognizable(part)
    elif isinstance(setting, Mapping):
        _check_recognizable([*setting.items()])
    elif setting is not None and not isinstance(setting, (str, int, float, np.generic)):
        raise SettingError(
            f"run_dir: a stored run is recognized by its settings, and {setting!r} is none that can be written down; "
            "make rules frozen dataclasses of numbers, texts and such rules"
        )
