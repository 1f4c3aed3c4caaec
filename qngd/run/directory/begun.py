"""The arguments of `minimize` that a stored run was begun with, as far as its file holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.errors import SettingError
from qngd.problem import Problem
from qngd.run.directory.contents import Contents
from qngd.run.directory.rules import Unknown, rebuilt
from qngd.solve.state import State

_AS_THEY_ARE = ("max_steps", "tol", "gtol", "target", "final_shots", "wrap_angles")
_WRITTEN = ("optimizer", "shots", "seed", "grouping", "cross")


def arguments_of(kept: Contents, folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are `given`, and all others but `callback` and `run_dir` as the file holds them.

    Raises:
        SettingError: something that is no data must be given.
    """
    asked, circuit = kept.asked, _circuit(kept, folder)
    found = {
        "problem_or_circuit": Problem(circuit, kept.target, kept.theta0, name=kept.about["problem"]),
        "bounds": None if "bounds" not in asked else tuple(map(np.array, asked["bounds"])),
        "state": _state_before(kept),
        **{name: asked[name] for name in _AS_THEY_ARE},
        **given,
    }
    found |= {name: _setting(kept, name) for name in _WRITTEN if name in kept.identity and name not in given}
    if "backend" not in given:
        found["backend"] = _backend(kept)
    if "budget" not in given:
        found["budget"] = rebuilt(asked["budget"])
    return found


def _circuit(kept: Contents, folder: Path) -> Circuit:
    if "lifted off" in kept.identity:
        raise SettingError(
            "run_dir: this run is one of those of excited_states; call that again, with the folder above as run_dir"
        )
    if kept.circuit is None:
        why = kept.problem["no circuit"].decode()
        raise SettingError(
            f"run_dir: the circuit of this run is not kept, since {why}; go on by "
            f"minimize(circuit, …, run_dir={str(folder)!r}), as it was begun"
        )
    return kept.circuit


def _backend(kept: Contents) -> Any:
    found = kept.asked["backend"]
    if isinstance(found, dict):
        name = kept.identity["backend"]["shown"]
        raise SettingError(
            f"backend: this run was begun on {name}, a {found['object']}, of which only the name is kept; give "
            "it as backend="
        )
    return found


def _setting(kept: Contents, name: str) -> Any:
    try:
        return rebuilt(json.loads(kept.identity[name]["value"]))
    except Unknown as error:
        raise SettingError(f"{name}: it is of a class that qngd cannot make ({error}); give it as {name}=") from None


def _state_before(kept: Contents) -> State | None:
    """The state that the run itself was begun from, of which it is recognized."""
    if "goes on from" not in kept.identity:
        return None
    step, state = kept.states[0]
    if step != kept.steps[0]:
        raise SettingError("state: the one that this run goes on from is not kept; give it to minimize as it was")
    return state
