"""A cost function of PennyLane's at given arguments: value, gradient and metric over its parameters, flat."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd._system.packages import load
from qngd.api import expectation, metric_tensor
from qngd.circuit.circuit import Circuit
from qngd.errors import ParameterError, SettingError, shown
from qngd.interop import wrap
from qngd.qng import QNG
from qngd.run.own_loop import evaluator

if TYPE_CHECKING:
    from qngd.interop.pennylane.cost import CostFunction

NO_METRIC = "none"  # no metric


class CostAt:
    """A cost at its arguments, and the flat parameters (P,) among them."""

    theta: np.ndarray
    structure: Any

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args

    def asked(
        self, approx: Any, gradient: bool, backend: Any, shots: Any, seed: Any
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        """The cost, its gradient (P,) and, unless approx is NO_METRIC, its metric (P, P)."""
        raise NotImplementedError

    def metric(self, approx: Any, backend: Any, shots: Any, seed: Any) -> np.ndarray:
        """The metric alone."""
        raise NotImplementedError

    def flat(self, gradient: Any) -> np.ndarray:
        """A gradient by arguments as a flat one."""
        return _reader().flat_gradient(self.structure, gradient, len(self.theta))

    def moved(self, delta: np.ndarray) -> Any:
        """The arguments after a step."""
        like = self.args if len(self.args) != 1 else self.args[0]
        return self.structure.unflatten(self.theta + delta, like)

    @property
    def _parts(self) -> list[Any]:
        """The places of the parameters, by argument."""
        places = self.structure.split(np.arange(len(self.theta), dtype=float))
        parts = list(places) if type(places) is tuple else [places]
        return parts if all(isinstance(part, (np.ndarray, np.floating)) for part in parts) else []

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the trainable arguments, empty where one is no array."""
        return [np.shape(part) for part in self._parts]

    @property
    def blocks(self) -> tuple[slice, ...]:
        """The parameters of each trainable argument; all in one where one is no array."""
        ends = np.cumsum([0, *(np.size(part) for part in self._parts)]).tolist()
        pairs = tuple(slice(start, stop) for start, stop in itertools.pairwise(ends))
        return pairs or (slice(0, len(self.theta)),)


class _NodeAt(CostAt):
    """A QNode at its arguments."""

    def __init__(self, circuit: Circuit, args: tuple[Any, ...]) -> None:
        super().__init__(args)
        if not circuit.num_parameters:
            raise ParameterError(
                f"qnode: no argument is trainable ({', '.join(circuit.fixed)}: see docs/pennylane.md), so there is "
                "nothing to step; mark what is to be trained, as in pennylane.numpy.array(…, requires_grad=True)"
            )
        self.circuit = self.structure = circuit
        self.theta = circuit.flatten(args if len(args) != 1 else args[0])

    def asked(
        self, approx: Any, gradient: bool, backend: Any, shots: Any, seed: Any
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        if not gradient:  # somebody else gives it
            energy = expectation(self.circuit, None, self.theta, backend=backend, shots=shots, seed=_whole_seed(seed))
            known = None if approx == NO_METRIC else self.metric(approx, backend, shots, _whole_seed(seed))
            return float(energy.value), np.zeros(len(self.theta)), known
        asked = evaluator(self.circuit, None, self.theta, backend=backend, shots=shots)
        kind: Any = "identity" if approx == NO_METRIC else approx or "full"
        found = QNG(1.0, approx=kind).init(asked, self.theta, _whole_seed(seed)).evaluation  # one submission
        assert found.gradient is not None
        metric = None if approx == NO_METRIC else np.asarray(found.metric)
        return float(found.energy.value), np.asarray(found.gradient.value), metric

    def metric(self, approx: Any, backend: Any, shots: Any, seed: Any) -> np.ndarray:
        found = metric_tensor(
            self.circuit, self.theta, approx=approx or "full", backend=backend, shots=shots, seed=seed
        )
        return np.asarray(found)


class _FunctionAt(CostAt):
    """A cost function around QNodes at its arguments."""

    def __init__(self, cost: CostFunction, args: tuple[Any, ...]) -> None:
        super().__init__(args)
        self.cost = cost
        self.structure = cost.arguments
        self.theta = cost.arguments.theta

    def asked(
        self, approx: Any, gradient: bool, backend: Any, shots: Any, seed: Any
    ) -> tuple[float, np.ndarray, np.ndarray | None]:
        value, slope = self.cost.value_and_gradient() if gradient else (self.cost.value(), np.zeros(len(self.theta)))
        return value, slope, None if approx == NO_METRIC else self._pulled(approx, backend, shots, seed)

    def metric(self, approx: Any, backend: Any, shots: Any, seed: Any) -> np.ndarray:
        self.cost.value()
        return self._pulled(approx, backend, shots, seed)

    def _pulled(self, approx: Any, backend: Any, shots: Any, seed: Any) -> np.ndarray:
        """Σ_c D^(−½) J_cᵀ g_c J_c D^(−½), with the Jacobian J_c of the arguments of call c and D_jj the number of calls
        that depend on parameter j: the mean of calls that share their parameters, each its own where they do not. 1 on
        the diagonal where no call depends on a parameter."""
        count = len(self.theta)
        total, calls = np.zeros((count, count)), np.zeros(count)
        for number, one in enumerate(self.cost.inner()):
            args = one.args if len(one.args) != 1 else one.args[0]
            own = None if seed is None else _whole_seed([*np.atleast_1d(seed).tolist(), number])
            found = metric_tensor(one.node, args, approx=approx or "full", backend=backend, shots=shots, seed=own)
            total += one.jacobian.T @ np.asarray(found) @ one.jacobian
            calls += np.any(one.jacobian != 0, axis=0)
        weights = 1 / np.sqrt(np.maximum(calls, 1))
        return np.outer(weights, weights) * total + np.diag(calls == 0)


def valued_at(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CostAt:
    """`cost_at`, for its value, too: a QNode that returns something else than an expectation value, such as a variance,
    is a cost function around its states."""
    point, cost = cost_at(function, args, kwargs), _reader()
    is_read = isinstance(point, _FunctionAt) or point.structure.observable is not None
    if is_read or not cost.is_circuit(function) or cost.framework_among(args) is not None:
        return point
    return _FunctionAt(cost.CostFunction(function, args, kwargs), args)


def cost_at(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CostAt:
    """The cost at its arguments; PennyLane is imported here."""
    cost = _reader()
    if isinstance(function, Circuit):
        return _NodeAt(function, args)
    if not callable(function):
        raise SettingError(f"qnode must be a QNode or a function that calls some; got {shown(function)}")
    framework = cost.framework_among(args)
    if framework is None and not cost.is_circuit(function):
        return _FunctionAt(cost.CostFunction(function, args, kwargs), args)
    try:
        return _NodeAt(wrap(partial(function, **kwargs) if kwargs else function, *args), args)
    except cost.ComputesWithNode as error:
        raise ParameterError(
            f"the cost function computes with QNodes, which is followed by autograd alone, and its arguments are of "
            f"{framework}; give NumPy's or PennyLane's arrays, or the QNode itself"
        ) from error


def _reader() -> Any:
    """The module that knows PennyLane's functions, which imports it."""
    return load("qngd.interop.pennylane.cost", "pennylane", "qngd.pennylane")


def _whole_seed(parts: Iterable[int] | int | None) -> int | None:
    """A seed as one number."""
    if parts is None or isinstance(parts, int):
        return parts
    return int(np.random.SeedSequence([int(part) for part in parts]).generate_state(1, np.uint32)[0])
