"""Runs of qngd 0.1, which kept them in four files: read once, when such a run goes on, and left where they are.

run.json      a fingerprint, the optimizer's text, names
steps.jsonl   the energy at the start, then one row a step
state.npz     the state after the last step
jobs.jsonl    the ids of jobs at a provider
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from qngd.errors import SettingError, StorageError
from qngd.run.directory.encoding import from_json, info_from, unpacked
from qngd.run.directory.states import state_from
from qngd.run.identity import RunIdentity, has_default
from qngd.solve.state import State, StepInfo

FIRST = "run.json"
_ONCE = {"step": "length"}  # what a field of an optimizer was called


@dataclass(frozen=True, eq=False)
class Older:
    """What a directory of qngd 0.1 holds: `state` and `start` are None and `infos` empty before the first energy."""

    state: State | None
    start: dict[str, float] | None
    infos: list[StepInfo]
    jobs: list[dict[str, Any]]


def read_older(directory: Path, identity: RunIdentity) -> Older:
    """The run in the directory.

    Raises:
        SettingError: it is another run than that of `identity`.
        StorageError: a file cannot be read, or is damaged.
    """
    with _reading(directory / FIRST) as path:
        known = dict(json.loads(path.read_text(encoding="utf-8")))
        fingerprint, optimizer = str(known["fingerprint"]), str(known["optimizer"])
    if not says(optimizer, identity.optimizer):
        raise SettingError(
            f"run_dir: {directory} holds another run, of qngd 0.1: optimizer: was {optimizer}, is "
            f"{identity.optimizer!r}. Give another directory, or what it was begun with"
        )
    if fingerprint != identity.older_key(_Text(optimizer)):
        raise SettingError(
            f"run_dir: {directory} holds a run of another circuit, observable, start, backend, shots or seed; it is "
            "one of qngd 0.1, which did not write down which. Give another directory, or what it was begun with"
        )
    state = _state(directory)
    start, infos = (None, []) if state is None else _steps(directory, state)
    return Older(state, start, infos, _jobs(directory))


@dataclass(frozen=True)
class _Text:
    """Something that has this text."""

    text: str

    def __repr__(self) -> str:
        return self.text


def says(text: str, rule: Any) -> bool:
    """Whether a text is that of a rule, or would be if the fields that it has got since were left out where they have
    their defaults, and those it has had by another name were called so."""
    if text == repr(rule):
        return True
    if not dataclasses.is_dataclass(rule):
        return False
    kept = []
    for field in dataclasses.fields(rule):
        name, value = field.name.lstrip("_"), getattr(rule, field.name)
        name_then = next((each for each in (name, _ONCE.get(name, name)) if f"{each}=" in text), None)
        if name_then is not None or not has_default(rule, name):
            kept.append(f"{name_then or name}={value!r}")
    return text == f"{type(rule).__name__}({', '.join(kept)})"


def _state(directory: Path) -> State | None:
    if not (directory / "state.npz").exists():
        return None
    with _reading(directory / "state.npz") as path:
        return state_from(unpacked(path.read_bytes()))


def _steps(directory: Path, state: State) -> tuple[dict[str, float], list[StepInfo]]:
    with _reading(directory / "steps.jsonl") as path:
        start, *rows = [from_json(line) for line in _lines(path)]
        infos = [info_from(row) for row in rows if row["step"] <= state.step]  # a crash may have left one more
        begin = infos[0].step - 1 if infos else state.step
        if [info.step for info in infos] != list(range(begin + 1, state.step + 1)) or any(
            info.theta is None for info in infos
        ):
            raise ValueError(f"it does not hold every step up to {state.step}, which state.npz is of")
        energy = infos[-1].energy if infos else start["energy"]
        if energy != state.energy:
            raise ValueError("its last energy is not that of state.npz")
        return {"energy": start["energy"], "stderr": start["stderr"]}, infos


def _jobs(directory: Path) -> list[dict[str, Any]]:
    """The rows of the jobs that are whole: a crash may have cut one short, and the next was then written behind it."""
    path = directory / "jobs.jsonl"
    if not path.exists():
        return []
    found = []
    with _reading(path):
        for line in _lines(path):
            row = line[line.rfind('{"step"') :]
            try:
                found.append(dict(json.loads(row)))
            except ValueError:
                continue
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]  # a crash may cut the last line short


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """While reading: what is no file of ours becomes a StorageError that says so."""
    try:
        yield path
    except (OSError, ValueError, KeyError, TypeError, EOFError, IndexError, AttributeError, BadZipFile) as error:
        raise StorageError(
            f"run_dir: {path} cannot be read ({type(error).__name__}: {error}); it is of a run of qngd 0.1, which kept "
            "nothing to mend it from: give another directory, or delete this one to start anew"
        ) from error
