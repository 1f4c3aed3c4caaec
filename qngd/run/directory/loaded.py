"""A run as it lies in its directory, to look at and to go on from, without the code of its circuit."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd._system.keywords import hinted
from qngd.circuit.circuit import Circuit
from qngd.errors import StorageError, counted
from qngd.estimates.estimate import MetricTensor, format_with_error
from qngd.estimates.evaluation import Cost
from qngd.run.budget import Budget
from qngd.run.directory.begun import arguments_of
from qngd.run.directory.contents import contents_of
from qngd.run.directory.database import Database
from qngd.run.directory.jobs import forget_jobs
from qngd.run.directory.journal import readable
from qngd.run.directory.lock import holder_of, locked
from qngd.run.directory.paths import as_folder
from qngd.run.directory.repair import repaired
from qngd.run.directory.rules import Unknown, rebuilt
from qngd.run.directory.schema import NAME
from qngd.run.directory.trouble import told
from qngd.run.loop import minimize
from qngd.run.result import Result, advised
from qngd.solve.state import State, StepInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AGAIN = "the call that began the run goes on"
"""How a stored run goes on, whoever looks at it."""
_UNSET: Any = object()


@hinted
def load(run_dir: str | os.PathLike[str], *, repair: bool = False) -> StoredRun:
    """The run that a directory holds, as it stands now; another process may go on with it meanwhile.

    Args:
        run_dir: what was given to `minimize`. Of a run with restarts it is one of the folders start-0, start-1, …
            inside; of `excited_states` state-0 and so on.
        repair: whether a damaged file is mended first: what is whole of it is put into a new one, up to the last step
            that is, and the damaged one is kept beside it as run.sqlite.damaged.

    Raises:
        SettingError: it is no path.
        StorageError: there is no run there, its file is damaged, or it is of a version that cannot be read.

    >>> run = qngd.load("results/my-run")  # doctest: +SKIP
    >>> run.status, run.energy, run.thetas.shape  # doctest: +SKIP
    ('max_steps', -1.13, (201, 12))
    """
    folder = as_folder(run_dir)
    path = folder / NAME
    with told(path, "read"):
        is_there = path.exists()
        inside = sorted(each.name for each in folder.iterdir() if (each / NAME).exists()) if folder.is_dir() else []
    if not is_there:
        raise StorageError(_nothing(folder, inside))
    if repair:
        with locked(folder):
            repaired(path)
    before = holder_of(folder)
    database = Database.to_read(path)
    if not database.rows("about"):
        raise StorageError(f"run_dir: {folder} holds no run yet: of what begins there nothing is written")
    # a run may end, or begin, while its file is read: it has crashed only where nobody held it before and after
    return StoredRun(folder, database, before or holder_of(folder))


def _nothing(folder: Path, inside: list[str]) -> str:
    if not folder.is_dir():
        return f"run_dir: {folder} is no folder" if folder.exists() else f"run_dir: there is no folder {folder}"
    if inside:
        names = ", ".join(inside[:6]) + (", …" if len(inside) > 6 else "")
        return f"run_dir: {folder} holds several runs; give the folder of one: {names}"
    if (folder / "run.json").exists():
        return (
            f"run_dir: {folder} holds a run of qngd 0.1; the call of minimize that made it, with "
            "max_steps=0, say, converts it"
        )
    return f"run_dir: {folder} holds no run: there is no {NAME} in it"


class StoredRun:
    """A run as its directory holds it. What is read of it does not change any more; `load` it again to see more.

    Attributes:
        directory: where it is kept.
        history, history_stderr: the energy at the start and after every step, (steps + 1,), with standard errors.
        thetas: the parameters there, flat, (steps + 1, P).
        infos: what each step saw and did, as in `Result`, θ flat.
        state: what `minimize(…, state=…)` goes on from; None before the first energy.
        cost: jobs, circuits and shots spent.
        sent: the part of the cost that was sent after the last step, and of which no outcome counts in the run yet,
            because it goes on or broke off; going on collects it. Its seconds and money are not known, so that they are
            not known of the cost either while there is any.
        jobs: for every job its step, its backend, the provider's id, when it was sent, and whether its outcomes are
            kept.
        settings: what the run was asked for: optimizer, seed, backend and so on, as text.
        budget: the `Budget` of the last call, or None.
        status, message, note: as in `Result`; "running" while a process goes on with it, "crashed" where one ended
            without a word.
        running: who goes on with it now, in words; None if nobody does.
        about: the problem's name, the parameters' names, when the run was made, and the like.
        sessions: for each process that has run it, when that was, where, and with which versions.
    """

    def __init__(self, directory: Path, database: Database, running: str | None) -> None:
        self.directory = directory
        self.running = running
        with readable(database.path):
            self._kept = contents_of(database)
        self.about = self._kept.about
        self.sessions = self._kept.sessions
        self.jobs = self._kept.jobs
        self.sent = self._kept.sent
        self.infos: tuple[StepInfo, ...] = self._kept.infos
        self.thetas = self._kept.thetas

    @property
    def steps(self) -> int:
        """Steps taken, rejected trials included."""
        return len(self.infos)

    @property
    def state(self) -> State | None:
        """What a run goes on from; None before the first energy."""
        return self._kept.state

    @property
    def history(self) -> np.ndarray:
        """The energy at the start and after every step, (steps + 1,)."""
        return np.array([*self._at_start("energy"), *(info.energy for info in self.infos)])

    @property
    def history_stderr(self) -> np.ndarray:
        """The standard errors of `history`."""
        return np.array([*self._at_start("stderr"), *(info.stderr for info in self.infos)])

    def _at_start(self, name: str) -> list[float]:
        return [] if self._kept.start is None else [self._kept.start[name]]

    @property
    def energy(self) -> float:
        """The energy that the run would return now; NaN before the first."""
        if self._kept.end is not None:
            return float(self._kept.end.energy.value)
        return float("nan") if self.state is None else float(self.state.lowest[1])

    @property
    def stderr(self) -> float:
        """Its standard error."""
        if self._kept.end is not None:
            return float(self._kept.end.energy.stderr)
        return float(self.history_stderr[-1]) if len(self.history) else float("nan")

    @property
    def theta(self) -> np.ndarray:
        """The parameters there, flat (P,); those of the start before the first energy."""
        return self.theta0 if self.state is None else self.state.lowest[0]

    @property
    def theta0(self) -> np.ndarray:
        """The parameters that the run began with, flat (P,)."""
        return self._kept.theta0

    @property
    def cost(self) -> Cost:
        """Jobs, circuits and shots spent, those that are `sent` included."""
        spent = Cost() if self.state is None else self.state.cost
        return spent + self.sent if self._kept.end is None else spent + self._kept.end.cost + self.sent

    @cached_property
    def metrics(self) -> tuple[MetricTensor | None, ...]:
        """The metric at the start and after every step, (steps + 1); None where it was not measured or, of large
        ones, not kept."""
        known = {step: state.evaluation.metric for step, state in self._kept.states}
        return tuple(known.get(step) for step in self._kept.steps)

    @property
    def settings(self) -> dict[str, str]:
        """What the run was asked for, as text."""
        asked = {name: _in_words(value) for name, value in self._kept.asked.items() if value not in (None, False)}
        named = {field: row["shown"] for field, row in self._kept.identity.items() if field not in _OF_PROBLEM}
        return {**asked, **named}

    @property
    def budget(self) -> Budget | None:
        """What the run might spend, the last time that it was asked for; None without limits and prices."""
        found: Budget | None = rebuilt(self._kept.asked.get("budget"))
        return found

    @property
    def versions(self) -> dict[str, str]:
        """The versions of qngd, Python and packages that the run was last gone on with."""
        return dict(self.sessions[-1]["versions"])

    @property
    def status(self) -> str:
        """Why it stopped; "running", or "crashed"."""
        if self.running is not None:
            return "running"
        said = str(self.sessions[-1]["status"])
        return "crashed" if said == "running" else said

    @property
    def message(self) -> str:
        """Why it stopped, and what to do about it."""
        if self.status == "running":
            return f"{self.running} goes on with it"
        if self.status == "crashed":
            return "the process that ran it ended without a word; the same call, or qngd resume, goes on"
        return advised(str(self.sessions[-1]["message"] or ""), AGAIN)

    @property
    def note(self) -> str:
        """What else the user should know."""
        return str(self.sessions[-1]["note"] or "")

    @property
    def circuit(self) -> Circuit | None:
        """The circuit, from data; its parameters are flat. None where its angles are a function of Python's."""
        return self._kept.circuit

    @property
    def observable(self) -> Any:
        """The observable, or the CVaR of it; None of an Objective."""
        return self._kept.target

    def __repr__(self) -> str:
        return f"StoredRun({str(self.directory)!r}: {self})"

    def __str__(self) -> str:
        energy = format_with_error(self.energy, self.stderr) if len(self.history) else "no energy yet"
        return f"{energy} after {counted(self.steps, 'step')}: {self.status}"

    def _repr_html_(self) -> str:
        """For notebooks: the closing table, and the energy over steps."""
        from qngd.report.notebook import of_run
        from qngd.run.directory.report_data import of_stored

        return of_run(type(self).__name__, of_stored(self)) if len(self.history) else f"<p>{escape(repr(self))}</p>"

    def plot(self, what: str = "convergence") -> Figure:
        """A figure of Matplotlib, as that of a `Result`.

        Raises:
            SettingError: there is no such figure, or nothing of it was measured; the text says which there are, or why.
            StorageError: there is no energy yet.
        """
        from qngd.report.catalogue import drawn
        from qngd.run.directory.report_data import of_stored

        return drawn(of_stored(self), what)

    def as_dict(self) -> dict[str, Any]:
        """All that is known of the run, but its states, as plain numbers, texts, lists and dicts."""
        return {
            "directory": str(self.directory),
            **{name: getattr(self, name) for name in ("status", "message", "note", "running", "steps", "energy")},
            "stderr": self.stderr,
            "cost": asdict(self.cost),
            "sent": asdict(self.sent),
            "history": self.history.tolist(),
            "history_stderr": self.history_stderr.tolist(),
            "thetas": self.thetas.tolist(),
            "theta": self.theta.tolist(),
            "infos": [_plain(asdict(info)) for info in self.infos],
            **{name: getattr(self, name) for name in ("settings", "about", "versions", "sessions")},
            "jobs": list(self.jobs),
        }

    def minimize(
        self,
        *,
        backend: Any = None,
        optimizer: Any = None,
        shots: Any = None,
        max_steps: int | None = None,
        tol: float | None = None,
        gtol: float | None = None,
        target: Any = _UNSET,
        budget: Budget | None = _UNSET,
        callback: Callable[[StepInfo], Any] | None = None,
    ) -> Result:
        """Go on with the run, in its directory, as the same call of `minimize` would.

        Args:
            backend: the backend that the run was begun with, where that was an object: of one only the name is kept.
                Those with a name, and the embedded simulators, need not be given.
            optimizer, shots: those that the run was begun with, where they are of a class that is none of qngd's.
            max_steps, tol, gtol, target, budget: as for `minimize`; those of the last time where they are not given.
            callback: as for `minimize`.

        Returns:
            The `Result`, θ flat.

        Raises:
            SettingError: something that is no data must be given, or the circuit is no data: then call `minimize` with
                the circuit and this run_dir.
            StorageError: as for `minimize`.
        """
        given = {"backend": backend, "optimizer": optimizer, "shots": shots}
        given |= {"max_steps": max_steps, "tol": tol, "gtol": gtol}
        given = {name: value for name, value in given.items() if value is not None}
        given |= {name: value for name, value in (("target", target), ("budget", budget)) if value is not _UNSET}
        return minimize(**arguments_of(self._kept, self.directory, given), callback=callback, run_dir=self.directory)

    def forget_jobs(self) -> int:
        """Let jobs that were sent and never collected go, so that their circuits are sent anew; returns how many
        submissions there were. What they cost is lost.

        Raises:
            StorageError: a process goes on with the run, or its file cannot be written.
        """
        with locked(self.directory), closing(Database.to_write(self.directory)) as database:
            return forget_jobs(database, -1 if self.state is None else self.state.step)


_OF_PROBLEM = ("circuit", "parameters", "observable", "theta0", "objective")


def _plain(value: Any) -> Any:
    """Arrays as lists."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _in_words(written: Any) -> str:
    """A setting that was written, as a person would write it."""
    try:
        return repr(rebuilt(written))
    except Unknown:
        return repr(written)
