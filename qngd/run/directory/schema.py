"""What the file of a run is made of: its tables. docs/run-directory.md says what stands in them."""

from __future__ import annotations

NAME = "run.sqlite"
APPLICATION = 0x716E6764  # "qngd", SQLite's application_id
FORMAT = 1  # SQLite's user_version; of another one the file is refused

TABLES: dict[str, tuple[str, ...]] = {
    "about": ("name TEXT", "value TEXT"),
    "identity": ("field TEXT", "value TEXT", "shown TEXT"),
    "problem": ("name TEXT", "data BLOB"),
    "sessions": (
        "began TEXT",
        "host TEXT",
        "pid INTEGER",
        "versions TEXT",
        "asked TEXT",
        "status TEXT",
        "message TEXT",
        "note TEXT",
        "ended TEXT",
    ),
    "steps": ("step INTEGER", "energy REAL", "stderr REAL", "theta BLOB", "info TEXT"),
    "states": ("step INTEGER", "data BLOB"),
    "submissions": ("step INTEGER", "submission TEXT", "backend TEXT", "tag TEXT", "intended TEXT", "dropped TEXT"),
    "notes": ("of INTEGER", "place INTEGER", "event TEXT", "holds TEXT", "at TEXT"),
    "jobs": ("of INTEGER", "place INTEGER", "job TEXT", "sent TEXT"),
    "outcomes": ("of INTEGER", "place INTEGER", "data BLOB", "taken TEXT"),
}
"""Columns of each table, between `row`, its number, and `sum`, its checksum."""


def statements() -> list[str]:
    """What makes an empty file."""
    made = [
        f"CREATE TABLE {name} (row INTEGER PRIMARY KEY, {', '.join(columns)}, sum BLOB NOT NULL)"
        for name, columns in TABLES.items()
    ]
    return [
        f"PRAGMA application_id = {APPLICATION}",
        f"PRAGMA user_version = {FORMAT}",
        *made,
        "CREATE TABLE seal (row INTEGER PRIMARY KEY, rows INTEGER NOT NULL, total BLOB NOT NULL)",
        f"INSERT INTO seal VALUES (1, 0, x'{'00' * 16}')",
    ]


def columns(table: str) -> list[str]:
    """The names of a table's columns, without `row` and `sum`."""
    return [column.split()[0] for column in TABLES[table]]
