"""Where the circuits of a run go: the backend with its qubits chosen, in a batch or session if that is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from qngd.backends import in_mode, resolve
from qngd.cli.errors import UsageError


@contextmanager
def placed(texts: Mapping[str, Any], opens: bool = True) -> Iterator[Any]:
    """The backend that the options name, open for one run, unless it is only to be priced."""
    backend, layout = texts["backend"], _layout(texts["initial_layout"])
    if texts["mode"] != "job":
        if backend is None:
            raise UsageError(f"--mode {texts['mode']} needs a --backend of IBM's, such as fake_nairobi")
        with in_mode(backend, texts["mode"], layout, opens) as found:
            yield found
    else:
        yield backend if layout is None else resolve(backend, initial_layout=layout)


def _layout(text: str | None) -> list[int] | str | None:
    if text is None or text == "best":
        return text
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise UsageError(f'--initial-layout: {text!r} is neither qubits, such as 3,5,4, nor "best"')
    return [int(part) for part in text.split(",")]
