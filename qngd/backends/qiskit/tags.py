"""Tags of jobs: texts that are written down before a job is sent, and by which it is found if its id never was.

IBM's primitives take them in their options (`environment.job_tags`), some backends as the option `job_tags` of `run`;
IBM's service and such backends find jobs by `jobs(job_tags=[…])`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any


def finder_by_tag(native: Any) -> Callable[[str], list[Any]] | None:
    """What gives a device's jobs by their tag, the last one first; None where it knows no tags."""
    service = getattr(native, "service", None)
    jobs = getattr(native if service is None else service, "jobs", None)
    if not callable(jobs) or "job_tags" not in _parameters(jobs):
        return None
    more = {"limit": None} if "limit" in _parameters(jobs) else {}
    return lambda tag: list(jobs(job_tags=[tag], **more))


def takes_tags(native: Any) -> bool:
    """Whether a backend or a primitive gives its jobs the tags that it is given."""
    return _environment(native) is not None or _is_option(native)


def with_tag(native: Any, tag: str) -> Any:
    """A copy of one of IBM's primitives whose jobs have one tag more; anything else as it is, as where there is no
    tag."""
    if not tag or _environment(native) is None:
        return native
    made, options = copy.copy(native), copy.deepcopy(native.options)
    own = options.environment.job_tags
    options.environment.job_tags = [*(own if isinstance(own, list) else ()), tag]
    setattr(made, "options" if "options" in vars(native) else "_options", options)
    return made


def run_option(native: Any, tag: str) -> dict[str, Any]:
    """What a backend's `run` is given for its job to have this tag."""
    return {"job_tags": [tag]} if tag and _is_option(native) else {}


def _environment(native: Any) -> Any:
    environment = getattr(getattr(native, "options", None), "environment", None)
    return environment if hasattr(environment, "job_tags") else None


def _is_option(native: Any) -> bool:
    return "job_tags" in _parameters(native.run) or hasattr(getattr(native, "options", None), "job_tags")


def _parameters(function: Any) -> Any:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a function that is not Python's
        return {}
