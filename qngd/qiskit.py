"""qngd inside Qiskit's algorithms: an optimizer for VQE, QAOA and what is built on them.

vqe = VQE(StatevectorEstimator(), ansatz, qngd.qiskit.Minimizer(ansatz))
qaoa = QAOA(StatevectorSampler(), qngd.qiskit.Minimizer(lambda: qaoa.ansatz), reps=2)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qngd._system.keywords import hinted

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

    from qngd.solve.state import Optimizer, StepInfo

__all__ = ["Minimizer"]


@hinted
class Minimizer:
    """The natural gradient as Qiskit's packages call an optimizer: `minimizer(fun, x0, jac, bounds)`.

    VQE, SamplingVQE and QAOA of qiskit-algorithms take it in the place of an optimizer, and so do the solvers of
    qiskit-nature and qiskit-optimization that are built on them, and the models of qiskit-machine-learning.

    Args:
        ansatz: the circuit that the algorithm runs; final measurements do not matter. Where the algorithm makes it
            itself, as QAOA does of an operator and AdaptVQE at every round, a function without arguments that gives it:
            `Minimizer(lambda: qaoa.ansatz)`. A list of circuits with the same parameters, such as one for every sample
            of a data set, averages their metrics.
        optimizer, backend, shots, stderr, max_steps, tol, gtol, target, seed, callback: as in `qngd.scipy.method`,
            which also says where the gradient comes from if the algorithm gives none, as QAOA: VQE takes `gradient=`.

    Raises:
        CircuitError, SettingError: an argument does not fit; when it is called also ParameterError.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> found = qngd.qiskit.Minimizer(circuit)(lambda x: float(np.cos(x[0])), [0.3])
    >>> round(found.fun, 6)
    -1.0
    """

    def __init__(
        self,
        ansatz: Any,
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
    ) -> None:
        from qngd.run.function import Settings, wrapped

        self._settings = Settings(optimizer, backend, shots, stderr, max_steps, tol, gtol, target, seed, callback)
        self._given = ansatz if _gives_a_circuit(ansatz) else None
        self._circuits = [] if self._given is not None else wrapped(ansatz)

    def __call__(
        self,
        fun: Callable[[Any], Any],
        x0: Any,
        jac: Callable[[Any], Any] | None = None,
        bounds: Any = None,
    ) -> OptimizeResult:
        """SciPy's result of lowering `fun` from `x0` (P,), with `result`, a `qngd.Result`, and `stderr` besides.

        Raises:
            ParameterError, SettingError: an argument does not fit.
        """
        from qngd.run.function import minimize_function, wrapped

        circuits = self._circuits if self._given is None else wrapped(self._given())
        self._check_still_runs(circuits, x0)
        return minimize_function(circuits, fun, x0, jac, bounds, self._settings)

    def _check_still_runs(self, circuits: list[Any], x0: Any) -> None:
        """Raise ParameterError where the algorithm runs another circuit by now than the one that was given."""
        import numpy as np

        from qngd.errors import ParameterError

        counts = {circuit.num_parameters for circuit in circuits if hasattr(circuit, "num_parameters")}
        if self._given is None and len(counts) == 1 and counts != {np.size(x0)}:
            raise ParameterError(
                f"ansatz: it has {counts.pop()} parameters, and the algorithm runs a circuit with {np.size(x0)}; one "
                "that makes its circuit itself, as AdaptVQE grows it and QAOA makes it of an operator, is asked for it "
                "at every call: Minimizer(lambda: vqe.ansatz)"
            )


def _gives_a_circuit(ansatz: Any) -> bool:
    """Whether it is a function that needs no arguments."""
    if not callable(ansatz) or hasattr(ansatz, "num_parameters"):
        return False
    try:
        inspect.signature(ansatz).bind()
    except (TypeError, ValueError):
        return False
    return True
