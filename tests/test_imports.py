"""The floors of the house: who may import whom, and what `import qngd` costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import qngd
from tests.sdks import SDKS
from tools.house import APART, MADE, ORDER, PAGE, drawn, floors, with_made_parts
from tools.imports import FILES, all_imports, arrows, floor_of, imports_of

FLOORS = list(ORDER)  # a floor imports only floors above it; a package is one floor

MAY_IMPORT_SDKS = {"interop", "backends"}
SLOW = SDKS | {"numba", "stim", "scipy", "matplotlib", "rich", "typer"}
OF_THE_CHECKOUT = {"circuits", "experiments", "tests", "tools"}


def sdk_faults(imports):
    return [
        where
        for module, name, where in imports
        if name.split(".")[0] in SDKS and floor_of(module) not in MAY_IMPORT_SDKS
    ]


def may_import(one, other):
    return FLOORS.index(other) < FLOORS.index(one) and (one, other) not in APART


def floor_faults(imports):
    """Where a module imports a floor that does not stand above its own (or itself)."""
    return [
        where
        for module, name, where in imports
        if name.split(".")[0] == "qngd"
        and module != "qngd"
        and {floor_of(name), floor_of(module)} <= set(FLOORS)  # a new module is another test's complaint
        and floor_of(name) != floor_of(module)
        and not may_import(floor_of(module), floor_of(name))
    ]


def test_every_module_has_a_floor():
    floors = {floor_of(module) for module in FILES}
    assert floors - set(FLOORS) == set(), "give new modules a place in FLOORS"
    assert set(FLOORS) - floors == set(), "FLOORS names modules that are gone"
    assert len(FLOORS) == len(set(FLOORS))


def test_a_floor_imports_only_floors_above_it():
    assert floor_faults(all_imports()) == []


def test_exact_and_measured_do_not_know_each_other():
    assert not may_import("exact", "measured")
    assert not may_import("measured", "exact")
    assert may_import("evaluators", "exact")
    assert may_import("evaluators", "measured")


def test_the_page_shows_the_order_of_today():
    """The table, and the drawing as the imports are."""
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- {name}" in page for name in MADE)
    assert page == with_made_parts(page), "run python -m tools.house"


def test_the_drawing_holds_what_the_imports_do():
    """Whatever is imported can be reached by the arrows drawn, and none of them can be done without."""

    def reached(start, lines):
        found, ahead = set(), [start]
        while ahead:
            here = ahead.pop()
            new = {there for one, there in lines if one == here} - found
            found |= new
            ahead += new
        return found

    lines = set(drawn())
    whole = arrows()
    assert {(one, other) for one in whole for other in whole[one]} >= lines
    for one in whole:
        assert whole[one] <= reached(one, lines)
    for line in lines:
        assert line[1] not in reached(line[0], lines - {line})


def test_the_house_has_at_most_twelve_floors():
    height = floors()
    assert max(height.values()) <= 12
    assert all(height[one] > height[other] for one, others in arrows().items() for other in others)
    assert height["errors"] == 1


def test_folders_say_what_lives_in_them():
    for name in FILES:
        path = FILES[name]
        if path.name == "__init__.py":
            assert len(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "") > 20, path


def test_sdks_are_imported_in_interop_and_backends_alone():
    assert sdk_faults(all_imports()) == []


def test_the_package_imports_nothing_of_the_checkout():
    assert [w for _, name, w in all_imports() if name.split(".")[0] in OF_THE_CHECKOUT] == []


def test_no_import_cycles():
    """Also within a package, counting what runs when a module is loaded."""
    graph = {module: set() for module in FILES}
    for module, name, _ in all_imports(inside_functions=False):
        if name in FILES and module != "qngd":
            graph[module].add(name)
    done, path = set(), []

    def follow(module):
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for name in graph[module]:
            follow(name)
        path.pop()
        done.add(module)

    for module in graph:
        follow(module)


@pytest.mark.parametrize(
    ("source", "floors", "sdks"),
    [
        ("import numpy\nfrom qngd.errors import QngdError", 0, 0),
        ("from qngd.run.loop import minimize", 1, 0),
        ("def f():\n    from qngd import optimizer", 1, 0),
        ("class A:\n    import qngd.cli.commands", 1, 0),
        ("import qngd", 1, 0),
        ("from qngd.interop import wrap", 1, 0),
        ("from ..run.loop import minimize", 1, 0),
        ("from .. import errors, run", 1, 0),
        ("if TYPE_CHECKING:\n    from qngd.run.loop import minimize", 0, 0),
        ("if not TYPE_CHECKING:\n    from qngd.run.loop import minimize", 1, 0),
        ("def f():\n    try:\n        import qiskit.circuit\n    except ImportError: pass", 0, 1),
        ("from pennylane import numpy", 0, 1),
    ],
)
def test_these_tests_see_what_they_should(source, floors, sdks):
    module = "qngd.circuit.circuit"
    imports = [(module, name, f"line {line}") for name, line in imports_of(source, module)]
    assert (len(floor_faults(imports)), len(sdk_faults(imports))) == (floors, sdks)


# --- what an import costs ---


def run(code):
    """The printed output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement):
    code = f"import sys; {statement}; print(*{{m.split('.')[0] for m in sys.modules}})"
    return set(run(code).split())


def test_importing_the_package_is_light():
    assert loaded_by("import qngd") & (SLOW | {"numpy"}) == set()
    modules = run("import sys, qngd; qngd.minimize; print(*sys.modules)").split()
    assert "numba" in modules
    assert "scipy.optimize" not in modules  # a fifth of the time until a run begins, and few need it


def test_importing_the_package_is_quick():
    code = "import time; t = time.perf_counter(); import qngd; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(3)) < 0.5


def test_sdks_wait_for_their_objects():
    modules = ["interop", "backends", "api", "run.loop", "report.summary", "cli.commands"]
    statement = f"import importlib; [importlib.import_module('qngd.' + name) for name in {modules}]"
    assert loaded_by(statement) & SDKS == set()


# --- the flat surface ---


def test_every_public_name_is_there():
    assert sorted(qngd.__all__) == sorted(set(qngd.__all__))
    for name in qngd.__all__:
        assert getattr(qngd, name).__name__ == name
        assert name in dir(qngd)
    with pytest.raises(AttributeError, match="nothing"):
        qngd.nothing  # noqa: B018


def test_type_checkers_see_what_is_there():
    """They read the imports that never run."""
    tree = ast.parse(Path(qngd.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    homes = {name: f"qngd.{home}" for name, home in qngd._HOME.items()}
    assert seen == homes | dict.fromkeys(qngd._MODULES, "qngd")
    assert sorted(homes) == sorted(qngd.__all__)


def test_modules_that_users_import_are_attributes_from_the_start():
    """And `dir` is the same before and after use, whatever else was loaded meanwhile."""
    names = ["backends", "baselines", "damping", "errors", "refresh", "step"]
    code = f"""
import qngd
before = dir(qngd)
for name in {names!r}:
    assert name in before
    assert getattr(qngd, name).__name__ == "qngd." + name
for name in qngd.__all__:
    getattr(qngd, name)
import qngd.cli.commands
assert dir(qngd) == before
print("done")
"""
    assert run(code) == "done\n"


def test_public_names_stay_what_they_are_whatever_is_used_first():
    """A module must not take the place of the function that has its name; the package is imported anew each time."""
    code = """
import importlib, sys
for first in ("qngd", "qngd.Budget", "qngd.expectation", "qngd.cli.commands"):
    for name in [name for name in sys.modules if name.partition(".")[0] == "qngd"]:
        del sys.modules[name]
    import qngd
    importlib.import_module(first) if first == "qngd.cli.commands" else eval(first)
    print(first, *[type(getattr(qngd, n)).__name__ for n in qngd.__all__])
"""
    lines = run(code).splitlines()
    assert len(lines) == 4
    for line in lines:
        assert "module" not in line.split(), line


def test_public_names_survive_the_import_of_every_module():
    [pytest.importorskip(package) for package in ("qiskit_ibm_runtime", "qiskit_aer", "pennylane")]
    modules = [name for name in FILES if not name.endswith("__main__")]
    code = f"""
import importlib, types, qngd
for name in {modules!r}:
    importlib.import_module(name)
print(*[n for n in qngd.__all__ if isinstance(getattr(qngd, n), types.ModuleType)])
"""
    assert run(code).split() == []
