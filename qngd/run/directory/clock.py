"""The time of day as it is written down: only for people, nothing is ordered by it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """UTC, as ISO 8601 says it; nothing where the clock stands outside all calendars."""
    try:
        return datetime.now(UTC).isoformat(timespec="seconds")
    except (OSError, OverflowError, ValueError):
        return ""
