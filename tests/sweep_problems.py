"""Problems of sweeps, in a module of their own so that other processes find them."""

from __future__ import annotations

import os
from pathlib import Path

import qngd
from tests.toy import problem


def seeded(*, seed: int = 0, layers: int = 1) -> qngd.Problem:
    """A problem whose start depends on its seed."""
    return problem(layers=layers, start=[0.1 + 0.2 * seed + 0.3 * k for k in range(2 * layers)])


def deadly(*, folder: str, layers: int = 1) -> qngd.Problem:
    """A problem that takes its process down the first time that two layers are asked for."""
    mark = Path(folder) / "died"
    if layers == 2 and not mark.exists():
        mark.touch()
        os._exit(1)
    return problem(layers=layers)


def faulty(*, layers: int = 1) -> qngd.Problem:
    """A problem that one layer is too few for."""
    if layers == 1:
        raise RuntimeError("one layer\nis too few")
    return problem(layers=layers)
