"""What users write: a loss of the outputs of circuits, over data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from qngd._system.brief import brief_fields
from qngd._system.keywords import hinted
from qngd.errors import SettingError, check_word, settle_whole, shown

METRICS = ("fubini-study", "gauss-newton")


@hinted
@dataclass(frozen=True, eq=False)
class Objective:
    """A loss of expectation values, over data, in the place of a circuit and its observable:
    `minimize(Objective(…), theta0=…)`.

    Args:
        circuit: anything `wrap` takes, or a list of such. Several share the parameters that have the same name, and
            each gets those of the data that it has parameters or arguments for.
        observables: one, or a list of them, each as for `expectation`, or a `CVaR` with one alpha; None for what a
            QNode returns: expectation values, or probabilities. With several circuits, one for all of them, or a list
            with an entry (one, or a list) for each.
        loss: a function of the outputs, and of the targets if there are any, that returns a number. It is written in
            NumPy, autograd, JAX or torch, whose derivatives are taken. With a list of K observables the outputs have
            the shape (B, K) for B samples, or (K,) without data; with one that stands alone, or a QNode that returns
            one, (B,) or (). Those of several circuits stand after each other: (B, K) or (K,) again.
        data: B samples. Of a QNode or quantum function a mapping from the names of arguments to arrays (B, …), of which
            every call gets one row each; an array, or a tuple of them, is for the arguments behind those of theta0. A
            list of samples, each a tuple of arguments or a mapping from their names, means the same.
            Of other circuits an array (B, D) of the parameters named in `inputs`, or a mapping from names; where a
            sample makes other gates, the circuit may be a function of it that returns one.
        targets: what the loss is given of the samples of a batch, (B, …): labels, say. An array, a tensor, a list, or
            a column or table of pandas, whose rows count by their place.
        inputs: the names of the parameters (of a QNode: of the arguments) that hold data, in the order of its columns;
            a name also stands for all elements of a vector of this name, and `Parameter`s may be given themselves.
        batch_size: samples a step. Every step takes another mini-batch, decided by the run's seed, until all samples
            have had their turn. A step's two energies are of the same batch.
        grad: the derivatives of the loss by the outputs, of their shape, where they cannot be found.
        metric: "fubini-study", the Fubini–Study metric, in whichever approximation the optimizer takes, averaged over
            the samples (and summed over several circuits). On a device "block-diag" takes a circuit for every layer
            and sample. Or "gauss-newton", JᵀLJ with the Jacobian J of the outputs and the second derivatives L of the
            loss by them (after arXiv:2604.05627), without what is negative in it: on a device it takes no circuit
            besides those of the gradient, which measure all observables. It is a metric in output space, for losses
            that are curved, such as a mean square; of a loss that is linear in the outputs it is 0.
        frozen: parameters that keep their start: names (of vectors or arguments, too), or a mask. They cost no
            circuits.
        bounds: (low, high), for all parameters, or a mapping from names to such; steps are projected onto them.

    Raises:
        SettingError: a setting cannot be meant.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> x, a = circuit.parameters("x", "a")
    >>> circuit = circuit.ry(x + a, 0)
    >>> def loss(outputs, targets):
    ...     return np.mean((outputs - targets) ** 2)
    >>> fit = qngd.Objective(circuit, {"Z": 1.0}, loss, data=[[0.1], [0.9]], targets=np.cos([0.4, 1.2]), inputs=["x"])
    >>> qngd.minimize(fit, theta0=[0.0]).theta.round(6)
    array([0.3])
    """

    circuit: Any
    observables: Any = None
    loss: Callable[..., Any] | None = None
    _: KW_ONLY
    data: Any = None
    targets: Any = None
    inputs: Any = None
    batch_size: int | None = None
    grad: Callable[..., Any] | None = None
    metric: Literal["fubini-study", "gauss-newton"] = "fubini-study"
    frozen: Any = None
    bounds: Any = None

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise SettingError(
                f"loss must be a function of the outputs that returns a number, as in Objective(circuit, observables, "
                f"lambda outputs: …); got {shown(self.loss)}"
            )
        check_word(self.metric, METRICS, "metric")
        settle_whole(self, {"batch_size": 1})
        if self.batch_size is not None and self.data is None:
            raise SettingError("batch_size: there are no samples to take batches of; give data")
        if self.inputs is not None and self.data is None:
            raise SettingError("inputs: they name parameters that hold data, and there is none; give data")
