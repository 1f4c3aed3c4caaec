"""Tables as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def rows_lines(rows: Mapping[str, str], style: Callable[[str], str] = str) -> list[str]:
    """A line for each name and its text, the texts below each other, the names as `style` makes them.

    >>> rows_lines({"jobs": "1 a step", "shots": "300"})
    ['jobs   1 a step', 'shots  300']
    """
    width = max(map(len, rows))
    return [f"{style(f'{name:<{width}}')}  {text}" for name, text in rows.items()]


def columns_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, the first of them headings: the first column to the left, the others to the right. A row
    that only has a name and one more text is a remark.

    >>> columns_lines([["", "steps", "shots"], ["qng", "7", "1,000"], ["adam", "is refused", ""]])
    ['      steps  shots', 'qng       7  1,000', 'adam  is refused']
    """
    full = [row for row in rows if not _is_remark(row)]
    first = max(len(row[0]) for row in rows)
    widths = [max(len(row[k]) for row in full) for k in range(1, len(rows[0]))]
    return [_line(row, first, widths) for row in rows]


def _line(row: Sequence[str], first: int, widths: Sequence[int]) -> str:
    if _is_remark(row):
        return f"{row[0]:<{first}}  {row[1]}"
    cells = [f"{text:>{width}}" for text, width in zip(row[1:], widths, strict=True)]
    return "  ".join([f"{row[0]:<{first}}", *cells]).rstrip()


def _is_remark(row: Sequence[str]) -> bool:
    return len(row) > 2 and not any(row[2:])
