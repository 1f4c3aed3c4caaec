"""A newcomer's walk: through which files one step goes, in which order, and how often it changes file.

    python -m tools.walk               # an exact step, one of 200 shots on Aer, one with shots="auto"; the imports
    python -m tools.walk --pairs       # and from which file into which the calls go

A run of three steps on four qubits is traced from the end of its first step to the end of its second, so that what is
made once (reading the circuit, plans, compilation) is not counted. A *change of file* is a call of a Python function
that stands in another file of qngd than the function of qngd that called it, whatever stands between the two (NumPy,
a decorator, an SDK); comprehensions and class bodies are no calls. Coming back is not counted. All work is on one
thread. Compiled kernels are not seen.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from tools.house import size

_NO_CALLS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<module>"}
_SHOTS = 200


class Walk:
    """What one traced stretch of work went through.

    Attributes:
        files: files of qngd, relative to its folder, in the order in which they were first entered.
        changes: how often a call went from one of them into another.
    """

    def __init__(self, root: Path) -> None:
        self.files: list[str] = []
        self.changes: Counter[tuple[str, str]] = Counter()
        self._root = str(root) + os.sep

    def begin(self) -> None:
        """Trace this thread from here on."""
        sys.setprofile(self._see)

    def end(self) -> None:
        """Trace no more."""
        sys.setprofile(None)

    def _file(self, frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        return name[len(self._root) :] if name.startswith(self._root) else None

    def _see(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or frame.f_code.co_name in _NO_CALLS:
            return
        here = self._file(frame)
        if here is None:
            return
        if here not in self.files:
            self.files.append(here)
        caller = frame.f_back
        while caller is not None and self._file(caller) is None:
            caller = caller.f_back
        there = None if caller is None else self._file(caller)
        if there is not None and there != here:
            self.changes[there, here] += 1


def walk_of_a_step(backend: Any, shots: int | str | None) -> Walk:
    """The second step of a run with the default optimizer: four qubits, a layer of RY, a ladder of CNOTs, a layer of
    RZ, an Ising energy."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    import qngd

    n = 4
    theta = ParameterVector("t", 2 * n)
    circuit = QuantumCircuit(n)
    for q in range(n):
        circuit.ry(theta[q], q)
    for q in range(n - 1):
        circuit.cx(q, q + 1)
    for q in range(n):
        circuit.rz(theta[n + q], q)
        circuit.h(q)
    energy = {"ZZII": 1.0, "IZZI": 1.0, "IIZZ": 1.0, "XIII": 0.5, "IXII": 0.5, "IIXI": 0.5, "IIIX": 0.5}
    walk = Walk(Path(qngd.__file__).parent)
    steps = 0

    def after_each(_info: object) -> None:
        nonlocal steps
        walk.end()
        steps += 1
        if steps == 1:
            walk.begin()

    options: dict[str, Any] = {} if shots is None else {"backend": backend, "shots": shots}
    start = [0.1 * (k + 1) for k in range(2 * n)]
    qngd.minimize(circuit, energy, start, max_steps=3, tol=0.0, seed=1, callback=after_each, **options)
    walk.end()
    return walk


def _show(title: str, walk: Walk, with_pairs: bool) -> None:
    print(f"{title}: {len(walk.files)} files, {sum(walk.changes.values())} changes of file")
    print("  " + " → ".join(walk.files))
    if with_pairs:
        for (one, other), count in walk.changes.most_common():
            print(f"  {count:5d}  {one} → {other}")


def main() -> None:
    """Print the walks, and what the imports come to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", action="store_true", help="show from which file into which the calls go")
    with_pairs = parser.parse_args().pairs
    os.environ["QNGD_NUM_THREADS"] = "1"

    _show("exact", walk_of_a_step(None, None), with_pairs)
    _show(f"{_SHOTS} shots on Aer", walk_of_a_step(_aer(), _SHOTS), with_pairs)
    _show('shots="auto" on Aer', walk_of_a_step(_aer(), "auto"), with_pairs)
    print(size())


def _aer() -> Any:
    from qiskit_aer import AerSimulator

    return AerSimulator(seed_simulator=1)


if __name__ == "__main__":
    main()
