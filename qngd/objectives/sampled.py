"""Placeholder until the next step."""

from typing import Any


class SampledObjective:
    def __init__(self, *args: Any) -> None:
        raise NotImplementedError
