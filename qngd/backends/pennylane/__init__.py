"""Running on PennyLane's devices."""

from qngd.backends.pennylane.backend import PennyLaneBackend, default_for, from_object

__all__ = ["PennyLaneBackend", "default_for", "from_object"]
