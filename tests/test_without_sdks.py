"""An installation without any SDK: it does its main job, and says which extra brings what is missing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

import qngd
from qngd.errors import how_to_install
from tests.dense import observable_matrix, rotation_matrix
from tests.pages import blocks
from tests.sdks import SDKS

ROOT = Path(__file__).resolve().parent.parent

# In a checkout with SDKs they cannot be imported here; without them, this changes nothing.
HEAD = f"import sys; sys.modules.update(dict.fromkeys({sorted(SDKS)!r}))\n"


def said(code):
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def example_energy(theta):
    """⟨ZZ + XI/2 − IY/4⟩ of the example's circuit in matrices, qubit 0 rightmost."""
    a, b = theta
    cx = np.eye(4)[[0, 3, 2, 1]]
    gates = rotation_matrix("IX", b) @ rotation_matrix("ZI", 2 * b) @ cx @ rotation_matrix("IY", a)
    psi = gates[:, 0]
    return np.vdot(psi, observable_matrix({"ZZ": 1.0, "XI": 0.5, "IY": -0.25}) @ psi).real


def test_the_first_example_of_the_readme():
    first = blocks("README.md")[0]
    assert "import qngd" in first
    assert "import q" not in first.replace("import qngd", "")
    energy, *theta = map(float, said(f"{first}\nprint(result.energy, *result.theta)").splitlines()[-1].split())
    assert energy == pytest.approx(example_energy(theta), abs=1e-12)
    assert energy == pytest.approx(minimize(example_energy, [0.3, -0.7]).fun, abs=1e-4)


# What needs an SDK: the extra, and the error's class (a missing package, not an unknown name).
CALLS = {
    "OpenQASM text": ("qiskit", "qngd.wrap('OPENQASM 3.0; qubit q;')"),
    "OpenQASM file": ("qiskit", "qngd.wrap(folder / 'a.qasm')"),
    "QPY file": ("qiskit", "qngd.wrap(folder / 'a.qpy')"),
    "quantum function": ("pennylane", "qngd.wrap(lambda a: None, 0.3)"),
    "aer": ("qiskit", "qngd.sample(circuit, [0.3], shots=3, backend='aer')"),
    "fake device": ("qiskit", "qngd.minimize(circuit, {'Z': 1.0}, [0.3], shots=3, backend='fake_nairobi')"),
    "lightning": ("pennylane", "qngd.gradient(circuit, {'Z': 1.0}, [0.3], shots=3, backend='lightning.qubit')"),
    "default.qubit": ("pennylane", "qngd.metric_tensor(circuit, [0.3], shots=3, backend='default.qubit')"),
    "price": ("qiskit", "qngd.cost(circuit, {'Z': 1.0}, [0.3], shots=3, backend='aer')"),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """What each call says, from one process."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "a.qasm").write_text("OPENQASM 3.0; qubit q;", encoding="utf-8")
    (folder / "a.qpy").write_bytes(b"QISKIT")
    return json.loads(
        said(f"""
import json, pathlib, qngd
folder = pathlib.Path({str(folder)!r})
circuit = qngd.CircuitBuilder(1)
circuit.ry(circuit.parameter("a"), 0)
found = {{}}
for name, call in {[(name, call) for name, (_, call) in CALLS.items()]!r}:
    try:
        eval(call)
    except Exception as error:
        found[name] = type(error).__name__, str(error)
print(json.dumps(found))
""")
    )


@pytest.mark.parametrize("name", CALLS)
def test_what_is_missing_is_named_with_its_extra(name, errors):
    kind, text = errors[name]
    assert kind == qngd.MissingPackageError.__name__, text
    assert how_to_install(CALLS[name][0]) in text
