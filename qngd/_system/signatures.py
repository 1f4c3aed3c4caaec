"""What functions of users can be called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether it can be called with so many arguments; one that does not say what it takes can.

    >>> takes(print, 3), takes(lambda x: x, 2)
    (True, False)
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function that is not Python's
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
