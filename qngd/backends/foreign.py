"""Users' own backends, which derive from nothing of ours. What one has beside `submit` and `collect` is looked up here,
and nowhere else; for what it does not have the defaults of `BackendBase` hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypeGuard

import numpy as np

from qngd._system.signatures import takes
from qngd.backends.base import Backend, BackendBase, Footprint, Load, Prepared, ResumableBackend
from qngd.backends.limits import Limits
from qngd.circuit.circuit import Circuit
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

_MISSING = object()
_TO_FIND_JOBS = ("prepare", "attach", "send")


def is_backend(native: Any) -> TypeGuard[Backend | BackendBase]:
    """Whether it runs requests."""
    return _has(native, "submit") and _has(native, "collect")


def completed(backend: Backend | BackendBase) -> BackendBase:
    """The backend with all that qngd may ask of one: itself if it has a base class of ours, else a view of it."""
    if isinstance(backend, BackendBase):
        return backend
    return ForeignResumable(backend) if _has(backend, "prepare") else Foreign(backend)


def _of_own(name: str, read: Callable[[Any], Any] = lambda found: found) -> Any:
    """A property that is the user's backend's, as `read`; where that has none, the default of `BackendBase`."""
    usual = vars(BackendBase)[name].fget

    def found(self: Foreign) -> Any:
        own = getattr(self.own, name, _MISSING)
        return usual(self) if own is _MISSING else read(own)

    return property(found)


class Foreign(BackendBase):
    """A user's backend, with defaults for what it does not have."""

    def __init__(self, own: Any) -> None:
        self.own = own

    # all is asked of it when it is needed, and not before: it may have to ask its device
    @property
    def name(self) -> str:
        return str(self._required("name", 'name = "my lab"'))

    @property
    def is_noisy(self) -> bool:
        return bool(self._required("is_noisy", "is_noisy = False"))

    is_local = _of_own("is_local", bool)
    is_lazy = _of_own("is_lazy", bool)
    gives_counts = _of_own("gives_counts", lambda known: None if known is None else bool(known))
    limits = _of_own("limits", lambda found: found if isinstance(found, Limits) else Limits())
    rep_delay = _of_own("rep_delay")
    default_shots = _of_own("default_shots")
    least_shots = _of_own("least_shots", int)
    has_one_number = _of_own("has_one_number", bool)
    circuit_start = _of_own("circuit_start", float)
    shares_errors = _of_own("shares_errors", bool)
    sent_whole = _of_own("sent_whole", bool)
    noise_digest = _of_own("noise_digest", str)
    set_to = _of_own("set_to", str)
    seed = _of_own("seed", lambda seed: int(seed) if isinstance(seed, Integral) else None)

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        return self.own.submit(templates, requests, seed)

    def collect(self, handle: Any) -> list[Outcome]:
        found: list[Outcome] = self.own.collect(handle)
        return found

    def preview(self, requests: Sequence[Request], templates: Sequence[Template]) -> Cost:
        if not _has(self.own, "preview"):
            return super().preview(requests, templates)
        # one whose jobs no time limits needs no templates, and may take the requests alone
        asked = (requests, templates) if takes(self.own.preview, 2) else (requests,)
        cost: Cost = self.own.preview(*asked)
        return cost

    def loads(self, requests: Sequence[Request], templates: Sequence[Template]) -> list[Load]:
        if _has(self.own, "loads"):
            found: list[Load] = list(self.own.loads(requests, templates))
            return found
        (whole,) = super().loads(requests, templates)
        count = self.preview(requests, templates).jobs
        nothing = np.zeros(0, dtype=np.int64)  # of how it divides them nothing is known: none can cost more than so
        return [whole, *[Load(nothing, nothing)] * (count - 1)]

    def usage(self, handle: Any) -> float | None:
        found: float | None = self.own.usage(handle) if _has(self.own, "usage") else None
        return found

    def spent(self, handle: Any, requests: Sequence[Request]) -> Cost:
        if _has(self.own, "spent"):
            cost: Cost = self.own.spent(handle, requests)
            return cost
        return Cost(getattr(handle, "num_jobs", 1), getattr(handle, "num_circuits", len(requests)))

    def describe(self, templates: Sequence[Template]) -> list[Footprint] | None:
        found = self.own.describe(templates) if _has(self.own, "describe") else None
        return None if found is None else list(found)

    def read_by(self, templates: Sequence[Template]) -> list[tuple[int, ...]]:
        if not _has(self.own, "read_by"):
            return super().read_by(templates)
        return [tuple(qubits) for qubits in self.own.read_by(templates)]

    def runs_whole(self, circuit: Circuit) -> bool:
        return _has(self.own, "runs_whole") and bool(self.own.runs_whole(circuit))

    def _required(self, name: str, line: str) -> Any:
        try:
            return getattr(self.own, name)
        except AttributeError as error:
            kind = type(self.own).__name__
            raise BackendError(f"backend: {kind} has no {name} ({error}); write {line} in the class {kind}") from error


class ForeignResumable(Foreign, ResumableBackend):
    """A user's backend whose jobs can be found again."""

    def prepare(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Prepared:
        _require(self.own, _TO_FIND_JOBS)
        handle: Prepared = self.own.prepare(templates, requests, seed)
        _require(handle, ("watch",))
        return handle

    @property
    def by_job(self) -> bool:
        return bool(getattr(self.own, "by_job", False))

    def prepare_one(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Prepared:
        if not _has(self.own, "prepare_one"):
            return super().prepare_one(templates, requests, seed)
        handle: Prepared = self.own.prepare_one(templates, requests, seed)
        return handle

    def tagged(self, tag: str) -> list[str] | None:
        found: list[str] | None = self.own.tagged(tag) if _has(self.own, "tagged") else None
        return found

    def attach(self, handle: Any, job_ids: Sequence[str]) -> None:
        self.own.attach(handle, job_ids)

    def send(self, handle: Any) -> None:
        self.own.send(handle)


def _has(own: Any, name: str) -> bool:
    return callable(getattr(own, name, None))


def _require(own: Any, names: Sequence[str]) -> None:
    """Raise BackendError where a method is missing that finding jobs again takes."""
    missing = [name for name in names if not _has(own, name)]
    if missing:
        raise BackendError(
            f"backend: {type(own).__name__} has no {', '.join(missing)}; jobs are kept in run_dir and found again by "
            "prepare, attach and send, and by watch of what prepare returns (see qngd.backends.ResumableBackend)"
        )
