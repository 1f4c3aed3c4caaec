"""Every estimate is unbiased where it says so, and its standard error is right to 10 %.

Each estimator of the library answers the same question a thousand times with other seeds, and more often where that
does not decide. The mean is compared with what Qiskit's statevectors and finite differences give (see
experiments/estimator_truth.py), number by number: the root of the mean square of the standard errors with the standard
deviation of the answers. Where a covariance matrix is stated, a sum of all numbers is one number more.

What is biased says so: differences along random directions by terms of the order of their length squared, a CVaR by
about 1/(αN) of the tail's spread, a loss by half its second derivatives times the variance of the outputs. These
biases are computed exactly, but that of the CVaR, which is only bounded, and what is left of them is judged. The
error of an entry of a metric that is of second order alone, as of a rotation's on |0⟩, is said to come out up to a
quarter too large. The mean of the metric from random bases is not judged.

    python -m experiments.estimators            about fifteen minutes on one core
    python -m experiments.estimators --smoke    three answers each, of which nothing is asked
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pennylane as qml
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import XXPlusYYGate
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError

import qngd
from experiments import estimator_truth as truth
from experiments.estimator_truth import DIAGONAL, MIXED, THETA
from experiments.misreading import Misreading
from experiments.record import Experiment, Verdict, main
from qngd.backends import Executor, PostSelected, ReadoutCorrected
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.deflated import deflated
from qngd.evaluators.setup import Setup
from qngd.gradients import ParameterShift, SampledShift, SimultaneousPerturbation, as_gradient
from qngd.interop.given import read_given
from qngd.metrics.names import as_metric
from qngd.metrics.spsa import QNSPSA

SHOTS = 200
ROUNDS = (1000, 2000, 4000)  # answers: the first that decides
SURE = 3.0  # standard errors of a ratio
BIASED = 4.0  # standard errors of a mean: there are some hundreds of numbers
RIGHT = 0.1
QUARTER = 0.25
NEVER = 1e-12
BEYOND = 0.005  # of a loss, about: what correction adds to the variances of outputs, and so to its bias
RATES = np.array([[0.03, 0.06, 0.02, 0.05], [0.08, 0.04, 0.06, 0.09]])  # 1 of |0⟩ and 0 of |1⟩, of every qubit
ANCILLA = np.array([[0.04], [0.05]])  # those of a Hadamard test's own qubit

Answer = tuple[np.ndarray, np.ndarray]  # numbers and their standard errors
Ask = Callable[[int], Answer]  # by the seed


@dataclass(frozen=True)
class Estimator:
    """What is asked, and what comes out on average; `slack` is how far its mean may be from that by what it says, and
    `second` the second order of the variances of its numbers, where the first may vanish."""

    kind: str
    name: str
    ask: Ask
    truth: Callable[[], np.ndarray]
    slack: float = 0.0
    second: Callable[[], np.ndarray] | None = None


@cache
def wrapped() -> Any:
    return qngd.wrap(truth.circuit())


def evaluating(target: Any, circuit: Any = None, at: Any = THETA, **how: Any) -> tuple[Any, np.ndarray]:
    """An evaluator of this circuit, or of `wrapped`, and the parameters as it takes them."""
    given = read_given(wrapped() if circuit is None else circuit, target, at, role="point")
    how = {"backend": "statevector", "shots": SHOTS, **how}
    return evaluator_for(given.circuit, given.target, Setup(**how)), given.theta


def asking(
    target: Any, gradient: Any = False, metric: Any = None, circuit: Any = None, at: Any = THETA, **how: Any
) -> Any:
    """What `qngd.expectation`, `gradient` and `metric_tensor` ask, of one evaluator that is made once: a function from
    a seed to the estimate of the last of the three that is wanted."""
    evaluator, theta = evaluating(target, circuit, at, **how)

    def ask(seed: int) -> Any:
        if metric is not None:
            return evaluator.metric(theta, as_metric(metric), seed)
        way = as_gradient(gradient) if gradient else False
        found = evaluator.evaluate(theta, gradient=way, metric=None, seed=seed)
        return found.gradient if gradient else found.energy

    return ask


def _sum(size: int) -> np.ndarray:
    """Weights of a sum of all numbers that is like none of them."""
    return np.cos(1.0 + 2.0 * np.arange(size)) + 0.1


def _of(found: Any, summed: bool = True) -> Answer:
    """An Estimate's numbers, and with a covariance matrix their sum; `summed` says that the truth has it."""
    values, errors = np.ravel(found.value).astype(float), np.ravel(found.stderr).astype(float)
    if not summed:
        return values, errors
    weights = _sum(len(values))
    return np.append(values, weights @ values), np.append(errors, np.sqrt(weights @ found.covariance @ weights))


def _with_sum(values: np.ndarray) -> np.ndarray:
    return np.append(values, _sum(len(values)) @ values)


def _matrix(found: Any) -> Answer:
    """The unbiased estimate of a metric, before it was made positive."""
    upper = np.triu_indices(len(found.raw))
    return found.raw[upper], found.raw_stderr[upper]


def _upper(matrix: np.ndarray) -> np.ndarray:
    found: np.ndarray = matrix[np.triu_indices(len(matrix))]
    return found


# --- energies and gradients ---


def energies() -> Iterator[Estimator]:
    def ask(**how: Any) -> Ask:
        found = asking(MIXED, **how)
        return lambda seed: _of(found(seed), summed=False)

    def exact() -> np.ndarray:
        return np.array([truth.energy(MIXED, THETA)])

    for grouping in ("qubit-wise", "commuting", "auto"):
        yield Estimator("energy", grouping, ask(grouping=grouping), exact)
    yield Estimator("energy", "random bases", ask(grouping=qngd.RandomPaulis(bases=20), shots=10), exact)
    yield Estimator("energy", "random bases, at two points", _two_points, _at_two_points)
    yield Estimator("energy", 'shots="auto"', ask(shots="auto"), exact)
    yield Estimator("energy", "Qiskit's StatevectorEstimator", ask(backend=StatevectorEstimator()), exact)
    device = qml.device("default.qubit", wires=truth.QUBITS)
    yield Estimator("energy", "PennyLane's default.qubit", ask(backend=device), exact)


_ELSEWHERE = THETA + np.array([1.1, -0.7, 0.4, 0.9, -1.3])


@cache
def _of_random_bases() -> Any:
    return evaluating(MIXED, shots=10, grouping=qngd.RandomPaulis(bases=20))[0]


def _two_points(seed: int) -> Answer:
    """As probes and baselines ask, in one submission."""
    found = _of_random_bases().energies([THETA, _ELSEWHERE], seed)[0]
    return np.array([each.value for each in found]), np.array([each.stderr for each in found])


def _at_two_points() -> np.ndarray:
    return np.array([truth.energy(MIXED, theta) for theta in (THETA, _ELSEWHERE)])


def gradients() -> Iterator[Estimator]:
    def ask(method: Any, **how: Any) -> Ask:
        found = asking(MIXED, gradient=method, **how)
        # the covariances of random directions are lessened where they would not be positive: no error of a sum
        return lambda seed: _of(found(seed), summed=not isinstance(method, SimultaneousPerturbation))

    @cache
    def exact() -> np.ndarray:
        return _with_sum(truth.derivative(partial(truth.energy, MIXED), THETA))

    @cache
    def differences() -> np.ndarray:
        return truth.mean_difference(MIXED, THETA, 0.2)

    for rule in ("two-term", "general", "auto"):
        yield Estimator("gradient", f"{rule} shift rule", ask(ParameterShift(rule)), exact)
    for grouping in ("commuting", "auto"):
        yield Estimator("gradient", f"shift, {grouping}", ask("shift", grouping=grouping), exact)
    bases = qngd.RandomPaulis(bases=6)
    yield Estimator("gradient", "shift, random bases", ask("shift", grouping=bases, shots=5), exact)
    for circuits in (6, 20, None):
        name = "sampled" if circuits is None else f"sampled, {circuits} circuits"
        yield Estimator("gradient", name, ask(SampledShift(circuits)), exact)
    yield Estimator("gradient", "sampled, auto", ask(SampledShift(30), grouping="auto"), exact)
    no_shots = {"backend": None, "shots": None}
    yield Estimator("gradient", "sampled, exact energies", ask(SampledShift(6), **no_shots), exact)
    for count in (3, 10):
        way = SimultaneousPerturbation(perturbation=0.2, resamplings=count)
        yield Estimator("gradient", f"spsa, {count} directions", ask(way), differences)
    yield Estimator("gradient", "spsa, exact energies", ask(way, **no_shots), differences)
    yield Estimator("gradient", 'shift, shots="auto"', ask("shift", shots="auto"), exact)
    few = ask(SampledShift(6), backend=StatevectorEstimator())
    yield Estimator("gradient", "sampled, Qiskit's StatevectorEstimator", few, exact)


# --- metrics ---


def metrics() -> Iterator[Estimator]:
    def ask(approx: Any, target: Any = MIXED, **how: Any) -> Ask:
        found = asking(target, metric=approx, **how)
        return lambda seed: _matrix(found(seed))

    yield Estimator("metric", "diag", ask("diag"), partial(_layers, diagonal=True), second=_second)
    yield Estimator("metric", "block-diag", ask("block-diag"), _layers, second=_second)
    for cross in ("hadamard", "mid-circuit", "overlap"):
        yield Estimator("metric", f"full, {cross}", ask("full", cross=cross), _whole, second=_second)
    by_means = ask("block-diag", backend=StatevectorEstimator())
    yield Estimator("metric", "block-diag, Qiskit's StatevectorEstimator", by_means, _layers, second=_second)
    spsa = QNSPSA(resamplings=10, perturbation=0.2)
    yield Estimator("metric", "QN-SPSA", ask(spsa), _overlaps)
    yield Estimator("metric", "QN-SPSA, exact overlaps", ask(spsa, backend=None, shots=None), _overlaps)
    yield Estimator("metric", "random-basis", ask("random-basis", shots=20 * SHOTS), _whole, np.inf)
    yield Estimator("metric", "Hamiltonian-aware", ask("hamiltonian"), _hamiltonian_aware)


@cache
def _whole() -> np.ndarray:
    return _upper(truth.metric(THETA))


@cache
def _second() -> np.ndarray:
    """(g_aa g_bb + g_ab²)/N² of a sample covariance g."""
    blocks = np.zeros((len(THETA),) * 2)
    blocks[np.triu_indices(len(THETA))] = _layers()
    blocks = np.triu(blocks) + np.triu(blocks, 1).T
    own = np.diag(blocks)
    return _upper(np.outer(own, own) + blocks**2) / SHOTS**2


@cache
def _overlaps() -> np.ndarray:
    return _upper(truth.mean_overlap_metric(THETA, 0.2))


@cache
def _layers(diagonal: bool = False) -> np.ndarray:
    """The blocks, or of their gates each by itself, with the layers that qngd puts the gates into."""
    turning = [k for k, gate in enumerate(truth.circuit().data) if gate.operation.params]
    layer = {turning.index(r.position): level.index for level in wrapped().layers for r in level.rotations}
    levels = np.array([layer[k] for k in range(len(turning))])
    if diagonal:
        return _upper(np.diag(np.diag(truth.metric(THETA, np.eye(len(levels))))))
    return _upper(truth.metric(THETA, levels[:, None] == levels))


@cache
def _hamiltonian_aware() -> np.ndarray:
    """Σ a²∂⟨P⟩∂⟨P⟩/2√Σa² (arXiv:2511.14511)."""
    own = {label: factor for label, factor in MIXED.items() if label.strip("I")}
    slopes = [a * truth.derivative(partial(truth.energy, {label: 1.0}), THETA) for label, a in own.items()]
    size = np.linalg.norm(list(own.values()))
    return _upper(sum(np.outer(slope, slope) for slope in slopes) / (2 * size))


# --- CVaR, samples, losses, overlaps ---


def tails() -> Iterator[Estimator]:
    alpha, shots = 0.3, 1000
    spread = np.ptp(truth.levels(DIAGONAL)) / (alpha * shots)
    value = asking(qngd.CVaR(DIAGONAL, alpha), shots=shots)
    slope = asking(qngd.CVaR(DIAGONAL, alpha), gradient="shift", shots=shots)
    tail = partial(truth.tail, DIAGONAL, alpha)

    def slopes() -> np.ndarray:
        return _with_sum(truth.derivative(tail, THETA))

    yield Estimator(
        "CVaR", "value", lambda seed: _of(value(seed), summed=False), lambda: np.array([tail(THETA)]), spread
    )
    yield Estimator("CVaR", "gradient", lambda seed: _of(slope(seed)), slopes, spread)


def samples() -> Iterator[Estimator]:
    """Shares of the bit strings that are not rare."""
    often = np.flatnonzero(truth.probabilities(THETA) > 0.02)

    def ask(seed: int, **how: Any) -> Answer:
        counts = qngd.sample(wrapped(), THETA, shots=SHOTS, seed=seed, **how)
        shares = np.array([counts[f"{k:04b}"] for k in often]) / SHOTS
        return shares, np.sqrt(shares * (1 - shares) / (SHOTS - 1))

    def exact() -> np.ndarray:
        return truth.probabilities(THETA)[often]

    yield Estimator("sample", "embedded", ask, exact)
    yield Estimator("sample", "light cones", partial(ask, backend="light-cone"), exact)


_INPUTS = np.array([[0.2], [-0.5], [0.9]])
_TARGETS = np.array([[0.3, -0.1], [-0.4, 0.2], [0.6, 0.5]])
_OUTPUTS = ({"IZIX": 1.0}, {"ZIZI": 0.8})


def losses() -> Iterator[Estimator]:
    yield from _losses("loss", "statevector")


def _losses(kind: str, backend: Any, slack: float = 0.0) -> Iterator[Estimator]:
    """A mean square of two outputs over three samples, whose data is what the parameter e was."""
    own, shots = THETA[:-1], 2 * SHOTS
    how = {"shots": shots, "backend": backend}

    def made(**more: Any) -> qngd.Objective:
        return qngd.Objective(
            truth.circuit(), [*_OUTPUTS], lambda o, t: np.mean((o - t) ** 2), data=_INPUTS, targets=_TARGETS,
            inputs=["e"], **more,
        )  # fmt: skip

    def outputs(theta: np.ndarray) -> np.ndarray:
        return np.array([[truth.energy(o, np.append(theta, x)) for o in _OUTPUTS] for (x,) in _INPUTS])

    def loss(theta: np.ndarray) -> float:
        return float(np.mean((outputs(theta) - _TARGETS) ** 2))

    def expected() -> np.ndarray:
        """With half the second derivatives times the variances: of a Pauli string that is (1 − o²)/N."""
        sizes = np.array([next(iter(o.values())) for o in _OUTPUTS])
        return np.array([loss(own) + np.mean((sizes**2 - outputs(own) ** 2) / shots)])

    def ask(seed: int) -> Answer:
        found = qngd.expectation(made(), theta=own, seed=seed, **how)
        return _of(found, summed=False)

    def slope(seed: int) -> Answer:
        found = qngd.gradient(made(), theta=own, seed=seed, **how)
        return _of(found, found.covariance is not None)

    def predicted(seed: int) -> Answer:
        return _of(qngd.outputs(made(), own, seed=seed, **how), summed=False)

    def metric(seed: int, **more: Any) -> Answer:
        found = qngd.metric_tensor(made(**more), own, seed=seed, **how)
        return _matrix(found)

    def gauss_newton() -> np.ndarray:
        slopes = truth.derivative(outputs, own)  # (P, B, K)
        return _upper(np.einsum("pbk,qbk->pq", slopes, slopes) * 2 / _TARGETS.size)

    covariance = qngd.gradient(made(), theta=own, seed=0, **how).covariance
    complete = (lambda values: values) if covariance is None else _with_sum
    yield Estimator(kind, "value", ask, expected, slack)
    yield Estimator(kind, "gradient", slope, lambda: complete(truth.derivative(loss, own)), slack)
    yield Estimator(kind, "outputs", predicted, lambda: outputs(own).ravel())
    yield Estimator(kind, "Gauss–Newton metric", partial(metric, metric="gauss-newton"), gauss_newton, slack)


def excited() -> Iterator[Estimator]:
    """Energies with penalties on overlaps with two other states, as the runs of excited states take them."""
    others = THETA + np.array([[0.5, 0.2, -0.3, 0.4, -0.2], [-0.3, -0.6, -0.1, 0.4, -0.5]])
    weights = np.array([1.5, 0.8])
    plain, _ = evaluating(MIXED)
    lifted: Any = deflated(plain, [*others], weights.tolist())

    def total(theta: np.ndarray) -> float:
        return truth.energy(MIXED, theta) + float(weights @ [truth.overlap(theta, other) for other in others])

    def ask(seed: int) -> Answer:
        return _of(lifted.evaluate(THETA, gradient=False, metric=None, seed=seed).energy, summed=False)

    def slope(seed: int) -> Answer:
        return _of(lifted.evaluate(THETA, gradient=True, metric=None, seed=seed).gradient)

    def apart(seed: int) -> Answer:
        energy, overlaps, _ = lifted.undeflated(THETA, seed)
        return np.append(overlaps.value, energy.value), np.append(overlaps.stderr, energy.stderr)

    yield Estimator("excited", "lifted energy", ask, lambda: np.array([total(THETA)]))
    yield Estimator("excited", "its gradient", slope, lambda: _with_sum(truth.derivative(total, THETA)))
    parts = [*(truth.overlap(THETA, other) for other in others), truth.energy(MIXED, THETA)]
    yield Estimator("excited", "overlaps and energy", apart, lambda: np.array(parts))


def ends() -> Iterator[Estimator]:
    """The last measurement of a run of one step, less what is true where that one ended."""

    def ask(seed: int, **how: Any) -> Answer:
        run = qngd.minimize(wrapped(), MIXED, THETA, shots=40, seed=seed, max_steps=1, tol=0, final_shots=SHOTS, **how)
        return np.array([run.energy - truth.energy(MIXED, run.theta)]), np.array([run.stderr])

    yield Estimator("final_shots", "of a run of one step", ask, lambda: np.zeros(1))
    yield Estimator("final_shots", "of QN-SPSA", partial(ask, optimizer=qngd.QNG.qn_spsa()), lambda: np.zeros(1))


# --- backends around backends ---


@cache
def misreading() -> Any:
    """Aer with errors of the readout alone."""
    model = NoiseModel()
    for qubit, (up, down) in enumerate(RATES.T):
        model.add_readout_error(ReadoutError([[1 - up, up], [down, 1 - down]]), [qubit])
    return AerSimulator(noise_model=model, method="statevector", max_parallel_threads=1)


def corrections() -> Iterator[Estimator]:
    def derivatives() -> np.ndarray:
        return _with_sum(truth.derivative(partial(truth.energy, MIXED), THETA))

    for shots in (None, 40):
        energy = asking(MIXED, backend=ReadoutCorrected(misreading(), shots=shots))
        name = "energy" if shots is None else f"energy, {shots} shots of calibration"
        yield Estimator("readout corrected", name, _number(energy), lambda: np.array([truth.energy(MIXED, THETA)]))
    corrected = ReadoutCorrected(misreading())
    slope = asking(MIXED, gradient=SampledShift(6), backend=corrected)  # few circuits
    yield Estimator("readout corrected", "sampled gradient", lambda seed: _of(slope(seed)), derivatives)
    faster = ReadoutCorrected(Misreading(np.hstack([RATES, ANCILLA])))
    for approx, exact in (("block-diag", _layers), ("full", _whole), ("hamiltonian", _hamiltonian_aware)):
        metric = asking(MIXED, metric=approx, backend=corrected if approx == "block-diag" else faster)
        second = _second if approx != "hamiltonian" else None
        yield Estimator(
            "readout corrected", f"{approx} metric", lambda seed, ask=metric: _matrix(ask(seed)), exact, second=second
        )
    yield from _losses("loss, readout corrected", faster, BEYOND)


def _number(ask: Callable[[int], Any]) -> Ask:
    return lambda seed: _of(ask(seed), summed=False)


_HOPS = ((0, 1), (1, 2), (2, 3), (0, 2))
_HOPPING = np.array([0.7, -0.9, 0.6, 1.2])
_KEPT = {"IIIZ": 0.5, "IZZI": -0.4, "ZIII": 0.3, "IIII": 0.1, "ZIIZ": 0.35}


def hopping() -> QuantumCircuit:
    """One excitation that hops."""
    angles = ParameterVector("t", len(_HOPS))
    circuit = QuantumCircuit(truth.QUBITS)
    circuit.x(1)
    for angle, pair in zip(angles, _HOPS, strict=True):
        circuit.append(XXPlusYYGate(angle), pair)
    return circuit


def _kept(rates: np.ndarray) -> float:
    """⟨H⟩ over what a device that misreads shows with one 1 in it."""
    right = np.asarray(Statevector(hopping().assign_parameters(_HOPPING)).probabilities())
    seen = right.reshape((2,) * truth.QUBITS)  # the first axis is the last qubit
    for qubit, (up, down) in enumerate(rates.T):
        wrong = np.array([[1 - up, down], [up, 1 - down]])
        axis = truth.QUBITS - 1 - qubit
        seen = np.moveaxis(np.tensordot(wrong, seen, axes=(1, axis)), 0, axis)
    weights = seen.ravel() * (np.bitwise_count(np.arange(16)) == 1)
    return float(weights @ truth.levels(_KEPT) / weights.sum())


def selections() -> Iterator[Estimator]:
    def ask(backend: Any, **how: Any) -> Callable[[int], Any]:
        selected = PostSelected(backend, particles="all")
        return asking(_KEPT, circuit=qngd.wrap(hopping()), at=_HOPPING, backend=selected, **how)  # type: ignore[no-any-return]

    def energy(theta: np.ndarray) -> float:
        psi = np.asarray(Statevector(hopping().assign_parameters(theta)))
        return float(np.abs(psi) ** 2 @ truth.levels(_KEPT))

    def slopes() -> np.ndarray:
        return _with_sum(truth.derivative(energy, _HOPPING))

    for name, backend, rates in (
        ("energy without noise", "statevector", np.zeros_like(RATES)), ("energy of what is kept", misreading(), RATES),
        ("energy, readout corrected", ReadoutCorrected(misreading()), np.zeros_like(RATES)),
    ):  # fmt: skip
        yield Estimator("post-selected", name, _number(ask(backend)), lambda rates=rates: np.array([_kept(rates)]))
    slope = ask("statevector", gradient="shift")
    yield Estimator("post-selected", "gradient without noise", lambda seed: _of(slope(seed)), slopes)


def executors() -> Iterator[Estimator]:
    simulator, numbers = AerSimulator(method="statevector", max_parallel_threads=1), itertools.count(1)
    rng = np.random.default_rng(7)

    def counts(circuit: QuantumCircuit, *, shots: int) -> dict[str, int]:
        found: dict[str, int] = simulator.run(circuit, shots=shots, seed_simulator=next(numbers)).result().get_counts()
        return found

    def values(circuit: QuantumCircuit, observables: list[SparsePauliOp]) -> tuple[np.ndarray, np.ndarray]:
        exact = np.array([Statevector(circuit).expectation_value(each).real for each in observables])
        errors = 0.05 + 0.03 * np.arange(len(exact))
        return exact + errors * rng.normal(size=len(exact)), errors

    def exact() -> np.ndarray:
        return np.array([truth.energy(MIXED, THETA)])

    def derivatives() -> np.ndarray:
        return _with_sum(truth.derivative(partial(truth.energy, MIXED), THETA))

    for name, made in (("counts", Executor(counts)), ("values and errors", Executor(values))):
        how = {"backend": made, "shots": None if made.gives_values else SHOTS}
        yield Estimator("executor", f"energy, {name}", _number(asking(MIXED, **how)), exact)
        slope = asking(MIXED, gradient=SampledShift(6), **how)
        yield Estimator(
            "executor", f"sampled gradient, {name}", lambda seed, slope=slope: _of(slope(seed)), derivatives
        )


ALL = (
    energies, gradients, metrics, tails, samples, losses, excited, ends, corrections, selections, executors,
)  # fmt: skip


# --- the measurement ---


def answers(estimator: Estimator, seeds: range) -> tuple[np.ndarray, np.ndarray]:
    found = [estimator.ask(seed) for seed in seeds]
    values, errors = (np.array(each) for each in zip(*found, strict=True))
    return values, errors


def judged(values: np.ndarray, errors: np.ndarray, exact: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Of R answers (R, N): the distance of the mean from the truth, its standard error, the ratio of stated to
    observed errors with its own, and by how much it may be too large. Of numbers that never change, and say so, there
    is only how far they are off."""
    count = len(values)
    moves = (values.std(axis=0) > NEVER) | (errors.max(axis=0) > NEVER)
    still = float(np.max(np.abs(values - exact)[:, ~moves], initial=0.0))
    values, errors, exact, second = values[:, moves], errors[:, moves], exact[moves], second[moves]
    centred = values - values.mean(axis=0)
    variance = (centred**2).sum(axis=0) / (count - 1)
    stated = errors**2
    # ln(stated/observed): what every answer moves it by, for its standard error
    moved = stated / stated.mean(axis=0) - centred**2 / variance
    ratio = np.sqrt(stated.mean(axis=0) / variance)
    return {
        "bias": values.mean(axis=0) - exact,
        "bias_stderr": np.sqrt(variance / count),
        "ratio": ratio,
        "ratio_stderr": ratio * moved.std(axis=0) / 2 / np.sqrt(count),
        "above": np.where(variance < 4 * second, QUARTER, RIGHT),
        "still": still,
    }


def is_decided(found: dict[str, Any]) -> bool:
    """Whether every ratio is surely what it may be, or surely not."""
    return bool(np.all(np.abs(_beyond(found)) > SURE * np.array(found["ratio_stderr"])))


def _beyond(found: dict[str, Any]) -> np.ndarray:
    """How far the ratios are outside of what they may be; negative inside."""
    ratio = np.array(found["ratio"])
    outside: np.ndarray = np.maximum(ratio - 1 - np.array(found["above"]), 1 - RIGHT - ratio)
    return outside


def measured(estimator: Estimator, rounds: tuple[int, ...]) -> dict[str, Any]:
    begin, exact = time.perf_counter(), np.ravel(estimator.truth())
    values, errors = np.zeros((2, 0, len(exact)))
    second = np.zeros(len(exact)) if estimator.second is None else estimator.second()
    found: dict[str, Any] = {}
    for count in rounds:
        more = answers(estimator, range(len(values), count))
        values, errors = np.concatenate([values, more[0]]), np.concatenate([errors, more[1]])
        found = judged(values, errors, exact, second)
        if is_decided(found):
            break
    return {
        "kind": estimator.kind,
        "name": estimator.name,
        "answers": len(values),
        "slack": None if np.isinf(estimator.slack) else estimator.slack,
        **found,
        "seconds": round(time.perf_counter() - begin, 1),
    }


def measure(smoke: bool) -> list[dict[str, Any]]:
    rows = []
    for family in ALL:
        for estimator in family():
            rows.append(measured(estimator, (3,) if smoke else ROUNDS))
            row = rows[-1]
            print(
                f"{row['kind']}, {row['name']}: {row['answers']} answers, bias up to {_off(row):.1f} standard errors, "
                f"errors {_low(row):.3f} to {_high(row):.3f} of what they should be, {row['seconds']} s",
                flush=True,
            )
    return rows


def _off(row: dict[str, Any]) -> float:
    """The largest bias beyond what is said, in standard errors of a mean."""
    if row["slack"] is None:
        return 0.0
    beyond = np.maximum(np.abs(row["bias"]) - row["slack"], 0.0)
    return float(np.max(beyond / np.array(row["bias_stderr"]), initial=0.0))


def _low(row: dict[str, Any]) -> float:
    return float(np.min(row["ratio"], initial=1.0))


def _high(row: dict[str, Any]) -> float:
    return float(np.max(row["ratio"], initial=1.0))


def is_right(row: dict[str, Any]) -> bool:
    """Whether all numbers that never change are true, and no ratio is outside of what it may be, as far as that could
    be decided."""
    doubt = 0.0 if is_decided(row) else SURE * np.array(row["ratio_stderr"])
    return bool(row["still"] < NEVER * 100 and np.all(_beyond(row) <= doubt))


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        wrong = [row["name"] for row in own if _off(row) > BIASED or not is_right(row)]
        numbers = sum(len(row["ratio"]) for row in own)
        found = (
            f"{len(own)} estimators, {numbers} numbers: means within {max(map(_off, own)):.1f} of their standard "
            f"errors, standard errors {min(map(_low, own)):.2f} to {max(map(_high, own)):.2f} of what they should be, "
            f"{min(row['answers'] for row in own):,} answers at least"
        )
        if wrong:
            found += f"; not so: {'; '.join(wrong)}"
        verdicts.append(Verdict(f"{kind}: unbiased as it says, errors right to 10 %", not wrong, found))
    return verdicts


EXPERIMENT = Experiment(
    "estimators",
    "Every estimate is unbiased where it says so, and its standard error is right to 10 %",
    "fifteen minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
