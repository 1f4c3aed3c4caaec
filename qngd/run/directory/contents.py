"""What the file of a run holds, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.estimates.evaluation import Cost, Evaluation
from qngd.run.directory.database import Database
from qngd.run.directory.encoding import from_json, info_from, unpacked
from qngd.run.directory.jobs import sent_from
from qngd.run.directory.problems import circuit_of, target_from
from qngd.run.directory.states import state_from
from qngd.solve.state import State, StepInfo

_INNER = ("seed drawn", "rows")  # of `about`: for the store alone


@dataclass(frozen=True, eq=False)
class Contents:
    """The rows of a run's file, decoded.

    `identity` has by field what the run is recognized by, as JSON and as text; `problem` the parts of the problem;
    `states` those that were kept, with their steps; `steps` the numbers of all steps, the start's first, `start` what
    was noted of the start, and `infos` and `thetas` (steps + 1, P) of the others; `end` the measurement by
    `final_shots` where the run stands, and `sent` what was sent after the last state and is in no cost yet.
    """

    about: dict[str, Any]
    identity: dict[str, dict[str, Any]]
    problem: dict[str, bytes]
    sessions: list[dict[str, Any]]
    jobs: tuple[dict[str, Any], ...]
    states: list[tuple[int, State]]
    steps: list[int]
    start: dict[str, Any] | None
    infos: tuple[StepInfo, ...]
    thetas: np.ndarray
    end: Evaluation | None
    sent: Cost

    @property
    def state(self) -> State | None:
        """The last state; None before the first energy."""
        return self.states[-1][1] if self.states else None

    @property
    def asked(self) -> dict[str, Any]:
        """The other arguments of `minimize` in the last session, as JSON has them."""
        return dict(self.sessions[-1]["asked"])

    @property
    def theta0(self) -> np.ndarray:
        """The parameters that the run began with, flat (P,)."""
        return _flat(self.problem["theta0"]).copy()

    @cached_property
    def circuit(self) -> Circuit | None:
        """The circuit; None where its angles are a function of Python's."""
        found: Circuit | None = circuit_of(self.problem)
        return found

    @cached_property
    def target(self) -> Any:
        """The observable, or the CVaR of it; None of an Objective."""
        return target_from(self.problem)


def contents_of(database: Database) -> Contents:
    """What this file holds."""
    about = {row["name"]: from_json(row["value"]) for row in database.rows("about")}
    problem = {row["name"]: row["data"] for row in database.rows("problem")}
    steps = database.rows("steps")
    states = [(row["step"], state_from(unpacked(row["data"]))) for row in database.rows("states")]
    return Contents(
        about={name: value for name, value in about.items() if name not in _INNER},
        identity={row["field"]: row for row in database.rows("identity")},
        problem=problem,
        sessions=[_session(row) for row in database.rows("sessions")],
        jobs=_jobs(database),
        states=states,
        steps=[row["step"] for row in steps],
        start=from_json(steps[0]["info"]) if steps else None,
        infos=tuple(info_from(from_json(row["info"])) for row in steps[1:]),
        thetas=np.array([_flat(row["theta"]) for row in steps]).reshape(-1, len(_flat(problem["theta0"]))),
        end=_last_end(database, states),
        sent=sent_from(database, states[-1][0] if states else -1),
    )


def _flat(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype="<f8")


def _session(row: dict[str, Any]) -> dict[str, Any]:
    names = ("began", "ended", "host", "pid", "status", "message", "note")
    return {**{name: row[name] for name in names}, **{name: from_json(row[name]) for name in ("versions", "asked")}}


def _last_end(database: Database, states: list[tuple[int, State]]) -> Evaluation | None:
    """The last measurement of its end, where it is that of where the run stands."""
    rows = database.rows("ends")
    if not rows or not states:
        return None
    end, (_, now) = state_from(unpacked(rows[-1]["data"])), states[-1]
    return end.evaluation if (end.step, end.evaluations) == (now.step, now.evaluations) else None


def _jobs(database: Database) -> tuple[dict[str, Any], ...]:
    """Every job, with what is known of its submission."""
    submissions = {row["row"]: row for row in database.rows("submissions")}
    kept = {(row["of"], row["place"]) for row in database.rows("outcomes")}
    return tuple(
        {
            "step": submissions[row["of"]]["step"],
            "backend": submissions[row["of"]]["backend"],
            "tag": submissions[row["of"]]["tag"],
            "place": row["place"],
            "job": row["job"],
            "sent": row["sent"],
            "collected": (row["of"], row["place"]) in kept,
        }
        for row in database.rows("jobs")
    )
