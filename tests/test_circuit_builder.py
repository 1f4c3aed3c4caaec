"""Circuits written gate by gate, against Qiskit's matrices, NumPy's functions and differences; without an SDK."""

from __future__ import annotations

import inspect
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import PauliGate, UnitaryGate
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.quantum_info import Pauli, SparsePauliOp, Statevector
from scipy.linalg import expm
from typer.testing import CliRunner

import qngd
from qngd.circuit.gates import STANDARD_GATES
from qngd.cli import commands as cli
from qngd.errors import CircuitError, ParameterError, SettingError
from tests import dense
from tests.pages import blocks, shown
from tests.sdks import SDKS

ROOT = Path(__file__).resolve().parent.parent
QISKITS = get_standard_gate_name_mapping()
ANGLES = (0.83, -1.37, 2.21, 0.49)
TERMS = {"ZZI": 1.0, "XIY": 0.5, "IYZ": -0.25, "IIX": 0.8}
THETA = np.array([0.3, -0.7, 1.1])


def builder(num_qubits=3, names="abc"):
    circuit = qngd.CircuitBuilder(num_qubits)
    return circuit, *circuit.parameters(*names)


def state(circuit, theta=()):
    return qngd.statevector(circuit, theta)


# --- the gates ---


def test_every_gate_of_the_table_is_a_method():
    for name, gate in STANDARD_GATES.items():
        angles, qubits = gate.angles, gate.qubits
        method = getattr(qngd.CircuitBuilder, name)
        assert method.__name__ == name
        assert method.__doc__ == f"Append {name}({', '.join(angles + qubits)})."
        assert re.search(rf"\b{name}\b", inspect.getdoc(qngd.CircuitBuilder)), name


@pytest.mark.parametrize("as_parameters", [False, True])
@pytest.mark.parametrize("name", sorted(STANDARD_GATES))
def test_states_are_qiskits(name, as_parameters):
    """The gate between others that no symmetry of it survives, with the angles as numbers and as functions."""
    angles, qubits = ANGLES[: len(STANDARD_GATES[name].angles)], (2, 0)[: len(STANDARD_GATES[name].qubits)]
    circuit = qngd.CircuitBuilder(3)
    native = QuantumCircuit(3)
    if as_parameters:
        given = [angle * p**2 for angle, p in zip(angles, circuit.parameters(*"abcd"[: len(angles)]), strict=True)]
    else:
        given = angles
    for q in range(3):
        circuit.ry(0.4 + 0.3 * q, q).rz(0.9 - q, q)
        native.ry(0.4 + 0.3 * q, q)
        native.rz(0.9 - q, q)
    circuit.cx(0, 1).cx(2, 0).gate(name, *given, *qubits).cx(1, 2).rx(0.7, 0).ry(-0.3, 2)
    native.cx(0, 1)
    native.cx(2, 0)
    native.append(QISKITS[name].base_class(*angles), qubits)
    native.cx(1, 2)
    native.rx(0.7, 0)
    native.ry(-0.3, 2)
    theta = np.ones(circuit.build().num_parameters)
    assert len(theta) == (len(angles) if as_parameters else 0)
    assert dense.same_state(state(circuit, theta), Statevector(native).data)


def test_methods_are_the_gates_of_their_name():
    for name, gate in STANDARD_GATES.items():
        angles, qubits = gate.angles, gate.qubits
        arguments = (*ANGLES[: len(angles)], *range(len(qubits)))
        by_method, by_name = qngd.CircuitBuilder(2).h(0), qngd.CircuitBuilder(2).h(0)
        getattr(by_method, name)(*arguments)
        by_name.gate(name, *arguments)
        assert np.array_equal(state(by_method), state(by_name))
        assert by_method.build().gates == by_name.build().gates
        assert by_method.build().gates[1].name == name


@pytest.mark.parametrize(("pauli", "qubits"), [("XZ", (2, 0)), ("YIX", (1, 0, 2)), ("Y", (1,)), ("ZXY", (0, 2, 1))])
def test_rotations_about_pauli_strings(pauli, qubits):
    start = qngd.CircuitBuilder(3).ry(0.4, 0).ry(0.9, 1).cx(0, 2).rz(0.8, 2)
    before = state(start)
    letters = ["I"] * 3
    for letter, qubit in zip(pauli, qubits, strict=True):
        letters[2 - qubit] = letter
    generator = Pauli("".join(letters)).to_matrix()
    after = expm(-0.35j * generator) @ before
    assert dense.same_state(state(start.rotation(pauli, 0.7, *qubits)), after)
    label = "".join(letters)  # as in an observable
    undone = start.rotation(label, -0.7, *reversed(range(3)))
    assert dense.same_state(state(undone), before)


# The generator of a double excitation of qubits 0, 1 to 2, 3, and of hopping between two.
EXCITATION = {"XXXY": 1, "XXYX": 1, "XYXX": -1, "YXXX": -1, "YYYX": -1, "YYXY": -1, "YXYY": 1, "XYYY": 1}
HOPPING = {"XX": 0.5, "YY": 0.5, "ZZ": -1.5, "II": 0.3}


@pytest.mark.parametrize(("terms", "qubits"), [(EXCITATION, (3, 0, 2, 1)), (HOPPING, (2, 0))])
def test_rotations_about_sums(terms, qubits):
    """One gate: its state is that of the exponential, its diagonal entry the variance of the whole generator."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        circuit, a, *more = builder(4)
        for q in range(4):
            circuit.gate(str(rng.choice(["rx", "ry"])), more[q % 2] + rng.normal(), q)
            circuit.gate(str(rng.choice(["h", "s", "id"])), q).cx(q, (q + 1) % 4)
        before = state(circuit, THETA)
        generator = np.zeros((16, 16), dtype=complex)
        for pauli, factor in terms.items():
            letters = ["I"] * 4
            for letter, qubit in zip(pauli, qubits, strict=True):
                letters[3 - qubit] = letter
            generator += factor / 2 * Pauli("".join(letters)).to_matrix()
        circuit.rotation(terms, a - 0.5, *qubits).ry(more[0], 2)
        after = expm(-1j * (THETA[0] - 0.5) * generator) @ before
        assert dense.same_state(state(circuit.ry(-more[0], 2), THETA), after)
        moved = generator @ before
        variance = np.vdot(moved, moved).real - np.vdot(before, moved).real ** 2
        assert np.asarray(qngd.metric_tensor(circuit, THETA))[0, 0] == pytest.approx(variance, abs=1e-9)


def test_the_identity_is_a_global_phase():
    circuit, a, *_ = builder(2, "a")
    assert circuit.rotation("II", a, 0, 1).id(0).build().num_rotations == 0


def test_a_builder_goes_on_and_what_it_built_stays():
    circuit, a, b, _ = builder()
    first = circuit.ry(a, 0).build()
    assert circuit.build() is first
    assert circuit.rx(a * b, 1).parameter("d").graph.names == ["a", "b", "c", "d"]
    second = circuit.build()
    assert (first.num_rotations, first.parameters) == (1, ("a", "b", "c"))
    assert (second.num_rotations, second.parameters) == (2, ("a", "b", "c", "d"))


def test_an_empty_circuit():
    assert dense.same_state(state(qngd.CircuitBuilder(2)), [1, 0, 0, 0])
    assert qngd.expectation(qngd.CircuitBuilder(2), {"ZI": 1.0}, []).value == 1.0


# --- the angles ---


FUNCTIONS = [
    lambda a, b, c: 2 * a - b / 3 + 0.5,
    lambda a, b, c: np.float64(0.5) * (a + b) - c * np.int64(2),
    lambda a, b, c: a * b * c,
    lambda a, b, c: (a + 2) ** 3 / (c + 0.5) - 2**b,
    lambda a, b, c: 1 / (a - 1) + (1 - b),
    lambda a, b, c: np.sin(a) * np.cos(b) + np.tan(c),
    lambda a, b, c: np.arcsin(a) + np.arccos(b) - np.arctan(c),
    lambda a, b, c: np.exp(a) - np.log(c) + np.sqrt(a) + np.square(b),
    lambda a, b, c: np.sinh(a) + np.cosh(2 * b) * np.tanh(c - a),
    lambda a, b, c: abs(b) + np.abs(a) + +c,
    lambda a, b, c: np.array([1.0, -2.0, 0.5]) @ np.array([a, b, c]),
    lambda a, b, c: np.sin(np.array([a, b, c])).sum() - np.prod(np.array([a, b])),
    lambda a, b, c: sum([a, b, c]) * np.array(2.0),
    lambda a, b, c: np.negative(np.power(a, 2)) + np.reciprocal(c),
    lambda a, b, c: (a * np.array([0.5, 2.0]) - np.array([1, 2]) / c + np.array([b, 1]) * b).sum(),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_angles_and_their_derivatives_are_numpys(function):
    circuit, *parameters = builder()
    angles = circuit.rx(function(*parameters), 0).build().angle_map
    values, jacobian = angles.linearize(THETA)
    assert values == pytest.approx([function(*THETA)], rel=1e-12)
    step = 1e-4
    slopes = []
    for e in np.eye(3) * step:
        f = [function(*(THETA + k * e)) for k in (-2, -1, 1, 2)]
        slopes.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    assert np.allclose(jacobian.toarray()[0], slopes, rtol=0, atol=1e-8)


def test_the_order_of_theta_is_that_of_declaration():
    circuit = qngd.CircuitBuilder(2)
    b, z, a = circuit.parameters("b", "z", "a")
    circuit.rx(a, 0).ry(b, 1)
    assert circuit.build().parameters == ("b", "z", "a")
    expected = QuantumCircuit(2)
    expected.rx(0.3, 0)
    expected.ry(-0.8, 1)
    expected = Statevector(expected).data
    for theta in ([-0.8, 5.0, 0.3], {"a": 0.3, "b": -0.8, "z": 5.0}, {a: 0.3, b: -0.8, z: 5.0}):
        assert dense.same_state(state(circuit, theta), expected)
    assert np.asarray(qngd.metric_tensor(circuit, [-0.8, 5.0, 0.3])) == pytest.approx(np.diag([0.25, 0, 0.25]))


def test_values_come_back_by_name():
    circuit, a, _ = builder(1, "ab")
    result = qngd.minimize(circuit.ry(a, 0), {"Z": 1.0}, {"a": 0.4, "b": 0.1})
    assert result.energy == pytest.approx(-1)
    assert result.theta["b"] == 0.1


@pytest.mark.parametrize("make", [lambda a: np.log(a), lambda a: np.arcsin(3 + a), lambda a: 1 / (a + 1)])
def test_an_angle_without_a_value_names_its_gate(make):
    circuit, a, *_ = builder()
    circuit.h(0).crz(make(a), 0, 1)
    with pytest.raises(ParameterError, match=r"instruction 1 \(crz\) has no finite real value at a = -1"):
        state(circuit, [-1.0, 0.0, 0.0])


# --- against Qiskit in all that follows from a circuit ---


def mixed():
    circuit, a, b, c = builder()
    circuit.ry(a, 0).rx(2 * b + a, 1).cx(0, 2).t(2).crz(c, 1, 2).ry(np.sin(b), 2).cp(a * c, 2, 0).h(1)
    return circuit.rotation("YX", b - c, 2, 1)


def mixed_state(theta):
    a, b, c = theta
    native = QuantumCircuit(3)
    native.ry(a, 0)
    native.rx(2 * b + a, 1)
    native.cx(0, 2)
    native.t(2)
    native.crz(c, 1, 2)
    native.ry(np.sin(b), 2)
    native.cp(a * c, 2, 0)
    native.h(1)
    turn = expm(-0.5j * (b - c) * np.kron(PauliGate("Y").to_matrix(), PauliGate("X").to_matrix()))
    native.append(UnitaryGate(turn), [1, 2])
    return Statevector(native).data


def test_energy_gradient_and_metric_are_those_of_qiskits_states():
    matrix = SparsePauliOp(list(TERMS), list(TERMS.values())).to_matrix()
    step = 1e-3
    here, slopes = mixed_state(THETA), []
    for e in np.eye(3) * step:
        f = [mixed_state(THETA + k * e) for k in (-2, -1, 1, 2)]
        slopes.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    slopes = np.array(slopes)
    along = slopes.conj() @ here
    metric = np.real(slopes.conj() @ slopes.T - np.outer(along, along.conj()))
    circuit = mixed()
    assert qngd.expectation(circuit, TERMS, THETA).value == pytest.approx(np.vdot(here, matrix @ here).real, abs=1e-12)
    gradient = 2 * np.real(slopes.conj() @ matrix @ here)
    assert np.allclose(qngd.gradient(circuit, TERMS, THETA).value, gradient, rtol=0, atol=1e-9)
    full = np.asarray(qngd.metric_tensor(circuit, THETA, approx="full"))
    assert np.allclose(full, metric, rtol=0, atol=1e-9)
    assert np.ptp(full[0]) > 1e-3  # an order that is wrong would show


@pytest.mark.parametrize("backend", [None, "aer", "default.qubit"])
def test_shots_on_every_kind_of_backend(backend):
    circuit, theta = mixed(), {"a": 0.3, "b": -0.7, "c": 1.1}
    exact = qngd.expectation(circuit, TERMS, THETA).value
    found = qngd.expectation(circuit, TERMS, theta, backend=backend, shots=4000, seed=5)
    assert abs(found.value - exact) < 5 * found.stderr
    assert 0 < found.stderr < 0.1
    counts = qngd.sample(circuit, theta, shots=4000, backend=backend, seed=6)
    chances = abs(mixed_state(THETA)) ** 2
    for index, chance in enumerate(chances):
        off = abs(counts[f"{index:03b}"] / 4000 - chance)
        assert off < 5 * math.sqrt(chance * (1 - chance) / 4000) + 1e-3


def test_a_run_is_kept_and_resumed(tmp_path):
    start, how = [0.3, -0.7, 1.1], {"run_dir": tmp_path / "run", "tol": 0}
    qngd.minimize(mixed(), TERMS, start, max_steps=3, **how)
    resumed = qngd.minimize(mixed(), TERMS, start, max_steps=6, **how)
    assert len(resumed.history) == 7
    straight = qngd.minimize(mixed(), TERMS, start, max_steps=6, tol=0)
    assert np.array_equal(resumed.theta, straight.theta)
    other = mixed().x(0)
    with pytest.raises(SettingError, match="run_dir"):
        qngd.minimize(other, TERMS, start, max_steps=6, **how)


def test_the_cost_of_a_run():
    price = qngd.cost(mixed(), TERMS, THETA, shots=100)
    assert price.step.shots == 100 * price.step.circuits > 0
    assert price == qngd.cost(mixed().build(), TERMS, THETA, shots=100)


PROBLEM = """
import qngd

def problem(*, layers: int = 2) -> qngd.Problem:
    circuit = qngd.CircuitBuilder(2)
    for layer in range(layers):
        a, b = circuit.parameters(f"a{layer}", f"b{layer}")
        circuit.ry(a, 0).ry(b, 1).cx(0, 1)
    return qngd.Problem(circuit, {"ZZ": 1.0, "XI": 0.5}, [0.1, 0.2] * layers, reference_energy=-(1.25**0.5))
"""


def test_a_problem_file(tmp_path):
    path, out = tmp_path / "mine.py", tmp_path / "out"
    path.write_text(PROBLEM, encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["run", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "-1.118" in done.output
    listed = CliRunner().invoke(cli.app, ["layers", str(path), "--set", "layers=1"])
    assert "ry #1 on 1: R_Y(b0)" in listed.output


# --- what is refused ---


WRONG = {
    "unknown gate": (lambda c, a: c.gate("crzz", a, 0, 1), r"instruction 2, 'crzz': there is no such gate.*'rzz'"),
    "gate of another name": (lambda c, a: c.gate("CNOT", 0, 1), r"Did you mean 'cx'\?"),
    "no name": (lambda c, a: c.gate(3, 0), "instruction 2, 3: there is no such gate"),
    "list for a name": (lambda c, a: c.gate(["h"], 0), "there is no such gate"),
    "qubit missing": (lambda c, a: c.crx(a, 0), r"crx\(angle, control, target\); got 2 arguments"),
    "angle missing": (lambda c, a: c.u(a, a, 0), r"u\(theta, phi, lam, qubit\); got 3 arguments"),
    "angle too many": (lambda c, a: c.h(a, 0), r"instruction 2, h: it is written h\(qubit\); got 2 arguments"),
    "nothing": (lambda c, a: c.x(), "got 0 arguments"),
    "other way round": (lambda c, a: c.ry(0, a), r"instruction 2, ry: a is no qubit.*ry\(angle, qubit\)"),
    "qubit beyond": (lambda c, a: c.cx(0, 3), "instruction 2, cx: there is no qubit 3; the circuit's are 0 to 2"),
    "qubit below": (lambda c, a: c.cx(-1, 0), "no qubit -1"),
    "fraction of a qubit": (lambda c, a: c.h(0.5), "0.5 is no qubit"),
    "list of qubits": (lambda c, a: c.h([0, 1]), r"\[0, 1\] is no qubit"),
    "bool for a qubit": (lambda c, a: c.h(True), "no qubit True"),
    "qubit twice": (lambda c, a: c.rzz(a, 1, 1), r"instruction 2, rzz on qubits \(1, 1\): it acts on a qubit twice"),
    "text": (lambda c, a: c.ry("b", 0), r"ry: the angle is a text; declare .* a = circuit.parameter\('b'\)"),
    "nan": (lambda c, a: c.ry(math.nan, 0), "ry: the angle is nan; angles must be finite"),
    "infinite": (lambda c, a: c.rotation("X", -np.inf, 0), "rotation: the angle is -inf"),
    "huge": (lambda c, a: c.ry(10**400, 0), "ry: the angle is 1000"),
    "complex": (lambda c, a: c.ry(0.5j, 0), "ry: 0.5j is no angle; give a real number"),
    "array": (lambda c, a: c.ry(np.array([a, a]), 0), "is no angle"),
    "bool for an angle": (lambda c, a: c.ry(True, 0), "True is no angle"),
    "parameter of another": (lambda c, a: c.ry(builder()[1], 0), "ry: the angle a has parameters of another circuit"),
    "sum with another": (lambda c, a: c.ry(a + builder()[2], 0), "a and b belong to different circuits"),
    "letters": (lambda c, a: c.rotation("xx", a, 0, 1), "rotation: a Pauli string is made of I, X, Y and Z; got 'xx'"),
    "no letters": (lambda c, a: c.rotation("", a), "a Pauli string is made of"),
    "no Pauli string": (lambda c, a: c.rotation(a, "Z", 0), "a Pauli string is made of .* got a"),
    "too few for the string": (lambda c, a: c.rotation("XYZ", a), r"needs 3 qubits.*rotation\('XYZ', angle, 0, 1, 2\)"),
    "no strings": (lambda c, a: c.rotation({}, a), "rotation: give Pauli strings of the same length"),
    "strings of two lengths": (lambda c, a: c.rotation({"X": 1, "XX": 1}, a, 0), "of the same length; got {'X': 1"),
    "strings that do not commute": (lambda c, a: c.rotation({"XX": 1, "ZI": 1}, a, 0, 1), "'XX' and 'ZI' do not comm"),
    "complex factor": (lambda c, a: c.rotation({"XX": 1j}, a, 0, 1), "rotation: 'XX' has the factor 1j; give a finite"),
    "string twice on a qubit": (lambda c, a: c.rotation("XY", a, 2, 2), "acts on a qubit twice"),
    "declared twice": (lambda c, a: c.parameter("a"), "parameter: 'a' is declared already"),
    "name that is none": (lambda c, a: c.parameters(["x"]), r"parameter: a name is a text such as 'a'; got \['x'\]"),
    "empty name": (lambda c, a: c.parameter(""), "a name is a text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_meant_is_refused_with_its_place(case):
    write, message = WRONG[case]
    circuit, a, *_ = builder()
    circuit.h(0).cx(0, 1)
    with pytest.raises(CircuitError, match=message):
        write(circuit, a)
    assert len(circuit.build().gates) == 2  # nothing of it was kept


@pytest.mark.parametrize(
    ("angle", "message"),
    [
        (lambda a: 1j * a, "the angle has the complex part"),
        (lambda a: np.sin(a) * 1j + a, "no finite real value"),
        (lambda a: a * math.nan, "angles must be finite"),
        (lambda a: a - a + math.inf, "angles must be finite"),
    ],
)
def test_angles_that_are_not_real_are_refused_when_the_circuit_is_built(angle, message):
    circuit, a, *_ = builder()
    circuit.h(0).cry(angle(a), 2, 1)
    with pytest.raises((CircuitError, ParameterError), match=rf"instruction 1.*cry.*{message}"):
        state(circuit, THETA)


@pytest.mark.parametrize(("name", "near"), [("cnot", "'cx'"), ("rxxx", "'rxx'"), ("built", "'build'")])
def test_names_that_are_no_gates(name, near):
    with pytest.raises(AttributeError, match=f"no gate or method '{name}'. Did you mean {near}"):
        getattr(qngd.CircuitBuilder(1), name)


def test_expressions_have_no_values():
    _, a, *_ = builder()
    with pytest.raises(TypeError, match=r"np\.sin"):
        math.sin(a)
    with pytest.raises(TypeError, match="no branches"):
        bool(a)
    with pytest.raises(TypeError, match="unsupported"):
        a + "b"
    with pytest.raises(TypeError, match=r"np\.arctan2 of an angle is not known; known are"):
        np.arctan2(a, a)


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", None])
def test_numbers_of_qubits(count):
    with pytest.raises(SettingError, match="num_qubits must be a whole number of at least 1"):
        qngd.CircuitBuilder(count)


def test_example_arguments_belong_to_qnodes():
    with pytest.raises(CircuitError, match="takes no example arguments"):
        qngd.wrap(mixed(), 0.3)


# --- without an SDK ---


def test_the_first_example_of_the_readme_needs_no_sdk():
    """Run where no SDK can be imported; its numbers are those of the same circuit in OpenQASM, the second example."""
    first = blocks("README.md")[0]
    no_sdk = f"import sys; sys.modules.update(dict.fromkeys({sorted(SDKS)!r}))\n"
    code = f"{no_sdk}{first}\nprint(repr(result.energy), *result.theta)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    energy, *theta = map(float, done.stdout.splitlines()[-1].split())
    second = shown("README.md", [1], qngd=qngd, energy={"ZZ": 1.0, "XI": 0.5, "IY": -0.25})
    assert second.result.energy == pytest.approx(energy, abs=1e-9)
    assert np.allclose(second.result.theta, theta, atol=1e-6)


def test_without_an_sdk_programs_point_to_the_builder():
    code = f"""
import sys; sys.modules.update(dict.fromkeys({sorted(SDKS)!r}))
import qngd
try:
    qngd.wrap("OPENQASM 3.0; qubit q;")
except qngd.MissingPackageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "qngd.CircuitBuilder needs no other package" in done.stdout, done.stderr


def test_each_angle_may_be_the_one_before_and_a_bit_more():
    circuit, a, b, _ = builder()
    angle, count = a, 3000
    for k in range(count):
        angle = angle + (0.1, b, -a)[k % 3]
        circuit.ry(angle, 0)
    values, jacobian = circuit.build().angle_map.linearize(THETA)
    assert values == pytest.approx(THETA[0] + np.cumsum([0.1, THETA[1], -THETA[0]] * (count // 3)))
    assert jacobian.toarray()[-1] == pytest.approx([1 - count / 3, count / 3, 0])
