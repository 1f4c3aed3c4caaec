"""Names as users write them: what `import qngd` has, and what a misspelt name is answered with."""

import subprocess
import sys
from pathlib import Path

import pytest

import qngd
from qngd.backends import resolve
from qngd.errors import BackendError, MissingPackageError, how_to_install
from qngd.solve.state import StepInfo

ROOT = Path(__file__).resolve().parent.parent
MODULES = [
    "backends", "baselines", "damping", "errors", "gradients", "loggers", "metrics", "pennylane", "qiskit", "refresh",
    "scipy", "start", "step",
]  # fmt: skip


def printed(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# --- the modules of the surface ---


def test_modules_are_attributes_after_the_import_and_are_loaded_when_used():
    uses = "; ".join(f"print(qngd.{name}.__name__)" for name in MODULES)
    light = "print(any(name in sys.modules for name in ('numpy', 'qngd.errors', 'qngd.step')))"
    found = printed(f"import sys, qngd; {light}; {uses}; print(qngd.step.CurvatureRate.__name__)")
    assert found == ["False", *[f"qngd.{name}" for name in MODULES], "CurvatureRate"]


def test_dir_is_the_same_before_and_after_use():
    use = "qngd.step.FixedRate; qngd.QNG(); importlib.import_module('qngd.run.loop'); qngd.Problem"
    before, after = printed(f"import importlib, qngd; print(dir(qngd)); {use}; print(dir(qngd))")
    assert before == after
    assert eval(before) == sorted({*qngd.__all__, *MODULES, *(n for n in dir(qngd) if n.startswith("__"))})
    assert all(hasattr(qngd, name) for name in dir(qngd))


def test_the_information_of_a_step_is_public():
    assert qngd.StepInfo is StepInfo
    seen = []
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;'
    qngd.minimize(program, {"Z": 1.0}, [0.3], max_steps=1, callback=seen.append)
    assert isinstance(seen[0], qngd.StepInfo)


# --- misspelt ---


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("minimise", "minimize"),
        ("metric_tensors", "metric_tensor"),
        ("Minimize", "minimize"),
        ("Qng", "QNG"),
        ("BackEndError", "BackendError"),
        ("steps", "step"),
        ("baseline", "baselines"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_right_one(wrong, right):
    with pytest.raises(AttributeError, match=f"'qngd' has no attribute '{wrong}'\\. Did you mean '{right}'\\?$"):
        getattr(qngd, wrong)


@pytest.mark.parametrize(
    "name",
    [
        "baselines.Adam",
        "step.TrustRegion",
        "damping.Relative",
        "refresh.Refresh",
        "backends.ReadoutCorrected",
        "start.ramp",
    ],
)
def test_a_name_in_a_module_is_told_with_it(name):
    with pytest.raises(AttributeError, match=f"Write qngd.{name}$"):
        getattr(qngd, name.partition(".")[2])


@pytest.mark.parametrize("name", ["entirely_else", "__wrapped__", "_HOMES", "x"])
def test_a_name_that_resembles_none_is_answered_with_none(name):
    with pytest.raises(AttributeError) as caught:
        getattr(qngd, name)
    assert "Did you mean" not in str(caught.value)


def test_the_package_says_that_it_is_typed():
    """Else a type checker takes all of it for Any. `packages = ["qngd"]` puts every file of the folder in the wheel."""
    assert (Path(qngd.__file__).parent / "py.typed").exists()
    assert 'packages = ["qngd"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


# --- backends ---


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ("statevctor", "Did you mean 'statevector'?"),
        ("state-vector", "Did you mean 'statevector'?"),
        ("Aer", "Did you mean 'aer'?"),
        ("lightning", "Did you mean 'lightning.qubit'?"),
        ("nonsense", "'nonsense' is not known. Give None"),
        ("aer_simulator", "Did you mean 'aer'?"),
        ("AerSimulator", "Did you mean 'aer'?"),
        ("qasm_simulator", "Did you mean 'aer'?"),
        ("aer_simulator_statevector", "Did you mean 'aer'?"),
        ("statevector_simulator", "Did you mean 'statevector'?"),
        ("Simulator", "Did you mean 'statevector'?"),
        ("exact", "Did you mean 'statevector'?"),
        ("default_qubit", "Did you mean 'default.qubit'?"),
        ("IBM_Brisbane", "QiskitRuntimeService().backend('ibm_brisbane')"),
        ("ibm_brisbane", "QiskitRuntimeService().backend('ibm_brisbane')"),
        (3, "int is not a backend. Give None"),
        (["aer"], "list is not a backend"),
    ],
)
def test_a_backend_that_is_not_known(wrong, answer):
    with pytest.raises(BackendError) as caught:
        resolve(wrong)
    assert answer in str(caught.value)
    assert ("Did you mean" in str(caught.value)) == ("Did you mean" in answer)


@pytest.mark.parametrize("wrong", ["fake_nairobbi", "FakeNairobi", "FakeNairobiV2", "fake_nairobi_v2"])
def test_a_fake_device_that_is_not_known(wrong):
    pytest.importorskip("qiskit_ibm_runtime")
    with pytest.raises(BackendError, match="is not known\\. Did you mean 'fake_nairobi'\\? Give one of aer, fake_"):
        resolve(wrong)


@pytest.mark.parametrize("wrong", ["lightning.qbit", "lighting.qubit", "Lightning.Qubit"])
def test_a_device_of_pennylane_that_is_not_known(wrong):
    pytest.importorskip("pennylane")
    with pytest.raises(BackendError, match=r"Did you mean 'lightning\.qubit'\? Installed are default\.clifford"):
        resolve(wrong)


# --- what is not installed ---


def test_a_missing_package_comes_with_a_command_that_works(monkeypatch):
    """The extra is named as it stands in pyproject.toml, and by a path: no index has the package."""
    pytest.importorskip("qiskit")
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    cases = [("qiskit", "aer", "qiskit-aer"), ("qiskit", "fake_nairobi", "qiskit-ibm-runtime")]
    cases += [("pennylane", "lightning.qubit", "pennylane")]
    for module in ("qiskit_aer", "qiskit_ibm_runtime", "pennylane", "pennylane.devices"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "qngd.backends.pennylane", raising=False)
    monkeypatch.delitem(sys.modules, "qngd.backends.pennylane.backend", raising=False)
    monkeypatch.delitem(sys.modules, "qngd.backends.pennylane.devices", raising=False)
    for extra, name, package in cases:
        assert f"\n{extra} = [" in extras
        with pytest.raises(MissingPackageError) as caught:
            resolve(name)
        assert f"needs the package {package};" in str(caught.value)
        assert str(caught.value).endswith(f"pip install '.[{extra}]' in a checkout of qngd")
        assert how_to_install(extra) in str(caught.value)
