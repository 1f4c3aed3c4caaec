"""What other systems lack or have otherwise is not needed. Only Linux is tried for real; here what it alone has is
taken away."""

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import qngd
from qngd._system import memory as _memory
from qngd._system import threads as _threads
from qngd.cli import commands as cli

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (Path(qngd.__file__).parent, ROOT / "circuits", ROOT / "experiments")
SOURCES = {path: path.relative_to(folder.parent) for folder in FOLDERS for path in sorted(folder.rglob("*.py"))}
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
MEASURES = {"experiments.peers.protocol"}  # the benchmarks' measuring of memory, which has no other way


def test_the_cores_where_the_system_does_not_tell_which_are_ours(monkeypatch):
    monkeypatch.delenv("QNGD_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert _threads.num_threads() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _threads.num_threads() == 1


def test_the_free_memory_where_there_is_no_proc(monkeypatch):
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5 << 30))
    monkeypatch.delenv("QNGD_MEMORY_MIB", raising=False)
    _memory._measured.cache_clear()
    assert _memory.available_bytes() <= 5 << 30  # a control group of this machine may allow less
    assert _memory._system_bytes() == 5 << 30
    _memory._measured.cache_clear()


WITHOUT = """
import os, sys, warnings
import numba, numpy, openqasm3, psutil, scipy.optimize, scipy.sparse, stim, threadpoolctl  # they know their system
import qiskit.circuit.library, qiskit.qasm2, qiskit.quantum_info, qiskit.transpiler

from qngd._system import threads as _threads
_threads._controller()  # threadpoolctl too

for name in ("sched_getaffinity", "sysconf", "fork", "getuid", "getloadavg", "uname", "kill", "fchmod"):
    delattr(os, name)
for name in {posix!r}:
    sys.modules[name] = None
sys.platform = "win32"
warnings.filterwarnings("error", category=EncodingWarning, module="qngd")

import numpy as np
import qngd

_threads._SPLIT_FROM = 1
program = 'OPENQASM 3.0; include "stdgates.inc"; input float α; input float b; qubit[2] q; ry(α) q[0]; ry(b) q[1]; '
program += "cx q[0], q[1]; rx(2*b) q[0];"
H = {{"ZZ": 1.0, "XI": 0.5}}
print(np.asarray(qngd.metric_tensor(program, [0.3, -0.7], approx="full")).tolist())
print(qngd.minimize(program, H, [0.3, -0.7], run_dir={folder!r}).energy)
print(qngd.minimize(program, H, [0.3, -0.7], run_dir={folder!r}).energy)
print(qngd.expectation(program, H, [0.3, -0.7], shots=100, seed=1))
"""


def test_all_works_without_what_posix_alone_has(tmp_path):
    """In a process that has no such call or module, with several threads and a stored run, under an old encoding."""
    pytest.importorskip("openqasm3")
    pytest.importorskip("psutil")
    code = WITHOUT.format(posix=sorted(POSIX), folder=str(tmp_path / "run"))
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-X", "warn_default_encoding", str(script)]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode("cp1252")
    metric, once, again, _ = done.stdout.decode("cp1252").splitlines()
    ours = qngd.metric_tensor(_program(), [0.3, -0.7], approx="full")
    assert np.allclose(json.loads(metric), ours, rtol=0, atol=1e-12)
    assert once == again
    ours = qngd.minimize(_program(), {"ZZ": 1.0, "XI": 0.5}, [0.3, -0.7])
    assert float(once) == pytest.approx(ours.energy, abs=1e-9)
    stored = qngd.load(tmp_path / "run")
    assert stored.about["parameters"] == ["α", "b"]


def _program():
    head = 'OPENQASM 3.0; include "stdgates.inc"; input float α; input float b; qubit[2] q; '
    return f"{head}ry(α) q[0]; ry(b) q[1]; cx q[0], q[1]; rx(2*b) q[0];"


# --- files and consoles ---


def test_text_files_are_utf_8():
    """Without encoding= the system's own is taken, which on Windows knows no θ."""
    faults = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _opens_text(node):
                faults.append(f"{SOURCES[path]}:{node.lineno} {ast.unparse(node)}")
    assert faults == []


def _opens_text(call):
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    binary = any(set(word) <= set("rwabx+") and "b" in word for word in words)
    return (
        name in ("read_text", "write_text", "open")
        and not binary
        and ast.unparse(call.func) != "os.open"  # a number, not a text
        and not any(keyword.arg == "encoding" for keyword in call.keywords)
    )


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("p.read_text()", True),
        ("p.read_text(encoding='utf-8')", False),
        ("open(p, 'a')", True),
        ("open(p, 'rb')", False),
        ("p.open('wb')", False),
        ("p.write_text(x)", True),
        ("p.read_bytes()", False),
        ("os.open(p, 0)", False),
    ],
)
def test_the_look_for_encodings_sees_what_it_should(line, fault):
    assert _opens_text(ast.parse(line).body[0].value) == fault


def test_no_module_needs_what_posix_alone_has():
    found = set()
    for path in SOURCES:
        module = ".".join(SOURCES[path].with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if POSIX & {name.partition(".")[0] for name in names}:
                found.add(module)
    assert found <= MEASURES


def test_a_console_without_greek_shows_the_rest(monkeypatch):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="cp1252") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "argv", ["qngd", "layers", "nichts-zu-θ.py"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    err.seek(0)
    assert stopped.value.code == 2
    assert err.read() == "qngd: error: nichts-zu-?.py: no such file or directory\n"
    print("θ ± 1")
    out.seek(0)
    assert out.read().rstrip() == "? ± 1"


def test_a_process_without_a_console_starts(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    cli.show_what_can_be_shown()
