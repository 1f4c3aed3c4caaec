"""`qngd.sweep`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qngd.circuit.circuit import Circuit
from qngd.errors import SettingError, StorageError, did_you_mean, shown, whole_number
from qngd.problem import Problem
from qngd.run.loop import minimize
from qngd.run.names import SETTINGS
from qngd.run.optimizers import named
from qngd.sweeps.cluster import Told, rows_of
from qngd.sweeps.grid import GridPoint, combinations, label_of
from qngd.sweeps.work import Recipe, SweepRun, fixed_text

_MOST = 10**6  # runs, each of which has a folder
_MOST_THREADS = 4096
_BY_SWEEP = {
    "seed": "the runs of a point get seeds of their own; write seeds=, and seed= for the sweep's first",
    "run_dir": "each run has a folder of its own below out",
    "callback": "it belongs to one run; on_run is called after each",
    "state": "each run starts at the problem's start",
}
_OF_MINIMIZE = tuple(
    name for name, p in inspect.signature(minimize).parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY
)
_OF_OPTIMIZERS = tuple(dict.fromkeys(name for names in SETTINGS.values() for name in names))


def sweep(
    problem: Problem | Callable[..., Problem],
    grid: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str],
    seeds: int = 1,
    seed: int = 0,
    workers: int | None = None,
    scheduler: Any = None,
    threads: int = 1,
    on_run: Told | None = None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Run a problem with all combinations of some settings, each with several seeds, on many processes or machines.

    Args:
        problem: a `Problem`, or a function problem(**settings) that returns one. Where it has a setting `seed`, that is
            the number of the repetition, 0, 1, …, unless the grid says another.
        grid: from names to lists of values, or to mappings from labels to values: settings of the problem's function,
            arguments of `minimize`, or settings of the optimizer, such as learning_rate.
        out: a folder, in which each run has one of its own. Runs that are done there are not run again, and those that
            stopped on the way go on: call it again with the same arguments.
        seeds: runs of each combination. The seed of a run follows from its combination and number, not from its place.
        seed: another one gives all runs other seeds.
        workers: processes on this machine; None is one for every core, 0 is this process, without Dask.
        scheduler: the address of a scheduler of Dask, or a `distributed.Client`, in place of processes of its own.
        threads: of each run. The last digits of runs on 15 qubits and more may depend on it; on nothing else.
        on_run: called as on_run(row, done, total) after each run.
        settings: as in the grid, one value for all runs.

    Returns:
        A dict for every run, in the order of the grid: `settings` (their labels), `repetition`, `seed`, `run_dir`
        (below out), `status` (that of the result, or "error" with its `message`), `energy`, `stderr`, `error` (to the
        reference energy), `steps`, `cost` and `theta`. `qngd.sweeps.summary.summarized` makes medians and quartiles of
        them.

    A run whose worker dies is taken up by another one where it was. Ctrl-C and SIGTERM end the sweep with a
    KeyboardInterrupt; called again, it goes on. In a script, call it under
    ``if __name__ == "__main__":``, since the processes import the script.

    Raises:
        SettingError: a name is not known, or has no values.
        StorageError: the folder cannot be made.
        MissingPackageError: Dask is not installed (the extra "sweep").
        BackendError: no scheduler answers.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> problem = qngd.Problem(circuit.ry(circuit.parameter("a"), 0), {"Z": 1.0}, [0.3])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = qngd.sweep(problem, {"optimizer": ["qng", "adam"]}, out=folder, workers=0, max_steps=2)
    >>> [(row["settings"], row["steps"]) for row in rows]
    [({'optimizer': 'qng'}, 2), ({'optimizer': 'adam'}, 2)]
    """
    recipe = _Recipe(problem, *_names_of(problem))
    for name in [*(grid or {}), *settings]:
        recipe.check(name)
    twice = [name for name in settings if name in (grid or {})]
    if twice:
        raise SettingError(f"{twice[0]}: the grid has it, too; leave one out")
    common = fixed_text({name: label_of(value, name) for name, value in settings.items()})
    points = [GridPoint(labels, {**settings, **values}, common) for labels, values in combinations(grid or {})]
    return swept(
        recipe, points, out=out, seeds=seeds, seed=seed, workers=workers, scheduler=scheduler, threads=threads,
        on_run=on_run,
    )  # fmt: skip


def swept(
    recipe: Recipe,
    points: list[GridPoint],
    *,
    out: str | os.PathLike[str],
    seeds: Any,
    seed: Any,
    workers: Any,
    scheduler: Any,
    threads: Any,
    on_run: Told | None,
) -> list[dict[str, Any]]:
    """The rows of all runs of these points; see `sweep`."""
    count, first = whole_number(seeds, "seeds", 1), whole_number(seed, "seed", 0)
    workers = None if workers is None else whole_number(workers, "workers", 0)
    each = whole_number(threads, "threads", 1)
    if each > _MOST_THREADS:
        raise SettingError(f"threads: {each} are more than the {_MOST_THREADS} that a run can have")
    if len(points) * count > _MOST:
        raise SettingError(f"seeds: {len(points)} combinations with {count} seeds each are more than {_MOST} runs")
    folder = _made(out)
    jobs = [
        SweepRun(recipe, point, repetition, point.seed(first, repetition), str(folder))
        for point in points
        for repetition in range(count)
    ]
    return rows_of(jobs, workers, scheduler, each, on_run)


@dataclass(frozen=True, eq=False)
class _Recipe:
    """Settings by name as a problem and the arguments of `minimize`."""

    problem: Problem | Callable[..., Problem]
    of_problem: tuple[str, ...]
    takes_any: bool

    def check(self, name: str) -> None:
        """Raise SettingError unless a grid may have the name."""
        known = (*self.of_problem, *_OF_MINIMIZE, *_OF_OPTIMIZERS)
        if name in self.of_problem:
            return
        if name in _BY_SWEEP:
            raise SettingError(f"{name}: {_BY_SWEEP[name]}")
        if name not in known and not self.takes_any:
            allowed = [each for each in known if each not in _BY_SWEEP]
            raise SettingError(f"grid: {name!r} is no setting of the problem, of minimize or of an optimizer."
                               f"{did_you_mean(name, allowed)}")  # fmt: skip

    def __call__(self, values: Mapping[str, Any], repetition: int) -> tuple[Problem, dict[str, Any]]:
        run = {name: value for name, value in values.items() if name in _OF_MINIMIZE and name not in self.of_problem}
        of_optimizer = {
            name: value
            for name, value in values.items()
            if name in _OF_OPTIMIZERS and name not in self.of_problem and name not in run
        }
        if of_optimizer:
            optimizer = run.get("optimizer", "qng")
            if not isinstance(optimizer, str):
                raise SettingError(
                    f"{next(iter(of_optimizer))}: optimizer is an object, which has its own; give its name"
                )
            run["optimizer"] = named(optimizer, **of_optimizer)
        given = {name: value for name, value in values.items() if name not in (*run, *of_optimizer)}
        if "seed" in self.of_problem:
            given = {"seed": repetition, **given}
        if isinstance(self.problem, Problem):
            return self.problem, run
        made = self.problem(**given)
        if not isinstance(made, Problem):
            raise SettingError(f"problem: the function returned {type(made).__name__}, not a qngd.Problem")
        return made, run


def _names_of(problem: Any) -> tuple[tuple[str, ...], bool]:
    """The settings of a problem's function, and whether it takes any."""
    if isinstance(problem, Problem):
        return (), False
    if not callable(problem) or isinstance(problem, (type, Circuit)):
        raise SettingError(f"problem must be a qngd.Problem, or a function that returns one; got {shown(problem)}")
    parameters = inspect.signature(problem).parameters.values()
    return tuple(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)), any(
        p.kind is p.VAR_KEYWORD for p in parameters
    )


def _made(out: str | os.PathLike[str]) -> Path:
    if not isinstance(out, (str, os.PathLike)) or not os.fspath(out):
        raise SettingError(f"out must be a folder; got {out!r}")
    folder = Path(out).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"out: cannot make {folder}: {(error.strerror or str(error)).lower()}") from None
    return folder
