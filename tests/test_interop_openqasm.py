"""OpenQASM programs against hand-written Qiskit circuits, and their errors by line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit, QuantumRegister, qasm3, qpy
from qiskit.circuit import Parameter, Qubit, library
from qiskit.quantum_info import Operator, Statevector

from qngd.circuit.circuit import Circuit
from qngd.errors import CircuitError, ParameterError
from qngd.interop import wrap
from tests import dense

HEAD = 'OPENQASM 3.0; include "stdgates.inc";\n'
A, B = Parameter("a"), Parameter("b")
INPUTS = HEAD + "input float[64] b; input angle a;\n"
VALUES = {"a": 0.7, "b": -1.1}


def assert_same_state(program: str, expected: QuantumCircuit) -> Circuit:
    """The program prepares the state of a circuit in a and b."""
    wrapped = wrap(program)
    theta = np.array([VALUES[name] for name in wrapped.parameters])
    bound = expected.assign_parameters({p: VALUES[p.name] for p in expected.parameters})
    state = dense.statevector(wrapped, theta)
    assert dense.overlap_error(state, Statevector(bound).data) < 1e-10
    return wrapped


def mixed(num_qubits: int) -> QuantumCircuit:
    """What `MIXED` below does."""
    circuit = QuantumCircuit(num_qubits)
    for q in range(num_qubits):
        circuit.ry(0.3 + 0.4 * q, q)
    for q in range(num_qubits - 1):
        circuit.cx(q, q + 1)
    circuit.t(0)
    return circuit


MIXED = """
qubit[4] q;
for int i in [0:3] { ry(0.3 + 0.4 * i) q[i]; }
for int i in [0:2] cx q[i], q[i + 1];
t q[0];
"""


def gates(body: str) -> str:
    return INPUTS + MIXED + body


def written(build) -> QuantumCircuit:
    circuit = mixed(4)
    build(circuit)
    return circuit


@pytest.mark.parametrize("kind", ["float", "float[64]", "float[32]", "angle", "angle[32]", "angle[20]"])
def test_every_kind_of_parameter(kind):
    expected = QuantumCircuit(1)
    expected.ry(A, 0)
    wrapped = assert_same_state(HEAD + f"input {kind} a; qubit q; ry(a) q;", expected)
    assert wrapped.parameters == ("a",)


def test_parameters_are_in_the_order_of_declaration_and_count_when_unused():
    wrapped = wrap(HEAD + "input float z; input float unused; input angle a; qubit q; rx(a) q; rz(z) q;")
    assert wrapped.parameters == ("z", "unused", "a")
    assert wrapped.angle_map.linearize(np.ones(3))[1].toarray().tolist() == [[0, 0, 1], [1, 0, 0]]
    assert np.array_equal(wrapped.flatten({"a": 1, "unused": 2, "z": 3}), [3, 2, 1])


def test_arrays_of_parameters():
    """Read element by element, in a loop, over themselves and by a subroutine; theirs are the names of a vector's."""
    program = """
    const int n = 2;
    input angle c; input array[float[64], n] w; input array[angle, 2, n] m; input float unused;
    def turn(qubit p, readonly array[float[64], n] v) { rx(v[1]) p; }
    qubit[2] q;
    for int i in [0:n - 1] { ry(w[i]) q[i]; }
    cx q[0], q[1];
    rz(m[1, 0] * w[0]) q[1]; rx(m[0][1]) q[0];
    for float[64] v in w { ry(2 * v) q[1]; }
    turn(q[0], w);
    rx(c + w[-1] + sizeof(w)) q[1];
    """
    wrapped = wrap(HEAD + program)
    assert wrapped.parameters == ("c", "w[0]", "w[1]", "m[0,0]", "m[0,1]", "m[1,0]", "m[1,1]", "unused")
    theta = np.array([0.3, -0.7, 1.1, 9.0, 0.4, -1.3, 9.0, 9.0])
    c, w, m = theta[0], theta[1:3], theta[3:7].reshape(2, 2)
    expected = QuantumCircuit(2)
    expected.ry(w[0], 0)
    expected.ry(w[1], 1)
    expected.cx(0, 1)
    expected.rz(m[1, 0] * w[0], 1)
    expected.rx(m[0, 1], 0)
    expected.ry(2 * w[0], 1)
    expected.ry(2 * w[1], 1)
    expected.rx(w[1], 0)
    expected.rx(c + w[1] + 2, 1)
    assert dense.overlap_error(dense.statevector(wrapped, theta), Statevector(expected).data) < 1e-10
    by_name = {"c": c, "w": w, "m": m, "unused": 9.0}
    assert np.array_equal(wrapped.flatten(by_name), theta)
    assert np.array_equal(wrapped.flatten(by_name | {"m": m.ravel()}), theta)


def test_values_of_an_array_have_its_shape():
    program = "input array[angle, 2, 3] m; qubit q; rx(m[0, 2]) q; ry(m[1, 0]) q;"
    wrapped, m = wrap(HEAD + program), np.arange(6.0).reshape(2, 3)
    assert np.array_equal(wrapped.flatten({"m": m}), m.ravel())
    assert np.array_equal(wrapped.unflatten(2 * m.ravel(), {"m": m})["m"], 2 * m)
    with pytest.raises(ParameterError, match=r"theta: m has shape \(2, 3\); got values of shape \(3, 2\)"):
        wrapped.flatten({"m": m.T})


def test_stdgates_are_qiskits():
    calls = {
        "p(a)": "p", "x": "x", "y": "y", "z": "z", "h": "h", "s": "s", "sdg": "sdg", "t": "t",
        "tdg": "tdg", "sx": "sx", "rx(a)": "rx", "ry(a)": "ry", "rz(a)": "rz", "cx": "cx",
        "cy": "cy", "cz": "cz", "cp(a)": "cp", "crx(a)": "crx", "cry(a)": "cry", "crz(a)": "crz",
        "ch": "ch", "swap": "swap", "ccx": "ccx", "cswap": "cswap", "cu(a, b, a, b)": "cu",
        "CX": "cx", "phase(a)": "p", "cphase(a)": "cp", "id": "id",
    }  # fmt: skip
    angles = {"a": A, "b": B}
    for call, method in calls.items():
        name, _, arguments = call.removesuffix(")").partition("(")
        values = [angles[x] for x in arguments.split(", ") if x]
        gate = getattr(QuantumCircuit, method)
        count = {"ccx": 3, "cswap": 3}.get(name, 2 if name[0] in "cC" or name == "swap" else 1)
        for qubits in ([3, 1, 0][:count], [0, 2, 3][:count]):
            operands = ", ".join(f"q[{i}]" for i in qubits)
            expected = written(lambda c: gate(c, *values, *qubits))  # noqa: B023
            assert_same_state(gates(f"{call} {operands};"), expected)


def test_u_and_its_older_names():
    def build(circuit):
        circuit.u(A, B, 0.3, 2)
        circuit.append(library.U1Gate(A), [1])
        circuit.append(library.U2Gate(A, B), [1])
        circuit.append(library.U3Gate(A, B, 0.4), [0])

    body = "U(a, b, 0.3) q[2]; u1(a) q[1]; u2(a, b) q[1]; u3(a, b, 0.4) q[0];"
    assert_same_state(gates(body), written(build))


def test_expressions():
    def build(circuit):
        circuit.rz(2 * A + B - math.pi / 2, 0)
        circuit.rx(A.sin() * B**2, 1)
        circuit.ry(-A / 4, 2)
        circuit.rx((A * B).exp() ** 0.5 + (0.3 * B).cos(), 3)
        circuit.rx(0.5 * A + math.sin(0.3) + math.e + 7 - 1.5, 3)

    body = """
    rz(2*a + b - pi/2) q[0];
    rx(sin(a) * b**2) q[1];
    ry(-a / 4) q[2];
    rx(sqrt(exp(a * b)) + cos(0.3 * b)) q[3];
    rx(0.5 * a + sin(0.3) + euler + (14 / 2) - mod(7, 4) / 2.0) q[3];
    """
    wrapped = assert_same_state(gates(body), written(build))
    _, jacobian = wrapped.angle_map.linearize(np.array([VALUES["b"], VALUES["a"]]))
    row = next(r.index for r in wrapped.rotations if r.moves and r.gate_qubits == (1,))
    a, b = VALUES["a"], VALUES["b"]
    assert jacobian.toarray()[row] == pytest.approx([2 * b * np.sin(a), np.cos(a) * b**2])


def test_constants_and_variables():
    program = (
        HEAD
        + """
    const int n = 2;
    const float weight = 0.3 * pi;
    input float a;
    qubit[n + 1] q;
    float half = a / 2;
    int k;
    k = 1;
    k += n;
    h q;
    rx(weight * half) q[n];
    if (k == 3) { rz(k * a) q[0]; } else { rx(a) q[0]; }
    half = half + 0.1;
    ry(half) q[sizeof(q) - 2];
    """
    )
    expected = QuantumCircuit(3)
    expected.h([0, 1, 2])
    expected.rx(0.3 * math.pi * A / 2, 2)
    expected.rz(3 * A, 0)
    expected.ry(A / 2 + 0.1, 1)
    assert_same_state(program, expected)


def test_loops():
    def build(circuit):
        for i in (0, 1, 2):
            circuit.rzz(A * i, i, i + 1)
        for i in (3, 1):
            circuit.rx(A, i)
        for i in (0, 3):
            circuit.rz(B, i)

    body = """
    for uint i in [0:2] { cx q[i], q[i + 1]; rz(a * i) q[i + 1]; cx q[i], q[i + 1]; }
    for int i in [3:-2:0] rx(a) q[i];
    for int i in {0, 3} { let s = q[i:i]; rz(b) s; }
    """
    assert_same_state(gates(body), written(build))


def test_registers_aliases_and_broadcasting():
    program = (
        INPUTS
        + """
    qubit[2] second;
    qubit one;
    qubit[2] first;
    h second; h one; h first;
    let all = first ++ second;
    let tail = all[2:3];
    rx(a) tail;
    ry(b) all[{0, -1}];
    cx first, second;
    crz(a) one, all;
    rz(0.3) all[0:2:2];
    t one;
    """
    )
    expected = QuantumCircuit(5)
    expected.h(range(5))
    expected.rx(A, [0, 1])
    expected.ry(B, [3, 1])
    expected.cx(3, 0)
    expected.cx(4, 1)
    for q in (3, 4, 0, 1):
        expected.crz(A, 2, q)
    expected.rz(0.3, [3, 0])
    expected.t(2)
    assert_same_state(program, expected)


def test_physical_qubits():
    expected = QuantumCircuit(3)
    expected.ry(A, 2)
    expected.cx(2, 0)
    assert_same_state(HEAD + "input float a; ry(a) $2; cx $2, $0;", expected)


def test_modifiers():
    def build(circuit):
        circuit.append(library.RYGate(A).control(2, ctrl_state=1, annotated=False), [3, 0, 2])
        circuit.rx(-B, 0)
        circuit.p(3 * A, 1)
        circuit.append(library.SXGate(), [2])
        circuit.append(library.RZXGate(-2 * A).control(1, ctrl_state=0, annotated=False), [2, 1, 0])
        circuit.cp(A, 3, 2)
        circuit.ccx(0, 1, 2)
        circuit.t(3)

    body = """
    gate rzx(x) c, d { h d; cx c, d; rz(x) d; cx c, d; h d; }
    ctrl @ negctrl @ ry(a) q[3], q[0], q[2];
    inv @ rx(b) q[0];
    pow(3) @ p(a) q[1];
    pow(1/2) @ x q[2];
    negctrl @ inv @ pow(2) @ rzx(a) q[2], q[1], q[0];
    ctrl @ gphase(a) q[3];
    inv @ ctrl @ gphase(a) q[3];
    ctrl(2) @ gphase(a) q[3], q[2];
    ctrl(2) @ x q[0], q[1], q[2];
    pow(0.5) @ s q[3];
    """
    assert_same_state(gates(body), written(build))


def test_a_phase_under_a_control_is_the_specifications():
    """stdgates.inc itself, where phases must come out right for ctrl to."""
    definitions = """
    gate my_ry(t) c { U(t, 0, 0) c; gphase(-t/2); }
    gate my_x c { U(pi, 0, pi) c; gphase(-pi/2); }
    gate my_rz(t) c { gphase(-t/2); U(0, 0, t) c; }
    gate my_u3(t, f, l) c { gphase(-(f + l + t)/2); U(t, f, l) c; }
    gate my_cu(t, f, l, g) c, d { p(g - t/2) c; ctrl @ U(t, f, l) c, d; }
    """

    def build(circuit):
        circuit.cry(A, 3, 0)
        circuit.cx(2, 3)
        circuit.crz(B, 1, 2)
        circuit.cu(A, B, 0.3, 0.4, 0, 1)
        circuit.cu(A, B, 0.3, -(B + 0.3) / 2, 0, 2)
        circuit.cu(math.pi / 2, B, 0.3, -(B + 0.3) / 2, 0, 3)
        circuit.cu(A, B, 0.3, -(B + 0.3) / 2, 0, 3)

    body = (
        definitions
        + """
    ctrl @ my_ry(a) q[3], q[0];
    ctrl @ my_x q[2], q[3];
    ctrl @ my_rz(b) q[1], q[2];
    my_cu(a, b, 0.3, 0.4) q[0], q[1];
    ctrl @ u3(a, b, 0.3) q[0], q[2];
    ctrl @ u2(b, 0.3) q[0], q[3];
    ctrl @ my_u3(a, b, 0.3) q[0], q[3];
    """
    )
    assert_same_state(gates(body), written(build))


def test_a_gate_named_like_one_of_qiskits_is_the_programs_own():
    program = """OPENQASM 3.0;
    input float a;
    gate h(t) p { U(t, 0, 0) p; gphase(-t/2); }
    gate rzz(t) p, r { h(t) p; inv @ h(2 * t) r; }
    qubit[3] q;
    h(1.1) q;
    ctrl @ h(a) q[0], q[1];
    negctrl @ rzz(a) q[2], q[1], q[0];
    """
    expected = QuantumCircuit(3)
    expected.ry(1.1, [0, 1, 2])
    expected.cry(A, 0, 1)
    expected.append(library.CRYGate(A, ctrl_state=0), [2, 1])
    expected.append(library.CRYGate(-2 * A, ctrl_state=0), [2, 0])
    assert_same_state(program, expected)


def test_gate_definitions():
    body = """
    gate bond(x) c, d { cx c, d; rz(2 * sin(x) * pi) d; barrier c, d; cx c, d; }
    const float quarter = pi / 4;
    gate chain(x, y) c, d, e {
      rz(quarter) e;
      bond(x * y) c, d;
      for int i in [1:2] { bond(x / i) d, e; }
      inv @ s c;
    }
    chain(a, b + 1) q[3], q[0], q[2];
    chain(a, b + 1) q[1], q[0], q[2];
    bond(0.2) q[1], q[2];
    """

    def build(circuit):
        for first in (3, 1):
            circuit.t(2)
            circuit.rzz(2 * math.pi * (A * (B + 1)).sin(), first, 0)
            circuit.rzz(2 * math.pi * A.sin() + 2 * math.pi * (A / 2).sin(), 0, 2)
            circuit.sdg(first)
        circuit.rzz(2 * math.sin(0.2) * math.pi, 1, 2)

    wrapped = assert_same_state(gates(body), written(build))
    assert [gate.name for gate in wrapped.gates][-3:] == ["chain", "chain", "bond"]


def test_what_has_no_effect_is_dropped():
    program = (
        HEAD
        + """
    bit[2] c;
    qubit[2] q;
    reset q;
    h q[0];
    barrier q;
    delay[100ns] q[0];
    box { cx q[0], q[1]; }
    gphase(0.3);
    c = measure q;
    bit last = measure q[0];
    end;
    while (true) { x q[0]; }
    """
    )
    expected = QuantumCircuit(2)
    expected.h(0)
    expected.cx(0, 1)
    assert len(assert_same_state(program, expected).ops) == 2


def test_a_file(tmp_path):
    path = tmp_path / "circuit.qasm"
    path.write_text(HEAD + "input float a; qubit q; ry(a) q;\n", encoding="utf-8")
    assert wrap(path).parameters == wrap(str(path)).parameters == ("a",)
    renamed = path.rename(tmp_path / "circuit.txt")
    assert wrap(str(renamed)).parameters == ("a",)


def test_version_2_is_read_as_well(tmp_path):
    (tmp_path / "more.inc").write_text("gate twice a { s a; s a; }\n", encoding="utf-8")
    path = tmp_path / "old.qasm"
    path.write_text(
        '// a comment\nOPENQASM 2.0;\ninclude "qelib1.inc";\ninclude "more.inc";\nqreg q[3];\ncreg c[3];\n'
        "h q[0];\ncx q[0], q[2];\nu3(0.1, 0.2, 0.3) q[1];\nrxx(0.4) q[0], q[1];\ntwice q[2];\n"
        "measure q -> c;\n",
        encoding="utf-8",
    )
    expected = QuantumCircuit(3)
    expected.h(0)
    expected.cx(0, 2)
    expected.u(0.1, 0.2, 0.3, 1)
    expected.rxx(0.4, 0, 1)
    expected.z(2)
    assert_same_state(path, expected)


def test_qiskits_own_programs_come_back():
    circuit = mixed(4)
    circuit.rzz(A, 0, 2)
    circuit.append(library.XXPlusYYGate(A * 2, B), [3, 1])
    circuit.append(library.UnitaryGate(Operator(library.iSwapGate()).data), [2, 0])
    circuit.cu(A, B, 0.1, A, 1, 0)
    circuit.mcp(A, [0, 1], 3)
    wrapped = assert_same_state(qasm3.dumps(circuit), circuit)
    assert sorted(wrapped.parameters) == ["a", "b"]


EXPORTED = [
    library.zz_feature_map(3, reps=1).to_gate(),
    library.XXPlusYYGate(A * 2 - 1, B),
    library.CUGate(A, B, 0.3, 0.2),
    library.RYGate(A).control(2, ctrl_state=1, annotated=False),
    library.MCXGate(2),
    library.GlobalPhaseGate(A),
    library.RXGate(A**2 + B**2),
    library.RZGate((A.arctan() - abs(B)) * (B / 3).arcsin() / (A / 3).arccos() - (2 * A) ** 2 + A.tan() ** -1.5),
]


@pytest.mark.parametrize("includes", [("stdgates.inc",), ()])
@pytest.mark.parametrize("number", range(len(EXPORTED)))
def test_what_qiskit_exports(number, includes):
    """Without includes Qiskit defines all gates by U, and CX as ctrl @ U(pi, 0, pi)."""
    circuit = mixed(4)
    circuit.cx(3, 1)
    circuit.append(EXPORTED[number], [3, 0, 1][: EXPORTED[number].num_qubits])
    values = dict(zip([p.name for p in circuit.parameters], [0.7, -1.1, 0.4], strict=False))
    wrapped = wrap(qasm3.dumps(circuit, includes=includes, basis_gates=() if includes else ("U",)))
    theta = [values.get(name) or values[name[1:-1].replace("_", "[") + "]"] for name in wrapped.parameters]
    bound = circuit.assign_parameters({p: values[p.name] for p in circuit.parameters})
    assert dense.overlap_error(dense.statevector(wrapped, np.array(theta)), Statevector(bound).data) < 1e-10


def test_registers_that_share_qubits_as_qiskit_exports_them():
    qubits = [Qubit() for _ in range(3)]
    circuit = QuantumCircuit(qubits)
    circuit.add_register(QuantumRegister(bits=qubits[:2], name="left"), QuantumRegister(bits=qubits[1:], name="right"))
    circuit.add_register(QuantumRegister(bits=qubits[2:], name="last"))
    circuit.ry(0.3, 0)
    circuit.cx(0, 1)
    circuit.ry(A, 1)
    circuit.crx(B, 1, 2)
    assert_same_state(qasm3.dumps(circuit, allow_aliasing=True), circuit)


def test_u_under_a_control_means_what_the_program_makes_of_it():
    """CX and CU as Qiskit and Braket write them; `test_a_phase_under_a_control_is_the_specifications` has the other."""
    body = "CX q[3], q[1]; ctrl @ U(pi, 0, pi) q[1], q[2]; ctrl @ U(a, b, 0.3) q[0], q[2];"

    def build(circuit):
        circuit.cx(3, 1)
        circuit.cx(1, 2)
        circuit.cu(A, B, 0.3, 0, 0, 2)

    assert_same_state(gates(body), written(build))


@pytest.mark.parametrize("definition", ["", "gate CX c, d { ctrl @ U(pi, 0, pi) c, d; }"])
def test_cx_and_u_without_an_include(definition):
    program = f"OPENQASM 3; {definition} input float a; qubit[2] q; U(0.3, a, 0.2) q; U(a, 0, 0.4) q[1]; CX q[1], q[0];"
    expected = QuantumCircuit(2)
    expected.u(0.3, A, 0.2, [0, 1])
    expected.u(A, 0, 0.4, 1)
    expected.cx(1, 0)
    assert_same_state(program, expected)


# as Braket's SDK writes its circuits, and the amplitudes that its LocalSimulator gives at VALUES (qubit 0 first)
BRAKETS = """OPENQASM 3.0;
input float a;
input float b;
bit[3] c;
qubit[3] q;
ry(0.3) q[0]; rz(0.2) q[0]; ry(0.7) q[1]; rz(0.1) q[1]; ry(1.1) q[2]; h q[0]; rx(a) q[0]; cnot q[0], q[1];
xy(2*a) q[0], q[1]; ms(0.1, a, 0.3) q[0], q[1]; gpi(b) q[1]; gpi2(b - a) q[2]; gpi2(0.4) q[0];
cphaseshift(b + a) q[0], q[1]; cphaseshift00(a) q[2], q[0]; cphaseshift01(0.7*a) q[0], q[1];
cphaseshift10(b) q[1], q[2]; pswap(b/3) q[0], q[2]; v q[0]; vi q[1]; si q[0]; s q[1]; t q[0]; ti q[2]; x q[0];
y q[1]; z q[2]; iswap q[0], q[2]; ecr q[2], q[1]; cv q[0], q[1]; cy q[1], q[2]; cz q[0], q[2];
swap q[0], q[1]; cswap q[2], q[0], q[1]; ccnot q[0], q[2], q[1]; i q[0]; rx(0.3) q[0]; xx(a) q[0], q[1];
yy(0.4) q[1], q[2]; zz(b) q[0], q[2]; phaseshift(a) q[1];
inv @ pow(0.5) @ negctrl @ ctrl @ ry(0.3) q[1], q[2], q[0]; U(0.1, 0.2, a) q[0];
ctrl @ U(a, b, 0.3) q[2], q[1]; gphase(0.3); prx(0.2, b/2) q[0]; rz(b) q[1];
#pragma braket unitary([[0.6, -0.8], [0.8im, 0.6im]]) q[1]
#pragma braket unitary([[0.6, 0, 0.8im, 0], [0, 1.0, 0, 0], [0.8im, 0, 0.6, 0], [0, 0, 0, 1.0im]]) q[2], q[0]
pow(0.5) @ ctrl @ x q[0], q[1];
c[0] = measure q[0];
"""
BRAKETS_STATE = [
    -0.057873776698 - 0.016815127008j,
    -0.141349212582 - 0.19128327289j,
    0.318074523574 + 0.332216596072j,
    -0.387884757763 - 0.35147420445j,
    0.441286018857 - 0.24880058759j,
    0.060968566371 + 0.226651206035j,
    -0.177795308845 - 0.312620845075j,
    -0.080802080131 + 0.08170714324j,
]


def test_what_braket_exports():
    wrapped = wrap(BRAKETS)
    expected = np.reshape(BRAKETS_STATE, (2, 2, 2)).transpose().ravel()  # their qubit 0 is the most significant bit
    assert dense.overlap_error(dense.statevector(wrapped, np.array([VALUES["a"], VALUES["b"]])), expected) < 1e-9


def test_pragmas_for_results_and_verbatim_boxes():
    program = """OPENQASM 3.0;
    input float a;
    #pragma braket verbatim
    box{
    rx(a) $0;
    cz $0, $1;
    }
    #pragma braket result expectation x($0) @ z($1)
    """
    expected = QuantumCircuit(2)
    expected.rx(A, 0)
    assert_same_state(program, expected)


ANGLES = {
    "asin(a / 2) + arcsin(b / 3)": lambda a, b: np.arcsin(a / 2) + np.arcsin(b / 3),
    "acos(a / 2) * arccos(b / 3)": lambda a, b: np.arccos(a / 2) * np.arccos(b / 3),
    "atan(a) / arctan(b)": lambda a, b: np.arctan(a) / np.arctan(b),
    "abs(b) + abs(a * b)": lambda a, b: abs(b) + abs(a * b),
    "pow(a, 3) - pow(pow(b, 2), 0.5)": lambda a, b: a**3 - (b**2) ** 0.5,
    "a**2 + b**2": lambda a, b: a**2 + b**2,
    "(2*a)**2": lambda a, b: (2 * a) ** 2,
    "a*a + b*b": lambda a, b: a * a + b * b,
    "(a + 2) - (a + a)": lambda a, b: 2 - a,
    "1.0/a - a": lambda a, b: 1 / a - a,
    "2 ** a * exp(-b) / ln(a + 3)": lambda a, b: 2**a * np.exp(-b) / np.log(a + 3),
    "popcount(11) * a - popcount(mask) * b": lambda a, b: 3 * a - 2 * b,
    "half(a) + w[1] * b + m[1, 0] * m[0][1]": lambda a, b: a / 2 + 0.2 * b + 6,
    "(pi - a) * (pi - 2 * b) * (pi - 3 * a) * (pi - b) * (pi - 4 * a) * (pi - a * b)": lambda a, b: (
        (np.pi - a) * (np.pi - 2 * b) * (np.pi - 3 * a) * (np.pi - b) * (np.pi - 4 * a) * (np.pi - a * b)
    ),
}


@pytest.mark.parametrize("text", ANGLES)
def test_angles_and_their_slopes(text):
    program = f"""
    const bit[4] mask = "0110";
    const array[float[64], 3] w = {{0.1, 0.2, 0.3}};
    array[int[32], 2, 2] m = {{{{1, 2}}, {{3, 4}}}};
    def half(float x) -> float {{ return x / 2; }}
    qubit q;
    rx({text}) q;
    """
    wrapped = wrap(INPUTS + program)
    a, b, step = VALUES["a"], VALUES["b"], 1e-4
    (value,), jacobian = wrapped.angle_map.linearize(np.array([b, a]))
    f = ANGLES[text]
    assert value == pytest.approx(f(a, b), rel=1e-12)
    slopes = []
    for x, y in ((0.0, step), (step, 0.0)):  # θ is (b, a)
        ahead, behind = f(a + x, b + y) - f(a - x, b - y), f(a + 2 * x, b + 2 * y) - f(a - 2 * x, b - 2 * y)
        slopes.append((8 * ahead - behind) / (12 * step))
    assert jacobian.toarray()[0] == pytest.approx(slopes, rel=1e-8, abs=1e-9)


def test_a_sum_of_many_terms():
    terms = " + ".join(f"{i} * sin(a) * a" for i in range(300))
    wrapped = wrap(HEAD + f"input float a; qubit q; rx({terms}) q;")
    (value,), jacobian = wrapped.angle_map.linearize(np.array([0.3]))
    total = sum(range(300))
    assert value == pytest.approx(total * 0.3 * math.sin(0.3), rel=1e-12)
    assert jacobian.toarray()[0, 0] == pytest.approx(total * (math.sin(0.3) + 0.3 * math.cos(0.3)), rel=1e-12)


def test_subroutines_are_written_out():
    body = """
    const float quarter = pi / 4;
    def scaled(float x, int k) -> float { float y = k * x; if (k > 1) { return y + quarter; } return y; }
    def layer(qubit[2] pair, qubit last, float x) {
      rx(scaled(x, 2)) pair;
      for int i in [0:1] { crz(scaled(x, 1)) pair[i], last; }
    }
    def read(qubit p) -> bit { h p; return measure p; }
    layer(q[{3, 0}], q[1], a * b);
    bit r = read(q[2]);
    """

    def build(circuit):
        circuit.rx(2 * A * B + math.pi / 4, [3, 0])
        circuit.crz(A * B, 3, 1)
        circuit.crz(A * B, 0, 1)
        circuit.h(2)

    assert_same_state(gates(body), written(build))


def test_loops_over_arrays_and_known_bits():
    body = """
    array[float, 3] steps = {0.3, -0.2, 0.5};
    for float x in steps { rx(x * a) q[2]; crz(b) q[0], q[2]; }
    for float x in {0.1, -0.4} { rx(x) q[1]; ry(x * b) q[1]; }
    bit[3] mask = "011";
    for int i in [0:2] { if (mask[i]) { t q[i]; ry(0.2) q[i]; } }
    rz(sizeof(steps) * b) q[3];
    """

    def build(circuit):
        for x in (0.3, -0.2, 0.5):
            circuit.rx(x * A, 2)
            circuit.crz(B, 0, 2)
        for x in (0.1, -0.4):
            circuit.rx(x, 1)
            circuit.ry(x * B, 1)
        for i in (0, 1):
            circuit.t(i)
            circuit.ry(0.2, i)
        circuit.rz(3 * B, 3)

    assert_same_state(gates(body), written(build))


def test_includes_are_looked_for_beside_the_file(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "bond.inc").write_text('include "more.inc";\ngate bond(x) c, d { twist(x) c, d; }\n')
    (tmp_path / "parts" / "more.inc").write_text("const float k = 3;\n\ngate twist(x) c, d { crx(k * x) c, d; }\n")
    path = tmp_path / "circuit.qasm"
    text = INPUTS + MIXED + 'include "parts/bond.inc";\nbond(a) q[2], q[0];\n'
    path.write_text(text, encoding="utf-8")
    assert_same_state(path, written(lambda circuit: circuit.crx(3 * A, 2, 0)))
    path.write_text(text.replace("bond(a)", "twist(a, b)"), encoding="utf-8")
    with pytest.raises(CircuitError, match=r"line 9: twist takes 1 angles"):
        wrap(path)
    (tmp_path / "parts" / "more.inc").write_text("\ngate twist(x) c, d { crx(k * x) c, d; }\n")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CircuitError, match=r"more.inc, line 2: k is not declared"):
        wrap(path)
    (tmp_path / "parts" / "more.inc").write_text("gate twist(x c {}\n")
    with pytest.raises(CircuitError, match=r"more.inc, line 1: .*correct the program"):
        wrap(path)
    (tmp_path / "parts" / "more.inc").write_text('include "bond.inc";\n')
    with pytest.raises(CircuitError, match=r"bond.inc, line 1|more.inc, line 1: .*calls itself"):
        wrap(path)


def test_the_gates_of_version_2_in_version_3():
    program = (
        'OPENQASM 3; include "qelib1.inc"; input float a; qreg q[3]; h q; rzz(a) q[2], q[0]; cu1(a / 2) q[0], q[1];'
    )
    expected = QuantumCircuit(3)
    expected.h([0, 1, 2])
    expected.rzz(A, 2, 0)
    expected.cp(A / 2, 0, 1)
    assert_same_state(program, expected)


@pytest.mark.parametrize(
    "program",
    [
        'include "qelib1.inc";\nqreg q[2]; creg c[2];\nu2(0.3, 0.4) q[1]; rzz(0.2) q[1], q[0]; measure q -> c;',
        "// OPENQASM 3\nqreg q[2];\ngate rzz(x) a, b { CX a, b; U(0, 0, x) b; CX a, b; }\n"
        "U(pi/2, 0.3, 0.4) q[1]; rzz(0.2) q[1], q[0];",
        '/* OPENQASM 3; */ include "qelib1.inc"; qreg q[2]; /* input */ u2(0.3, 0.4) q[1]; rzz(0.2) q[1], q[0];',
    ],
)
def test_version_2_without_its_version_line(program):
    expected = QuantumCircuit(2)
    expected.append(library.U2Gate(0.3, 0.4), [1])
    expected.rzz(0.2, 1, 0)
    assert_same_state(program, expected)


@pytest.mark.parametrize(
    "program",
    [
        'include "qelib1.inc"; input float a; qreg q[1]; rx(a) q[0];',
        '\ufeffOPENQASM 3;\r\ninclude "stdgates.inc";\r\nqreg q[1];\r\ninput float a;\r\nrx(a) q[0];\r\n',
        'qreg q[1]; include "stdgates.inc"; creg c[1]; input float a; rx(a) q[0]; measure q -> c;',
    ],
)
def test_version_3_with_the_words_of_version_2(program, tmp_path):
    expected = QuantumCircuit(1)
    expected.rx(A, 0)
    assert_same_state(program, expected)
    path = tmp_path / "circuit.qasm"
    path.write_bytes(program.encode())
    assert_same_state(path, expected)


def test_files_of_qpy_and_lists_of_one_circuit(tmp_path):
    circuit = mixed(3)
    circuit.rx(A * B, 2)
    path = tmp_path / "circuit.qpy"
    with path.open("wb") as file:
        qpy.dump(circuit, file)
    for native in (path, str(path), [circuit], (circuit,)):
        assert_same_state(native, circuit)
    with path.open("wb") as file:
        qpy.dump([circuit, circuit], file)
    with pytest.raises(CircuitError, match=r"holds 2 circuits; load it with qiskit.qpy.load and give one"):
        wrap(path)
    path.write_bytes(b"QISKIT is not what this is")
    with pytest.raises(CircuitError, match="no QPY that this Qiskit reads"):
        wrap(path)
    with pytest.raises(CircuitError, match="No such file"):
        wrap(tmp_path / "other.qpy")
    with pytest.raises(CircuitError, match="a list of 2"):
        wrap([circuit, circuit])


# errors

DECLARED = HEAD + "input float a; bit c;\nqubit[2] q; qubit one;\n"  # three lines
ERRORS = {
    "ry(a q[0];": (4, "correct the program"),
    "ry(pow(a)) q[0];": (4, "pow of 1 arguments"),
    "foo(a) q;": (4, "foo is not defined; define it"),
    "ry(b) q;": (4, "input float b;"),
    "gate f p { rx(a) p; }\nf one;": (4, "hand it to a gate"),
    "const int n = 2;\nn = 3;": (5, "n is no variable"),
    "n = 3;": (4, "n is no variable"),
    "q = 3;": (4, "q is no variable"),
    "if (c == true) { x q[0]; }": (4, "classical control"),
    "bit[2] d;\nif (d[0]) { x q[0]; }": (5, "classical control"),
    "rx(0.1) one;\nc = measure one;\nint n = measure one;": (6, "declare bit n"),
    "ry q;": (4, "ry takes 1 angles, not 0"),
    "cx q;": (4, "cx acts on 2 qubits, not on 1"),
    "cx q[0], q[0];": (4, "twice on the same qubit"),
    "qubit[3] r;\n\ncx q, r;": (6, "registers of 2 and 3 qubits"),
    "x q[2];": (4, "index 2 is outside the register of 2 qubits"),
    "x one[0];": (4, "leave the index out"),
    "x a;": (4, "a is no qubit here"),
    "x $0;": (4, "use one kind"),
    "ry(q) q;": (4, "a number is needed"),
    "ry(1/2 * a) q;": (4, "write 1.0/2"),
    "ry(a / 0) q;": (4, "has no value"),
    "ry(a % 2) q;": (4, "has no value before the program runs"),
    "ry(floor(a)) q;": (4, "has no derivative"),
    "ry((-2.0)**0.5) q;": (4, "is not real"),
    "ry(sinh(a)) q;": (4, "sinh of 1 arguments is not a function"),
    "float x;\nry(x) q;": (5, "without a value"),
    "input int n;": (4, "only float, angle and arrays of such"),
    "input array[int, 2] v;": (4, "of type int; only float, angle and arrays of such"),
    "qubit q;": (4, "declared twice"),
    "qubit[0] r;": (4, "at least one"),
    "gate x p { h p; }": (4, "the gate x is defined twice"),
    "gate f p { f p; }\nf one;": (4, "calls itself"),
    "gate f p { reset p; }\nf one;": (4, "correct the program"),
    "def f(qubit p) { x p; }\nf(q);": (5, "p is 1 qubit, not 2"),
    "def f(float x) { rx(x) one; }\nf(a);": (4, "one is no qubit here"),
    "def f(qubit p) { f(p); }\nf(one);": (4, "calls itself"),
    "def f(qubit p) { x p; }\nf(one, 1.0);": (5, "f takes 1 argument, not 2"),
    "def f(qubit p) -> bit { return measure p; }\nbit d = f(one);\nif (d) { x q[0]; }": (6, "classical control"),
    "h q\nx one;": (5, "'x' is not expected here, a semicolon"),
    "h q[0];\nfor int i in [0:1] {": (5, "ends in the middle"),
    "#pragma braket noise bit_flip(0.1) q[0]\n": (4, "give noise to the backend"),
    "#pragma braket unitary([[1.0, 0], [0, 0.5]]) q[0]\n": (4, "not unitary"),
    "#pragma braket unitary([[1.0, 0], [0, 1.0im]]) q[0], q[1]\n": (4, "acts on 1 qubit, not on 2"),
    "array[float[64], 2] w = {0.1, 0.2};\nrx(w[2]) one;": (5, "index 2 is outside the array of 2"),
    "array[float[64], 3] w = {0.1, 0.2};": (4, "declared with 3 elements and has 2"),
    "array[float[64], 2] w = {0.1, 0.2};\nrx(w) one;": (5, "w is an array"),
    "rx(popcount(-1)) one;": (4, "negative"),
    "rx(sine(a)) one;": (4, "did you mean sin?"),
    "cnot q[0], q[1];": (4, "did you mean cx?"),
    "RX(a) one;": (4, "did you mean rx?"),
    "mystery(a) one;": (4, "define it with a gate statement"),
    "input float theta;\nrx(thta) one;": (5, "did you mean theta?"),
    "qubit[n] r;": (4, "const int n = …;"),
    "for int i in {0.5} { x q[i]; }": (4, "0.5 is no integer"),
    "switch (1) { case 1 { x one; } }": (4, "a switch is not read"),
    "rx(1.0im) one;": (4, "a complex number has no value"),
    "crxx(a) q[0], q[1];": (4, "did you mean crx?"),
    "rxx(a) q[0], q[1];": (4, 'include "qelib1.inc"'),
    "#pragma noise\n": (4, "a pragma is not read"),
    "while (c) { x q[0]; }": (4, "a while loop is not read"),
    'include "more.inc";': (4, "paste what more.inc holds"),
    "c = measure one;\nif (c) { x q[0]; }": (5, "classical control"),
    "if (a > 1) { x q[0]; }": (4, "has no value before the program runs"),
    "for int i in [0:0.5] { x q[i]; }": (4, "an integer is needed"),
    "for float x in [0:0:2] { x q[0]; }": (4, "step of a range"),
    "pow(0.5) @ rx(a) q[0];": (4, "scale its angle"),
    "pow(a) @ rx(0.1) q[0];": (4, "depends on an input"),
    "ctrl(0) @ x q[0];": (4, "at least one"),
    "d = measure one;": (4, "write bit[n] d;"),
    "h one;\nreset one;": (5, "fresh qubit"),
    "c = measure one;\n\nx one;": (6, "to the end"),
}


@pytest.mark.parametrize("body", ERRORS)
def test_errors_name_the_line_and_say_what_to_do(body):
    line, advice = ERRORS[body]
    with pytest.raises(CircuitError, match=rf"line {line}\b") as caught:
        wrap(DECLARED + body)
    assert advice in str(caught.value)


def test_other_errors():
    with pytest.raises(CircuitError, match=r"cannot read the file 'nowhere.qasm'.*No such file"):
        wrap("nowhere.qasm")
    with pytest.raises(CircuitError, match="the text is empty; give an OpenQASM 3 program"):
        wrap(" ")
    with pytest.raises(CircuitError, match="cannot read the file 'hello'"):
        wrap("hello")
    with pytest.raises(CircuitError, match=r'sdg is not defined; include "stdgates.inc"'):
        wrap("OPENQASM 3.0; qubit q; sdg q;")
    with pytest.raises(CircuitError, match=r"OpenQASM 2: .*5,0: 'foo' is not defined"):
        wrap('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\n\nfoo q[0];')
    with pytest.raises(CircuitError, match=r"OpenQASM 2: .*'cnot' is not defined.*; did you mean cx\?"):
        wrap('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncnot q[0], q[1];')
    with pytest.raises(CircuitError, match=r"OpenQASM 2: .*'rx' before definition; include \"qelib1.inc\""):
        wrap("OPENQASM 2.0;\nqreg q[2];\nrx(pi) q[0];")
    with pytest.raises(CircuitError, match=r"version 4.0 is not read"):
        wrap("OPENQASM 4.0; qubit q;")
    with pytest.raises(CircuitError, match="no example arguments"):
        wrap(HEAD + "qubit q;", 1.0)
    with pytest.raises(CircuitError, match="no qubits"):
        wrap(HEAD)
