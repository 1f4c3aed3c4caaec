"""CMA-ES, by the `cma` package of its author."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd._system.packages import load
from qngd.baselines.live import Live
from qngd.errors import SettingError, require_positive, shown
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Spread
from qngd.evaluators.base import Evaluator
from qngd.solve.state import State, StepInfo, Submissions, described, require_state, start_at

_QUIET = -10  # on this level cma prints nothing and reads no file of signals
_OURS = ("seed", "randn", "verbose", "verb_log", "verb_disp")
_ENOUGH = ("maxiter", "maxfevals", "timeout")
_DONE = ("tolfun", "tolfunhist", "tolfunrel", "tolx", "ftarget")


@hinted
@dataclass(frozen=True)
class CMAES:
    """Covariance matrix adaptation (Hansen and Ostermeier, doi:10.1162/106365601750190398; arXiv:1604.00772); a step is
    a generation of λ energies in one submission, and one more energy at the mean of the distribution that follows from
    them, which is where the run stands.

    It needs the package `cma`; its rule stops the run, with its reason. The state remembers all energies: a state that
    was loaded, or is stepped from for the second time, leads its search there anew, from the same random numbers.

    Args:
        sigma: the first standard deviation of every parameter, in radians.
        options: further options of `cma.CMAEvolutionStrategy`, such as {"popsize": 20, "tolfun": 1e-9}.

    Raises:
        SettingError: cma refuses a setting.
        MissingPackageError: cma is not installed.
    """

    sigma: float = 0.3
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_positive(self.sigma, "sigma")
        if not isinstance(self.options, Mapping) or not all(isinstance(name, str) for name in self.options):
            raise SettingError(f"options must be a mapping of cma's options; got {shown(self.options)}")
        for name in self.options:
            if name in _OURS:
                raise SettingError(f"options: {name} is set by the run; leave it out")
        try:
            _Search(self, np.zeros(2), np.zeros(1, dtype=np.uint32))
        except (ValueError, TypeError, KeyError, NameError, SyntaxError, AssertionError) as error:
            raise SettingError(f"options: cma refuses {dict(self.options)}: {error}") from None

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there."""
        theta = start_at(evaluator, theta)
        asked = Submissions(evaluator, seed, 0)
        first = asked.evaluate(theta, gradient=False, metric=None)
        words = np.random.SeedSequence(seed, spawn_key=(0, 4)).generate_state(4)  # without a seed from the system
        search = _Search(self, theta, words)
        memory = {"start": theta, "words": words, "energies": np.zeros((0, search.size))}
        state = State(0, first, memory, asked.count, asked.cost, seed)
        _LIVE.keep(memory["energies"], search)
        return state

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend."""
        alone = evaluator.preview(theta, gradient=False, metric=None, spread=spread)
        if first:
            return alone
        size = _Search(self, theta, np.zeros(1, dtype=np.uint32)).size
        return evaluator.preview_energies(theta, size, spread) + alone

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """One generation."""
        require_state(state)
        if state.finished:
            raise SettingError(f"state: CMA-ES has finished: {state.finished}")
        here, memory = state.evaluation, state.memory
        asked = Submissions.after(evaluator, state)
        search = _LIVE.take(memory["energies"]) or _Search.at(self, memory)
        found = asked.energies(search.ask())
        energies = np.array([float(each.value) for each in found])
        if not np.all(np.isfinite(energies)):
            new = state.moved(asked, replace(here, energy=Estimate.exact(np.float64(np.nan))), memory)
            return new, described(new, here, new.evaluation, asked)
        search.tell(energies)
        there = asked.evaluate(search.mean, gradient=False, metric=None)
        memory = {**memory, "energies": np.vstack([memory["energies"], energies])}
        new = state.moved(asked, there, memory, *search.ended())
        _LIVE.keep(memory["energies"], search)
        return new, described(new, here, there, asked)


class _Search:
    """cma's search from θ (P,), with random numbers of its own, from the seed `words`."""

    def __init__(self, optimizer: CMAES, theta: np.ndarray, words: np.ndarray) -> None:
        cma = load("cma", "cma", "CMAES")
        rng = np.random.default_rng([int(word) for word in words])
        ours = {
            "seed": np.nan,  # leaves numpy's global generator alone
            "randn": lambda *shape: rng.standard_normal(shape),
            "verbose": _QUIET,
            "verb_log": 0,
            "verb_disp": 0,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cma's notes, which are for its own users
            self._strategy = cma.CMAEvolutionStrategy(
                theta.copy(), optimizer.sigma, {"maxiter": np.inf, **optimizer.options, **ours}
            )
        self._points: list[np.ndarray] = []

    @classmethod
    def at(cls, optimizer: CMAES, memory: Mapping[str, np.ndarray]) -> _Search:
        """The search after all energies that are known."""
        search = cls(optimizer, memory["start"], memory["words"])
        for energies in memory["energies"]:
            search.ask()
            search.tell(energies)
        return search

    @property
    def size(self) -> int:
        """λ, energies of a generation."""
        return int(self._strategy.popsize)

    @property
    def mean(self) -> np.ndarray:
        """Of the distribution, (P,)."""
        return np.array(self._strategy.mean, dtype=float)

    def ask(self) -> list[np.ndarray]:
        """The next generation's points (P,)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._points = self._strategy.ask()
        return [np.array(point, dtype=float) for point in self._points]

    def tell(self, energies: np.ndarray) -> None:
        """Their energies (λ,)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._strategy.tell(self._points, energies.tolist())

    def ended(self) -> tuple[str, str]:
        """cma's reason to stop, or nothing, and the status that it amounts to."""
        reasons = self._strategy.stop()
        text = ", ".join(f"{name}={value}" for name, value in reasons.items())
        if any(name in reasons for name in _ENOUGH):
            return text, "max_steps"
        return text and f"cma: {text}", "converged" if not reasons or any(n in reasons for n in _DONE) else "stalled"


_LIVE: Live[_Search] = Live()
