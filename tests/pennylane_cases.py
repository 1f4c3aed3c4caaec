"""Every PennyLane operation that a circuit may hold, as a user would write it, and those that are refused.

A case is the number of wires and a function of four parameters and the wires.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane import math as qmath
from scipy.stats import unitary_group

ADJ, CTRL = qml.adjoint, qml.ctrl


IQP_HAS_OWN_WIRES = "num_wires" in inspect.signature(qml.IQP).parameters  # until 0.45: 0, 1, 2, whatever the device's


class Case(NamedTuple):
    wires: int
    make: Callable[[Any, list[Any]], Any]


def unitary(wires: int) -> np.ndarray:
    return unitary_group.rvs(2**wires, random_state=wires)


def state(wires: int) -> np.ndarray:
    rng = np.random.default_rng(wires)
    vector = rng.normal(size=2**wires) + 1j * rng.normal(size=2**wires)
    return vector / np.linalg.norm(vector)


def noncommuting(w: list[Any]) -> qml.operation.Operator:
    return qml.Hamiltonian([0.4, -0.7, 0.3], [qml.Z(w[0]) @ qml.Z(w[1]), qml.X(w[0]), qml.Y(w[1])])


def commuting(w: list[Any]) -> qml.operation.Operator:
    return qml.Hamiltonian([0.4, -0.7, 0.3], [qml.Z(w[0]) @ qml.Z(w[1]), qml.Z(w[0]), qml.X(w[2])])


def lcu(w: list[Any]) -> qml.operation.Operator:
    return qml.dot([0.3, 0.5, 0.2], [qml.X(w[0]), qml.Z(w[0]), qml.Y(w[0])])


def weights(p: Any, *shape: int) -> Any:
    """The parameters, repeated, in this shape."""
    size = int(np.prod(shape))
    return qmath.reshape(qmath.concatenate([p] * -(-size // 4))[:size], shape)


def block(weights: Any, wires: list[Any]) -> None:
    qml.CNOT(wires)
    qml.RY(weights[0], wires[0])
    qml.RY(weights[1], wires[1])


@qml.templates.Subroutine
def routine(x: Any, wires: Any) -> None:
    qml.CNOT(wires)
    qml.RY(x[0] * 2, wires[0])


def _plain(names: str, wires: int) -> dict[str, Case]:
    return {n: Case(wires, lambda p, w, n=n: getattr(qml, n)(wires=w)) for n in names.split()}


def _turned(names: str, wires: int) -> dict[str, Case]:
    return {n: Case(wires, lambda p, w, n=n: getattr(qml, n)(p[0], wires=w)) for n in names.split()}


ELEMENTARY = {
    **_plain("Identity Hadamard PauliX PauliY PauliZ S T SX", 1),
    **_plain("SWAP ISWAP SISWAP ECR CNOT CY CZ CH", 2),
    **_plain("Toffoli CCZ CSWAP QubitSum", 3),
    **_plain("QubitCarry", 4),
    **_turned("RX RY RZ PhaseShift U1 GlobalPhase", 1),
    **_turned("IsingXX IsingXY IsingYY IsingZZ PSWAP CRX CRY CRZ ControlledPhaseShift", 2),
    **_turned("CPhaseShift00 CPhaseShift01 CPhaseShift10 FermionicSWAP", 2),
    **_turned("SingleExcitation SingleExcitationPlus SingleExcitationMinus", 2),
    **_turned("DoubleExcitation DoubleExcitationPlus DoubleExcitationMinus OrbitalRotation", 4),
    **_turned("MultiRZ FermionicSingleExcitation", 3),
    "U2": Case(1, lambda p, w: qml.U2(p[0], p[1], wires=w)),
    "U3": Case(1, lambda p, w: qml.U3(p[0], p[1], p[2], wires=w)),
    "Rot": Case(1, lambda p, w: qml.Rot(p[0], p[1], p[2], wires=w)),
    "CRot": Case(2, lambda p, w: qml.CRot(p[0], p[1], p[2], wires=w)),
    "PauliRot": Case(3, lambda p, w: qml.PauliRot(p[0], "XIY", wires=w)),
    "PCPhase": Case(3, lambda p, w: qml.PCPhase(p[0], dim=5, wires=w)),
    "MultiControlledX": Case(4, lambda p, w: qml.MultiControlledX(wires=w, control_values=[1, 0, 1])),
    "IntegerComparator": Case(4, lambda p, w: qml.IntegerComparator(3, geq=True, wires=w)),
    "Barrier": Case(2, lambda p, w: qml.Barrier(w)),
    "Snapshot": Case(1, lambda p, w: qml.Snapshot("here")),
    "WireCut": Case(1, lambda p, w: qml.WireCut(w)),
}

MATRICES = {
    "QubitUnitary, one wire": Case(1, lambda p, w: qml.QubitUnitary(unitary(1), w)),
    "QubitUnitary, two wires": Case(2, lambda p, w: qml.QubitUnitary(unitary(2), w)),
    "QubitUnitary, three wires": Case(3, lambda p, w: qml.QubitUnitary(unitary(3), w)),
    "QubitUnitary, a permutation": Case(2, lambda p, w: qml.QubitUnitary(np.eye(4)[[3, 0, 1, 2]], w)),
    "ControlledQubitUnitary": Case(4, lambda p, w: qml.ControlledQubitUnitary(unitary(2), w, control_values=[0, 1])),
    "DiagonalQubitUnitary": Case(3, lambda p, w: qml.DiagonalQubitUnitary(np.exp(1j * np.arange(8) ** 1.5), w)),
    "DiagonalQubitUnitary with parameters": Case(
        2,
        lambda p, w: qml.DiagonalQubitUnitary(qmath.exp(1j * qmath.stack([p[0], p[1] * 2, p[0] * p[1], p[2]])), w),
    ),
    "BlockEncode": Case(2, lambda p, w: qml.BlockEncode(np.array([[0.1, 0.2], [0.3, 0.4]]), w)),
    "SpecialUnitary, fixed": Case(2, lambda p, w: qml.SpecialUnitary(np.linspace(-1, 1, 15), w)),
    "Hermitian": Case(1, lambda p, w: qml.Hermitian(np.array([[0.6, 0.8], [0.8, -0.6]]), w)),
    "Sum": Case(1, lambda p, w: qml.sum(0.6 * qml.X(w[0]), 0.8 * qml.Z(w[0]))),
    "LinearCombination": Case(1, lambda p, w: qml.Hamiltonian([0.6, 0.8], [qml.X(w[0]), qml.Z(w[0])])),
}

# Their derivatives stand in other angles than their values, so the angle map is not differentiable as it is.
MOVING = {
    "SpecialUnitary, one wire": Case(1, lambda p, w: qml.SpecialUnitary(p[:3], w)),
    "SpecialUnitary, two wires": Case(2, lambda p, w: qml.SpecialUnitary(weights(p, 15), w)),
    "QubitUnitary of a product": Case(
        2,
        lambda p, w: qml.QubitUnitary(qmath.dot(qml.CRX.compute_matrix(p[0]), qml.IsingXY.compute_matrix(p[1])), w),
    ),
    "inverse of a QubitUnitary": Case(
        1, lambda p, w: ADJ(qml.QubitUnitary(qml.U3.compute_matrix(p[0], p[1], p[2]), w))
    ),
    "inverse of ctrl of a QubitUnitary": Case(
        2,
        lambda p, w: ADJ(
            CTRL(qml.prod(qml.QubitUnitary(qml.U3.compute_matrix(p[0], p[1], p[2]), w[0]), qml.T(w[0])), w[1])
        ),
    ),
    "HilbertSchmidt": Case(
        4,
        lambda p, w: qml.HilbertSchmidt([qml.RX(p[1], w[2]), qml.CZ(w[2:])], [qml.RZ(p[0], w[0]), qml.CNOT(w[:2])]),
    ),
    "LocalHilbertSchmidt": Case(
        4,
        lambda p, w: qml.LocalHilbertSchmidt(
            [qml.RX(p[1], w[2]), qml.CZ(w[2:])], [qml.RZ(p[0], w[0]), qml.CNOT(w[:2])]
        ),
    ),
}

COMPOSED = {
    "evolve, a word": Case(2, lambda p, w: qml.evolve(qml.X(w[0]) @ qml.Y(w[1]), p[0])),
    "evolve, commuting": Case(3, lambda p, w: qml.evolve(commuting(w), p[0])),
    "evolve, not commuting": Case(2, lambda p, w: qml.evolve(noncommuting(w), p[0])),
    "evolve, weighted by parameters": Case(
        2, lambda p, w: qml.evolve(qml.Hamiltonian([p[0], p[1]], [qml.X(w[0]), qml.Y(w[1])]), 0.7)
    ),
    "exp, a word": Case(2, lambda p, w: qml.exp(qml.X(w[0]) @ qml.Z(w[1]), -0.5j * p[0])),
    "exp, not commuting": Case(2, lambda p, w: qml.exp(noncommuting(w), 0.3j * p[0])),
    "exp, a matrix": Case(2, lambda p, w: qml.exp(qml.Hermitian(np.diag([1.0, 2, 3, 5]), w), 0.3j * p[0])),
    "TrotterProduct": Case(2, lambda p, w: qml.TrotterProduct(noncommuting(w), p[0], n=2, order=2)),
    "TrotterizedQfunc": Case(
        2,
        lambda p, w: qml.trotterize(lambda t, a, wires: block([t * a, t], wires), n=2, order=2)(0.7, p[0], w),
    ),
    "ApproxTimeEvolution": Case(2, lambda p, w: qml.ApproxTimeEvolution(noncommuting(w), p[0], 2)),
    "CommutingEvolution": Case(3, lambda p, w: qml.CommutingEvolution(commuting(w), p[0])),
    "QDrift": Case(2, lambda p, w: qml.QDrift(noncommuting(w), p[0], n=3, seed=4)),
    "ctrl": Case(3, lambda p, w: CTRL(qml.Rot(p[0], p[1], p[2], w[0]), w[1:], control_values=[0, 1])),
    "ctrl, with a phase": Case(3, lambda p, w: CTRL(qml.U3(p[0], p[1], p[2], w[0]), w[1:])),
    "ctrl of a phase": Case(3, lambda p, w: CTRL(qml.GlobalPhase(p[0]), w)),
    "ctrl, many": Case(7, lambda p, w: CTRL(qml.RX(p[0], w[0]), w[1:])),
    "ctrl of a phase, many": Case(7, lambda p, w: CTRL(qml.PhaseShift(p[0], w[0]), w[1:])),
    "ctrl of ctrl": Case(3, lambda p, w: CTRL(CTRL(qml.Hadamard(w[0]), w[1]), w[2], control_values=[0])),
    "ctrl of a template": Case(3, lambda p, w: CTRL(qml.BasicEntanglerLayers(weights(p, 2, 2), w[:2]), w[2])),
    "ctrl of an evolution": Case(3, lambda p, w: CTRL(qml.evolve(noncommuting(w), p[0]), w[2])),
    "adjoint": Case(1, lambda p, w: ADJ(qml.U3(p[0], p[1], p[2], w[0]))),
    "adjoint S": Case(1, lambda p, w: ADJ(qml.S(w[0]))),
    "adjoint ISWAP": Case(2, lambda p, w: ADJ(qml.ISWAP(w))),
    "adjoint of a template": Case(3, lambda p, w: ADJ(qml.StronglyEntanglingLayers(weights(p, 1, 3, 3), w))),
    "adjoint of ctrl of adjoint": Case(2, lambda p, w: ADJ(CTRL(ADJ(qml.SX(w[0])), w[1]))),
    "pow": Case(1, lambda p, w: qml.pow(qml.RX(p[0], w[0]), 0.3)),
    "pow, negative": Case(2, lambda p, w: qml.pow(qml.QFT(w), -2)),
    "pow X": Case(1, lambda p, w: qml.pow(qml.X(w[0]), 0.3)),
    "pow ISWAP": Case(2, lambda p, w: qml.pow(qml.ISWAP(w), 0.5)),
    "pow SWAP": Case(2, lambda p, w: qml.pow(qml.SWAP(w), 0.3)),
    "pow of a matrix": Case(1, lambda p, w: qml.pow(qml.QubitUnitary(unitary(1), w[0]), 0.5)),
    "Subroutine": Case(2, lambda p, w: routine(p, w)),
    "prod": Case(2, lambda p, w: qml.prod(qml.RX(p[0], w[0]), qml.CNOT(w), qml.RY(p[1], w[0]))),
    "s_prod": Case(1, lambda p, w: qml.s_prod(1j, qml.X(w[0]))),
    "change_op_basis": Case(2, lambda p, w: qml.change_op_basis(qml.QFT(w), qml.RZ(p[0], w[0]))),
    "ctrl of change_op_basis": Case(
        3, lambda p, w: CTRL(qml.change_op_basis(qml.QFT(w[:2]), qml.RZ(p[0], w[0])), w[2])
    ),
}

TEMPLATES = {
    "AngleEmbedding": Case(3, lambda p, w: qml.AngleEmbedding(p[:3], wires=w, rotation="Y")),
    "IQPEmbedding": Case(3, lambda p, w: qml.IQPEmbedding(p[:3], wires=w, n_repeats=2)),
    "QAOAEmbedding": Case(2, lambda p, w: qml.QAOAEmbedding(p[:2], weights(p, 1, 3), wires=w)),
    "BasicEntanglerLayers": Case(2, lambda p, w: qml.BasicEntanglerLayers(weights(p, 2, 2), wires=w)),
    "GateFabric": Case(4, lambda p, w: qml.GateFabric(weights(p, 1, 1, 2), w, [1, 1, 0, 0])),
    "ParticleConservingU1": Case(3, lambda p, w: qml.ParticleConservingU1(weights(p, 1, 2, 2), w, [1, 1, 0])),
    "ParticleConservingU2": Case(2, lambda p, w: qml.ParticleConservingU2(weights(p, 1, 3), w, [1, 0])),
    "RandomLayers": Case(2, lambda p, w: qml.RandomLayers(weights(p, 2, 2), wires=w, seed=3)),
    "SimplifiedTwoDesign": Case(2, lambda p, w: qml.SimplifiedTwoDesign(p[:2], weights(p, 1, 1, 2), wires=w)),
    "StronglyEntanglingLayers": Case(2, lambda p, w: qml.StronglyEntanglingLayers(weights(p, 2, 2, 3), w)),
    "ArbitraryStatePreparation": Case(2, lambda p, w: qml.ArbitraryStatePreparation(weights(p, 6), w)),
    "ArbitraryUnitary": Case(1, lambda p, w: qml.ArbitraryUnitary(p[:3], wires=w)),
    "QFT": Case(3, lambda p, w: qml.QFT(wires=w)),
    "AQFT": Case(3, lambda p, w: qml.AQFT(1, wires=w)),
    "Permute": Case(4, lambda p, w: qml.Permute([w[2], w[0], w[3], w[1]], wires=w)),
    "FlipSign": Case(3, lambda p, w: qml.FlipSign([1, 0, 1], wires=w)),
    "GroverOperator": Case(3, lambda p, w: qml.GroverOperator(wires=w)),
    "AmplitudeAmplification": Case(
        3,
        lambda p, w: qml.AmplitudeAmplification(
            qml.prod(*(qml.Hadamard(i) for i in w[:2])), qml.FlipSign(2, w[:2]), 3, True, w[2]
        ),
    ),
    "Reflection": Case(2, lambda p, w: qml.Reflection(qml.prod(qml.Hadamard(w[0]), qml.RY(0.3, w[1])), p[0])),
    "Adder": Case(4, lambda p, w: qml.Adder(1, x_wires=w[:2], mod=3, work_wires=w[2:])),
    "PhaseAdder": Case(3, lambda p, w: qml.PhaseAdder(3, x_wires=w)),
    "SemiAdder": Case(5, lambda p, w: qml.SemiAdder(w[:2], w[2:4], work_wires=w[4:])),
    "Multiplier": Case(4, lambda p, w: qml.Multiplier(3, x_wires=w[:2], mod=4, work_wires=w[2:])),
    "ModExp": Case(5, lambda p, w: qml.ModExp(w[:1], w[1:3], 3, 4, work_wires=w[3:])),
    "OutAdder": Case(4, lambda p, w: qml.OutAdder(w[:1], w[1:2], w[2:])),
    "OutMultiplier": Case(4, lambda p, w: qml.OutMultiplier(w[:1], w[1:2], w[2:])),
    "OutPoly": Case(4, lambda p, w: qml.OutPoly(lambda x, y: x + 2 * y, [w[:1], w[1:2]], w[2:])),
    "TemporaryAND": Case(3, lambda p, w: qml.TemporaryAND(w)),
    "ControlledSequence": Case(3, lambda p, w: qml.ControlledSequence(qml.RX(p[0], w[0]), control=w[1:])),
    "FABLE": Case(3, lambda p, w: qml.FABLE(np.array([[0.1, 0.2], [0.3, -0.2]]), wires=w)),
    "GQSP": Case(2, lambda p, w: qml.GQSP(qml.RX(p[0], w[1]), np.array([[0.1, 0.2], [0.3, 0.5], [0.6, 0.7]]), w[0])),
    "IQP": Case(3, lambda p, w: qml.IQP(p[:3], 3 if IQP_HAS_OWN_WIRES else w, [[[0]], [[1, 2]], [[0, 2]]])),
    "PrepSelPrep": Case(3, lambda p, w: qml.PrepSelPrep(lcu(w), control=w[1:])),
    "Qubitization": Case(3, lambda p, w: qml.Qubitization(lcu(w), control=w[1:])),
    "QuantumPhaseEstimation": Case(
        3, lambda p, w: qml.QuantumPhaseEstimation(qml.RX(p[0], w[0]), estimation_wires=w[1:])
    ),
    "QuantumMonteCarlo": Case(
        3,
        lambda p, w: qml.QuantumMonteCarlo(
            np.array([0.4, 0.6]), lambda i: np.sin(i) ** 2, target_wires=w[:2], estimation_wires=w[2:]
        ),
    ),
    "QSVT": Case(
        2,
        lambda p, w: qml.QSVT(
            qml.BlockEncode(np.array([[0.1, 0.2], [0.3, 0.4]]), w),
            [qml.PCPhase(p[0], 2, w), qml.PCPhase(p[1], 2, w)],
        ),
    ),
    "Select": Case(
        3,
        lambda p, w: qml.Select(
            [qml.X(w[0]), qml.RX(p[0], w[0]), qml.Y(w[0]), qml.Rot(p[1], p[2], p[3], w[0])], control=w[1:]
        ),
    ),
    "SelectPauliRot": Case(3, lambda p, w: qml.SelectPauliRot(p, w[:2], w[2], rot_axis="Y")),
    "QROM": Case(4, lambda p, w: qml.QROM(["1", "0", "1", "1"], w[:2], w[2:3], w[3:])),
    "SelectOnlyQRAM": Case(4, lambda p, w: qml.SelectOnlyQRAM(["01", "10", "11", "00"], w[:2], w[2:])),
    "BBQRAM": Case(6, lambda p, w: qml.BBQRAM(["1", "0"], control_wires=w[:1], target_wires=w[1:2], work_wires=w[2:])),
    "HybridQRAM": Case(
        8,
        lambda p, w: qml.HybridQRAM(
            ["1", "0", "0", "1"], control_wires=w[:2], target_wires=w[2:3], work_wires=w[3:], k=1
        ),
    ),
    "BasisRotation": Case(2, lambda p, w: qml.BasisRotation(wires=w, unitary_matrix=unitary(1))),
    "FermionicDoubleExcitation": Case(4, lambda p, w: qml.FermionicDoubleExcitation(p[0], wires1=w[:2], wires2=w[2:])),
    "AllSinglesDoubles": Case(
        4,
        lambda p, w: qml.AllSinglesDoubles(
            p[:3], w, np.array([1, 1, 0, 0]), singles=[[w[0], w[2]], [w[1], w[3]]], doubles=[w]
        ),
    ),
    "kUpCCGSD": Case(
        4, lambda p, w: qml.kUpCCGSD(weights(p, 1, 6), w, k=1, delta_sz=0, init_state=np.array([1, 1, 0, 0]))
    ),
    "UCCSD": Case(
        4,
        lambda p, w: qml.UCCSD(
            p[:3], w, [[w[0], w[1], w[2]], [w[1], w[2], w[3]]], [[w[:2], w[2:]]], np.array([1, 1, 0, 0])
        ),
    ),
    "TwoLocalSwapNetwork": Case(
        3,
        lambda p, w: qml.templates.TwoLocalSwapNetwork(
            w, lambda index, wires, param=None: qml.IsingXY(param, wires), weights=p[:3], fermionic=False
        ),
    ),
    "MERA": Case(4, lambda p, w: qml.MERA(w, 2, block, 2, [p[:2]] * 5)),
    "MPS": Case(3, lambda p, w: qml.MPS(w, 2, block, 2, [p[:2], p[2:]])),
    "TTN": Case(4, lambda p, w: qml.TTN(w, 2, block, 2, [p[:2], p[1:3], p[2:]])),
}

# What PennyLane 0.46 adds.
NEWER = {
    "FFFT": Case(4, lambda p, w: qml.FFFT(wires=w)),
    "TwoWireFFT": Case(2, lambda p, w: qml.TwoWireFFT(wires=w)),
    "Incrementer": Case(4, lambda p, w: qml.Incrementer(w[:3], w[3:])),
    "OutSquare": Case(6, lambda p, w: qml.OutSquare(w[:2], w[2:4], w[4:])),
    "SignedOutSquare": Case(6, lambda p, w: qml.SignedOutSquare(w[:2], w[2:4], w[4:])),
    "SignedOutMultiplier": Case(10, lambda p, w: qml.SignedOutMultiplier(w[:2], w[2:3], w[3:5], w[5:])),
}
NEWER_PREPARATIONS = {
    "FFQRAM": Case(3, lambda p, w: qml.FFQRAM(np.array([0.6, 0.8]), w, ["01", "10"])),
    "PartialUnaryStatePreparation": Case(
        5, lambda p, w: qml.PartialUnaryStatePreparation(np.array([0.6, 0.8]), w[:3], [1, 6], w[3:])
    ),
}


def there(cases: dict[str, Case]) -> dict[str, Case]:
    """Those that this PennyLane has."""
    return {name: case for name, case in cases.items() if hasattr(qml, name)}


GATES = {**ELEMENTARY, **MATRICES, **COMPOSED, **TEMPLATES, **there(NEWER)}

# At the start of a circuit.
PREPARATIONS = {
    "BasisState": Case(3, lambda p, w: qml.BasisState([1, 0, 1], wires=w)),
    "BasisEmbedding": Case(3, lambda p, w: qml.BasisEmbedding(6, wires=w)),
    "StatePrep": Case(3, lambda p, w: qml.StatePrep(state(3), wires=w)),
    "StatePrep, sparse": Case(3, lambda p, w: qml.StatePrep(np.array([0, 0, 0.6, 0, 0, 0, 0.8j, 0]), wires=w)),
    "StatePrep with parameters": Case(2, lambda p, w: qml.StatePrep(p, wires=w, normalize=True)),
    "AmplitudeEmbedding": Case(
        3, lambda p, w: qml.AmplitudeEmbedding(np.arange(5.0), wires=w, normalize=True, pad_with=0.0)
    ),
    "MottonenStatePreparation": Case(3, lambda p, w: qml.MottonenStatePreparation(state(3), wires=w)),
    "MultiplexerStatePreparation": Case(2, lambda p, w: qml.MultiplexerStatePreparation(state(2), wires=w)),
    "CosineWindow": Case(3, lambda p, w: qml.CosineWindow(wires=w)),
    "Superposition": Case(
        4, lambda p, w: qml.Superposition(np.array([0.6, 0.8]), np.array([[0, 1, 0], [1, 1, 0]]), w[:3], w[3])
    ),
    "QROMStatePreparation": Case(4, lambda p, w: qml.QROMStatePreparation(np.array([0.6, 0.8]), w[:1], w[1:3], w[3:])),
    "MPSPrep": Case(
        4,
        lambda p, w: qml.MPSPrep(
            [
                np.array([[0.0, 0.6], [0.8, 0.0]]),
                np.array([[[0.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]),
                np.array([[-1.0, 0.0], [0.0, -1.0]]),
            ],
            wires=w[:3],
            work_wires=w[3:],
        ),
    ),
    **there(NEWER_PREPARATIONS),
}

# PennyLane needs wires allocated on the fly to run it: see test_interop_unitaries.py.
ELSEWHERE = {"SumOfSlatersPrep"}

# What no circuit can hold, and what the error says.
REFUSED = {
    **dict.fromkeys(
        ("AmplitudeDamping", "BitFlip", "DepolarizingChannel", "GeneralizedAmplitudeDamping", "PauliError",
         "PhaseDamping", "PhaseFlip", "QubitChannel", "ResetError", "ThermalRelaxationError",
         "QubitDensityMatrix"),
        "noise",
    ),
    **dict.fromkeys(
        ("Beamsplitter", "CatState", "CoherentState", "ControlledAddition", "ControlledPhase", "CrossKerr",
         "CubicPhase", "DisplacedSqueezedState", "Displacement", "FockDensityMatrix", "FockState",
         "FockStateProjector", "FockStateVector", "GaussianState", "InterferometerUnitary", "Kerr",
         "NumberOperator", "PolyXP", "QuadOperator", "QuadP", "QuadX", "QuadraticPhase", "Rotation",
         "SqueezedState", "Squeezing", "TensorN", "ThermalState", "TwoModeSqueezing", "CVNeuralNetLayers",
         "DisplacementEmbedding", "SqueezingEmbedding", "Interferometer"),
        "continuous variables",
    ),
    **dict.fromkeys(
        ("QutritAmplitudeDamping", "QutritChannel", "QutritDepolarizingChannel", "TritFlip",
         "ControlledQutritUnitary", "QutritUnitary", "TAdd", "TClock", "THadamard", "TSWAP", "TShift",
         "GellMann", "THermitian", "TRX", "TRY", "TRZ", "QutritBasisState", "QutritBasisStatePreparation",
         "QutritDensityMatrix"),
        "qutrits",
    ),
    **dict.fromkeys(("Projector", "SparseHamiltonian"), "not unitary"),
    "FromBloq": "needs Qualtran",
}  # fmt: skip
