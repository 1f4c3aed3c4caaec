"""One parameter at a time, to the lowest energy along it: Rotosolve and ExcitationSolve.

Along a parameter that turns angles linearly the energy is a trigonometric polynomial of known frequencies,

    E(θ + x·e_i) = Σ_{|r| ≤ R} c_r exp(irωx),

which 2R + 1 energies determine, one of them at x = 0. Its derivative is a polynomial of degree 2R in z = exp(iωx), so
the eigenvalues of a companion matrix hold all stationary points (Boyd, doi:10.1016/j.apnum.2005.09.007, as
arXiv:2409.05939 does it), and the lowest of these is the global minimum along the line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from qngd._system.keywords import hinted
from qngd.circuit.circuit import Circuit
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate, rounding
from qngd.estimates.evaluation import Cost, Spread
from qngd.evaluators.base import Evaluator
from qngd.measured.shifts import harmonics
from qngd.solve.state import State, StepInfo, Submissions, described, start_at

_MET = 1e-6  # of an energy, between the end of a sweep and what was expected there: far above rounding


@hinted
@dataclass(frozen=True)
class Rotosolve:
    """Every parameter in turn to its minimum (Ostaszewski, Grant and Benedetti, arXiv:1905.09692; Nakanishi, Fujii and
    Todo, arXiv:1903.12166); a step is a sweep over all of them.

    A parameter of one rotation takes two energies beside the present one, in one submission; one of R frequencies takes
    2R (Wierichs et al., arXiv:2107.12390). The present energy is known from the sweep so far where energies are exact,
    and measured anew where they are sampled, so that errors do not add up. One more energy at the end of the sweep is
    what the run reports and is judged by.

    Raises:
        SettingError: at the start of a run, if an angle is no linear function of a parameter, the frequencies of a
            parameter have no common measure, or a CVaR is minimized.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> round(qngd.minimize(circuit, {"Z": 1.0}, [0.3], optimizer=Rotosolve(), max_steps=1).energy, 12)
    -1.0
    """

    most: ClassVar[int | None] = None  # harmonics of a parameter, if there is a bound

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there."""
        theta = start_at(evaluator, theta)
        self._lines(evaluator.circuit)
        if not evaluator.is_mean:
            name = type(self).__name__
            raise SettingError(
                f"optimizer: {name} follows whole waves of an expectation value, which a CVaR, a loss, or a parameter "
                "within bounds does not make; use another one"
            )
        asked = Submissions(evaluator, seed, 0)
        first = asked.evaluate(theta, gradient=False, metric=None)
        return State(0, first, {}, asked.count, asked.cost, seed)

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend."""
        alone = evaluator.preview(theta, gradient=False, metric=None, spread=spread)
        if first:
            return alone
        counts = [self._points(count, i, evaluator) for i, (_, count) in enumerate(self._lines(evaluator.circuit))]
        return sum((evaluator.preview_energies(theta, count, spread) for count in counts if count), alone)

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """One sweep."""
        asked, here = Submissions.after(evaluator, state), state.evaluation
        theta, energy, error = here.theta.copy(), float(here.energy.value), rounding(here.energy)
        for i, (omega, count) in enumerate(self._lines(evaluator.circuit)):
            size = self._points(count, i, evaluator)
            if not size:
                continue
            places = 2 * np.pi / (omega * (2 * count + 1)) * np.arange(2 * count + 1)
            points = np.tile(theta, (size, 1))
            points[:, i] += places[-size:]
            values = np.array([float(found.value) for found in asked.energies(list(points))])
            if size < len(places):
                values = np.append(energy, values)
            if not np.all(np.isfinite(values)):
                energy = np.nan
                break
            shift, energy = lowest_along(values, omega, error)
            theta[i] += shift
        if np.isfinite(energy):
            there = asked.evaluate(theta, gradient=False, metric=None)
            _check_met(float(there.energy.value), energy, evaluator)
        else:
            there = replace(here, energy=Estimate.exact(np.float64(np.nan)))
        new = state.moved(asked, there, {})
        return new, described(new, here, there, asked)

    def _points(self, count: int, i: int, evaluator: Evaluator) -> int:
        """Energies that the i-th parameter takes: of the first one the run has just measured the present one."""
        return 0 if not count else 2 * count + (i > 0 and not evaluator.is_exact)

    def _lines(self, circuit: Circuit) -> list[tuple[float, int]]:
        """ω and R of every parameter; raises SettingError where there are none."""
        lines = _harmonics(circuit)
        for name, (_, count) in zip(circuit.parameters, lines, strict=True):
            if count < 0:
                raise SettingError(
                    f"optimizer: along parameter {name} the frequencies of the energy have no common measure, so that "
                    f"{type(self).__name__} cannot know it from a few energies; use another optimizer"
                )
            if self.most is not None and count > self.most:
                raise SettingError(
                    f"optimizer: along parameter {name} the energy has {count} harmonics; {type(self).__name__} is for "
                    f"excitations, which have {self.most} at most: write optimizer=qngd.baselines.Rotosolve()"
                )
        return lines


@hinted
@dataclass(frozen=True)
class ExcitationSolve(Rotosolve):
    """`Rotosolve` for excitations, whose generators fulfil G³ = G (Jäger et al., arXiv:2409.05939): two harmonics and
    four energies a parameter. It refuses circuits with parameters that have more.

    Raises:
        SettingError: as of `Rotosolve`, or a parameter is none of a rotation or an excitation.
    """

    most: ClassVar[int | None] = 2


def lowest_along(values: np.ndarray, omega: float, error: float = 0.0) -> tuple[float, float]:
    """The shift x with |x| ≤ π/ω to the minimum of a trigonometric polynomial of R harmonics of ω, and the value there.

    Args:
        values: at x = 2πm/(2R + 1)ω for m = 0 … 2R.
        omega: ω.
        error: what rounding may make of a value: for a gain that is not larger, x is 0.

    >>> x = 2 * np.pi / 3 * np.arange(3)
    >>> lowest_along(np.cos(x - 1) + 2, 1.0)  # doctest: +ELLIPSIS
    (-2.14159..., 1.0...)
    """
    size = len(values)
    count = size // 2
    parts = np.fft.fftshift(np.fft.fft(values)) / size  # c_{−R} … c_R
    orders = np.arange(-count, count + 1)

    def polynomial(x: np.ndarray) -> np.ndarray:
        return np.asarray((parts * np.exp(1j * np.multiply.outer(x, orders))).sum(axis=-1).real)

    slopes = (orders * parts)[::-1]  # of z^2R … z^0
    # what is left of a vanishing harmonic would put roots anywhere
    slopes[np.abs(slopes) <= 1e-14 * max(float(np.abs(values).max()), 1e-300)] = 0
    places = np.append(0.0, np.angle(np.roots(slopes))) if slopes.any() else np.zeros(1)
    heights = polynomial(places)
    low = heights.min()
    if not heights[0] - low > error:
        return 0.0, float(values[0])
    near = np.flatnonzero(heights <= low + error)  # of several the nearest
    best = near[np.argmin(np.abs(places[near]))]
    return float(places[best]) / omega, float(heights[best])


def _check_met(found: float, expected: float, evaluator: Evaluator) -> None:
    """Raise SettingError where an exact energy is not what the polynomials said: it was none along some parameter."""
    if evaluator.is_exact and abs(found - expected) > _MET * max(1.0, abs(expected)):
        raise SettingError(
            f"optimizer: at the end of a sweep the energy is {found:.9g} and not {expected:.9g}, so that it is no "
            "expectation value of this circuit; use an optimizer that needs none, such as 'qng' or 'adam'"
        )


@lru_cache(maxsize=16)
def _harmonics(circuit: Circuit) -> list[tuple[float, int]]:
    if not circuit.angle_map.is_affine:
        raise SettingError(
            "optimizer: an angle of this circuit is no linear function of the parameters, so that the energy along a "
            "parameter is no trigonometric polynomial; use another optimizer"
        )
    steps, counts = harmonics(circuit, circuit.angle_map.linear)
    return list(zip(steps.tolist(), counts.tolist(), strict=True))
