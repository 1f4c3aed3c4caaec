"""A batch or session of IBM's for as long as something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qiskit.providers import BackendV2

from qngd._system.packages import packages_of
from qngd.backends.qiskit.choice import from_name, ibm_sampler
from qngd.backends.qiskit.device import QiskitSettings
from qngd.backends.qiskit.sampler import QiskitSampler
from qngd.errors import BackendError, check_word, shown

MODES = ("batch", "session")


@contextmanager
def opened(backend: Any, mode: str, settings: QiskitSettings, opens: bool = True) -> Iterator[QiskitSampler]:
    """A sampler on an IBM backend, or a fake one or its name, in a batch or session that is closed at the end, however
    that comes.

    Raises:
        SettingError: there is no such mode.
        BackendError: it is no backend of IBM's.
    """
    check_word(mode, MODES, "mode")
    native = from_name(backend).native if isinstance(backend, str) else backend
    if not isinstance(native, BackendV2) or "qiskit_ibm_runtime" not in packages_of(native):
        raise BackendError(
            f"mode: {shown(backend)} has no {mode}; it is for IBM's backends and fake devices, such as 'fake_nairobi'"
        )
    if not opens:
        yield QiskitSampler(ibm_sampler(native, native), settings)
        return
    from qiskit_ibm_runtime import Batch, Session

    with (Batch if mode == "batch" else Session)(backend=native) as running:
        yield QiskitSampler(ibm_sampler(running, native), settings)
