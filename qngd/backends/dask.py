"""A backend whose requests are spread over a cluster of Dask."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from qngd._system.secrets import scrubbed
from qngd.backends.base import BackendBase, Load
from qngd.backends.forwarding import Forwarding
from qngd.errors import BackendError, SettingError, whole_number
from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

_STREAM = 11  # of the seed, whose other streams are those of shots, metrics and gradients


@dataclass(frozen=True, eq=False)
class _Part:
    """What came back of a part: its outcomes, what they took, and the device seconds if they are known."""

    outcomes: list[Outcome]
    spent: Cost
    usage: float | None


@dataclass(eq=False)
class _Sent:
    """The handle of a submission: a future for every part, and once it was collected what they came to."""

    futures: list[Any]
    done: list[_Part] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Dask(Forwarding):
    """Spreads a step's requests over a cluster: parts of `size` requests are submissions of `backend`, each a task.

    The results depend on the seed and the size of the parts, not on the number of workers, nor on which of them does
    what or dies meanwhile: each part has a seed of its own, by its place. They are others than those of the backend
    alone. Each task takes one thread, so give the workers of simulators one thread each.

    Args:
        client: a `distributed.Client`.
        backend: as in `minimize`, something that can be sent to other processes: a name, or a simulator's object. A
            device that is paid for has a queue of its own; give it to `minimize` itself.
        size: requests of a part.

    Raises:
        SettingError: the client is none.
        BackendError: the backend is not known, or is a `ReadoutCorrected`, which goes around this one.
    """

    client: Any
    backend: Any = None
    size: int = 8

    def __post_init__(self) -> None:
        if not all(callable(getattr(self.client, name, None)) for name in ("submit", "gather", "cancel")):
            raise SettingError(f"client must be a distributed.Client; got {self.client!r}")
        object.__setattr__(self, "size", whole_number(self.size, "size", 1))
        if self.inner.shares_errors:
            raise BackendError(
                f"backend: {self.inner.name} measures readout errors with every submission, and here every part would "
                "be one; write qngd.backends.ReadoutCorrected(qngd.backends.Dask(client, …)), and PostSelected around "
                "that"
            )

    @cached_property
    def inner(self) -> BackendBase:  # type: ignore[override]  # found when it is asked for
        """The backend that runs the parts."""
        from qngd.backends import resolve

        return resolve(self.backend)

    @property
    def name(self) -> str:
        """That of the backend, and the parts' size, which decides the results."""
        return f"{self.inner.name} on Dask, {self.size} requests a task"

    @property
    def is_local(self) -> bool:
        """Whether its tasks cost nothing, as those of the backend; they are gone with the client."""
        return self.inner.is_local

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> _Sent:
        return _Sent(
            [
                self.client.submit(_collected, self.backend, *part, _seed(seed, number), pure=False)
                for number, part in enumerate(self._parts(templates, requests))
            ]
        )

    def collect(self, handle: _Sent) -> list[Outcome]:
        try:
            handle.done = self.client.gather(handle.futures)
        except BackendError:
            raise
        except Exception as error:  # of the cluster, or of the backend in a worker
            raise BackendError(f"Dask: a task failed: {type(error).__name__}: {scrubbed(str(error))}") from error
        finally:
            self.client.cancel(handle.futures)
        return [outcome for part in handle.done for outcome in part.outcomes]

    def preview(self, requests: Sequence[Request], templates: Sequence[Template]) -> Cost:
        return sum((self.inner.preview(part, used) for used, part in self._parts(templates, requests)), Cost())

    def loads(self, requests: Sequence[Request], templates: Sequence[Template]) -> list[Load]:
        found, first = [], 0
        for used, part in self._parts(templates, requests):
            for load in self.inner.loads(part, used):
                found.append(replace(load, requests=load.requests + first))
            first += len(part)
        return found

    def spent(self, handle: _Sent, requests: Sequence[Request]) -> Cost:
        if not handle.done:  # it did not come back: what was sent
            return Cost(len(handle.futures), len(requests))
        return sum((part.spent for part in handle.done), Cost())

    def usage(self, handle: _Sent) -> float | None:
        """The device seconds of all parts; None where one of them reports none."""
        seconds = [part.usage for part in handle.done]
        return sum(each for each in seconds if each is not None) if seconds and None not in seconds else None

    def _parts(
        self, templates: Sequence[Template], requests: Sequence[Request]
    ) -> Iterator[tuple[list[Template], list[Request]]]:
        """The requests in their order, `size` at a time, each with the templates that it has."""
        for first in range(0, len(requests), self.size):
            part = requests[first : first + self.size]
            used = sorted({request.template for request in part})
            place = {template: number for number, template in enumerate(used)}
            yield [templates[t] for t in used], [replace(r, template=place[r.template]) for r in part]


def _seed(seed: int | None, number: int) -> int | None:
    """The seed of part `number`."""
    if seed is None:
        return None
    high, low = np.random.SeedSequence([seed, _STREAM, number]).generate_state(2)
    return (int(high) << 32 | int(low)) & ((1 << 63) - 1)


def _collected(backend: Any, templates: list[Template], requests: list[Request], seed: int | None) -> _Part:
    """What a part comes to, in a worker. It takes one thread, unless the worker was started with another number."""
    from qngd.backends import resolve

    os.environ.setdefault("QNGD_NUM_THREADS", "1")
    inner = resolve(backend)
    handle = inner.submit(templates, requests, seed)
    outcomes = list(inner.collect(handle))
    return _Part(outcomes, inner.spent(handle, requests), inner.usage(handle))
