"""qngd inside PennyLane's loops: its `QNGOptimizer` and `metric_tensor` with another import.

from qngd.pennylane import QNGOptimizer

optimizer = QNGOptimizer(stepsize=0.1)
theta, energy = optimizer.step_and_cost(node, theta)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import ParameterError, SettingError, check_word, require_positive, require_range

__all__ = ["QNGOptimizer", "metric_tensor"]

_Approx = Literal["block-diag", "diag"] | None


@hinted
class QNGOptimizer:
    """PennyLane's `QNGOptimizer` with the metric and the gradients of qngd: θ ← θ − η(g + λI)⁺∇E.

    Constructor, methods and attributes are PennyLane's, so that changing the import is all there is to do. What
    differs:

    - Several arguments are one vector for the metric, so that correlations between them count.
    - A cost function around QNodes needs no `metric_tensor_fn`: its metric is that of the QNodes that it calls, seen
      through its own arithmetic (which autograd follows), and averaged where several calls depend on the same
      parameters, as over data. A parameter that no QNode depends on is moved along its gradient. The step is then that
      of the cost's own gradient. What a QNode's result does to the arguments of a later one is left out of the metric.
    - Which arguments are trained is qngd's rule, `docs/pennylane.md`: as in PennyLane what is marked; and all real
      numbers where nothing is. JAX arrays and torch tensors are taken and returned, by QNodes.
    - The pseudo-inverse leaves out eigenvalues at the level of rounding, which would otherwise be inverted.
    - A QNode on an exact device is computed by the embedded simulator; with shots a step is one submission.

    Args:
        stepsize: η.
        approx: "block-diag", "diag" or None, the full metric.
        lam: λ.
        backend, shots: as in `qngd.minimize`: where QNodes run, in place of their own device. (For the value of a cost
            function, or of a QNode that returns no expectation value, they run on their own.)
        seed: of sampled steps, each of which has its own.

    Attributes:
        stepsize, approx, lam: as given; they may be changed between steps.
        metric_tensor: g + λI of the last step, as PennyLane keeps it: (P, P), or a tuple of such for several arguments.

    Raises:
        SettingError: a setting is out of range.

    >>> QNGOptimizer(0.1, lam=1e-3).stepsize
    0.1
    """

    def __init__(
        self,
        stepsize: float = 0.01,
        approx: _Approx = "block-diag",
        lam: float = 0,
        *,
        backend: Any = None,
        shots: Any = None,
        seed: int | None = None,
    ) -> None:
        require_positive(stepsize, "stepsize")
        require_range(lam, "lam", "a number of at least 0", lambda value: 0 <= value < np.inf)
        _words(approx)
        self.stepsize = stepsize
        self.approx = approx
        self.lam = lam
        self.metric_tensor: Any = None
        self._backend = backend
        self._shots = shots
        self._seed = seed
        self._steps = 0
        self._kept: tuple[Any, np.ndarray] | None = None  # what metric_tensor shows, and all of it

    def step(self, qnode: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The arguments after one step; see `step_and_cost`."""
        return self.step_and_cost(qnode, *args, **kwargs)[0]

    def step_and_cost(
        self,
        qnode: Callable[..., Any],
        *args: Any,
        grad_fn: Callable[..., Any] | None = None,
        recompute_tensor: bool = True,
        metric_tensor_fn: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """One step, and the cost before it.

        Args:
            qnode: a QNode that returns one number, or a cost function that calls QNodes.
            *args: its arguments.
            grad_fn: a function of the arguments that gives the gradient, one array for each trainable one.
            recompute_tensor: False goes on with the metric of the last step.
            metric_tensor_fn: a function of the arguments that gives the metric in PennyLane's shapes, or in ours.
            **kwargs: its other arguments, which are not trained.

        Returns:
            The arguments, in a tuple unless it is one, and the cost at those given.

        Raises:
            CircuitError, ParameterError, SettingError: an argument does not fit.
        """
        from qngd.run.cost_at import NO_METRIC, valued_at

        point = valued_at(qnode, args, kwargs)
        measures = metric_tensor_fn is None and (recompute_tensor or self.metric_tensor is None)
        seed = None if self._seed is None else [self._seed, self._steps]
        self._steps += 1
        value, slope, found = point.asked(
            self.approx if measures else NO_METRIC, grad_fn is None, self._backend, self._shots, seed
        )
        if grad_fn is not None:
            slope = point.flat(grad_fn(*args, **kwargs))
        if metric_tensor_fn is not None and (recompute_tensor or self.metric_tensor is None):
            found = _joined(metric_tensor_fn(*args, **kwargs))
        matrix = self._remembered() if found is None else self._remember(found, point.blocks)
        if matrix.shape != (len(slope),) * 2:
            raise ParameterError(
                f"metric_tensor_fn: a metric of {len(matrix)} parameters for a gradient of {len(slope)}; it must have "
                "a square block for each trainable argument"
            )
        return point.moved(-self.stepsize * _solved(matrix, slope)), np.array(value)

    @staticmethod
    def compute_grad(
        objective_fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        grad_fn: Callable[..., Any] | None = None,
    ) -> tuple[tuple[Any, ...], Any]:
        """The gradient, one array for each trainable argument, and the cost: None where `grad_fn` gives the
        gradient."""
        from qngd.run.cost_at import NO_METRIC, valued_at

        if grad_fn is not None:
            parts = grad_fn(*args, **kwargs)
            return (parts if isinstance(parts, tuple) else (parts,)), None
        point = valued_at(objective_fn, tuple(args), kwargs)
        value, slope, _ = point.asked(NO_METRIC, True, None, None, None)
        parts = point.structure.split(slope)
        return (parts if type(parts) is tuple else (parts,)), np.array(value)

    def apply_grad(self, grad: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments after a step along `grad`, one array for each trainable argument, with the metric of the last
        step."""
        from qngd.interop.pennylane.arguments import Arguments
        from qngd.interop.pennylane.cost import flat_gradient

        if self.metric_tensor is None:
            raise SettingError("metric_tensor is not known before the first step; call step or step_and_cost")
        arguments = Arguments(tuple(args), tuple(f"args[{i}]" for i in range(len(args))))
        slope = flat_gradient(arguments, grad, len(arguments.parameters))
        delta = self.stepsize * _solved(self._remembered(), slope)
        return tuple(arguments.unflatten(arguments.theta - delta, tuple(args)))

    def _remember(self, matrix: np.ndarray, blocks: tuple[slice, ...]) -> np.ndarray:
        whole = matrix + self.lam * np.eye(len(matrix))
        self.metric_tensor = whole if len(blocks) == 1 else tuple(whole[block, block] for block in blocks)
        self._kept = self.metric_tensor, whole
        return whole

    def _remembered(self) -> np.ndarray:
        """All of the metric that `metric_tensor` shows, or what was put in its place."""
        if self._kept is not None and self._kept[0] is self.metric_tensor:
            return self._kept[1]
        return _joined(self.metric_tensor)


@hinted
def metric_tensor(
    node: Callable[..., Any],
    approx: _Approx = None,
    *,
    backend: Any = None,
    shots: Any = None,
    seed: int | None = None,
) -> Callable[..., Any]:
    """PennyLane's `qml.metric_tensor(node, approx)`: a function of the QNode's arguments that gives the metric.

    Args:
        node: a QNode, or a cost function around QNodes, see `QNGOptimizer`.
        approx: "block-diag", "diag" or None, the full metric.
        backend, shots, seed: as in `qngd.metric_tensor`.

    Returns:
        A function whose value is, for a trainable argument of shape s, an array of shape s + s; for several a tuple of
        them, without the correlations between arguments, which `qngd.metric_tensor(node, args)` has.

    Raises:
        SettingError: there is no such approximation; when it is called also CircuitError, ParameterError.
    """
    _words(approx)

    def of_arguments(*args: Any, **kwargs: Any) -> Any:
        from qngd.interop.pennylane.cost import in_kind
        from qngd.run.cost_at import cost_at

        point = cost_at(node, args, kwargs)
        matrix = point.metric(approx, backend, shots, seed)
        if len(point.blocks) != len(point.shapes):  # an argument that is no array has no shape
            return in_kind(matrix, args)
        parts = [
            in_kind(matrix[block, block].reshape(shape + shape), args)
            for block, shape in zip(point.blocks, point.shapes, strict=True)
        ]
        return parts[0] if len(parts) == 1 else tuple(parts)

    return of_arguments


def _joined(metric: Any) -> np.ndarray:
    """A metric in PennyLane's shapes s + s, or a tuple of such, as one matrix (P, P)."""
    from scipy.linalg import block_diag

    parts = metric if isinstance(metric, tuple) else (metric,)
    return block_diag(*map(_square, parts)) if parts else np.zeros((0, 0))


def _square(part: Any) -> np.ndarray:
    values = np.asarray(part, dtype=float)
    size = round(np.sqrt(values.size))
    if size * size != values.size:
        raise ParameterError(f"metric_tensor_fn: an array of shape {values.shape} is no metric, whose shape is s + s")
    return values.reshape(size, size)


def _solved(matrix: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The pseudo-inverse times the gradient."""
    from qngd.damping import PseudoInverse
    from qngd.estimates.estimate import Estimate, MetricTensor
    from qngd.solve.direction import natural_direction

    metric = MetricTensor.exact((matrix + matrix.T) / 2, "given")
    return natural_direction(metric, Estimate.exact(slope), PseudoInverse()).vector


def _words(approx: Any) -> None:
    if approx is not None:
        check_word(approx, ("block-diag", "diag"), "approx")
