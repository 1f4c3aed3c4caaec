"""Too much is refused before it is allocated, and what is announced is what is used."""

import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import qngd
from qngd._system import memory as _memory
from qngd._system.progress import telling
from qngd.exact import tangents
from qngd.exact.simulator import Simulator
from tests.strategies import Sketch, ansatz, random_labels

WIDE = [60, 64, 100]


def wide_circuit(num_qubits):
    sketch = Sketch(num_qubits, 2)
    for q in range(num_qubits):
        sketch("ry", q, sketch.t[q % 2])
    for q in range(num_qubits - 1):
        sketch("cx", q, q + 1)
    sketch("rzz", 0, num_qubits - 1, sketch.t[0])
    return sketch.circuit()


def calls(circuit, theta, terms):
    state = {"backend": "statevector"}  # without one, light cones would stand in for states that do not fit
    return {
        "expectation": lambda: qngd.expectation(circuit, terms, theta, **state),
        "gradient": lambda: qngd.gradient(circuit, terms, theta, **state),
        "full": lambda: qngd.metric_tensor(circuit, theta, approx="full", **state),
        "block-diag": lambda: qngd.metric_tensor(circuit, theta, approx="block-diag", **state),
        "diag": lambda: qngd.metric_tensor(circuit, theta, approx="diag", **state),
        "statevector": lambda: qngd.statevector(circuit, theta),
        "sample": lambda: qngd.sample(circuit, theta, shots=10),
        "minimize": lambda: qngd.minimize(circuit, terms, theta, max_steps=1, **state),
    }


CALLS = list(calls(None, None, None))
_UNIT = {name: 1024.0**k for k, name in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))}


def announced(error):
    """The bytes that the message says are needed."""
    count, unit = re.search(r"needs ([\d.]+) (\w+)", str(error)).groups()
    return float(count) * _UNIT[unit]


@pytest.fixture
def asked(monkeypatch):
    """The bytes asked for from here on, wherever in the package; everything is granted."""
    needs = []
    qngd.sample(ansatz(2, 1), np.zeros(4), shots=1)  # all modules that it takes are loaded
    for name, module in list(sys.modules.items()):
        if name.startswith("qngd.") and hasattr(module, "require_bytes"):
            monkeypatch.setattr(module, "require_bytes", lambda needed, *_: needs.append(needed))
    return needs


@pytest.mark.parametrize("num_qubits", WIDE)
@pytest.mark.parametrize("name", CALLS)
def test_too_many_qubits_are_refused_before_anything_is_allocated(name, num_qubits):
    calls(wide_circuit(3), [0.1, 0.2], {"ZZZ": 1.0})[name]()  # modules loaded, kernels compiled
    circuit = wide_circuit(num_qubits)
    call = calls(circuit, [0.1, 0.2], {"Z" * num_qubits: 1.0})[name]
    with pytest.raises(qngd.MemoryLimitError):
        call()  # once more: on many qubits other modules are loaded
    tracemalloc.start()
    with pytest.raises(qngd.MemoryLimitError) as caught:
        call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert announced(caught.value) >= 16 * 2.0**num_qubits
    assert f"{num_qubits} qubits" in str(caught.value) or (name == "sample" and "qubits 0, 1" in str(caught.value))
    assert isinstance(caught.value, MemoryError)
    assert "approximation of the metric" not in str(caught.value)  # which would be of no use


@pytest.mark.parametrize("name", CALLS)
def test_what_is_announced_is_enough(name, asked):
    """The most that a call has allocated at one time, against the most it asked for."""
    circuit = wide_circuit(18)
    state = 16 << 18
    terms = dict.fromkeys(random_labels(0, 18, 5), 1.0)
    call = calls(circuit, [0.3, 0.4], terms)[name]
    call()  # compiled, and small caches filled
    asked.clear()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    small = state // 2  # tiles and the like
    assert peak <= max(asked) + small
    # and no alarm without need
    assert max(asked) <= 3 * peak + small


@pytest.mark.parametrize("name", CALLS)
def test_the_limit_is_the_memory_there_is(name, monkeypatch):
    circuit = ansatz(5, 1)
    call = calls(circuit, np.zeros(circuit.num_parameters), {"ZZIII": 1.0})[name]
    monkeypatch.setattr(_memory, "available_bytes", lambda: 16 * 2**5)
    with pytest.raises(qngd.MemoryLimitError, match=r"512 B are available"):
        call()
    monkeypatch.setattr(_memory, "available_bytes", lambda: 1 << 20)
    call()


def test_the_full_metric_needs_more_with_more_parameters(asked):
    most = []
    for repetitions in (1, 3):
        asked.clear()
        circuit = ansatz(6, repetitions)
        qngd.metric_tensor(circuit, np.zeros(circuit.num_parameters), approx="full")
        most.append(max(asked))
    assert most[1] - most[0] == (36 - 12) * 16 * 2**6


def test_wrapping_and_describing_need_no_state():
    circuit = wide_circuit(100)
    assert circuit.num_layers == len(circuit.layers) > 0
    assert len(circuit.rotations) == 101


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (16 << 24, "256.0 MiB"),
        (int(3.5 * 2**40), "3.5 TiB"),
        (16 << 60, "16.0 EiB"),
        (16 << 100, f"{2.0**44:.1f} EiB"),
    ],
)
def test_bytes_are_written_with_a_unit(count, text):
    assert _memory.format_bytes(count) == text


# --- where the number comes from ---


@pytest.fixture
def files(monkeypatch):
    """Pretended files: path -> text, or nothing there."""
    contents = {}

    def read_text(self, *arguments, **options):
        if str(self) not in contents:
            raise FileNotFoundError(self)
        return contents[str(self)]

    monkeypatch.setattr(Path, "read_text", read_text)
    _memory._measured.cache_clear()
    yield contents
    _memory._measured.cache_clear()


GROUP = "/sys/fs/cgroup/memory."
MEMINFO = "MemTotal:       16000 kB\nMemFree:    1000 kB\nMemAvailable:    3000 kB\n"


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        (None, None, 3000 * 1024),
        ("max\n", "5\n", 3000 * 1024),
        ("1000000\n", "400000\n", 600_000),
        ("900000000\n", "5\n", 3000 * 1024),
        ("1000\n", "4000\n", 0),
    ],
)
def test_free_memory_within_the_control_group(files, limit, used, expected):
    files["/proc/meminfo"] = MEMINFO
    if limit is not None:
        files[GROUP + "max"], files[GROUP + "current"] = limit, used
    assert _memory.available_bytes() == expected


def test_without_proc_the_physical_memory_counts(files):
    assert _memory.available_bytes() > 1 << 28


@pytest.mark.parametrize(("setting", "expected"), [("2", 2 << 20), ("0", 0), ("", 3000 * 1024), ("lots", 3000 * 1024)])
def test_a_setting_bounds_it(setting, expected, files, monkeypatch):
    files["/proc/meminfo"] = MEMINFO
    monkeypatch.setenv("QNGD_MEMORY_MIB", setting)
    assert _memory.available_bytes() == expected


@pytest.mark.parametrize("mebibytes", [3, 5])
def test_a_full_metric_in_blocks_is_the_same(mebibytes, monkeypatch):
    """80 derivative states of 16 KiB each do not fit beside each other; told which part is done, to the end."""
    circuit = ansatz(10, 4)
    theta = np.random.default_rng(0).normal(size=circuit.num_parameters)
    phi, jacobian = circuit.angle_map.linearize(theta)
    simulator = Simulator(circuit)
    seen = []
    monkeypatch.setenv("QNGD_NUM_THREADS", "2")
    expected = simulator.full_metric(phi, jacobian)
    monkeypatch.setattr(_memory, "available_bytes", lambda: mebibytes << 18)
    monkeypatch.setattr(tangents, "available_bytes", lambda: mebibytes << 18)
    with telling(lambda what, part: seen.append((what, part))):
        found = simulator.full_metric(phi, jacobian)
    assert np.allclose(found, expected, rtol=0, atol=1e-14)
    assert len(seen) > 3
    assert {what for what, _ in seen} == {"derivative states of the metric"}
    assert seen == sorted(seen)
    assert seen[-1][1] == 1.0


def test_this_machine_has_some_memory():
    assert 1 << 20 < _memory.available_bytes() < 1 << 50
