"""What one exact natural gradient step costs on the embedded simulator.

Claim: time and memory of one step (energy, gradient, block-diagonal metric, solve), of the full metric where it fits,
and of one plain run of the circuit, for the RY, RZ + CNOT-ladder ansatz with four layers (P = 8n parameters) and an
Ising energy; and the time to wrap 10,000 gates on 100 qubits.

    python -m experiments.bench_exact            about a minute; results/bench_exact/steps.json
    python -m experiments.bench_exact --smoke    a few seconds

Each size runs in a process of its own, so that its peak memory is its own. Times are medians.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LAYERS = 4
FULL_UP_TO = 16  # qubits
OUT = Path("results/bench_exact")


def median_seconds(work: Callable[[], object], budget: float) -> float:
    """Median over as many calls as fit in `budget` seconds, at least three, after one to warm up."""
    work()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget and len(times) < 200):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ansatz(num_qubits: int, layers: int = LAYERS):
    """RY and RZ on every qubit, then a CNOT ladder, `layers` times, as a Qiskit user writes it."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    angles = iter(ParameterVector("t", 2 * num_qubits * layers))
    circuit = QuantumCircuit(num_qubits)
    for _ in range(layers):
        for gate in (circuit.ry, circuit.rz):
            for qubit in range(num_qubits):
                gate(next(angles), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


def ising(num_qubits: int) -> dict[str, float]:
    """−Σ ZZ − ½ Σ X on an open chain."""
    n = num_qubits
    bonds = {"I" * (n - 2 - i) + "ZZ" + "I" * i: -1.0 for i in range(n - 1)}
    return bonds | {"I" * (n - 1 - i) + "X" + "I" * i: -0.5 for i in range(n)}


def measure(num_qubits: int, budget: float) -> dict[str, float]:
    """Seconds and peak memory of one step at this size, in this process."""
    import qngd
    from qngd.evaluate import ExactEvaluator
    from qngd.interop import as_observable
    from qngd.simulator import Simulator

    start = time.perf_counter()
    circuit = qngd.wrap(ansatz(num_qubits))
    wrap = time.perf_counter() - start
    theta = np.random.default_rng(0).uniform(0, 2 * np.pi, circuit.num_parameters)
    evaluator = ExactEvaluator(circuit, as_observable(ising(num_qubits), circuit))
    optimizer = qngd.QNG(learning_rate=0.1, damping=1e-3, approx="block-diag")
    phi, jacobian = circuit.angle_map.linearize(theta)
    simulator = Simulator(circuit)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    state = optimizer.init(evaluator, theta)
    row = {
        "num_qubits": num_qubits,
        "parameters": circuit.num_parameters,
        "wrap": wrap,
        "run": median_seconds(lambda: simulator.state(phi), budget),
        "step": median_seconds(lambda: optimizer.step(evaluator, state), budget),
    }
    row["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row["peak_over_imports_mib"] = row["peak_mib"] - before / 1024
    if num_qubits <= FULL_UP_TO:
        row["full_metric"] = median_seconds(lambda: simulator.full_metric(phi, jacobian), budget)
    return row


def wrap_seconds(gates: int) -> float:
    """Time to wrap RZ, RY and CNOT gates on 100 qubits, each rotation with its own parameter."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    import qngd

    angles = iter(ParameterVector("t", gates))
    circuit = QuantumCircuit(100)
    for k in range(gates):
        qubit = (7 * k) % 100
        if k % 3 == 2:
            circuit.cx(qubit, (qubit + 1) % 100)
        else:
            (circuit.ry if k % 3 else circuit.rz)(next(angles), qubit)
    qngd.wrap(circuit)
    start = time.perf_counter()
    qngd.wrap(circuit)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes, to show that it runs")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    budget = 0.05 if arguments.smoke else 1.0
    if arguments.one:
        print(json.dumps(measure(arguments.one, budget)))
        return
    rows = []
    for num_qubits in (4, 8) if arguments.smoke else (4, 8, 10, 12, 16, 20):
        command = [sys.executable, "-m", "experiments.bench_exact", "--one", str(num_qubits)]
        command += ["--smoke"] if arguments.smoke else []
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append(json.loads(output.splitlines()[-1]))
        row = rows[-1]
        full = f"{row['full_metric'] * 1e3:10.3f}" if "full_metric" in row else "         -"
        print(
            f"n = {num_qubits:2d}  P = {row['parameters']:3d}  run {row['run'] * 1e3:10.3f} ms  "
            f"step {row['step'] * 1e3:10.3f} ms ({row['step'] / row['run']:5.1f} runs)  full metric {full} ms  "
            f"peak {row['peak_mib']:6.0f} MiB (+{row['peak_over_imports_mib']:.0f})",
            flush=True,
        )
    gates = 1000 if arguments.smoke else 10_000
    seconds = wrap_seconds(gates)
    print(f"wrapping {gates} gates on 100 qubits: {seconds:.2f} s")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "steps.json").write_text(json.dumps({"steps": rows, "wrap": {"gates": gates, "seconds": seconds}}, indent=1))
    print(f"data: {OUT / 'steps.json'}")


if __name__ == "__main__":
    main()
