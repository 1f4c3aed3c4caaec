"""What a stored run is recognized by: all that determines it, part by part, so that a difference can be named."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import SettingError, shown
from qngd.evaluators.given import AnyGiven
from qngd.evaluators.objectives.given import GivenObjective
from qngd.solve.state import Optimizer

_LONGEST = 200  # characters of a setting in a message
_FIRST = 4  # terms and numbers that are written out
_OTHER_STATES = (
    "the states before it, or the weights that lift it off them, are others now (by max_steps, tol, weights)"
)
KIND = "="  # the key of a rule's class beside its fields


@dataclass(frozen=True)
class Trait:
    """One of the things that determine a run: `value` decides whether another run has the same, `shown` says it to
    people."""

    field: str
    value: str
    shown: str


@dataclass(frozen=True, eq=False)
class RunIdentity:
    """The identity of a run of `optimizer` on what was given, with the other `settings` that its steps depend on.
    `asked` is what else was asked for, and `problem` the problem in words, as JSON takes it: by them nothing is
    recognized."""

    given: AnyGiven
    optimizer: Optimizer
    settings: Mapping[str, object]
    asked: Mapping[str, object] = field(default_factory=dict)
    problem: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def traits(self) -> tuple[Trait, ...]:
        """All that determines the run; raises SettingError where a setting could not be recognized in a later run."""
        return (
            *_parts_of(self.given),
            *(Trait(name, written(setting), _shown(setting)) for name, setting in self._settings.items()),
        )

    @property
    def _settings(self) -> dict[str, object]:
        return {"optimizer": self.optimizer, **self.settings}

    @cached_property
    def key(self) -> str:
        """The hash of all parts; raises SettingError as they do."""
        return hashlib.sha256(repr([(trait.field, trait.value) for trait in self.traits]).encode()).hexdigest()

    def differences(self, known: Mapping[str, tuple[str, str]]) -> list[str]:
        """What is another here than in a stored run, of which value and text are `known` by the names of the parts:
        a line each."""
        return [
            _OTHER_STATES
            if trait.field == "lifted off" and trait.field in known
            else f"{trait.field}: was {known[trait.field][1] if trait.field in known else 'not set'}, is {trait.shown}"
            for trait in self.traits
            if trait.field not in known or not self._agrees(trait, known[trait.field][0])
        ] + [f"{field}: was {text}, is not set" for field, (_, text) in known.items() if field not in self._fields]

    @property
    def _fields(self) -> list[str]:
        return [trait.field for trait in self.traits]

    def _agrees(self, trait: Trait, value: str) -> bool:
        if trait.value == value:
            return True
        return trait.field in self._settings and agrees(json.loads(value), self._settings[trait.field])

    def older_key(self, optimizer: object) -> str:
        """The hash that qngd 0.1 recognized the run by, whose `optimizer` had the text that this object has."""
        in_order = ("seed", "backend", "shots", "objective", "bounds")
        old = [self.settings[name] for name in in_order if name in self.settings]
        for name in ("goes on from", "lifted off"):
            several = self.settings.get(name, ())
            assert isinstance(several, tuple)
            old += several
        return fingerprint_of(self.given, self.given.theta, optimizer, *old)

    @property
    def about(self) -> dict[str, Any]:
        """What a person wants to know of a stored run, as JSON takes it."""
        circuit = self.given.circuit
        return {
            "problem": self.given.name,
            "optimizer": repr(self.optimizer),
            "num_qubits": circuit.num_qubits,
            "parameters": list(circuit.parameters),
            **{name: value for name, value in self.problem.items() if name != "name"},
        }


def _parts_of(given: AnyGiven) -> list[Trait]:
    """The parts of what was given."""
    start = Trait("theta0", _hash(given.theta), _numbers(given.theta))
    names = Trait("parameters", json.dumps(given.circuit.parameters), shown(given.circuit.parameters))
    if isinstance(given, GivenObjective):
        value = hashlib.sha256(given.model.likeness).hexdigest()
        return [Trait("objective", value, _text("its circuits, observables, data and loss", value)), names, start]
    circuit, observable = given.circuit, given.observable
    one = _hash(
        circuit.generators.x, circuit.generators.z, circuit.generators.sign, circuit.level,
        circuit.frame.x, circuit.frame.z, circuit.frame.phase, *_angles(circuit, given.theta),
        text=str(circuit.num_qubits),
    )  # fmt: skip
    other = _hash(observable.strings.x, observable.strings.z, observable.coefficients)
    return [
        Trait("circuit", one, _text(repr(circuit), one)),
        names,
        Trait("observable", other, _text(_terms(observable), other)),
        start,
    ]


def _terms(observable: Observable) -> str:
    """The first terms."""
    first = Observable(observable.strings[:_FIRST], observable.coefficients[:_FIRST])
    return f"{first}{' …' if len(observable) > _FIRST else ''}"


def _angles(circuit: Circuit, theta: np.ndarray) -> list[np.ndarray]:
    """The arrays that tell a circuit's angles: of others than affine ones by what they are around θ."""
    offset, jacobian = circuit.angle_map.linearize(np.zeros_like(theta) if circuit.angle_map.is_affine else theta)
    return [offset, jacobian.indptr, jacobian.indices, jacobian.data]


def _hash(*arrays: np.ndarray, text: str = "") -> str:
    digest = hashlib.sha256(text.encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _text(words: str, value: str) -> str:
    """Words for people, with a few digits of the hash, in which two differ whose words do not."""
    return f"{words} (#{value[:8]})"


def _shown(setting: object) -> str:
    """A setting for people; where it is cut short, with a few digits of its hash."""
    text = " ".join(repr(setting).split())
    return text if len(text) <= _LONGEST else _text(f"{text[:_LONGEST]}…", _hash(text=text))


def _numbers(values: np.ndarray) -> str:
    """The first numbers with all their digits."""
    first = ", ".join(map(repr, values[:_FIRST].tolist()))
    return f"[{first}{', …' if len(values) > _FIRST else ''}] (#{_hash(values)[:8]})"


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


def written(setting: object) -> str:
    """A setting as JSON; raises SettingError where it could not be recognized."""
    _check_recognizable(setting)
    return json.dumps(_plain(setting))


def _plain(setting: Any) -> Any:
    """A setting as JSON takes it; of rules the class and its fields."""
    if _is_rule(setting):
        return {KIND: type(setting).__name__, **{name: _plain(value) for name, value in _fields(setting).items()}}
    if isinstance(setting, Mapping):
        return {KIND: "mapping", "items": [[_plain(key), _plain(value)] for key, value in setting.items()]}
    if isinstance(setting, (tuple, list)):
        return [_plain(part) for part in setting]
    return setting.item() if isinstance(setting, np.generic) else setting


def agrees(was: Any, setting: Any) -> bool:
    """Whether a setting is what was written of one. A field that a rule has got since must have its default."""
    if not _is_rule(setting):
        return bool(json.dumps(was) == json.dumps(_plain(setting)))
    fields = _fields(setting)
    if not isinstance(was, dict) or was.get(KIND) != type(setting).__name__ or set(was) - {KIND} - set(fields):
        return False
    return all(
        agrees(was[name], value) if name in was else has_default(setting, name) for name, value in fields.items()
    )


def has_default(setting: Any, name: str) -> bool:
    """Whether this field of a rule has the value that it has where nothing is said."""
    parameter = inspect.signature(type(setting)).parameters.get(name)
    if parameter is None or parameter.default is inspect.Parameter.empty:
        return False
    value = _fields(setting)[name]
    return value is parameter.default or repr(value) == repr(parameter.default)


def _is_rule(setting: Any) -> bool:
    return dataclasses.is_dataclass(setting) and not isinstance(setting, type)


def _fields(rule: Any) -> dict[str, Any]:
    return {field.name.lstrip("_"): getattr(rule, field.name) for field in dataclasses.fields(rule)}


def _check_recognizable(setting: Any) -> None:
    """Raise SettingError unless the text of `setting` says all of it: of other objects it holds an address."""
    if _is_rule(setting):
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
