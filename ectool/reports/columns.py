"""Mappings with the same keys as a table of aligned columns."""

from __future__ import annotations

from collections.abc import Mapping

from ectool.shown_text import one_line

GAP = "  "
WIDTH = 120
"""Maximum number of characters of a text in a cell."""
MIN_PLAIN = 1e-4
"""Smallest number that is written with four decimals."""


def table_lines(rows: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return rows as aligned columns under their keys; no line for an empty table."""
    cells = [["", *next(iter(rows.values()), ())]]
    cells += [[one_line(name, WIDTH), *map(_cell, row.values())] for name, row in rows.items()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_line(line, widths) for line in cells] if rows else []


def _line(cells: list[str], widths: list[int]) -> str:
    """Return one line: the first cell aligned to the left, the others to the right."""
    name, *others = zip(cells, widths, strict=True)
    return GAP.join([name[0].ljust(name[1]), *[cell.rjust(width) for cell, width in others]])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return one_line(str(value), WIDTH)
    return f"{value:.4f}" if value == 0 or abs(value) >= MIN_PLAIN else f"{value:.1e}"
