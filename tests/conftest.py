"""What all tests share: fixtures, and which modules can run here."""

import ast
import gc
import importlib.util
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.sdks import SDKS

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """A debugger needs the terminal, and so all tests in this process."""
    if config.getoption("usepdb"):
        config.option.numprocesses = 0


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Modules and tests stay to the end: the garbage collector need not look through them, now or while tests run; and
    as often as by itself it would take a twentieth of their time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000)
        gc.enable()


# --- an installation without SDKs runs the tests that need none ---


def source_of(module):
    """The file of a module of the checkout outside of the package, or None."""
    paths = [
        HERE.parent.joinpath(*module.split(".")).with_suffix(".py"),
        HERE.parent.joinpath(*module.split("."), "__init__.py"),
    ]
    return next((path for path in paths if path.exists() and not module.startswith("qngd")), None)


def before_definitions(text):
    """The statements of a module before its definitions, where its imports stand: all modules whole take a second."""
    with suppress(SyntaxError):  # the text of a program may begin a line with one of these, too
        return ast.parse(re.split(r"^(?:def|class|@)", text, maxsplit=1, flags=re.MULTILINE)[0]).body
    return ast.parse(text).body


@cache
def needed(module):
    """The SDKs that a module of the checkout imports when it is loaded, itself or by way of others."""
    found = {module.partition(".")[0]} & SDKS
    path = source_of(module)
    for node in before_definitions(path.read_text(encoding="utf-8")) if path else ():
        if isinstance(node, ast.Import):
            found = found.union(*(needed(alias.name) for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = found.union(needed(node.module), *(needed(f"{node.module}.{alias.name}") for alias in node.names))
    return found


@cache
def is_missing(package):
    return package in SDKS and importlib.util.find_spec(package) is None


def missing(path):
    """The SDKs that a test module needs and that are not installed."""
    return sorted(filter(is_missing, needed(f"tests.{path.stem}")))


def pytest_ignore_collect(collection_path):
    is_ours = collection_path.parent == HERE and collection_path.suffix == ".py"
    return True if is_ours and missing(collection_path) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that meets an SDK which is not installed is skipped, if its module says that it has to do with one."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__
    package = (error.name or "").partition(".")[0] if error else ""
    if is_missing(package) and re.search(r"(?i)openqasm|qiskit|pennylane|SDK", item.path.read_text("utf-8")):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"needs {package}")
    return report


def pytest_report_header():
    left_out = list(filter(None, map(missing, sorted(HERE.glob("test_*.py")))))
    packages = sorted(set().union(*left_out))
    return f"not installed: {', '.join(packages)}; {len(left_out)} test modules are left out" if packages else None


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
        def energies(self, points, seed=None, spread=None):
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


@pytest.fixture(autouse=True, scope="session")
def quick_disk():
    """Files of runs need not outlive a crash of this machine; those of this process they outlive all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qngd.run.directory.database.SYNCHRONOUS", "OFF")
        yield
