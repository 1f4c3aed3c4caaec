"""What stands in the directory of a run, read by SQLite alone."""

import sqlite3


def table(directory, name):
    """The rows of a table as dicts, in their order."""
    connection = sqlite3.connect(directory / "run.sqlite")
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {name} ORDER BY row")]
    finally:
        connection.close()


def jobs_of(directory):
    """Every job, with the step, backend and name of its submission."""
    submissions = {row["row"]: row for row in table(directory, "submissions")}
    return [
        {**{name: submissions[row["of"]][name] for name in ("step", "backend", "submission", "tag")}, **row}
        for row in table(directory, "jobs")
    ]
