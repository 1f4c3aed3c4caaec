"""What a type checker sees of the package: misspelt names, arguments that can be nothing, and what a backend has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

RIGHT = """\
from pathlib import Path
import numpy as np
import qngd

theta: list[float] = [0.1]
builder = qngd.CircuitBuilder(1)
circuit = builder.ry(builder.parameter("a"), 0)
problem = qngd.Problem(circuit, {"Z": 1.0}, theta, reference_energy=-1)
result: qngd.Result = qngd.minimize("a.qasm", {"Z": 1.0}, theta, optimizer=qngd.QNG(step=qngd.step.TrustRegion()))
qngd.minimize(circuit, {"Z": np.float64(1)}, np.array([0.3]), shots="auto", backend="aer", seed=np.int64(3))
qngd.minimize(Path("a.qasm"), [("Z", 1.0)], (0.3,), shots=qngd.AutoShots(1000), run_dir=Path("run"), max_steps=10)
qngd.minimize(problem, optimizer="adam", shots=1e3, target=np.float64(-1), callback=lambda info: info.energy < 0)
qngd.minimize(problem, [0.2], state=result.state, optimizer=qngd.baselines.Adam(0.1))
qngd.cost(problem, shots=np.int64(10), approx="full", cross="overlap")
qngd.metric_tensor(circuit, {"a": 0.2}, approx="hamiltonian", observable={"Z": 1})
qngd.sample([circuit], [0.3], shots=10)
def function(w: float) -> float:
    return w
qngd.gradient(function, 0.3)
energy: float = result.energy
state: np.ndarray = qngd.statevector(circuit, theta)
info: qngd.StepInfo
qngd.damping.Relative, qngd.refresh.Refresh, qngd.baselines.Adam, qngd.backends.resolve, qngd.errors.QngdError
"""

WRONG = """\
from qngd import metric_tenser
qngd.minimise("a.qasm")
qngd.step.TrustRegions()
qngd.minimize("a.qasm", max_step=3)
qngd.minimize(42, shots="x")
qngd.minimize(theta, {"Z": 1.0}, [0.3])
qngd.minimize(circuit, {"Z": 1.0}, object())
qngd.minimize(circuit, {"Z": 1.0}, [0.3], backend=42)
qngd.minimize(circuit, {"Z": 1.0}, [0.3], grouping="qubitwise")
qngd.minimize(circuit, {"Z": 1.0}, [0.3], max_steps="9")
qngd.minimize(circuit, {"Z": 1.0}, [0.3], optimizer=qngd.QNG)
qngd.minimize(circuit, {"Z": 1.0}, [0.3], callback=lambda: None)
qngd.minimize(problem, budget=1000)
qngd.minimize(problem, state=result)
qngd.metric_tensor(circuit, [0.3], approx="ful")
qngd.expectation(problem)
qngd.cost(problem, cross="overlaps")
qngd.sample(circuit, [0.3], shots="auto")
qngd.Problem(3.5)
qngd.wrap(0.5)
qngd.QNG(step=0.1)
qngd.QNG(damping="strong")
"""


BACKENDS = """\
import qngd
from collections.abc import Sequence
from typing import Any
from qngd.backends import Backend, BackendBase, Limits
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

class Least:
    name, is_noisy = "least", False
    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> int:
        return 1
    def collect(self, handle: int) -> list[Outcome]:
        return []

class More(BackendBase):
    name, is_noisy, limits = "more", False, Limits(circuits=3)
    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> int:
        return 1
    def collect(self, handle: Any) -> list[Outcome]:
        return []
    def preview(self, requests: Sequence[Request]) -> int:
        return 1

least: Backend = Least()
more: Backend = More()
nothing: Backend = object()
shots: int | None = qngd.backends.resolve(least).default_shot
"""


def test_a_type_checker_sees_what_is_wrong_and_nothing_else(tmp_path, pytestconfig):
    """What is not ours stays unread, and what has not changed since the last tests, so that this is quick."""
    pytest.importorskip("mypy")
    foreign = "[mypy-numba.*,scipy.*,rich.*,typer.*,stim.*,matplotlib.*,threadpoolctl.*]\nfollow_imports=skip\n"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nfollow_imports=silent\n{foreign}", encoding="utf-8")
    scripts = {"names.py": RIGHT + WRONG, "backends.py": BACKENDS}
    for name, text in scripts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    kept = pytestconfig.cache.mkdir("mypy") if pytestconfig.pluginmanager.hasplugin("cacheprovider") else os.devnull
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(kept), *scripts],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    faults = [line.split(":") for line in done.stdout.splitlines() if ": error:" in line]
    seen = {name: {int(number) for file, number, *_ in faults if file == name} for name in scripts}
    assert {file for file, *_ in faults} == set(scripts)
    first = RIGHT.count("\n") + 1
    assert seen["names.py"] == set(range(first, first + WRONG.count("\n"))), done.stdout
    for word in ("metric_tensor", "minimize", "TrustRegion", "max_step"):  # which is meant
        assert f'"{word}' in done.stdout
    assert 'Argument "shots" to "minimize" has incompatible type' in done.stdout
    lines = BACKENDS.splitlines()
    assert {lines[number - 1].strip().partition(":")[0] for number in seen["backends.py"]} == {
        "def preview(self, requests", "nothing", "shots",
    }, done.stdout  # fmt: skip
