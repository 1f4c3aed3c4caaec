"""Seeds of the parts of a whole: each follows from the seed of the whole, and none repeats another's numbers."""

from __future__ import annotations

import numpy as np


def derived(seed: int | None, *place: int) -> int | None:
    """The seed of the part at this place, below 2³²; None where the whole has none."""
    if seed is None:
        return None
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint32)[0])


def drawn_seed() -> int:
    """A seed by chance, below 2³², for parts that must draw alike where the whole has none."""
    return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])
