"""An objective's answers from the embedded statevector simulator, or by light cones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import SettingError, counted, joined
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.objectives.base import ObjectiveEvaluator, seed_of
from qngd.evaluators.objectives.gauss_newton import GaussNewton, gauss_newton_matrix, without_negative
from qngd.evaluators.objectives.model import BatchPart, DataCircuit, Model
from qngd.evaluators.objectives.tails import WithTails
from qngd.exact.batch import BatchAngles, BatchSimulator, Kind
from qngd.exact.cones.batch import ConeBatch
from qngd.exact.point import no_states
from qngd.gradients.base import Asked, require_shifts
from qngd.metrics.base import Metric
from qngd.metrics.full import Full
from qngd.metrics.identity import Identity
from qngd.metrics.layers import BlockDiagonal, Diagonal
from qngd.metrics.names import as_metric

_FULL_UP_TO = 1 << 24  # amplitudes of all derivative states of a circuit, as of one energy
_FEW_PARAMETERS = 2000  # by light cones: full metric by default, as of one energy
# the metrics that a batch is run with
_BATCHED: dict[type, Kind] = {Diagonal: "diag", BlockDiagonal: "block-diag", Full: "full"}


class ExactObjective(ObjectiveEvaluator):
    """Answers from the embedded statevector simulator, all samples at a time."""

    name = "exact statevector"

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.simulators = {id(part): self._simulator(part) for part in model.parts}

    def _simulator(self, part: DataCircuit) -> BatchSimulator | WithTails | ConeBatch:
        """What answers for one of the circuits."""
        means = BatchSimulator(*_pulled(part))
        return WithTails(means, part.circuit, part.observables, part.shares) if part.shares else means

    @property
    def is_exact(self) -> bool:
        """False of mini-batches, whose losses differ."""
        return self.epoch == 1

    @property
    def note(self) -> str:
        return self._batch_note

    def default_metric(self) -> Metric:
        return self.own_metric(as_metric("full" if self._full_fits() else "block-diag"))

    def _full_fits(self) -> bool:
        """Whether the full metric is affordable."""
        simulators = (each.simulator for each in self.simulators.values() if not isinstance(each, ConeBatch))
        qubits = max((each.num_qubits for each in simulators), default=0)
        return self.model.num_parameters << qubits <= _FULL_UP_TO

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        metric = self._checked(metric)
        judged, samples, batch = self._asked(require_shifts(gradient, "an Objective"))
        before = None
        if judged is not None:
            before = Estimate.exact(np.float64(self.model.loss_of(self.outputs(theta, judged), judged)[0]))
        run = _Run(self, theta, samples, _BATCHED.get(type(metric)))
        value, slopes = self.model.loss_of(run.outputs, samples)
        tensor = None if metric is None else self._metric(run, metric, seed)
        circuits = sum(len(each.rows) for each in run.parts)
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(value)),
            gradient=Estimate.exact(run.gradient(slopes)) if gradient else None,
            metric=tensor,
            cost=Cost(jobs=1, circuits=circuits),
            batch=batch,
            before=before,
            energy_scale=self.model.scale_of(slopes, samples),
        )

    def outputs(self, theta: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """The outputs (b, K) of these samples, ascending."""
        return _Run(self, theta, samples, None).outputs

    def estimated_outputs(self, theta: np.ndarray, seed: int | None) -> Estimate:
        """The outputs of all samples, in the shape that the loss takes."""
        return Estimate.exact(self.model.shaped(self.outputs(theta, self.model.samples)))

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        self._checked(metric)
        run = _Run(self, theta, self._asked(False)[1], _BATCHED.get(type(metric)))
        return self._metric(run, metric, seed)

    def _metric(self, run: _Run, metric: Metric, seed: int | None) -> MetricTensor:
        name = metric.name
        if isinstance(metric, Identity):
            return MetricTensor.exact(np.eye(len(run.theta)), name)
        if isinstance(metric, GaussNewton):
            jacobian = run.jacobian()
            bends = self.model.bent_jacobian(run.outputs, run.samples, jacobian)
            return MetricTensor.exact(
                without_negative(gauss_newton_matrix(jacobian, bends)), name, _flat_note(jacobian, bends)
            )
        if run.metric is not None:
            notes = "" if isinstance(metric, Full) else "; ".join(dict.fromkeys(_notes(run.parts)))
            return MetricTensor.exact(run.metric / len(run.samples), name, notes)
        return self._metric_by_sample(run, metric, seed)

    def _metric_by_sample(self, run: _Run, metric: Metric, seed: int | None) -> MetricTensor:
        """The mean of random estimates, each with a seed of its own."""
        size, count = self.model.num_parameters, len(run.samples)
        value, variance = np.zeros((size, size)), np.zeros((size, size))
        note, number = "", 0
        for each in run.parts:
            place = np.ix_(each.part.parameters, each.part.parameters)
            for row in each.rows:
                own = each.part.circuit.with_angles(each.part.bound.angles.of(int(row)))
                at = run.theta[each.part.parameters]
                found = ExactEvaluator(own, None).metric(at, metric, seed_of(seed, number))
                value[place] += found.value / count
                variance[place] += (found.stderr / count) ** 2
                note, number = found.note, number + 1
        return MetricTensor(value, np.sqrt(variance), metric.name, note=note)

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        return Cost(
            jobs=1, circuits=sum(len(each.rows) for each in self.model.parts_of(self._asked(bool(gradient))[1]))
        )

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ, averaged over the samples."""
        self._check_free("matrix-free")
        samples = self._asked(False)[1]
        parts = [(each, _angles(each, theta)) for each in self.model.parts_of(samples)]

        def product(vector: np.ndarray) -> np.ndarray:
            total = np.zeros(len(theta))
            for each, angles in parts:
                simulator, own = self.simulators[id(each.part)].simulator, each.part.parameters
                for row, phi in enumerate(angles.phi):
                    total[own] += simulator.metric_product(phi, angles.jacobian(row), vector[own])
            return total / len(samples)

        return product


class _Run:
    """The states of some samples at θ, and what is asked of them."""

    def __init__(self, owner: ExactObjective, theta: np.ndarray, samples: np.ndarray, kind: Kind | None) -> None:
        model = owner.model
        self.theta, self.samples = theta, samples
        self.parts = model.parts_of(samples)
        self.outputs = np.zeros((len(samples), model.num_outputs))
        self.metric: np.ndarray | None = None if kind is None else np.zeros((len(theta), len(theta)))
        self._gradients: list[Callable[[np.ndarray], np.ndarray]] = []
        for each in self.parts:
            values, metric, gradients = owner.simulators[id(each.part)].forward(_angles(each, theta), kind)
            self.outputs[each.places, each.part.columns] = values
            if self.metric is not None and metric is not None:
                self.metric[np.ix_(each.part.parameters, each.part.parameters)] += metric
            self._gradients.append(gradients)

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Σ_bk w_bk·∇⟨H_k⟩_b, (P,)."""
        total = np.zeros(len(self.theta))
        for each, gradients in zip(self.parts, self._gradients, strict=True):
            own = weights[each.places, each.part.columns]
            total[each.part.parameters] += gradients(own).sum(axis=0)
        return total

    def jacobian(self) -> np.ndarray:
        """The derivatives of all outputs, (b, K, P)."""
        found = np.zeros((*self.outputs.shape, len(self.theta)))
        for each, gradients in zip(self.parts, self._gradients, strict=True):
            count = each.part.columns.stop - each.part.columns.start
            for k in range(count):
                weights = np.zeros((len(each.places), count))
                weights[:, k] = 1.0
                place = np.ix_(each.places, [each.part.columns.start + k], each.part.parameters)
                found[place] = gradients(weights)[:, None]
        return found


class ConeObjective(ExactObjective):
    """Answers by light cones, one sample after the other. `was_chosen`: for want of memory for a statevector, where
    the user named no backend.

    Raises:
        MemoryLimitError: an output depends on too much of a circuit; the text names the term.
    """

    name = "exact light cones"

    def __init__(self, model: Model, was_chosen: bool = False) -> None:
        super().__init__(model)
        self._was_chosen = was_chosen

    @property
    def note(self) -> str:
        own = (
            f"{counted(self.model.circuit.num_qubits, 'qubit')}, computed exactly by light cones"
            if self._was_chosen
            else ""
        )
        return joined(own, self._batch_note)

    def _simulator(self, part: DataCircuit) -> ConeBatch:
        if part.shares:
            raise SettingError(
                "backend: a CVaR takes the distribution of all qubits' outcomes, and light cones give expectation "
                "values; leave it out of the outputs, or take a backend with shots"
            )
        return ConeBatch(*_pulled(part))

    def _full_fits(self) -> bool:
        few = self.model.num_parameters <= _FEW_PARAMETERS
        return few and all(each.simulator.derivatives.have_states for each in self._cones)

    @property
    def _cones(self) -> Iterator[ConeBatch]:
        return (each for each in self.simulators.values() if isinstance(each, ConeBatch))

    def _metric_by_sample(self, run: _Run, metric: Metric, seed: int | None) -> MetricTensor:
        raise no_states()


def _pulled(part: DataCircuit) -> tuple[Circuit, list[Observable]]:
    """The circuit without idle qubits, and the outputs pulled through its Clifford gates."""
    active = without_idle(part.circuit)
    return active, [active.pull(as_measured(each, part.circuit)) for each in part.observables]


def _angles(each: BatchPart, theta: np.ndarray) -> BatchAngles:
    angles = each.part.bound.angles
    phi, slopes = angles.linearize(theta[each.part.parameters], each.rows)
    return BatchAngles(phi, angles.pattern, np.ascontiguousarray(slopes))


def _notes(parts: list[BatchPart]) -> list[str]:
    return [each.part.circuit.split_note for each in parts if each.part.circuit.split_note]


def _flat_note(jacobian: np.ndarray, bends: np.ndarray) -> str:
    if bends.any() or not jacobian.any():
        return ""
    return 'the loss is linear in the outputs here, and metric="gauss-newton" is 0; take metric="fubini-study"'
