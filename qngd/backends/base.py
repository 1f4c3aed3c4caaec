"""The one protocol behind which circuits run: submit requests, collect outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from qngd.circuit.circuit import Circuit
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


class Backend(Protocol):
    """Runs requests. `submit` returns at once where the device allows it; `collect` waits.

    What else a backend may have is used where it is there:

    - `default_shots`, the shots of a circuit for a user who gives none;
    - `preview(requests)`, the `Cost` of submitting them, where that is not one job; with `limits`, what one job may
      hold, it is `preview(requests, templates)`;
    - `describe(templates)`, what their compiled circuits take;
    - `runs_whole(circuit)`, whether it runs this circuit of the user's as it is, so that templates should hold all of
      it;
    - `prepare(templates, requests, seed)`, a handle whose jobs are not sent yet, `send(handle)`, which sends those,
      and `attach(handle, job_ids)`, which finds jobs that were sent before.

    A handle may have `num_jobs` and `num_circuits`. A prepared one has `division`, a text that says how its requests
    are divided into jobs, and `watch(tell)`: `tell(place, job_id)` is called for every job, now if it is sent and
    whenever it is.
    """

    @property
    def name(self) -> str:
        """For people."""

    @property
    def is_noisy(self) -> bool:
        """Whether it is known that circuits do not run as written, so that states are mixed."""

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        """Send all requests as one submission and return a handle to it.

        Raises:
            BackendError: something about the requests does not fit the device; nothing was run.
        """

    def collect(self, handle: Any) -> list[Outcome]:
        """One outcome per request, in order.

        Raises:
            BackendError: the device failed; the text says what the provider said.
        """


def runs_whole(backend: Backend, circuit: Circuit) -> bool:
    """Whether the backend runs this circuit as the user wrote it."""
    ask = getattr(backend, "runs_whole", None)
    return ask is not None and bool(ask(circuit))
