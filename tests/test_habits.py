"""The habits of the checkout that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import needed

HERE = Path(__file__).parent


# --- tests share by helpers ---


def imported_tests(source):
    """The test modules that this source imports; also by a relative import, or in code that stands in a string."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module or ''}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += re.findall(r"\btests\.\w+", node.value)
            found += [f"tests.{name}" for name in re.findall(r"^ *from tests import (\w+)", node.value, re.MULTILINE)]
    return [name for name in found if re.search(r"(^|\.)test_", name)]


def test_test_modules_do_not_import_from_each_other():
    faults = {path.name: imported_tests(path.read_text(encoding="utf-8")) for path in HERE.glob("*.py")}
    assert {name: found for name, found in faults.items() if found} == {}, "move what is shared into a helper"


OTHER = "test_run"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (f"from tests.{OTHER} import minimize", True),
        (f"from tests import dense, {OTHER}", True),
        (f"import tests.{OTHER}", True),
        (f"from .{OTHER} import minimize", True),
        (f"from . import {OTHER}", True),
        (f"def f():\n    from tests.{OTHER} import minimize", True),
        (f"importlib.import_module('tests.{OTHER}')", True),
        (f"code = '''\nimport os\nfrom tests import {OTHER}\n'''", True),
        ("from tests import dense\nfrom tests.strategies import Sketch", False),
        ("code = 'from tests import known_runs'", False),
    ],
)
def test_the_look_for_imported_tests_sees_what_it_should(source, fault):
    assert bool(imported_tests(source)) == fault


def test_what_a_test_module_needs_is_found_through_its_helpers():
    assert needed("qiskit_devices") == {"qiskit", "qiskit_aer"}
    assert needed("test_job_log") == {"qiskit", "qiskit_aer"}  # by way of qiskit_devices alone
    assert needed("test_pennylane_transforms") == {"pennylane"}
    assert needed("test_circuit_builder") >= {"qiskit"}
    assert needed("test_pauli") == set()
