"""The functions for one θ: expectation value, gradient, metric tensor, samples, statevector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd._system.memory import available_bytes, format_bytes
from qngd._system.progress import telling
from qngd._system.seeds import derived
from qngd.circuit.active import active_qubits
from qngd.errors import MemoryLimitError, SettingError, checked_seed, shown
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Evaluation
from qngd.evaluators.arguments import BackendLike, Shots, Whole
from qngd.evaluators.base import Evaluator
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.device import DeviceEvaluator
from qngd.evaluators.given import AnyGiven
from qngd.evaluators.objectives.given import read_objective
from qngd.evaluators.objectives.objective import Objective
from qngd.evaluators.sample_bits import sample_bits
from qngd.evaluators.setup import Setup
from qngd.evaluators.some_qubits import marginal, read_qubits
from qngd.exact.point import simulator_of
from qngd.gradients.base import GradientLike
from qngd.gradients.names import as_gradient
from qngd.interop.arguments import CircuitLike, ObservableLike, Theta
from qngd.interop.given import read_given
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.measured.target_error import TargetError
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx, as_metric


@hinted
def expectation(
    circuit: CircuitLike | Objective,
    observable: ObservableLike | Theta | None = None,
    theta: Theta | None = None,
    *,
    backend: BackendLike | None = None,
    shots: Shots | None = None,
    seed: Whole | None = None,
    grouping: Grouping = "qubit-wise",
) -> Estimate:
    """⟨ψ(θ)|H|ψ(θ)⟩ with its standard error.

    Args:
        circuit: anything `wrap` takes; or an `Objective`, whose loss it then is, over all samples, without an
            observable.
        observable: a mapping of Pauli labels to real coefficients, or a list of such pairs; Qiskit's `SparsePauliOp`,
            `SparseObservable`, `Pauli` or `Operator`; a PennyLane operator, Pauli sentence or Fermi sentence (taken
            by Jordan–Wigner, mode i on wire i); OpenFermion's `QubitOperator`; or None for what a QNode itself
            measures; `expectation(node, theta)` does as well. It may have up to 2²⁰ Pauli strings. One that misses
            being Hermitian by no more than 5e-7 of its largest number is made Hermitian.
        theta: parameter values in the user's own structure, in radians.
        backend, shots, seed, grouping: see `minimize`. For a `TargetError` there are two submissions: the first shows
            the variances, and the second gives the estimate.

    Raises:
        CircuitError, ObservableError, ParameterError: an argument does not fit.
        MemoryLimitError: the statevector would not fit in memory.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> print(qngd.expectation(circuit, {"Z": 1.0}, [0.0]))
    1
    """
    at, evaluator = _asked(circuit, observable, theta, Setup(backend, shots, grouping))
    return _evaluated(evaluator, at.theta, seed, gradient=False, metric=None).energy


@hinted
def gradient(
    circuit: CircuitLike | Objective,
    observable: ObservableLike | Theta | None = None,
    theta: Theta | None = None,
    *,
    backend: BackendLike | None = None,
    shots: Shots | None = None,
    seed: Whole | None = None,
    grouping: Grouping = "qubit-wise",
    method: GradientLike = "shift",
) -> Estimate:
    """∇_θ⟨H⟩ with its standard errors, both of shape (P,), in flattened parameter order.

    Exact: one forward and one reverse sweep, whatever P is. In the structure of a QNode's arguments, as `qml.grad`
    gives it: `wrap(node, *args).split(gradient(node, None, args).value)`.

    Args:
        circuit, observable, theta, backend, shots, seed, grouping: as for `expectation`.
        method: "shift", all circuits of the shift rules; "sampled", an unbiased estimate from a random part of them;
            "spsa", differences along random directions, biased by terms of the order of their length squared; "auto",
            of every parameter what takes the fewest shots, biased where that is a difference, and exact where the
            backend is; or an object of `qngd.gradients`, which has their settings. "sampled" and "spsa" are random on
            exact backends too.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.
        MemoryLimitError: the statevector would not fit in memory.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> qngd.gradient(circuit, {"X": 1.0}, [0.0]).value
    array([1.])
    """
    way = as_gradient(method, "method")
    at, evaluator = _asked(circuit, observable, theta, Setup(backend, shots, grouping))
    slope = _evaluated(evaluator, at.theta, seed, gradient=way, metric=None).gradient
    assert slope is not None
    return slope


@hinted
def metric_tensor(
    circuit: CircuitLike | Objective,
    theta: Theta | None = None,
    *,
    approx: Approx | Metric = "block-diag",
    backend: BackendLike | None = None,
    shots: Shots | None = None,
    seed: Whole | None = None,
    cross: CrossMethod = "hadamard",
    observable: ObservableLike | None = None,
    grouping: Grouping = "qubit-wise",
    progress: Callable[[float], None] | None = None,
) -> MetricTensor:
    """The Fubini–Study metric g_ij = Re⟨∂_iψ|∂_jψ⟩ − ⟨∂_iψ|ψ⟩⟨ψ|∂_jψ⟩ (arXiv:1909.02108); 4g is the quantum
    Fisher information.

    Args:
        circuit, theta, backend, shots, seed: as for `expectation`; of an `Objective` it is the metric that its steps
            take: averaged over the samples, or of its outputs.
        approx: "full"; "block-diag", the blocks of the circuit's layers; or "diag". The last two are the metric of the
            rotations without its entries between layers, or between units (the commuting rotations of one gate that one
            parameter moves), contracted with the Jacobian of the angles. So a parameter that several gates of a layer
            share has the exact variance of its summed generator in "block-diag", and the sum of the gates' variances in
            "diag". In both the diagonal entry of a parameter that stands in one gate is exact, unless `note` names the
            gate.
            Two are random estimates of the full metric: "qn-spsa", from 40 overlaps whatever P is
            (`qngd.metrics.spsa`), and "random-basis", from the Fisher information in 4 random bases
            (`qngd.metrics.random_basis`). Each base takes as many circuits as a gradient, and many more shots than
            there are likely outcomes.
            Two are other metrics: "hamiltonian", that of the observable's expectation values in place of the state
            (`qngd.metrics.hamiltonian`), comes from the circuits of the gradient, and has the unit of the observable;
            "identity" is for plain gradient descent.
            Or an object of `qngd.metrics`, or a metric of your own: see `qngd.metrics.Metric`.
        observable: as for `expectation`; among these metrics only "hamiltonian" depends on it.
        cross: how shots estimate the entries between layers that "full" has besides the blocks: "hadamard" (an
            ancilla), "mid-circuit" (a measurement midway) or "overlap" (twice the depth); see `qngd.measured.cross`.
        grouping: of the observable's strings, see `minimize`.
        progress: told now and then which part of the derivative states of an exact "full" metric is made, up to 1;
            their products follow.

    Returns:
        A symmetric positive semidefinite matrix (P, P) in flattened parameter order, with standard errors. Where the
        unbiased estimate from shots was indefinite it is projected onto the positive cone: `note` says what that did,
        and how far it moved an entry counts in its standard error. It also names gates whose parameter turns in
        several layers, where "block-diag" and "diag" leave out correlations inside the gate.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.
        MemoryLimitError: the derivative states of "full" or "random-basis" would not fit in memory.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> np.asarray(qngd.metric_tensor(circuit, [0.3]))
    array([[0.25]])
    """
    metric, setup = as_metric(approx), Setup(backend, shots, grouping, cross)
    objective = read_objective(circuit, observable, theta, role="point")
    if objective is not None:
        wanted = objective.evaluator(setup).of_all()
        return _metric(wanted, objective.theta, wanted.own_metric(metric), seed)
    at = read_given(circuit, observable, theta, role="point")
    needed = metric.needs_observable and at.has_observable
    evaluator = evaluator_for(at.circuit, at.observable if needed else None, setup)
    with telling(None if progress is None else lambda _, part: progress(part)):
        return _metric(evaluator, at.theta, metric, seed)


@hinted
def outputs(
    objective: Objective,
    theta: Theta,
    *,
    data: Any = None,
    backend: BackendLike | None = None,
    shots: Shots | None = None,
    seed: Whole | None = None,
    grouping: Grouping = "qubit-wise",
) -> Estimate:
    """The outputs of an `Objective`, before its loss, with their standard errors: predictions, with θ of a result.

    Args:
        objective: its outputs have the shape that its loss takes.
        theta, backend, shots, seed, grouping: as for `expectation`; a `TargetError` is that of every output.
        data: other samples than the objective's own, given as those are.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> x, a = circuit.parameters("x", "a")
    >>> line = qngd.Objective(circuit.ry(x + a, 0), [{"Z": 1.0}], np.mean, data=[[0.0], [np.pi]], inputs=["x"])
    >>> qngd.outputs(line, [0.0]).value
    array([[ 1.],
           [-1.]])
    """
    if not isinstance(objective, Objective):
        raise SettingError(f"objective must be a qngd.Objective; got {shown(objective)}")
    if data is not None:
        objective = replace(objective, data=data, targets=None, batch_size=None)
    given = read_objective(objective, None, theta, role="point")
    assert given is not None
    return given.evaluator(Setup(backend, shots, grouping)).estimated_outputs(given.theta, checked_seed(seed))


def _asked(circuit: Any, observable: Any, theta: Any, setup: Setup) -> tuple[AnyGiven, Evaluator]:
    """A circuit with its observable, or an objective, at θ, and what answers questions about it."""
    objective = read_objective(circuit, observable, theta, role="point")
    if objective is not None:
        return objective, objective.evaluator(setup).of_all()
    at = read_given(circuit, observable, theta, role="point")
    return at, evaluator_for(at.circuit, at.target, setup)


def _evaluated(evaluator: Evaluator, theta: np.ndarray, seed: Whole | None, **what: Any) -> Evaluation:
    """One evaluation; for a target error a second one, with the shots that follow from the first."""
    number = checked_seed(seed)
    first = evaluator.evaluate(theta, seed=number, **what)
    if first.spread is None or not _has_target(evaluator):
        return first
    return evaluator.evaluate(theta, seed=derived(number, 1), spread=first.spread, **what)


def _metric(evaluator: Evaluator, theta: np.ndarray, metric: Metric, seed: Whole | None) -> MetricTensor:
    if not _has_target(evaluator):
        return evaluator.metric(theta, metric, checked_seed(seed))
    tensor = _evaluated(evaluator, theta, seed, gradient=False, metric=metric).metric
    assert tensor is not None
    return tensor


def _has_target(evaluator: Evaluator) -> bool:
    return isinstance(evaluator, DeviceEvaluator) and isinstance(evaluator.shots, TargetError)


@hinted
def sample(
    circuit: CircuitLike,
    theta: Theta | None = None,
    *,
    shots: Whole | None = None,
    backend: BackendLike | None = None,
    seed: Whole | None = None,
    qubits: Sequence[Whole] | Whole | None = None,
) -> Counter[str]:
    """Measure all qubits `shots` times, or some of them: a Counter of bitstrings, rightmost bit qubit 0. Qubits that no
    gate acts on read 0 without being measured.

    Args:
        circuit, theta, seed: as for `expectation`.
        backend: as for `expectation`. "light-cone" samples what light cones have room for, which a few qubits of a
            shallow circuit always are; it is also what is taken where no backend is given and a statevector does not
            fit in memory.
        shots: as for `expectation`, a number; None needs a backend or QNode with shots of its own.
        qubits: numbers of the qubits to read, of which the first is the rightmost bit; None reads all. Gates that they
            do not depend on are not run.

    Raises:
        CircuitError, ParameterError, SettingError: an argument does not fit.
        BackendError: the backend gives expectation values only, or failed.
        MemoryLimitError: what the qubits depend on does not fit in memory; the text says what to do instead.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> qngd.sample(circuit, [0.0], shots=10)
    Counter({'0': 10})
    """
    at = read_given(circuit, theta=theta, role="point")
    return sample_bits(at.circuit, at.theta, shots, backend, checked_seed(seed), qubits)


@hinted
def probabilities(
    circuit: CircuitLike, theta: Theta | None = None, *, qubits: Sequence[Whole] | Whole | None = None
) -> np.ndarray:
    """The exact probability of every outcome of measuring some qubits, or all, shape (2^k,): the first of the k qubits
    is the lowest bit of the index. By light cones, so that the circuit may have hundreds of qubits.

    Args:
        circuit, theta: as for `expectation`.
        qubits: numbers of qubits; None reads all.

    Raises:
        CircuitError, ParameterError, SettingError: an argument does not fit.
        MemoryLimitError: what the qubits depend on, or 2^k numbers, do not fit in memory.

    >>> circuit = qngd.CircuitBuilder(3)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0).cx(0, 2)
    >>> qngd.probabilities(circuit, [np.pi / 3], qubits=[2, 1]).round(12)
    array([0.75, 0.25, 0.  , 0.  ])
    """
    at = read_given(circuit, theta=theta, role="point")
    return marginal(at.circuit, at.theta, read_qubits(at.circuit, qubits))


@hinted
def statevector(circuit: CircuitLike, theta: Theta | None = None) -> np.ndarray:
    """The amplitudes of |ψ(θ)⟩, shape (2ⁿ,), up to a global phase; qubit 0 is the lowest bit of the index.

    Raises:
        MemoryLimitError: 2ⁿ amplitudes do not fit in memory.

    >>> circuit = qngd.CircuitBuilder(2)
    >>> circuit = circuit.x(0).rz(circuit.parameter("a"), 1)
    >>> np.abs(qngd.statevector(circuit, [0.3])).round(12)
    array([0., 1., 0., 0.])
    """
    at = read_given(circuit, theta=theta, role="point")
    wrapped, angles = at.circuit, at.circuit.angle_map(at.theta)
    n, active = wrapped.num_qubits, active_qubits(wrapped)
    part = simulator_of(wrapped, whole=True)
    if len(active) == n:
        return part.statevector(angles)
    if 16 << n > available_bytes():
        raise MemoryLimitError(
            f"a statevector on {n} qubits has 2^{n} amplitudes of 16 bytes, and {format_bytes(available_bytes())} are "
            f"available; gates act on {len(active)} of the qubits: give the circuit without the others (as it was "
            "before it was transpiled), or ask for qngd.expectation or qngd.sample, which leave them out"
        )
    amplitudes = np.zeros(1 << n, dtype=complex)
    places = np.arange(1 << len(active), dtype=np.int64)
    wide = sum((places >> k & 1) << q for k, q in enumerate(active.tolist()))
    amplitudes[wide] = part.statevector(angles)
    return amplitudes
