"""The habits of the checkout that no linter knows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import needed

HERE = Path(__file__).parent
ROOT = HERE.parent


def pytest_in(folder, *arguments):
    """What pytest says in a process of its own; the checkout's settings hold."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


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
    assert needed("tests.qiskit_devices") == {"qiskit", "qiskit_aer"}
    assert needed(f"{HERE.name}.test_job_log") == {"qiskit", "qiskit_aer"}  # by way of qiskit_devices alone
    assert needed(f"{HERE.name}.test_pennylane_transforms") == {"pennylane"}
    assert needed(f"{HERE.name}.test_direction") >= needed("circuits.h2") >= {"qiskit"}
    assert needed(f"{HERE.name}.test_pauli") == needed("circuits.tfim") == set()


@pytest.mark.parametrize("more", [["--pdb"], ["-n0"]])
def test_one_file_runs_alone_and_in_a_debugger(more):
    done = pytest_in(ROOT, *more, "tests/test_habits.py", "-k", "look_for")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gw0" not in done.stdout
    assert " passed" in done.stdout


# --- promises and their scripts ---


SCRIPTS = sorted(path for path in (ROOT / ".ci").glob("*") if path.is_file() and path.name not in ("run", "common"))
in_the_checkout = pytest.mark.skipif(not SCRIPTS, reason="not in the sdist")


@in_the_checkout
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_each_promise_has_a_script_a_target_and_a_line_in_the_docs(script):
    text = script.read_text(encoding="utf-8")
    assert script.stat().st_mode & 0o111, "it must be executable"
    assert "\n# Promise: " in text
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert f"# make check-{script.name} " in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"| `make check-{script.name}` |" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@in_the_checkout
def test_check_all_calls_every_script():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (promises,) = re.findall(r"^PROMISES := (.*)$", makefile, re.MULTILINE)
    assert sorted(promises.split()) == [script.name for script in SCRIPTS]


@in_the_checkout
def test_hooks_call_the_projects_own_tools():
    """What `make lint` runs, out of .venv; nothing is fetched."""
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^  - repo: (.*)$", config, re.MULTILINE) == ["local"]
    entries = re.findall(r"^ +entry: (.*)$", config, re.MULTILINE)
    assert entries == [
        ".venv/bin/ruff check --force-exclude", ".venv/bin/ruff format --force-exclude", ".venv/bin/python -m mypy",
    ]  # fmt: skip
    assert set(re.findall(r"^ +language: (.*)$", config, re.MULTILINE)) == {"system"}


def test_no_two_public_classes_have_one_name():
    """A reader who meets a name knows which class is meant."""
    homes = {}
    for path in sorted((ROOT / "qngd").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
