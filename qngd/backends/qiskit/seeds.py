"""Fresh random numbers for every submission to a simulator, reproducible as a whole.

A fixed integer seed makes Qiskit's simulators return the same noise on every call, which would make the same
error in every step. So whatever the user fixed is only the root that each submission's seed is drawn from.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from qiskit.primitives import (
    BackendEstimatorV2,
    BackendSamplerV2,
    StatevectorSampler,
)

from qngd._system.packages import packages_of
from qngd.errors import QngdWarning


class Seeds:
    """Hands out one seed per submission.

    It follows from the caller's seed (a run without one takes the device's own); where there is none, from the
    device's own fixed seed and the number of submissions so far; and without either the device draws its own numbers.
    """

    def __init__(self, own: int | None) -> None:
        self.own = own
        self._calls = 0

    def next(self, seed: int | None) -> np.random.SeedSequence | None:
        if seed is not None:
            return np.random.SeedSequence(seed)
        if self.own is None:
            return None
        self._calls += 1
        return np.random.SeedSequence(self.own, spawn_key=(self._calls,))


def integers(seed: np.random.SeedSequence, count: int) -> list[int]:
    """Seeds for `count` jobs, as Aer takes them."""
    return [int(word) >> 1 for word in seed.generate_state(count, np.uint32)]


def own_seed(native: Any) -> int | None:
    """The integer seed that the user fixed in a primitive, or None."""
    options = getattr(native, "options", None)
    run_options = getattr(options, "run_options", None) or {}
    places = (
        getattr(native, "seed", None),
        getattr(options, "seed_simulator", None),
        getattr(getattr(options, "simulator", None), "seed_simulator", None),
        run_options.get("seed_simulator") if isinstance(run_options, dict) else None,
    )
    return next((int(seed) for seed in places if isinstance(seed, (int, np.integer))), None)


def reseeded(native: Any, seed: np.random.SeedSequence) -> Any:
    """A copy of the primitive that draws from `seed`; the primitive itself where there is no way to make
    one, with a warning if it then returns the same noise every time.

    Qiskit's primitives take a seed when they are made, and nothing public changes it later, so the copies are
    changed in private. IBM's new primitives start every PUB of a job from the same seed, which ties together
    errors that should be independent: IBM's are only seeded where the user did that already.
    """
    made = copy.copy(native)
    (number,) = integers(seed, 1)
    if isinstance(native, StatevectorSampler):
        # a generator goes on from circuit to circuit; an integer would start each with the same numbers
        made._seed = np.random.default_rng(seed)
    elif isinstance(native, (BackendSamplerV2, BackendEstimatorV2)):
        made._options = replace(native.options, seed_simulator=number)
    elif _is_aer_sampler(native):
        made._seed = number
    elif own_seed(native) is None:
        return native
    elif hasattr(getattr(native, "options", None), "simulator"):  # IBM's
        options = copy.deepcopy(native.options)
        options.simulator.seed_simulator = number
        setattr(made, "options" if "options" in vars(native) else "_options", options)
    else:
        warnings.warn(
            f"{type(native).__name__} has a fixed seed and returns the same noise on every call; make it "
            "without a seed",
            QngdWarning,
            stacklevel=4,
        )
        return native
    return made


def _is_aer_sampler(native: Any) -> bool:
    if "qiskit_aer" not in packages_of(native):
        return False
    from qiskit_aer.primitives import SamplerV2

    return isinstance(native, SamplerV2)
