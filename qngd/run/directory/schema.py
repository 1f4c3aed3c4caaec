"""What the file of a run is made of: its tables. docs/run-directory.md says what stands in them."""

from __future__ import annotations

NAME = "run.sqlite"
APPLICATION = 0x716E6764  # "qngd", SQLite's application_id
FORMAT = 2  # SQLite's user_version; a file of a later one is refused

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
    "ends": ("key TEXT", "data BLOB", "measured TEXT"),
}
_SINCE = {"ends": 2}  # the format from which on there is a table
"""Columns of each table, between `row`, its number, and `sum`, its checksum."""


def statements() -> list[str]:
    """What makes an empty file."""
    return [
        f"PRAGMA application_id = {APPLICATION}",
        f"PRAGMA user_version = {FORMAT}",
        *map(_made, TABLES),
        "CREATE TABLE seal (row INTEGER PRIMARY KEY, rows INTEGER NOT NULL, total BLOB NOT NULL)",
        f"INSERT INTO seal VALUES (1, 0, x'{'00' * 16}')",
    ]


def upgrade(version: int) -> list[str]:
    """What makes a file of an earlier format one of this; nothing for this one."""
    if version == FORMAT:
        return []
    return [*(_made(name) for name, since in _SINCE.items() if since > version), f"PRAGMA user_version = {FORMAT}"]


def _made(table: str) -> str:
    return f"CREATE TABLE {table} (row INTEGER PRIMARY KEY, {', '.join(TABLES[table])}, sum BLOB NOT NULL)"


def columns(table: str) -> list[str]:
    """The names of a table's columns, without `row` and `sum`."""
    return [column.split()[0] for column in TABLES[table]]
