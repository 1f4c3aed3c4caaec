"""qngd inside `scipy.optimize.minimize`: a method that takes the metric of a circuit.

>>> import scipy.optimize
>>> circuit = qngd.CircuitBuilder(1)
>>> circuit = circuit.ry(circuit.parameter("a"), 0)
>>> found = scipy.optimize.minimize(
...     lambda x: qngd.expectation(circuit, {"Z": 1.0}, x).value, [0.3], method=qngd.scipy.method(circuit)
... )
>>> round(found.fun, 6), found.success
(-1.0, True)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qngd._system.keywords import hinted

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

    from qngd.solve.state import Optimizer, StepInfo

__all__ = ["method"]


@hinted
def method(
    circuit: Any,
    *,
    optimizer: Optimizer | str | None = None,
    backend: Any = None,
    shots: Any = None,
    stderr: float | None = None,
    max_steps: int = 200,
    tol: float = 1e-8,
    gtol: float = 0.0,
    target: float | None = None,
    seed: int | None = None,
    callback: Callable[[StepInfo], Any] | None = None,
) -> Callable[..., OptimizeResult]:
    """The natural gradient as a method of SciPy: `scipy.optimize.minimize(fun, x0, jac=…, method=method(circuit))`.

    Energies are `fun`'s and gradients `jac`'s; the metric is the circuit's. Without `jac` the gradient is taken from
    `fun`, which must then be an expectation value of the circuit: by shifts of parameters that are exact, also for
    sampled values, where a parameter has no more than four rotations of like angle, else by differences of eighth order
    (`qngd.evaluators.differences`).

    Args:
        circuit: anything `wrap` takes, with parameters in the order of x0; or a list of circuits with the same
            parameters, such as one for every sample of a data set, whose metrics are averaged (`jac` must then be
            given).
        optimizer: as in `minimize`.
        backend, shots: where the metric comes from; None is the embedded exact simulator (a QNode's device).
        stderr: the standard error of fun's values, 0 for exact ones. None finds it by asking `fun` twice at x0 and a
            radian away, and six times more if the values differ; that of a function with a fixed seed by how rough it
            is, which tells it to a factor of two or so, with a warning. The errors of `jac` are taken for those of two
            such values.
        max_steps, tol, gtol, target, seed, callback: as in `minimize`.

    SciPy's `options` may hold maxiter, gtol, tol and seed, which take the place of these; its `callback` is called
    after every step, with θ or as callback(intermediate_result=…). Bounds must leave each parameter a full period: the
    parameters are then kept within by whole periods. `hess` is not used; constraints are refused.

    Returns:
        A function for SciPy. Its result has x, fun, jac, nit, nfev, njev, success, status and message, and besides
        `stderr`, the standard error of fun, and `result`, a `qngd.Result`.

    Raises:
        CircuitError, SettingError: an argument does not fit; when it is called also ParameterError.
    """
    from qngd.errors import SettingError
    from qngd.run.function import Settings, minimize_function, wrapped

    circuits = wrapped(circuit)
    settings = Settings(optimizer, backend, shots, stderr, max_steps, tol, gtol, target, seed, callback)

    def natural_gradient(
        fun: Callable[..., Any],
        x0: Any,
        args: tuple[Any, ...] = (),
        *,
        jac: Callable[..., Any] | None = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Callable[..., Any] | None = None,
        **options: Any,
    ) -> OptimizeResult:
        if constraints is not None and constraints != () and constraints != []:
            raise SettingError("constraints: the natural gradient keeps to none; add a penalty to fun")
        slope = None if jac is None else lambda x: jac(x, *args)
        energy = fun if not args else lambda x: fun(x, *args)
        return minimize_function(circuits, energy, x0, slope, bounds, settings.with_options(options), callback)

    return natural_gradient
