"""A linear ramp: the angles of QAOA as slow annealing would have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse.linalg import lsqr

from qngd._system.keywords import hinted
from qngd.circuit.circuit import Circuit
from qngd.errors import checked_seed, require_positive
from qngd.evaluators.arguments import BackendLike, Shots, Whole
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.interop.arguments import CircuitLike, ObservableLike, Theta
from qngd.interop.given import read_given
from qngd.problem import Problem
from qngd.start.annealing import Annealing

_WIDTHS = (0.7, 0.35, 0.5, 0.9)  # the first for choosing signs
_SIGNS = ((1, 1), (-1, 1), (1, -1), (-1, -1))  # of cost and driver, as annealing has them first


@hinted
def ramp(
    circuit: Problem | CircuitLike,
    observable: ObservableLike | Theta | None = None,
    theta: Theta | None = None,
    *,
    width: float | None = None,
    backend: BackendLike | None = None,
    shots: Shots | None = None,
    seed: Whole | None = None,
) -> Any:
    """A start for QAOA and circuits like it: cost angles that rise and mixer angles that fall on straight lines, as in
    slow annealing (arXiv:2101.05742).

    Which rotations are cost and which mix is read from the circuit (`qngd.start.annealing`), not from names; parameters
    may stand in any order, be scaled, shared by several rounds, or one for each gate: they get the values that bring
    all rotations closest to the ramp. The signs of both, and how steep it is, are chosen by the lowest of a few
    measured energies.

    Args:
        circuit: a `Problem`, or anything `wrap` takes.
        observable: as for `qngd.expectation`.
        theta: for a QNode or quantum function, arguments that it can be called with; of parameters only the shapes
            matter. It may stand in the observable's place.
        width: the step of time, in units in which mixer and cost are of order 1: a mixer's first angle is about twice
            that. None chooses among four.
        backend, shots, seed: for the energies, four to choose signs and three for the width: see `minimize`.

    Returns:
        θ in the user's structure.

    Raises:
        CircuitError: the circuit has no rotations that commute with the observable, or none that mix.
        ObservableError, ParameterError, SettingError: an argument does not fit.

    >>> circuit = qngd.CircuitBuilder(2)
    >>> beta, gamma = circuit.parameters("beta", "gamma")
    >>> circuit = circuit.h(0).h(1).rzz(gamma, 0, 1).rx(2 * beta, 0).rx(2 * beta, 1)
    >>> np.abs(qngd.start.ramp(circuit, {"ZZ": 1.0}, width=0.7)).round(3)
    array([0.35, 0.7 ])
    """
    if width is not None:
        require_positive(width, "width")
    given = read_given(circuit, observable, theta, role="example")
    way = Annealing.of(given.circuit, given.observable)
    evaluator = evaluator_for(given.circuit, given.target, Setup(backend, shots))
    rng = np.random.default_rng(checked_seed(seed))

    def tried(width: float, signs: tuple[int, int]) -> tuple[float, np.ndarray]:
        flat = _closest(given.circuit, way.rows, way.angles(width, *signs))
        own_seed = None if seed is None else int(rng.integers(2**31))
        return float(evaluator.evaluate(flat, gradient=False, metric=None, seed=own_seed).energy.value), flat

    widths = _WIDTHS if width is None else (width,)
    trials = {signs: tried(widths[0], signs) for signs in _SIGNS}
    signs = min(_SIGNS, key=lambda signs: trials[signs][0])
    found = [trials[signs], *(tried(other, signs) for other in widths[1:])]
    return given.shaped(min(found, key=lambda trial: trial[0])[1])


def _closest(circuit: Circuit, rows: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The parameters (P,) that bring the rotations `rows` closest to `angles`; 0 where they are free."""
    angle_map = circuit.angle_map
    if angle_map.is_affine:
        offset = angle_map(np.zeros(circuit.num_parameters))[rows]
        return lsqr(angle_map.linear[rows], angles - offset, atol=1e-12, btol=1e-12)[0]
    found = least_squares(
        lambda theta: angle_map(theta)[rows] - angles,
        np.full(circuit.num_parameters, 0.5),
        jac=lambda theta: angle_map.linearize(theta)[1][rows].toarray(),
    )
    return found.x
