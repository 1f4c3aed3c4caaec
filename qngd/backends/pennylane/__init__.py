"""Running on PennyLane's devices.

Templates become scripts, sent as one batch; results come back as outcomes. Imports what stands beside it in
`backends`, and PennyLane.
"""

from qngd.backends.pennylane.backend import PennyLaneBackend, default_for, from_object

__all__ = ["PennyLaneBackend", "default_for", "from_object"]
