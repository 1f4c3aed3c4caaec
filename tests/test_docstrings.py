"""What the docstrings show is run."""

import doctest
import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import qngd

ROOT = Path(qngd.__file__).parent
MODULES = sorted(
    ".".join(("qngd", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if path.name != "__main__.py"
)
FUNCTIONS = sorted(name for name in qngd.__all__ if inspect.isfunction(getattr(qngd, name))) or pytest.fail(
    "no public functions"
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    if name == "qngd.interop":
        pytest.importorskip("openqasm3")
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    if ">>>" not in Path(module.__file__).read_text(encoding="utf-8"):
        return  # to search every object of a module for examples takes longer than to run them
    outcome = doctest.testmod(module, extraglobs={"qngd": qngd, "np": np})
    assert outcome.failed == 0


@pytest.mark.parametrize("name", qngd.__all__)
def test_public_names_are_described(name):
    assert len(inspect.getdoc(getattr(qngd, name)) or "") >= 15


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_show_an_example_and_are_typed(name):
    function = getattr(qngd, name)
    found = doctest.DocTestFinder().find(function, name, globs={})
    assert sum(len(test.examples) for test in found) > 0
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
