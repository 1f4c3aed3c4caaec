"""The list of what a step asks a device for, as it grows."""

from __future__ import annotations

import numpy as np

from qngd.measured.plan import Request
from qngd.measured.template import Template


class Book:
    """Collects templates and requests, each once unless asked for another."""

    def __init__(self) -> None:
        self.templates: list[Template] = []
        self.coefficients: list[np.ndarray | None] = []
        self.requests: list[Request] = []
        self._known: dict[tuple[int, bytes], int] = {}

    def template(self, template: Template, coefficients: np.ndarray | None) -> int:
        self.templates.append(template)
        self.coefficients.append(coefficients)
        return len(self.templates) - 1

    def request(self, template: int, angles: np.ndarray) -> int:
        key = (template, angles.tobytes())
        if key not in self._known:
            self._known[key] = len(self.requests)
            self.requests.append(Request(template, angles, None))
        return self._known[key]

    def another_request(self, template: int, angles: np.ndarray) -> int:
        """A request with shots of its own, even if one like it is known."""
        self.requests.append(Request(template, angles, None))
        return len(self.requests) - 1
