"""Batches and sessions for a whole run, and options of IBM's primitives, in their local testing mode."""

import json

import pytest
import qiskit_ibm_runtime
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qngd
from qngd.backends import in_mode
from tests.command_line import qngd as command

TERMS = {"ZZ": 1.0, "XI": 0.5}
START = [0.3, -0.4]


def circuit():
    made = qngd.CircuitBuilder(2)
    a, b = made.parameters("a", "b")
    return made.ry(a, 0).cx(0, 1).ry(b, 1)


@pytest.fixture
def seen(monkeypatch):
    """What opened and closed, in order, and how often a sampler ran in between."""
    events = []
    for name in ("Batch", "Session"):
        kind = getattr(qiskit_ibm_runtime, name)

        class Recorded(kind):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                events.append(f"open {self.called}")

            def close(self):
                events.append(f"close {self.called}")
                super().close()

        Recorded.called = name.lower()
        monkeypatch.setattr(qiskit_ibm_runtime, name, Recorded)
    return events


@pytest.mark.parametrize("mode", ["batch", "session"])
def test_one_for_the_whole_run_closed_at_its_end(mode, seen):
    with in_mode(FakeManilaV2(), mode, initial_layout=[1, 2]) as backend:
        result = qngd.minimize(circuit(), TERMS, START, backend=backend, shots=100, max_steps=1, tol=0)
        assert seen == [f"open {mode}"]
    assert result.steps == 1
    assert seen == [f"open {mode}", f"close {mode}"]


def test_closed_after_an_error(seen):
    with pytest.raises(qngd.QngdError), in_mode("fake_manila", "batch") as backend:
        qngd.expectation(circuit(), {"Z": 1.0}, START, backend=backend, shots=100)
    assert seen == ["open batch", "close batch"]


def test_what_has_no_modes():
    for backend in ("aer", object()):
        with pytest.raises(qngd.BackendError, match="no batch"), in_mode(backend, "batch"):
            pass
    with pytest.raises(qngd.SettingError, match="mode"), in_mode("fake_manila", "bach"):
        pass


def small_problem(folder):
    path = folder / "small.py"
    path.write_text(
        "import qngd\n"
        "def problem():\n"
        "    c = qngd.CircuitBuilder(2)\n"
        "    c.ry(c.parameter('a'), 0).cx(0, 1)\n"
        "    return qngd.Problem(c, {'ZI': 1.0}, [0.3])\n"
    )
    return path


def test_the_command_line(seen, tmp_path):
    path = small_problem(tmp_path)
    asked = ["run", str(path), "--backend", "fake_manila", "--shots", "50", "--max-steps", "1"]
    done = command(*asked, "--mode", "batch", "--initial-layout", "3,4")
    assert "steps" in done.output, done.output
    assert seen == ["open batch", "close batch"]
    assert "neither qubits" in command(*asked, "--initial-layout", "3;4").output
    assert "--mode batch needs" in command("run", str(path), "--mode", "batch").output


def test_a_price_is_that_of_the_chosen_qubits_and_opens_nothing(seen, tmp_path):
    """Qubits 0 and 4 of this device are not coupled, so that gates are added."""
    path = small_problem(tmp_path)
    asked = ["cost", str(path), "--backend", "fake_manila", "--shots", "50", "--json"]
    near = json.loads(command(*asked, "--mode", "session", "--initial-layout", "3,4").output)
    far = json.loads(command(*asked, "--initial-layout", "0,4").output)
    assert "at most 1 " in near["about"]["two-qubit gates"]
    assert int(far["about"]["two-qubit gates"].split()[2]) > 3
    assert seen == []
    assert "neither qubits" in command("cost", str(path), "--initial-layout", "3;4").output
    assert "--mode session needs" in command("cost", str(path), "--mode", "session").output


def test_decoupling_and_twirling_reach_the_primitive(monkeypatch):
    """qngd runs the sampler that it was given, with all that is set in it."""
    asked = []

    client_side = pytest.importorskip("qiskit_ibm_runtime.executor_sampler").Sampler

    class Recorded(client_side):
        def run(self, *args, **kwargs):
            asked.append((self.options.dynamical_decoupling.sequence_type, self.options.twirling.enable_gates))
            return super().run(*args, **kwargs)

    sampler = Recorded(mode=FakeManilaV2())
    sampler.options.dynamical_decoupling.enable = True
    sampler.options.dynamical_decoupling.sequence_type = "XY4"
    sampler.options.twirling.enable_gates = True
    sampler.options.twirling.num_randomizations = 4
    qngd.expectation(circuit(), TERMS, START, backend=sampler, shots=100, seed=1)
    sampler.options.simulator.seed_simulator = 3  # qngd then runs copies, each with a seed of its own
    qngd.expectation(circuit(), TERMS, START, backend=sampler, shots=100, seed=1)
    assert asked == [("XY4", True)] * 2
