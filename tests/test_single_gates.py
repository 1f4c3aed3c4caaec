"""Every gate of both SDKs that a parameter moves, in random surroundings: the metric by blocks of single gates.

The truth is the metric by differences of the SDK's own statevectors. Where a parameter stands in one gate, the
diagonal entry of the block-diagonal metric and of the diagonal one are exact, unless the note names the gate; a block
stands in the full metric; and what comes from shots is right within its error.
"""

import numpy as np
import pennylane as qml
import pytest
import qiskit.circuit.library as lib
from pennylane import numpy as pnp
from qiskit import QuantumCircuit
from qiskit.circuit import AnnotatedOperation, Parameter, ParameterVector, PowerModifier
from qiskit.quantum_info import SparsePauliOp, Statevector

import qngd
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.metrics.names import as_metric

STEP = 1e-3


def metric_by_differences(state, theta):
    """Re⟨∂_iψ|∂_jψ⟩ − ⟨∂_iψ|ψ⟩⟨ψ|∂_jψ⟩, derivatives by differences of fourth order."""
    here = state(theta)
    slopes = []
    for i in range(len(theta)):
        slope = 0
        for k, weight in ((1, 2 / 3), (2, -1 / 12)):
            shift = np.zeros(len(theta))
            shift[i] = k * STEP
            slope = slope + weight * (state(theta + shift) - state(theta - shift)) / STEP
        slopes.append(slope)
    slopes = np.array(slopes)
    along = slopes.conj() @ here
    return np.real(slopes.conj() @ slopes.T - np.outer(along, along.conj()))


def check(wrapped, reference, theta, alone, sharp=True):
    """All that must hold; `alone` are the parameters that stand in one gate. `sharp`: without a note."""
    full = np.asarray(qngd.metric_tensor(wrapped, theta, approx="full"))
    assert np.allclose(full, reference, rtol=0, atol=2e-9)
    blocks = qngd.metric_tensor(wrapped, theta, approx="block-diag")
    diagonal = qngd.metric_tensor(wrapped, theta, approx="diag")
    assert bool(blocks.note) == bool(diagonal.note) == (not sharp)
    for metric in (blocks, diagonal):
        value = np.asarray(metric)
        assert np.linalg.eigvalsh(value).min() > -1e-12
        if sharp:
            assert np.allclose(np.diag(value)[alone], np.diag(reference)[alone], rtol=0, atol=2e-9)
            inside = value[np.ix_(alone, alone)]
            there = np.abs(inside) > 1e-12
            assert np.allclose(inside[there], reference[np.ix_(alone, alone)][there], rtol=0, atol=2e-9)
    evaluator = evaluator_for(wrapped, None, Setup(shots=500))
    for exact in (blocks, diagonal):
        sampled = [evaluator.metric(np.hstack(theta), as_metric(exact.approx), seed) for seed in range(4)]
        off = np.abs(np.mean([each.raw for each in sampled], axis=0) - np.asarray(exact))
        error = np.sqrt(np.mean([each.stderr**2 for each in sampled], axis=0) / len(sampled))
        assert np.all(off <= 5 * error + 1e-12)
        assert error.max() < 0.15
        assert all(exact.note in each.note for each in sampled)


# --- Qiskit ---

P, Q, R, S = (Parameter(name) for name in "pqrs")
WRITTEN = {"annotated": False}
ONE_MORE = {"num_ctrl_qubits": 1, **WRITTEN}
DOUBLE = ["XXXY", "XXYX", "XYXX", "YXXX", "YYYX", "YYXY", "YXYY", "XYYY"]


def _made_by_hand():
    circuit = QuantumCircuit(2, name="mine")
    circuit.rx(P, 0)
    circuit.cx(0, 1)
    circuit.rx(2 * P, 0)
    circuit.cx(0, 1)
    circuit.ry(Q, 1)
    return circuit.to_gate()


QISKIT_GATES = {
    "rx": lib.RXGate(P), "ry": lib.RYGate(P), "rz": lib.RZGate(P), "p": lib.PhaseGate(P), "u1": lib.U1Gate(P),
    "r": lib.RGate(P, Q), "u": lib.UGate(P, Q, R), "u2": lib.U2Gate(P, Q), "u3": lib.U3Gate(P, Q, R),
    "rxx": lib.RXXGate(P), "ryy": lib.RYYGate(P), "rzz": lib.RZZGate(P), "rzx": lib.RZXGate(P),
    "crx": lib.CRXGate(P), "cry": lib.CRYGate(P), "crz": lib.CRZGate(P), "cp": lib.CPhaseGate(P),
    "cu1": lib.CU1Gate(P), "cu3": lib.CU3Gate(P, Q, R), "cu": lib.CUGate(P, Q, R, S),
    "xx_plus_yy in θ": lib.XXPlusYYGate(P, 0.4), "xx_minus_yy in θ": lib.XXMinusYYGate(P, 0.4),
    "ccrx": lib.CRXGate(P).control(**ONE_MORE), "mcp": lib.MCPhaseGate(P, 3),
    "ccu": lib.CUGate(P, Q, R, S).control(**ONE_MORE),
    "mcry, open": lib.RYGate(P).control(3, ctrl_state=2, **WRITTEN),
    "crxx": lib.RXXGate(P).control(**ONE_MORE),
    "crzx, open": lib.RZXGate(P).control(2, ctrl_state=1, **WRITTEN),
    "cxy": lib.XXPlusYYGate(P, 0.4).control(**ONE_MORE),
    "u inverse": lib.UGate(P, Q, R).inverse(), "rxx cubed": lib.RXXGate(P).power(3), "ms": lib.MSGate(3, P),
    "ccu2, open": lib.U2Gate(P, Q).control(2, ctrl_state=1, **WRITTEN),
    "xy squared": AnnotatedOperation(lib.XXPlusYYGate(P, 0.4), [PowerModifier(2)]),
    "annotated": lib.RYYGate(P).control(1, annotated=True), "mine": _made_by_hand(),
    "evolution": lib.PauliEvolutionGate(SparsePauliOp(["XX", "YY", "ZZ"], [1, 0.3, 0.2]), P),
    "double excitation": lib.PauliEvolutionGate(SparsePauliOp(DOUBLE, [1, 1, -1, -1, -1, -1, 1, 1]), P / 8),
    "a matrix": lib.HamiltonianGate(np.array([[1, 0.2, 0, 0.1], [0.2, 2, 0.5, 0], [0, 0.5, -1, 0], [0.1, 0, 0, 3]]), P),
}  # fmt: skip
NOT_SHARP = {
    "xx_plus_yy": lib.XXPlusYYGate(P, Q), "xx_minus_yy": lib.XXMinusYYGate(P, Q),
    "cr": lib.RGate(P, Q).control(**ONE_MORE),
    "mine, controlled": _made_by_hand().control(**ONE_MORE),
}  # fmt: skip


def qiskit_case(gate, seed, neighbours):
    """`gate` on permuted qubits between others; with `shared`, those turn by its parameters as well."""
    rng = np.random.default_rng(seed)
    n = gate.num_qubits + 1
    circuit = QuantumCircuit(n)
    own = ParameterVector("a", 2)
    for q in range(n):
        circuit.u(*rng.uniform(0, 3, 3), q)
    for q in range(n - 1):
        circuit.cx(q, q + 1)
    order = [int(q) for q in rng.permutation(n)]
    circuit.rx(own[0], order[0])
    circuit.cry(2 * own[0], order[0], order[1])
    circuit.append(gate, order[: gate.num_qubits])
    own_gate = set(circuit.parameters) - set(own)
    if neighbours == "shared":
        circuit.rz(min(own_gate, key=str) + own[1], order[0])
        circuit.append(gate, order[::-1][: gate.num_qubits])
    circuit.rxx(own[1], order[0], order[-1])
    theta = rng.uniform(-3, 3, len(circuit.parameters))
    alone = [i for i, p in enumerate(circuit.parameters) if neighbours == "own" and p in own_gate]

    def state(values):
        return Statevector(circuit.assign_parameters(values)).data

    return qngd.wrap(circuit), state, theta, alone


@pytest.mark.parametrize("neighbours", ["own", "shared"])
@pytest.mark.parametrize("name", QISKIT_GATES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gates_of_qiskit(name, neighbours):
    seed = sum(map(ord, name))
    wrapped, state, theta, alone = qiskit_case(QISKIT_GATES[name], seed, neighbours)
    # a parameter that turns there and back, and in other gates as well, has correlations that are left out
    check(wrapped, metric_by_differences(state, theta), theta, alone, sharp=(name, neighbours) != ("r", "shared"))


@pytest.mark.parametrize("name", NOT_SHARP)
def test_gates_of_qiskit_that_turn_there_and_back(name):
    """One parameter turns one unit and is exact; φ or β turns before and after, and the note says so. In a gate made by
    hand, under control, Toffoli gates stand in between."""
    wrapped, state, theta, alone = qiskit_case(NOT_SHARP[name], 3, "own")
    reference = metric_by_differences(state, theta)
    check(wrapped, reference, theta, alone, sharp=False)
    place = wrapped.parameters.index("q" if name.startswith("mine") else "p")
    for approx in ("diag", "block-diag"):
        found = qngd.metric_tensor(wrapped, theta, approx=approx)
        assert np.asarray(found)[place, place] == pytest.approx(reference[place, place], abs=2e-9)
        assert NOT_SHARP[name].name in found.note
    assert qngd.metric_tensor(wrapped, theta, approx="full").note == ""


def test_n_local_of_r_gates():
    """φ of R turns before and after; all diagonals are exact nevertheless, and no note is needed."""
    circuit = lib.n_local(4, ["r"], "cx", reps=2)
    theta = np.random.default_rng(8).uniform(-3, 3, circuit.num_parameters)
    reference = metric_by_differences(lambda v: Statevector(circuit.assign_parameters(v)).data, theta)
    check(qngd.wrap(circuit), reference, theta, list(range(circuit.num_parameters)))


# --- PennyLane ---


def _sum(*terms):
    return qml.dot([c for c, _ in terms], [word for _, word in terms])


def _xx(w):
    return qml.X(w[0]) @ qml.X(w[1])


def _yy(w):
    return qml.Y(w[0]) @ qml.Y(w[1])


ONE = [
    "RX", "RY", "RZ", "PhaseShift", "U1", "CRX", "CRY", "CRZ", "ControlledPhaseShift", "IsingXX", "IsingYY", "IsingZZ",
    "IsingXY", "CPhaseShift00", "CPhaseShift01", "CPhaseShift10", "SingleExcitation", "SingleExcitationPlus",
    "SingleExcitationMinus", "DoubleExcitation", "DoubleExcitationPlus", "DoubleExcitationMinus", "OrbitalRotation",
    "FermionicSWAP", "PSWAP",
]  # fmt: skip
SEVERAL = {"Rot": 3, "U2": 2, "U3": 3, "CRot": 3}
ORBITALS = np.array([1, 1, 0, 0])
SINGLES, DOUBLES = [[0, 1, 2], [1, 2, 3]], [[[0, 1], [2, 3]]]


def _one(name):
    kind = getattr(qml, name)
    return 1, kind.num_wires, lambda p, w: kind(p[0], wires=w)


def _several(name, count):
    kind = getattr(qml, name)
    return count, kind.num_wires, lambda p, w: kind(*p, wires=w)


# how many parameters, how many wires, and the gate
PENNYLANE_GATES = {
    **{name: _one(name) for name in ONE},
    **{name: _several(name, count) for name, count in SEVERAL.items()},
    "PauliRot": (1, 3, lambda p, w: qml.PauliRot(p[0], "XYZ", wires=w)),
    "MultiRZ": (1, 3, lambda p, w: qml.MultiRZ(p[0], wires=w)),
    "PCPhase": (1, 3, lambda p, w: qml.PCPhase(p[0], dim=5, wires=w)),
    "controlled swap": (1, 3, lambda p, w: qml.ctrl(qml.FermionicSWAP(p[0], wires=w[1:]), w[0])),
    "controlled excitation": (1, 3, lambda p, w: qml.ctrl(qml.SingleExcitation(p[0], wires=w[1:]), w[0], [0])),
    "adjoint": (1, 2, lambda p, w: qml.adjoint(qml.FermionicSWAP(p[0], wires=w))),
    "power": (1, 2, lambda p, w: qml.pow(qml.SingleExcitation(p[0], wires=w), 3)),
    "controlled U2": (2, 2, lambda p, w: qml.ctrl(qml.U2(*p, wires=w[1:]), w[0])),
    "controlled U3": (3, 3, lambda p, w: qml.ctrl(qml.U3(*p, wires=w[2:]), w[:2], [0, 1])),
    "power of a swap": (1, 2, lambda p, w: qml.pow(qml.FermionicSWAP(p[0], wires=w), 3)),
    "controlled power": (1, 3, lambda p, w: qml.ctrl(qml.pow(qml.FermionicSWAP(p[0], wires=w[1:]), 2), w[0])),
    "power of an exponential": (1, 2, lambda p, w: qml.pow(qml.evolve(_sum((1, _xx(w)), (0.3, qml.Z(w[0]))), p[0]), 2)),
    "evolve": (1, 2, lambda p, w: qml.evolve(_sum((1, _xx(w)), (0.3, _yy(w))), p[0])),
    "evolve, not commuting": (1, 2, lambda p, w: qml.evolve(_sum((1, _xx(w)), (0.3, qml.Z(w[0]))), p[0])),
    "CommutingEvolution": (1, 2, lambda p, w: qml.CommutingEvolution(_sum((1, _xx(w)), (0.3, _yy(w))), p[0])),
    "FermionicDoubleExcitation": (
        1, 5, lambda p, w: qml.FermionicDoubleExcitation(p[0], wires1=sorted(w)[:2], wires2=sorted(w)[2:])
    ),
    "UCCSD": (3, 4, lambda p, w: qml.UCCSD(p, range(4), s_wires=SINGLES, d_wires=DOUBLES, init_state=ORBITALS)),
    "kUpCCGSD": (6, 4, lambda p, w: qml.kUpCCGSD(p.reshape(1, -1), range(4), k=1, delta_sz=0, init_state=ORBITALS)),
    "AllSinglesDoubles": (
        3, 4, lambda p, w: qml.AllSinglesDoubles(p, range(4), ORBITALS, [[0, 2], [1, 3]], [[0, 1, 2, 3]])
    ),
    "xy mixer of an edge": (1, 2, lambda p, w: qml.ApproxTimeEvolution(_sum((0.5, _xx(w)), (0.5, _yy(w))), p[0], 1)),
    "x mixer": (1, 3, lambda p, w: qml.ApproxTimeEvolution(_sum(*((1, qml.X(q)) for q in w)), p[0], 1)),
    "IQPEmbedding": (3, 3, lambda p, w: qml.IQPEmbedding(p, wires=w)),
    "SpecialUnitary": (3, 1, lambda p, w: qml.SpecialUnitary(p, wires=w)),
}  # fmt: skip


def pennylane_case(name, seed):
    size, num_wires, emit = PENNYLANE_GATES[name]
    prepares = name in ("UCCSD", "kUpCCGSD", "AllSinglesDoubles")
    rng = np.random.default_rng(seed)
    wires = num_wires + 1
    order = [int(q) for q in rng.permutation(wires)]
    before = rng.uniform(0, 3, (wires, 3))

    def circuit(a, p, b):
        if not prepares:
            for q in range(wires):
                qml.Rot(*before[q], q)
            for q in range(wires - 1):
                qml.CNOT([q, q + 1])
        qml.RX(a, order[0])
        qml.CRY(2 * a, wires=[order[0], order[-1]])
        emit(p, order[:num_wires])
        qml.IsingXX(b, wires=[order[0], order[-1]])

    node = qml.QNode(lambda *args: (circuit(*args), qml.state())[1], qml.device("default.qubit", wires=wires))
    energy = qml.QNode(lambda *args: (circuit(*args), qml.expval(qml.Z(0)))[1], node.device)
    args = tuple(pnp.array(v, requires_grad=True) for v in (0.4, rng.uniform(0.3, 3, size), -0.7))

    def state(theta):
        return np.asarray(node(theta[0], theta[1:-1], theta[-1]))

    flat = np.concatenate([[args[0]], args[1], [args[2]]]).astype(float)
    return energy, args, state, flat


@pytest.mark.parametrize("name", PENNYLANE_GATES)
def test_gates_of_pennylane(name):
    node, args, state, theta = pennylane_case(name, sum(map(ord, name)))
    wrapped = qngd.wrap(node, *args)
    check(wrapped, metric_by_differences(state, theta), args, list(range(1, len(theta) - 1)))
