"""What all tests share: fixtures, and which modules can run here."""

import ast
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.sdks import SDKS

HERE = Path(__file__).parent


# --- an installation without SDKs runs the tests that need none ---


@cache
def needed(module):
    """The SDKs that a module of this folder imports when it is loaded, itself or by way of a helper."""
    found = set()
    for node in ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"tests.{alias.name}" for alias in node.names] if node.module == "tests" else [node.module]
        for package, _, rest in (name.partition(".") for name in names):
            found |= needed(rest) if package == "tests" else {package} & SDKS
    return found


def missing(module):
    return sorted(package for package in needed(module) if importlib.util.find_spec(package) is None)


def pytest_ignore_collect(collection_path):
    if collection_path.suffix == ".py" and collection_path.parent == HERE and missing(collection_path.stem):
        return True
    return None


def pytest_report_header():
    left_out = {path.stem: missing(path.stem) for path in sorted(HERE.glob("test_*.py"))}
    packages = sorted({package for names in left_out.values() for package in names})
    count = sum(map(bool, left_out.values()))
    return (
        f"not installed: {', '.join(packages)}; {count} test modules that import them are left out" if count else None
    )


# --- evaluations that go wrong ---


@pytest.fixture
def spoil(monkeypatch):
    """spoil(n, fault): the n-th submission from now on, of an evaluation or of several energies, raises `fault`, or has
    NaN in the part it names."""
    from qngd.evaluators.exact import ExactEvaluator
    from qngd.evaluators.sampled import SampledEvaluator

    faults, calls = {}, []

    def spoiled(answer):
        def evaluate(self, theta, **how):
            calls.append(theta)
            fault = faults.get(len(calls))
            if isinstance(fault, BaseException):
                raise fault
            evaluation = answer(self, theta, **how)
            part = fault and getattr(evaluation, fault)
            if part is not None:
                object.__setattr__(part, "value", part.value * np.nan)
            return evaluation

        return evaluate

    def spoiled_energies(answer):
        def energies(self, points, seed=None):
            calls.append(points)
            fault = faults.get(len(calls))
            if isinstance(fault, BaseException):
                raise fault
            found, cost = answer(self, points, seed)
            for each in found if fault == "energy" else ():
                object.__setattr__(each, "value", each.value * np.nan)
            return found, cost

        return energies

    for kind in (ExactEvaluator, SampledEvaluator):
        monkeypatch.setattr(kind, "evaluate", spoiled(kind.evaluate))
        monkeypatch.setattr(kind, "energies", spoiled_energies(kind.energies))
    return lambda count, fault: faults.__setitem__(len(calls) + count, fault)
