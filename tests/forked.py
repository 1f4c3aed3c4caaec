"""Modules run as programs, each in a fork of one process that has imported what most of them need: imports take longer
than most of these programs."""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import qngd

ROOT = Path(__file__).resolve().parent.parent
NEEDED = (
    "autograd", "cma", "matplotlib.backends.backend_svg", "matplotlib.pyplot", "networkx", "pennylane", "qiskit.qasm3",
    "qiskit_aer", "qiskit_algorithms", "qiskit_ibm_runtime.fake_provider", "qngd.report.files", "qngd.run.loop",
    "scipy.optimize",
)  # fmt: skip
TIMEOUT = 300  # seconds


class Programs:
    """Runs modules as `python -m` does, with this folder as the user's home. Where a system cannot fork, by that."""

    def __init__(self, home: Path) -> None:
        self._environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(home)}
        self._server: subprocess.Popen[str] | None = None
        if hasattr(os, "fork"):
            command, pipe = [sys.executable, "-m", "tests.forked"], subprocess.PIPE
            self._server = subprocess.Popen(command, env=self._environment, stdin=pipe, stdout=pipe, text=True)

    def close(self) -> None:
        if self._server is not None:
            self._server.communicate()

    def run(self, module: str, *arguments: str, folder: Path) -> tuple[int, str]:
        """The exit code in this folder, and what was written to stderr."""
        if self._server is None:
            command, own = [sys.executable, "-m", module, *arguments], {"cwd": folder, "env": self._environment}
            done = subprocess.run(command, **own, capture_output=True, text=True, timeout=TIMEOUT)
            return done.returncode, done.stderr
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        said = folder / "stderr.txt"
        print(json.dumps([module, arguments, str(folder), str(said)]), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        text = said.read_text(encoding="utf-8")
        said.unlink()
        return code, text


def preload() -> None:
    """Import what most need, and train a circuit: what numba imports and loads for that takes longer than the run."""
    for name in NEEDED:
        with suppress(ImportError):
            importlib.import_module(name)
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    qngd.minimize(circuit.ry(a, 0).cx(0, 1).rx(b, 1), {"ZZ": 1.0, "XI": 0.5}, [0.3, 0.5], max_steps=2)
    gc.collect()
    gc.freeze()  # what is here stays to the end: no program looks through it, or takes it apart when it ends


def serve() -> None:
    """Run what is asked for on stdin, a line each, and answer with exit codes."""
    preload()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            become(*json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(module: str, arguments: list[str], folder: str, said: str) -> None:
    """Go on as this program; an exception of it ends this process as it would end that one."""
    signal.alarm(TIMEOUT)
    os.chdir(folder)
    for stream, path in ((0, os.devnull), (1, os.devnull), (2, said)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), stream)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
