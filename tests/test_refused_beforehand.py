"""What a backend cannot do is refused before anything is sent: settings beside kinds of backends."""

import numpy as np
import pytest

import qngd
from qngd.backends import Executor, PostSelected, ReadoutCorrected
from qngd.backends.statevector import StatevectorSampler
from qngd.backends.tallies import z_strings
from qngd.errors import BackendError
from qngd.measured.outcomes import Means

pytest.importorskip("qiskit")

CIRCUIT = qngd.CircuitBuilder(2)
A, B = CIRCUIT.parameters("a", "b")
CIRCUIT = CIRCUIT.x(0).rxx(A, 0, 1).ryy(A, 0, 1).rz(B, 0)
ENERGY = {"IZ": 0.7, "XX": 0.4, "YY": 0.4, "II": 0.2}
DIAGONAL = {"IZ": 0.7, "ZI": -0.3}
THETA = [0.5, -0.3]
SHOTS = 40


class Lab:
    """The embedded sampler, which counts what it is sent."""

    name, is_noisy = "lab", False

    def __init__(self):
        self.sent = 0

    def submit(self, templates, requests, seed):
        self.sent += 1
        return templates, requests, StatevectorSampler().submit(templates, requests, seed)

    def collect(self, handle):
        return StatevectorSampler().collect(handle[2])


class LabOfValues(Lab):
    """The same, of which only expectation values come back; it says so."""

    gives_counts = False

    def collect(self, handle):
        templates, requests, _ = handle
        found = zip(super().collect(handle), requests, strict=True)
        return [self.means(outcome, templates[request.template]) for outcome, request in found]

    @staticmethod
    def means(outcome, template):
        z, sign = z_strings(template)
        values = sign * (1.0 - 2.0 * (np.bitwise_count(outcome.bits[:, None] & z).sum(axis=2) & 1))
        mean = outcome.counts @ values / outcome.shots
        return Means(mean, np.sqrt(np.maximum(1 - mean**2, 0.0) / outcome.shots), outcome.shots)


class Function:
    """An executor's function, which counts its calls."""

    def __init__(self, gives_values):
        self.sent = 0
        self.gives_values = gives_values

    def made(self, **how):
        if self.gives_values:
            return Executor(self.values, **how)
        return Executor(self.counts, **how)

    def values(self, circuit, observables):
        from qiskit.quantum_info import Statevector

        self.sent += 1
        return [Statevector(circuit).expectation_value(each).real for each in observables]

    def counts(self, circuit, *, shots):
        self.sent += 1
        width = circuit.num_clbits
        return {"0" * width: shots // 2, "1" * width: shots - shots // 2}


class Counting:
    """Qiskit's estimator, which counts the jobs that it is sent."""

    def __new__(cls):
        from qiskit.primitives import StatevectorEstimator

        class Estimator(StatevectorEstimator):
            sent = 0

            def run(self, *arguments, **options):
                type(self).sent += 1
                return super().run(*arguments, **options)

        return Estimator()


def plain(inner, **how):
    return inner, (lambda: inner.made(**how)) if isinstance(inner, Function) else (lambda: inner)


def corrected(inner, correct, **how):
    base = inner.made(**how) if isinstance(inner, Function) else inner
    return inner, lambda: correct(base)


def selected(backend):
    return PostSelected(backend, particles="all")


def both(backend):
    return selected(ReadoutCorrected(backend))


# by name: what makes what counts and the backend, and the shots asked of it
KINDS = {
    "sampler": (lambda: plain(Lab()), SHOTS),
    "values": (lambda: plain(LabOfValues()), SHOTS),
    "estimator": (lambda: plain(Counting()), SHOTS),
    "exact estimator": (lambda: plain(Counting()), None),
    "function of counts": (lambda: plain(Function(False)), SHOTS),
    "function of values": (lambda: plain(Function(True), shots=SHOTS), SHOTS),
    "exact function": (lambda: plain(Function(True)), None),
    "corrected sampler": (lambda: corrected(Lab(), ReadoutCorrected), SHOTS),
    "corrected values": (lambda: corrected(LabOfValues(), ReadoutCorrected), SHOTS),
    "corrected estimator": (lambda: corrected(Counting(), ReadoutCorrected), SHOTS),
    "corrected function": (lambda: corrected(Function(True), ReadoutCorrected, shots=SHOTS), SHOTS),
    "selected sampler": (lambda: corrected(Lab(), selected), SHOTS),
    "selected values": (lambda: corrected(LabOfValues(), selected), SHOTS),
    "selected estimator": (lambda: corrected(Counting(), selected), SHOTS),
    "corrected and selected sampler": (lambda: corrected(Lab(), both), SHOTS),
}
QNG = qngd.QNG
SETTINGS = {
    "default": {},
    **{f"gradient {name}": {"optimizer": QNG(gradient=name)} for name in ("sampled", "spsa")},
    **{
        f"approx {name}": {"optimizer": QNG(approx=name)}
        for name in ("diag", "full", "qn-spsa", "random-basis", "hamiltonian", "identity", "matrix-free")
    },
    **{f"full, {cross}": {"optimizer": QNG(approx="full"), "cross": cross} for cross in ("mid-circuit", "overlap")},
    "QN-SPSA": {"optimizer": QNG.qn_spsa()},
    "commuting": {"grouping": "commuting"},
    "random Paulis": {"grouping": qngd.RandomPaulis(bases=3)},
    "random Paulis, sampled": {"grouping": "shadows", "optimizer": QNG(gradient="sampled")},
    "final_shots": {"final_shots": 60},
    "CVaR": {"observable": qngd.CVaR(DIAGONAL, 0.5)},
    "CVaR, stages": {"observable": qngd.CVaR(DIAGONAL, [0.5, 1])},
    "CVaR, sampled": {"observable": qngd.CVaR(DIAGONAL, 0.5), "optimizer": QNG(gradient="sampled")},
    "auto": {"shots": "auto"},
    "TargetError": {"shots": qngd.TargetError(0.2)},
    "spsa": {"optimizer": "spsa"},
    "cobyla": {"optimizer": "cobyla"},
    "excited": {"count": 2},
    "loss": {"loss": True},
    "loss of a CVaR": {"loss": True, "observable": qngd.CVaR(DIAGONAL, 0.5)},
    "loss, sampled": {"loss": True, "optimizer": QNG(gradient="sampled")},
}


NEVER = ("approx matrix-free", "random Paulis, sampled", "CVaR, sampled", "loss, sampled")  # with shots


def run(backend, shots, observable=ENERGY, count=None, loss=False, **how):
    how = {"backend": backend, "shots": shots, "seed": 1, "max_steps": 1, "tol": 0, **how}
    if count is not None:
        return qngd.excited_states(CIRCUIT, count, observable, THETA, restarts=1, **how)[-1]
    if loss:
        objective = qngd.Objective(CIRCUIT, [observable, DIAGONAL], lambda outputs: np.sum(outputs**2))
        return qngd.minimize(objective, theta0=THETA, **how)
    return qngd.minimize(CIRCUIT, observable, THETA, **how)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_works_or_nothing_is_sent(kind, setting):
    make, shots = KINDS[kind]
    inner, backend = make()
    refused = None
    try:
        found = run(backend(), **{"shots": shots, **SETTINGS[setting]})
    except (qngd.SettingError, BackendError) as error:
        refused = error
    if refused is not None:
        assert inner.sent == 0, refused
        assert kind != "sampler" or setting in NEVER
        return
    assert found.status != qngd.Status.FAILED, found.message
    assert "was lost" not in found.note
    assert inner.sent > 0


@pytest.mark.parametrize(
    ("kind", "setting", "words"),
    [
        ("estimator", "QN-SPSA", 'gives expectation values, and approx="qn-spsa" is made of overlaps'),
        ("values", "approx random-basis", 'take a sampler, or approx="block-diag"'),
        ("estimator", "full, overlap", 'take cross="hadamard"'),
        ("corrected sampler", "CVaR", "lab, readout corrected gives expectation values, and observable: a CVaR"),
        ("exact function", "excited", "an overlap of two states needs counts"),
        ("function of values", "final_shots", "60 shots are asked of values"),
        ("selected estimator", "default", "gives expectation values, and post-selected needs counts"),
    ],
)
def test_what_is_said(kind, setting, words):
    make, shots = KINDS[kind]
    _, backend = make()
    with pytest.raises(BackendError) as error:
        run(backend(), **{"shots": shots, **SETTINGS[setting]})
    assert words in str(error.value)


def test_samples_of_an_estimator_are_refused_before_they_are_paid_for():
    lab = LabOfValues()
    with pytest.raises(BackendError, match="returns expectation values, not samples"):
        qngd.sample(CIRCUIT, THETA, shots=10, backend=lab)
    assert lab.sent == 0


def test_a_lab_that_does_not_say_is_asked():
    """Nobody knows beforehand what comes back of it; what comes is refused where it does not do."""
    lab = LabOfValues()
    lab.gives_counts = None
    assert run(lab, SHOTS).status == qngd.Status.MAX_STEPS
    with pytest.raises(BackendError, match="an overlap needs counts"):
        run(lab, SHOTS, optimizer=QNG.qn_spsa())
