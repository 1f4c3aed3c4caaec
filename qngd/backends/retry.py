"""Trying again where a provider's failure is transient, saying what the provider said where it is not, and not waiting
for ever.

Providers' errors share no base class, and their SDKs let bugs of their own through: whatever is raised by a call of
the provider becomes a `BackendError`, with the provider's error as its cause. Transient is what speaks of the way to
the provider or of its load: lost connections, timeouts, and HTTP statuses such as 429 and 503. Providers wrap these in
errors of their own, so the chain of causes counts.
"""

from __future__ import annotations

import math
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import Any, TypeVar

from qngd._system.logs import logger
from qngd._system.secrets import scrubbed
from qngd.errors import BackendError, QngdError, SettingError, require_positive, require_range, settle_whole, shown

# Too early, too many requests, and a server that is down, overloaded or too slow.
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_NOT_TAKEN = frozenset({425, 429, 503})  # of these, answers that say that nothing was done
_NOT_REACHED = (ConnectionRefusedError, socket.gaierror)  # no connection at all, no address
# Network errors of the HTTP clients that SDKs use; not all derive from the built-in ones.
_NETWORK_ERRORS = {
    "requests": ("ConnectionError", "Timeout"),
    "httpx": ("TransportError",),
    "botocore.exceptions": ("ConnectionError", "HTTPClientError"),
}

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """How often, and after how many seconds, a transient failure is tried again.

    Args:
        retries: attempts after the first; 0 never tries again.
        backoff: seconds to wait before each of them; the last entry repeats.
        sleep: what waits; a test gives its own.
        timeout: seconds to wait for a job in all; None waits for ever.

    Raises:
        SettingError: a setting is out of range.
    """

    retries: int = 3
    backoff: tuple[float, ...] = (1.0, 4.0, 16.0)
    sleep: Callable[[float], None] = time.sleep
    timeout: float | None = None

    def __post_init__(self) -> None:
        settle_whole(self, {"retries": 0})
        given: object = self.backoff
        if not isinstance(given, (tuple, list)) or not given:
            raise SettingError(f"backoff must be seconds of at least 0, as (1.0, 4.0); got {shown(given)}")
        for delay in self.backoff:
            require_range(delay, "backoff", "seconds of at least 0", lambda number: 0 <= number < math.inf)
        object.__setattr__(self, "backoff", tuple(self.backoff))
        if self.timeout is not None:
            require_positive(self.timeout, "timeout")

    def call(
        self,
        action: Callable[[], T],
        what: str,
        *,
        is_transient: Callable[[BaseException], bool] | None = None,
    ) -> T:
        """`action()`, tried again while its failure is transient. It must do nothing but call the provider.

        Args:
            what: begins the message, such as "ibm_x failed".
            is_transient: `speaks_of_the_way` if not given.

        Raises:
            BackendError: the failure is permanent, or the last attempt failed too.
        """
        transient = is_transient or speaks_of_the_way
        for delay in self._delays():
            try:
                return action()
            except QngdError:
                raise
            except Exception as error:
                if delay is None or not transient(error):
                    raise BackendError(_message(what, error, self, transient(error))) from error
                said = scrubbed(str(error))
                logger.info("%s: %s: %s; trying again in %g s", what, type(error).__name__, said, delay)
            self.sleep(delay)
        raise AssertionError("the last delay is None")

    def wait(
        self,
        action: Callable[[], T],
        what: str,
        left: str,
        *,
        is_transient: Callable[[BaseException], bool] | None = None,
    ) -> T:
        """`call` of what waits for a job, for `timeout` seconds at most, all attempts together. None begins when nobody
        waits any longer, as one may send the job again.

        Args:
            what: begins the message, such as "ibm_x: job 7".
            left: ends that of one that takes longer, and says what happens to the job.
            is_transient: as of `call`.

        Raises:
            BackendError: as `call`, or it takes longer.
        """
        given_up = Event()

        def attempt() -> T:
            if given_up.is_set():
                raise BackendError(f"{what}: nobody waits for it any longer")
            return action()

        called = partial(self.call, attempt, f"{what} failed", is_transient=is_transient)
        if self.timeout is None:
            return called()
        ended: Future[T] = Future()
        # providers' own ways to wait differ, and some have none
        # in the context of whoever waits, whose meter counts what is sent again
        Thread(target=copy_context().run, args=(_settle, ended, called), daemon=True).start()
        try:
            done, _ = wait([ended], self.timeout)
        finally:
            given_up.set()
        if not done:
            raise BackendError(f"{what} has not ended after {self.timeout:g} s (timeout); {left}")
        return ended.result()

    def _delays(self) -> Iterator[float | None]:
        """What to wait after each failed attempt; None after the last."""
        for attempt in range(self.retries):
            yield self.backoff[min(attempt, len(self.backoff) - 1)]
        yield None


def _settle(ended: Future[T], action: Callable[[], T]) -> None:
    try:
        ended.set_result(action())
    except BaseException as error:
        ended.set_exception(error)


def speaks_of_the_way(error: BaseException) -> bool:
    """Whether an error, or one that it wraps, is about the network or the provider's load."""
    return any(_is_network_error(link) or http_status(link) in _TRANSIENT_STATUS for link in chain(error))


def may_have_arrived(error: BaseException) -> bool:
    """Whether what was sent may have come to the provider, and only the answer is lost."""
    refused = (isinstance(link, _NOT_REACHED) or http_status(link) in _NOT_TAKEN for link in chain(error))
    return speaks_of_the_way(error) and not any(refused)


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from, hidden ones (`raise … from None`) included."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.__context__ if link.__cause__ is None else link.__cause__


def http_status(error: BaseException) -> int | None:
    """The HTTP status that an error carries, in the ways of requests, httpx, botocore and the SDKs."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(response, "status_code", getattr(error, "status_code", None))
    return status if isinstance(status, int) else None


def _is_network_error(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    # An error of a module that nobody imported cannot have been raised.
    kinds = [
        getattr(sys.modules[module], name)
        for module, names in _NETWORK_ERRORS.items()
        if module in sys.modules
        for name in names
    ]
    return isinstance(error, tuple(kinds))


def _message(what: str, error: BaseException, retry: Retry, transient: bool) -> str:
    tried = f" (tried {retry.retries + 1} times)" if transient and retry.retries else ""
    return f"{what}{tried}: {type(error).__name__}: {scrubbed(str(error))}"
