"""What was compiled before, by other kernels, is not taken for what is asked for now."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from qngd._system import compilation

SOURCE = """
from qngd._system.compilation import kernel


@kernel
def twice(x):
    return 2 * x
"""


def made(folder, name):
    """The kernel of a module in this folder."""
    path = folder / f"{name}.py"
    if not path.exists():  # its time counts
        path.write_text(SOURCE, encoding="utf-8")
    names = {"__file__": str(path), "__name__": name}
    exec(compile(SOURCE, str(path), "exec"), names)
    return names["twice"]


@pytest.fixture
def cached(tmp_path):
    """A kernel, and the index of what was compiled of it."""
    twice = made(tmp_path, "doubling")
    assert twice(1.5) == 3.0
    (index,) = Path(twice.stats.cache_path).glob("doubling.twice*.nbi")
    return twice, index


def test_what_was_compiled_is_found_again(cached, tmp_path):
    again = made(tmp_path, "doubling")
    assert again(2.5) == 5.0
    assert sum(again.stats.cache_hits.values()) == 1


def test_other_kernels_are_compiled_anew(cached, tmp_path, monkeypatch):
    monkeypatch.setattr(compilation, "_sources", lambda: "of tomorrow")
    again = made(tmp_path, "doubling")
    assert again(2.5) == 5.0
    assert not again.stats.cache_hits


def test_types_that_are_gone_do_no_harm(cached, tmp_path, monkeypatch):
    """As where a named tuple that a kernel took has got another name."""
    _, index = cached
    with index.open("rb") as file:
        version = pickle.load(file)
    index.write_bytes(pickle.dumps(version) + b"cqngd\nno_such_type\n.")
    monkeypatch.setattr(compilation, "_sources", lambda: "of tomorrow")
    assert made(tmp_path, "doubling")(np.float64(2.5)) == 5.0
