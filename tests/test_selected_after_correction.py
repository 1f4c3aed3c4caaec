"""Readout errors undone, and then a symmetry selected: against density matrices with noise of gates, and without it."""

import numpy as np
import pytest

import qngd
from experiments.misreading import Misreading
from qngd.backends import PostSelected, ReadoutCorrected
from qngd.backends.sieve import Sieve
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import pack_bits
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.measured.outcomes import Counts
from qngd.measured.planner import Planner
from qngd.metrics.names import as_metric
from tests.own_backends import ExactDevice
from tests.two_particles import ENERGY, SPINS, START, circuit

RATES = [[0.03, 0.08, 0.02, 0.05], [0.09, 0.04, 0.07, 0.12]]
DIAGONAL = {"IIIZ": 0.7, "ZIIZ": 0.3, "IZZI": -0.5, "IZII": 0.25}


def both(backend, **given):
    return PostSelected(ReadoutCorrected(backend), **(given or {"particles": SPINS}))


@pytest.mark.parametrize(("grouping", "parities"), [("qubit-wise", []), ("qubit-wise", ["ZZZZ"]), ("commuting", [])])
def test_a_sector_is_what_is_kept(grouping, parities):
    """As a projector on every bit string; of numbers that show in entangled bases the parity at least."""
    planner = Planner(qngd.wrap(circuit()), Observable.from_mapping(ENERGY), grouping)
    plan = planner.plan(np.array(START), metric=as_metric("full"))
    kinds = set()
    for request in plan.requests:
        template = plan.templates[request.template]
        sieve = Sieve.of(template, parities, [tuple(each) for each in SPINS])
        measured = sieve.template.measured
        bits = (np.arange(2 ** len(measured))[:, None] >> np.arange(len(measured)) & 1).astype(bool)
        wide = np.zeros((len(bits), template.num_qubits), dtype=bool)
        wide[:, measured] = bits
        words = pack_bits(wide)
        seen = sieve.kept(Counts(words, np.ones(len(words))), request.angles)
        kept = np.isin(words[:, 0], seen.bits[:, 0])
        sector = sieve.sector(request.angles)
        turns = np.broadcast_to(sector.turns, (len(sector.phases), len(measured)))
        found = (sector.phases[:, None] * np.where(bits, turns[:, None], 1).prod(axis=2)).sum(axis=0)
        assert np.allclose(found, found.real > 0.5)
        assert np.all(found.real[kept] > 0.5)
        if grouping == "qubit-wise":
            assert np.allclose(found, kept)
        kinds.add(kept.mean())
    assert len(kinds) > 1


def test_nothing_changes_without_noise():
    backend = both(ExactDevice("counts"), particles=SPINS, parities=["ZZZZ"])
    for function in (qngd.expectation, qngd.gradient):
        exact = function(circuit(), ENERGY, START).value
        assert np.allclose(function(circuit(), ENERGY, START, backend=backend, shots=10**6).value, exact, atol=1e-5)
    exact = np.asarray(qngd.metric_tensor(circuit(), START, approx="full"))
    found = qngd.metric_tensor(circuit(), START, approx="full", backend=backend, shots=10**6)
    assert np.allclose(found.raw, exact, atol=1e-5)


def test_readout_errors_alone_are_undone():
    """Energies, gradients and metrics alike, where every circuit selects what it conserves."""
    backend, shots = both(Misreading([[*rates, 0.0] for rates in RATES])), 40_000
    for function in (qngd.expectation, qngd.gradient):
        exact = function(circuit(), ENERGY, START).value
        found = function(circuit(), ENERGY, START, backend=backend, shots=shots, seed=1)
        assert np.all(np.abs(found.value - exact) < 4 * np.asarray(found.stderr))
    exact = np.asarray(qngd.metric_tensor(circuit(), START, approx="full"))
    found = qngd.metric_tensor(circuit(), START, approx="full", backend=backend, shots=shots, seed=4)
    assert np.all(np.abs(found.raw - exact) < 4.5 * found.raw_stderr + 1e-12)


@pytest.fixture
def noise():
    """Gates that lose excitations and depolarize, on some qubits more than on others; and readout errors besides."""
    pytest.importorskip("qiskit_aer")
    from qiskit_aer.noise import NoiseModel, ReadoutError, amplitude_damping_error, depolarizing_error

    def made(with_readout):
        model = NoiseModel()
        for pair, size in (((0, 1), 0.05), ((2, 3), 0.02), ((1, 3), 0.08)):
            decay = amplitude_damping_error(2 * size).tensor(amplitude_damping_error(size))
            for name in ("rxx", "ryy", "rzz"):
                model.add_quantum_error(depolarizing_error(size, 2).compose(decay), [name], list(pair))
        for qubit, (up, down) in enumerate(np.transpose(RATES) if with_readout else ()):
            model.add_readout_error(ReadoutError([[1 - up, up], [down, 1 - down]]), [qubit])
        return model

    return made


def selected_energy(model):
    """⟨H⟩ in the sector of the two numbers, of the noisy density matrix, and without the selection."""
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer import AerSimulator

    a, b, c = START
    bare = QuantumCircuit(4)
    bare.x([0, 2])
    for name, angle, *qubits in (
        ("rxx", a, 0, 1), ("ryy", a, 0, 1), ("rz", c, 0), ("rxx", b, 2, 3), ("rzz", c, 1, 3), ("ryy", b, 2, 3),
        ("rxx", c, 0, 1), ("ryy", c, 0, 1),
    ):  # fmt: skip
        getattr(bare, name)(angle, *qubits)
    bare.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model, max_parallel_threads=1)
    chances = np.real(np.diag(np.asarray(simulator.run(bare).result().data(0)["density_matrix"])))
    levels = np.real(np.diag(SparsePauliOp.from_list(list(DIAGONAL.items())).to_matrix()))
    ones = np.arange(16)[:, None] >> np.arange(4) & 1
    kept = (ones[:, :2].sum(axis=1) == 1) & (ones[:, 2:].sum(axis=1) == 1)
    return float(chances[kept] @ levels[kept] / chances[kept].sum()), float(chances @ levels)


def test_energies_are_those_of_the_sector_of_the_density_matrix(noise):
    """Neither correction alone gives them."""
    from qiskit_aer import AerSimulator

    sector, whole = selected_energy(noise(False))
    device = AerSimulator(method="density_matrix", noise_model=noise(True), max_parallel_threads=1)
    shots = 100_000
    kinds = {
        "both": both(device),
        "corrected": ReadoutCorrected(device),
        "selected": PostSelected(device, particles=SPINS),
    }
    found = {
        name: qngd.expectation(circuit(), DIAGONAL, START, backend=each, shots=shots, seed=7)
        for name, each in kinds.items()
    }
    assert abs(found["both"].value - sector) < 4 * found["both"].stderr
    assert abs(found["corrected"].value - whole) < 4 * found["corrected"].stderr
    for name in ("corrected", "selected"):
        assert abs(found[name].value - sector) > 8 * found[name].stderr
    assert found["both"].shots < 0.9 * shots


def test_standard_errors_are_right():
    """Of energies and gradients, over repetitions, where a fifth of the particles is lost on the way."""

    class Decaying(Misreading):
        def misread(self, outcome, template):
            self.lost = 0.0 if template.is_pinned else 0.2
            return super().misread(outcome, template)

    backend = both(Decaying([[*rates, 0.0] for rates in RATES]))
    evaluator = evaluator_for(qngd.wrap(circuit()), Observable.from_mapping(ENERGY), Setup(backend, 200))
    found = [evaluator.evaluate(np.array(START), gradient=True, seed=seed) for seed in range(200)]
    for name in ("energy", "gradient"):
        each = [getattr(one, name) for one in found]
        values, told = np.array([one.value for one in each]), np.array([one.stderr for one in each])
        assert np.allclose(values.std(axis=0), np.sqrt(np.mean(told**2, axis=0)), rtol=0.15)  # ± 5 %


def test_its_submissions_hold_the_calibration_and_all_is_paid():
    lab = Misreading([[*rates, 0.0] for rates in RATES])
    plain = qngd.cost(circuit(), ENERGY, START, backend=lab, shots=200).step
    price = qngd.cost(circuit(), ENERGY, START, backend=both(lab), shots=200).step
    assert (price.circuits, price.shots) == (plain.circuits + 2, plain.shots + 400)
    result = qngd.minimize(circuit(), ENERGY, START, backend=both(lab), shots=200, seed=1, max_steps=1, tol=0)
    assert result.cost.shots == sum(request.shots for _, requests in lab.asked for request in requests)
    assert both(lab).name == "misreading lab, readout corrected, post-selected"
    assert both(lab).set_to != both(lab, parities=["ZZZZ"]).set_to


def test_the_other_order_is_refused_with_the_one_to_write():
    lab = Misreading(RATES)
    with pytest.raises(qngd.BackendError, match=r"PostSelected\(qngd.backends.ReadoutCorrected\(misreading lab\), …\)"):
        ReadoutCorrected(PostSelected(lab, particles=SPINS))
    with pytest.raises(qngd.BackendError, match=r"twice; write qngd.backends.PostSelected\(misreading lab, …\)"):
        PostSelected(PostSelected(lab, particles=SPINS), particles=SPINS)
    with pytest.raises(qngd.BackendError, match="twice"):
        PostSelected(both(lab), particles=SPINS)
    with pytest.raises(qngd.BackendError, match="expectation values"):
        qngd.sample(circuit(), START, backend=both(lab), shots=10)


def test_where_hardly_any_shot_has_the_symmetry_that_is_said():
    class Empty(Misreading):
        """All excitations are gone, but in the calibration."""

        def misread(self, outcome, template):
            return outcome if template.is_pinned else Counts(np.zeros((1, 1), np.uint64), np.array([outcome.shots]))

    with pytest.raises(qngd.BackendError, match="hardly any of the 50 shots of request 0"):
        qngd.expectation(circuit(), {"IIIZ": 1.0}, START, backend=both(Empty(RATES)), shots=50)
