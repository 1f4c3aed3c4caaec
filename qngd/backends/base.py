"""What a backend is: the four things that it must have, and the base class of those that can do more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qngd.backends.boundary import guard
from qngd.backends.limits import Limits
from qngd.backends.shots import CIRCUIT_START
from qngd.circuit.circuit import Circuit
from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


class Backend(Protocol):
    """Runs requests. `submit` returns at once where the device allows it; `collect` waits.

    This is all that a backend must have, and it need not derive from anything. What else `BackendBase` and
    `ResumableBackend` have is used where a backend has it by the same name.
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


@dataclass(frozen=True)
class Footprint:
    """What a compiled circuit takes on the device.

    `seconds` is one shot from the first gate to the end of the readout by the device's gate times, without
    the delay between shots; None where it gives no times.
    """

    depth: int
    two_qubit_gates: int
    two_qubit_depth: int
    seconds: float | None


@dataclass(frozen=True, eq=False)
class Load:
    """What one job runs: the request (C,) of every circuit and its `shots` (C,). Each shot is executed `runs` times,
    more than once where errors are mitigated."""

    requests: np.ndarray
    shots: np.ndarray
    runs: int = 1

    @property
    def executions(self) -> np.ndarray:
        """How often each circuit (C,) is executed."""
        return self.shots * self.runs


class BackendBase(ABC):
    """A `Backend` with all that qngd may ask of one. A default is what holds for a backend with `submit` and `collect`
    alone. Its properties are overridden by properties, or by attributes of the class.

    Whatever a class derived from it raises in what is asked here, a provider's errors included, is a `BackendError`.
    """

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        asked = [name for kind in cls.__mro__ if kind.__module__ == __name__ for name in vars(kind)]
        guard(cls, [name for name in asked if not name.startswith("_")])

    @property
    @abstractmethod
    def name(self) -> str:
        """For people."""

    @property
    @abstractmethod
    def is_noisy(self) -> bool:
        """As in `Backend`."""

    @property
    def is_local(self) -> bool:
        """Whether it computes in this process: its jobs cost nothing, and are gone with it."""
        return False

    @property
    def is_lazy(self) -> bool:
        """Whether what is submitted runs only when it is collected."""
        return False

    @property
    def default_shots(self) -> int | None:
        """The shots of a circuit for a user who gives none; None asks for exact values."""
        return None

    @property
    def gives_counts(self) -> bool | None:
        """Whether outcomes of requests with shots are counts; False where they are expectation values, so that what
        needs single shots is refused before anything is sent. None where nobody knows until they come."""
        return None

    @property
    def sent_whole(self) -> bool:
        """Whether a submission goes to it as one, as where it adds circuits or runs some several times: its `loads`
        then say what that takes, and not how to divide it."""
        return False

    @property
    def shares_errors(self) -> bool:
        """Whether all outcomes of a submission share errors, as those of rates that it measures with them: divided
        among several submissions they would not."""
        return False

    @property
    def least_shots(self) -> int:
        """How many shots every circuit should have where a rule chooses them, as where some are left out."""
        return 1

    @property
    def has_one_number(self) -> bool:
        """Whether a job has one number of shots: circuits that need more are run several times, or those with other
        numbers are sent apart."""
        return False

    @property
    def circuit_start(self) -> float:
        """What the start of a circuit costs, in shots, for the division into equal shots."""
        return CIRCUIT_START

    @property
    def limits(self) -> Limits:
        """What one job may hold."""
        return Limits()

    @property
    def rep_delay(self) -> float | None:
        """Seconds between two shots; None where that is unknown."""
        return 0.0

    @property
    def noise_digest(self) -> str:
        """What tells its noise from that of another backend with its name, as text; nothing where that is not known."""
        return ""

    @property
    def set_to(self) -> str:
        """What else of its settings decides what it returns, such as corrections, where they are not as usual; nothing
        that is secret. A stored run is recognized by it."""
        return ""

    @property
    def seed(self) -> int | None:
        """The seed that the user has fixed in it, which is that of a run where none is given; None where there is
        none."""
        return None

    @abstractmethod
    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        """As in `Backend`."""

    @abstractmethod
    def collect(self, handle: Any) -> list[Outcome]:
        """As in `Backend`."""

    def preview(self, requests: Sequence[Request], templates: Sequence[Template]) -> Cost:
        """What submitting these requests would cost, if nothing fails: one job, and a circuit for each."""
        return Cost(1, len(requests), sum(request.shots or 0 for request in requests))

    def loads(self, requests: Sequence[Request], templates: Sequence[Template]) -> list[Load]:
        """What each job of a submission of these requests runs: by default one runs all."""
        return [Load(np.arange(len(requests)), np.array([request.shots or 0 for request in requests], dtype=float))]

    def usage(self, handle: Any) -> float | None:
        """The device seconds that the provider reports for a submission which came back; None where it reports none,
        and by default."""
        return None

    def spent(self, handle: Any, requests: Sequence[Request]) -> Cost:
        """The jobs and circuits that a submission took, and the shots; 0 where its outcomes hold them all."""
        return Cost(1, len(requests))

    def describe(self, templates: Sequence[Template]) -> list[Footprint] | None:
        """What the compiled circuits take; None where nothing is compiled.

        Raises:
            BackendError: a circuit does not fit the device.
        """
        return None

    def read_by(self, templates: Sequence[Template]) -> list[tuple[int, ...]]:
        """For each template the device's qubits that read its qubits, by numbers that one may pin a template to
        (`Template.is_pinned`); by default the user's own."""
        return [template.wires for template in templates]

    def runs_whole(self, circuit: Circuit) -> bool:
        """Whether it runs this circuit of the user's as it was written, so that templates should hold all of it."""
        return False


class Prepared(Protocol):
    """The handle of a submission whose jobs can be found again."""

    @property
    def division(self) -> str:
        """How its requests are divided into jobs: what tells submissions of the same requests apart whose jobs hold
        others."""

    def watch(self, tell: Callable[[int, str], None]) -> None:
        """Call `tell` with the place and id of every job: now if it is sent already, and whenever it is. A handle that
        also has `announce`, which is given a function, calls that right before it sends a job, with the job's place and
        with whether one that it sent there before may have arrived, and tags the job with the text that comes back."""


class ResumableBackend(BackendBase):
    """A backend whose jobs can be found again by their ids, so that an interrupted run does not pay for them twice."""

    @abstractmethod
    def prepare(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Prepared:
        """The handle of a submission whose jobs are not sent yet.

        Raises:
            BackendError: the requests do not fit the device.
        """

    @property
    def by_job(self) -> bool:
        """Whether it is sent the jobs of a submission one by one, as `loads` divides it: by `prepare_one`, whose
        handles have `announce`. Else it divides what it is given by itself."""
        return False

    def prepare_one(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Prepared:
        """As `prepare`, in one job, whatever the limits are; asked only for requests that fit one, or did when they
        were sent."""
        return self.prepare(templates, requests, seed)

    def tagged(self, tag: str) -> list[str] | None:
        """The ids of the jobs that were sent with this tag, the last one first; None where jobs have no tags."""
        return None

    @abstractmethod
    def attach(self, handle: Any, job_ids: Sequence[str]) -> None:
        """Find the first jobs of a prepared submission, which were sent before, by their ids. Those that failed
        meanwhile, and those after them, remain to be sent.

        Raises:
            BackendError: the provider does not know a job; the text says what it said.
        """

    @abstractmethod
    def send(self, handle: Any) -> None:
        """Send those of a prepared submission's jobs that are not sent yet.

        Raises:
            BackendError: the provider refused one; the text names those that were sent before.
        """

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> Any:
        """Send all requests in one batch of jobs, as few as the `limits` allow.

        Raises:
            BackendError: the requests do not fit the device and nothing was sent, or the provider refused them.
        """
        handle = self.prepare(templates, requests, seed)
        self.send(handle)
        return handle
