"""Entries of equal keys as a table of text."""

from __future__ import annotations

from collections.abc import Mapping

GAP = "  "
LEAST = 1e-4
"""Smallest number that is written with four decimals."""


def table_lines(rows: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Lay entries out as aligned columns, headed by their keys; an empty table is no line."""
    cells = [["", *next(iter(rows.values()), ())]]
    cells += [[name, *map(_cell, row.values())] for name, row in rows.items()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_line(line, widths) for line in cells] if rows else []


def _line(cells: list[str], widths: list[int]) -> str:
    """Return one line: the first cell to the left, the others to the right of their columns."""
    name, *others = zip(cells, widths, strict=True)
    return GAP.join([name[0].ljust(name[1]), *[cell.rjust(width) for cell, width in others]])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or abs(value) >= LEAST else f"{value:.1e}"
