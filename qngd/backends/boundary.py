"""The border to a backend's own code: what it raises becomes a BackendError, and what it returns is checked once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, wraps
from typing import Any

import numpy as np

from qngd._system.secrets import scrubbed
from qngd.errors import BackendError, QngdError
from qngd.measured.outcomes import Counts, Means, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template


class DeficientResult(BackendError):
    """A job ended and gave something other than what was asked for, as it will whenever it is collected."""


class PartlyRun(BackendError):
    """It failed when some of what was asked for had run, and nobody has what that gave."""


class calling:
    """Turn whatever a backend's code raises, providers' own included, into a BackendError: a run that has paid for
    something ends with what it has, and not with a traceback. What qngd raises on purpose goes on as it is.

    A class, because contextlib takes an error raised from a StopIteration for the StopIteration itself.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and is_of_code(error) and not isinstance(error, QngdError):
            raise BackendError(failure(self.name, error)) from error


def guard(kind: type, names: Iterable[str]) -> None:
    """Let what a class defines by these names, methods or properties, raise errors of ours alone, as `calling` does."""
    for name in names:
        found = vars(kind).get(name)
        if isinstance(found, property) and found.fget is not None:
            setattr(kind, name, property(_guarded(found.fget, name), found.fset, found.fdel, found.__doc__))
        elif isinstance(found, cached_property):
            found.func = _guarded(found.func, name)
        elif callable(found):
            setattr(kind, name, _guarded(found, name))


def _guarded(method: Callable[..., Any], member: str) -> Callable[..., Any]:
    @wraps(method)
    def called(self: Any, *args: Any, **more: Any) -> Any:
        try:
            return method(self, *args, **more)
        except QngdError:
            raise
        except BaseException as error:
            if not is_of_code(error):
                raise
            name = type(self).__name__ if member == "name" else self.name
            raise BackendError(failure(name, error)) from error

    return called


def is_of_code(error: BaseException) -> bool:
    """Whether it is something that went wrong in code, and not somebody who wants the process to end: cancellations in
    a provider's own event loop are no `Exception` though."""
    loops = sys.modules.get("asyncio")  # where nobody imported it, nobody raised it
    return isinstance(error, Exception) or (loops is not None and isinstance(error, loops.CancelledError))


def failure(name: str, error: BaseException) -> str:
    """What a run says of an error in a backend's code."""
    return f"{name} failed: {type(error).__name__}: {scrubbed(str(error))}"


def checked(outcomes: Any, templates: Sequence[Template], requests: Sequence[Request], name: str) -> list[Outcome]:
    """The outcomes that the backend `name` returned, one per request, of which nothing else is then in doubt.

    An outcome says itself how many shots it holds, and its errors follow from these.

    Raises:
        DeficientResult: one is missing, or is not what was asked for.
    """
    try:
        found = list(outcomes)
    except TypeError as error:
        raise DeficientResult(f"{name} returned {outcomes!r} where a list of outcomes was expected") from error
    if len(found) != len(requests):
        raise DeficientResult(f"{name} returned {len(found)} outcomes for {len(requests)} requests")
    for r, (outcome, request) in enumerate(zip(found, requests, strict=True)):
        template = templates[request.template]
        wrong = _wrong(outcome, template)
        if wrong:
            raise DeficientResult(f"{name} returned {wrong} (request {r})")
    rows = sorted({len(each.shared) for each in found if isinstance(each, Means) and each.shared is not None})
    if len(rows) > 1:
        raise DeficientResult(
            f"{name} returned {rows[0]} rows of shared errors in some outcomes and {rows[-1]} in others of one "
            "submission, where each row is the same error in all of them"
        )
    return found


def _wrong(outcome: Any, template: Template) -> str:
    """What is wrong with an outcome, or nothing."""
    if isinstance(outcome, Counts):
        return _wrong_counts(outcome, template.num_qubits)
    if isinstance(outcome, Means):
        return _wrong_means(outcome, template)
    return f"{type(outcome).__name__} where Counts or Means were expected"


def _wrong_counts(outcome: Counts, num_qubits: int) -> str:
    bits, counts = np.asarray(outcome.bits), np.asarray(outcome.counts)
    words = max(1, -(-num_qubits // 64))
    if bits.dtype != np.uint64 or bits.ndim != 2 or bits.shape[1] != words:
        return f"bits of {bits.dtype} of shape {bits.shape} where masks of uint64, (outcomes, {words}), were expected"
    if counts.shape != (len(bits),) or counts.dtype.kind not in "iuf":
        return f"counts of {counts.dtype} of shape {counts.shape} where {len(bits)} numbers were expected"
    whole = np.isfinite(counts) & (counts >= 0) & (counts == np.rint(counts))
    if not whole.all():
        return f"the count {counts[~whole][0]} where whole ones of at least 0 were expected"
    if not counts.sum() > 0:
        return "no shots"
    if num_qubits % 64 and (bits[:, -1] >> np.uint64(num_qubits % 64)).any():
        return f"bits beyond its {num_qubits} qubits"
    return ""


def _wrong_means(outcome: Means, template: Template) -> str:
    count = len(template.strings)
    shape = (count * (count + 1) // 2 if template.pairs else count,)
    for name, found in (("values", outcome.values), ("standard errors", outcome.stderr)):
        numbers = np.asarray(found)
        if numbers.dtype.kind not in "iuf" or numbers.shape != shape:
            return f"{name} of {numbers.dtype} of shape {numbers.shape} where {shape} was expected"
        if not np.isfinite(numbers).all():
            return f"{name} that are NaN or infinite"
    if (np.asarray(outcome.stderr) < 0).any():
        return "a negative standard error"
    for name, more, rows, columns in (
        ("a covariance", outcome.covariance, count, count),
        ("shared errors", outcome.shared, None, len(outcome.values)),
        ("joint errors", outcome.joint, None, len(outcome.values)),
    ):
        if more is not None and (
            more.shape != (len(more) if rows is None else rows, columns) or not np.isfinite(more).all()
        ):
            return f"{name} of shape {more.shape} where {columns} columns of finite numbers were expected"
    return "" if outcome.shots >= 0 else f"{outcome.shots} shots"
