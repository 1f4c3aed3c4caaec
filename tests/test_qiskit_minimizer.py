"""qngd as the optimizer of Qiskit's algorithms: by their protocol, and in the algorithms where they are installed."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit.library import n_local, qaoa_ansatz
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp

import qngd
from qngd.errors import ParameterError, QngdWarning, SettingError

# of Qiskit's tutorials, on two qubits; its lowest eigenvalue is −1.85727503
H2 = SparsePauliOp(
    ["II", "IZ", "ZI", "ZZ", "XX"],
    [-1.052373245772859, 0.39793742484318045, -0.39793742484318045, -0.01128010425623538, 0.18093119978423156],
)
H2_GROUND = float(np.linalg.eigvalsh(H2.to_matrix())[0])
CUT = SparsePauliOp(["IIZZ", "ZZII", "ZIZI", "IZZI", "ZIIZ"], [1.0, 2.0, 1.0, 0.5, 1.3])
START = [0.3, 0.2, 0.4, 0.6]


def ansatz():
    return n_local(2, "ry", "cz", reps=3)


X0 = np.random.default_rng(1).uniform(-1, 1, 8)


def energy_of(circuit, operator):
    """As VQE makes it of Qiskit's estimator."""
    estimator = StatevectorEstimator()

    def energy(x):
        return estimator.run([(circuit, operator, np.reshape(x, (1, -1)))]).result()[0].data.evs[0]

    return energy


@pytest.mark.parametrize("with_gradient", [True, False])
def test_the_protocol(with_gradient):
    """Called by name as VQE does it, with its bounds; the models of qiskit-machine-learning leave bounds out."""
    circuit = ansatz()
    energy = energy_of(circuit, H2)
    shifts = np.pi / 2 * np.eye(8)
    jac = (lambda x: np.array([(energy(x + s) - energy(x - s)) / 2 for s in shifts])) if with_gradient else None
    found = qngd.qiskit.Minimizer(circuit)(fun=energy, x0=X0, jac=jac, bounds=[(-np.pi, np.pi)] * 8)
    assert found.fun == pytest.approx(H2_GROUND, abs=1e-7)
    assert energy(found.x) == pytest.approx(found.fun, abs=1e-12)
    assert np.abs(found.x).max() <= np.pi
    again = qngd.qiskit.Minimizer(circuit, max_steps=3)(fun=energy, x0=X0, jac=jac)
    np.testing.assert_allclose(again.result.history, found.result.history[:4], atol=1e-10)


def test_qaoa_shares_parameters_and_ends_as_our_own_run():
    circuit, start = qaoa_ansatz(CUT, reps=1), START[:2]
    found = qngd.qiskit.Minimizer(circuit)(energy_of(circuit, CUT), start, None, [(0, 2 * np.pi), (None, None)])
    # of a function nobody knows the unit, and its rate begins at 0.1
    at_a_tenth = qngd.QNG(step=qngd.step.Adaptive(near=qngd.step.QuasiNewton(initial=0.1)))
    ours = qngd.minimize(circuit, CUT, start, optimizer=at_a_tenth)
    np.testing.assert_allclose(found.result.history[:10], ours.history[:10], atol=1e-7)
    assert found.fun == pytest.approx(ours.energy, abs=1e-7)


def test_an_ansatz_that_is_made_later():
    made = {}
    minimizer = qngd.qiskit.Minimizer(lambda: made["circuit"], max_steps=3, tol=0)
    for circuit, operator, x0 in ((ansatz(), H2, X0), (qaoa_ansatz(CUT, reps=1), CUT, START[:2])):
        made["circuit"] = circuit
        measured = circuit.copy()
        measured.measure_all()
        histories = []
        for one in (circuit, measured):
            made["circuit"] = one
            histories.append(minimizer(energy_of(circuit, operator), x0).result.history)
        np.testing.assert_array_equal(*histories)


def test_a_circuit_with_other_parameters():
    with pytest.raises(
        ParameterError, match=r"it has 8 parameters, and the algorithm runs a circuit with 4; .* Minimizer\(lambda"
    ):
        qngd.qiskit.Minimizer(ansatz())(lambda x: 0.0, START)
    with pytest.raises(SettingError, match="max_steps"):
        qngd.qiskit.Minimizer(ansatz(), max_steps=0.5)


# --- in the algorithms ---


def algorithms():
    return pytest.importorskip("qiskit_algorithms")


@pytest.mark.parametrize("with_gradient", [True, False])
def test_vqe(with_gradient):
    package = algorithms()
    gradient = None
    if with_gradient:
        from qiskit_algorithms.gradients import ParamShiftEstimatorGradient

        gradient = ParamShiftEstimatorGradient(StatevectorEstimator())
    circuit = ansatz()
    vqe = package.VQE(
        StatevectorEstimator(), circuit, qngd.qiskit.Minimizer(circuit), gradient=gradient, initial_point=X0
    )
    found = vqe.compute_minimum_eigenvalue(H2, [SparsePauliOp("ZZ")])
    assert found.eigenvalue == pytest.approx(H2_GROUND, abs=1e-7)
    assert found.optimizer_result.nit < 20


@pytest.mark.filterwarnings("ignore")  # its own: of classes of Qiskit's that it uses, of sparse matrices
def test_qaoa_by_a_sampler_with_a_fixed_seed():
    """Whose noise is the same at every call of one point, and yet is seen."""
    package = algorithms()
    from qiskit.primitives import StatevectorSampler

    minimizer = qngd.qiskit.Minimizer(lambda: qaoa.ansatz, seed=1, max_steps=8)
    qaoa = package.QAOA(StatevectorSampler(seed=3), minimizer, reps=1, initial_point=[0.3, 0.4])
    with pytest.warns(QngdWarning, match="it has a fixed seed and returns the same noise on every call"):
        found = qaoa.compute_minimum_eigenvalue(CUT)
    assert found.optimizer_result.stderr > 0.01
    assert found.best_measurement["bitstring"] in ("0101", "1010")
    assert found.best_measurement["value"].real == pytest.approx(-3.8)
    reached = float(qngd.expectation(qaoa_ansatz(CUT, reps=1), CUT, found.optimal_point).value)
    assert reached < -1.0


POOL = [SparsePauliOp(label) for label in ("XY", "YX", "YI", "IY", "XX")]


def adaptive(package, of_vqe):
    """AdaptVQE from Hartree–Fock, whose circuit has more parameters at every round."""
    from qiskit import QuantumCircuit

    occupied = QuantumCircuit(2)
    occupied.x(0)
    vqe = package.VQE(StatevectorEstimator(), ansatz(), None)
    vqe.optimizer = of_vqe(vqe)
    return package.AdaptVQE(vqe, operators=POOL, initial_state=occupied, flatten=True)


@pytest.mark.filterwarnings("ignore")  # its own, of classes of Qiskit's
def test_adapt_vqe_and_what_stands_above_its_ground_state():
    package = algorithms()
    found = adaptive(package, lambda vqe: qngd.qiskit.Minimizer(lambda: vqe.ansatz)).compute_minimum_eigenvalue(H2)
    assert found.eigenvalue == pytest.approx(H2_GROUND, abs=1e-7)
    states = qngd.excited_states(found.optimal_circuit, 2, H2, found.optimal_point, seed=1)
    assert states[0].energy == pytest.approx(H2_GROUND, abs=1e-7)
    assert states[1].overlaps[0] < 1e-6
    # two states of one excitation span a plane that holds both eigenvectors of its part of H2
    assert np.min(abs(np.linalg.eigvalsh(H2.to_matrix()) - states[1].energy)) < 1e-6


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_circuit_of_an_algorithm_and_a_circuit_that_grows():
    package = algorithms()
    solver = adaptive(package, lambda vqe: qngd.qiskit.Minimizer(ansatz()))
    with pytest.raises(ParameterError, match=r"Minimizer\(lambda: vqe\.ansatz\)"):
        solver.compute_minimum_eigenvalue(H2)
    solver = adaptive(package, lambda vqe: qngd.qiskit.Minimizer(lambda: vqe.ansatz))
    found = solver.compute_minimum_eigenvalue(H2)
    for given, hint in ((solver, "optimal_circuit"), (solver.solver, r"\.ansatz"), (found, r"result\.optimal_circuit")):
        for ask in (qngd.minimize, lambda *rest: qngd.excited_states(rest[0], 2, *rest[1:])):
            with pytest.raises(qngd.CircuitError, match=f"is not a circuit; give .*{hint}"):
                ask(given, H2, found.optimal_point)
