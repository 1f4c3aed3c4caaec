"""Functions around QNodes: seeing which QNode a function calls, instead of running it on its device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pennylane as qml

_patching = threading.RLock()


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a QNode that did not run, and what the call returned in place of a result."""

    node: qml.QNode
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@contextmanager
def calls_of_qnodes(answer: Callable[[Call, Callable[[], Any]], Any] | None = None) -> Iterator[list[Call]]:
    """Inside, QNodes that this thread calls do not run (a device may cost money) but return a `Call`, or what `answer`
    makes of one and of the function that runs it.

    PennyLane has no hook for this, so the method that Python looks up for a call is replaced meanwhile; other threads
    get PennyLane's own.
    """
    calls: list[Call] = []
    thread = threading.get_ident()
    with _patching:
        original = qml.QNode.__call__

        def call(node: qml.QNode, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread:
                return original(node, *args, **kwargs)
            calls.append(Call(node, args, kwargs))
            return calls[-1] if answer is None else answer(calls[-1], lambda: original(node, *args, **kwargs))

        qml.QNode.__call__ = call
        try:
            yield calls
        finally:
            qml.QNode.__call__ = original
