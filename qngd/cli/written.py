"""Rules and other objects as text: NAME, or NAME:key=value,…, the first value also without its key.

    trust-region                         step rule with its defaults
    trust-region:radius=0.1              with one of its settings
    fixed-rate:0.1                       its first setting
    signal-to-noise:2,on=(absolute:0.1)  another rule inside it, in brackets

What the names stand for is imported when one is read, so that the command line shows its help at once.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterable
from typing import Any, get_args

from qngd.cli.errors import UsageError
from qngd.cli.settings import parse_settings
from qngd.errors import SettingError, did_you_mean
from qngd.gradients.names import HOMES as GRADIENTS
from qngd.metrics.names import HOMES as METRICS
from qngd.run.names import SETTINGS, OptimizerName

_STEPS = (
    "Adaptive", "AlignedMomentum", "Armijo", "Blocking", "ConjugateDirections", "CurvatureRate", "DecayingRate",
    "FixedRate", "Momentum", "QuasiNewton", "TrustRegion",
)  # fmt: skip
_DAMPINGS = (
    "Absolute", "NoiseBound", "PseudoInverse", "Relative", "Shrinkage", "SignalToNoise", "SpectralCutoff",
    "UnitDiagonal",
)  # fmt: skip


def _dashed(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


# of each option the names that it knows; of those that may have settings, the module and the class
NAMES: dict[str, dict[str, tuple[str, str] | None]] = {
    "step": {_dashed(name): ("qngd.step", name) for name in _STEPS},
    "damping": {_dashed(name): ("qngd.damping", name) for name in _DAMPINGS},
    "approx": {
        **{name: (f"qngd.metrics.{module}", kind) for name, (module, kind, _) in METRICS.items()},
        "matrix-free": None,
    },
    "gradient": {name: (f"qngd.gradients.{module}", kind) for name, (module, kind, _) in GRADIENTS.items()},
    "grouping": {
        "qubit-wise": None,
        "commuting": None,
        "auto": None,
        "shadows": ("qngd.measured.random_bases", "RandomPaulis"),
    },
    "shots": {
        "auto": ("qngd.measured.auto_shots", "AutoShots"),
        "target-error": ("qngd.measured.target_error", "TargetError"),
    },
    "optimizer": dict.fromkeys(get_args(OptimizerName)),
}
_INSIDE = {"on": "damping", "near": "step", "plane": "step"}  # settings that are such objects themselves


def checked_name(option: str, text: str) -> str:
    """The text with its name in lower case.

    Raises:
        UsageError: no such name is known.
    """
    name, colon, settings = text.strip().partition(":")
    known = NAMES[option]
    word = name.strip().lower()
    if word not in known:
        word = next((one for one in known if one.replace("-", "") == word.replace("_", "").replace("-", "")), "")
    if not word:
        raise UsageError(f"{name!r} is none of {', '.join(known)}.{did_you_mean(name, known)}")
    return f"{word}{colon}{settings}"


def read_rule(option: str, text: str) -> Any:
    """What the text of an option stands for: the object, or its name alone where there are no settings.

    Raises:
        UsageError: a name or setting is not known, or a value is of another type.
        SettingError: a value is out of range.

    >>> read_rule("step", "trust-region:radius=0.1").radius
    0.1
    >>> read_rule("approx", "Full")
    'full'
    """
    label = f"--{option} {text}"
    try:
        word, colon, settings = checked_name(option, text).partition(":")
    except UsageError as error:
        raise UsageError(f"--{option}: {error}") from None
    home = NAMES[option][word]
    if home is None or (not colon and option in ("approx", "gradient", "grouping", "shots") and word != "target-error"):
        if colon:
            raise UsageError(f"{label}: {word} has no settings")
        return word
    return built(getattr(importlib.import_module(home[0]), home[1]), settings, label)


def read_optimizer_settings(name: str, text: str, label: str) -> dict[str, Any]:
    """The settings of an optimizer, written as key=value,…; raises as `read_rule`.

    >>> read_optimizer_settings("cobyla", "rhobeg=0.2", "--optimizer cobyla")
    {'options': {'rhobeg': 0.2}}
    """
    from qngd.run.optimizers import maker

    known = SETTINGS[name]
    if "options" not in known:
        return _read(maker(name), text, label, needed=False)
    settings: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in _pairs(text, known, label):
        if key == "options" or key not in known:
            options.update(_json(value) if key == "options" else {key: _json(value)})
        else:
            settings[key] = _json(value)
    return {**settings, **({"options": options} if options else {})}


def built(kind: Callable[..., Any], settings: str, label: str) -> Any:
    """An object of this kind with settings written as key=value,…; raises as `read_rule`."""
    found = _read(kind, settings, label)
    try:
        return kind(**found)
    except SettingError as error:
        raise SettingError(f"{label}: {error}") from None


def _read(kind: Callable[..., Any], text: str, label: str, needed: bool = True) -> dict[str, Any]:
    """The settings of this kind of object; with `needed` all that have no default must be there."""
    found, plain = {}, []
    names = list(inspect.signature(kind).parameters)
    for key, value in _pairs(text, names, label):
        if key in _INSIDE and key in names:
            found[key] = read_rule(_INSIDE[key], value.strip().removeprefix("(").removesuffix(")"))
        else:
            plain.append(f"{key}={value}")
    known = tuple(found) if needed else names
    try:
        return {**found, **parse_settings(kind, plain, label, write="{}=…", known_anyway=known)}
    except UsageError as error:  # of a setting alone
        raise UsageError(f"{error}" if label in f"{error}" else f"{label}: {error}") from None


def _pairs(text: str, names: Iterable[str], label: str) -> Iterable[tuple[str, str]]:
    """The settings that a text holds, by name; the first may do without."""
    seen = set()
    for number, part in enumerate(split(text)):
        key, equals, value = part.partition("=")
        if not equals or "(" in key:
            first = next(iter(names), None)
            if number or first is None:
                raise UsageError(f"{label}: write {part!r} as key=value")
            key, value = first, part
        key = key.strip().replace("-", "_")
        if key in seen:
            raise UsageError(f"{label}: {key} is given twice")
        seen.add(key)
        yield key, value


def split(text: str) -> list[str]:
    """The parts between commas, of which those in brackets and quotes do not count.

    >>> split("1,on=(absolute:0.1,x),[2, 3]")
    ['1', 'on=(absolute:0.1,x)', '[2, 3]']
    """
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        if not quoted:
            depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()] if text.strip() else []


def _json(text: str) -> Any:
    """A value whose type is not known beforehand: as JSON where it is, else the text."""
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text.strip(), text))
    except ValueError:
        return text
