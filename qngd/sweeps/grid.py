"""The points of a grid, and the seeds of their runs."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qngd.errors import SettingError, shown

_LONGEST = 60  # characters of the readable part of a folder's name


@dataclass(frozen=True, eq=False)
class GridPoint:
    """One combination of settings: their `labels`, which stand in tables and decide seeds and folders, and the `values`
    that a recipe makes a run of. `fixed` says what else all runs have in common, so that other runs get other
    folders."""

    labels: Mapping[str, str]
    values: Any
    fixed: str = ""

    @property
    def folder(self) -> str:
        """A name for its folder: readable, and another one for every point."""
        text = json.dumps([dict(sorted(self.labels.items())), self.fixed])
        plain = re.sub(r"[^A-Za-z0-9.=_-]+", "-", ",".join(f"{name}={label}" for name, label in self.labels.items()))
        return f"{plain[:_LONGEST].strip('-.') or 'run'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def seed(self, first: int, repetition: int) -> int:
        """The seed of one of its runs: by the point itself, not by its place in the grid or the order of the runs."""
        text = json.dumps([dict(sorted(self.labels.items())), first, repetition])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def combinations(grid: Mapping[str, Any]) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Labels and values of every combination, the last name's values fastest.

    Raises:
        SettingError: a name has no values, or a value that cannot be recognized by its text.

    >>> [labels for labels, values in combinations({"shots": [10, 20]})]
    [{'shots': '10'}, {'shots': '20'}]
    """
    axes = []
    for name, values in grid.items():
        pairs = _labelled(name, values)
        if not pairs:
            raise SettingError(f"grid: {name} has no values")
        labels = [label for label, _ in pairs]
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise SettingError(f"grid: {name} has {twice} twice")
        axes.append([(name, label, value) for label, value in pairs])
    return [
        ({name: label for name, label, _ in each}, {name: value for name, _, value in each})
        for each in itertools.product(*axes)
    ]


def _labelled(name: str, values: Any) -> list[tuple[str, Any]]:
    if isinstance(values, Mapping):
        return [(str(label), value) for label, value in values.items()]
    if isinstance(values, (str, bytes)) or (
        not isinstance(values, (Sequence, range)) and not hasattr(values, "tolist")
    ):
        raise SettingError(f"grid: {name} must be a list of values, or a mapping from labels to values; got {values!r}")
    return [(label_of(value, f"grid: {name}"), value) for value in values]


def label_of(value: Any, name: str) -> str:
    """The text that a value is recognized by; raises SettingError where it has none of its own."""
    text = value if isinstance(value, str) else repr(value.item() if hasattr(value, "item") else value)
    if re.search(r" at 0x[0-9a-fA-F]+", text):
        raise SettingError(f"{name}: {shown(value)} has no text of its own; write a mapping {{'a label': value}}")
    return text
