"""Numbers as text: percent, signs, intervals, p-values."""

from __future__ import annotations

import math

from ectool.reports.content import Difference, Verdict
from ectool.types import Estimate

ABSENT = "-"
UPPER_BOUND_SIGN = "\N{LESS-THAN OR EQUAL TO} "
"""Sign before a value that is only an upper bound."""
SPREAD = "spread"
"""Word before ends that do not cover 95 %, see docs/evaluation.md."""
MINUS = "\N{MINUS SIGN}"
MARKS: dict[Verdict, str] = {
    "better": "\N{HEAVY CHECK MARK} better",
    "worse": "\N{HEAVY MULTIPLICATION X} worse",
}


def percent(share: float, *, signed: bool = False) -> str:
    """Write a share as percent with one decimal, without `%`.

    Args:
        share: The share; NaN gives `-`.
        signed: Whether every sign is written, also that of values that round to zero.
    """
    return _fixed(share * 100, 1, signed=signed)


def quantity(value: float, is_share: bool = True, *, signed: bool = False) -> str:
    """Write a metric's value: a share as percent, any other number with three decimals."""
    return percent(value, signed=signed) if is_share else _fixed(value, 3, signed=signed)


def bounds(interval: Estimate, is_share: bool = True, *, signed: bool = False) -> str:
    """Write an interval's bounds like `quantity`; `-` without bounds, a spread by its name."""
    if not interval.bounded:
        return ABSENT
    low, high = (quantity(b, is_share, signed=signed) for b in (interval.low, interval.high))
    return f"{SPREAD} [{low}, {high}]" if interval.kind == "spread" else f"[{low}, {high}]"


def p_value(value: float) -> str:
    """Write a p-value with three decimals, smaller ones as `<0.001`; `-` for NaN."""
    if not math.isfinite(value):
        return ABSENT
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def mark(difference: Difference) -> str:
    """Return the mark of a difference, empty unless the difference is significant."""
    return MARKS[difference.verdict] if difference.verdict else ""


def plain(value: float) -> str:
    """Write a number with two decimals, small numbers with two significant digits."""
    if not math.isfinite(value):
        return ABSENT
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"


def table_value(value: object) -> str:
    """Write a value of a table: decimal numbers with three decimals, `-` for None."""
    if value is None:
        return ABSENT
    return quantity(value, is_share=False) if isinstance(value, float) else str(value)


def _fixed(value: float, decimals: int, *, signed: bool) -> str:
    if not math.isfinite(value):
        return ABSENT
    text = f"{abs(value):.{decimals}f}"
    if value > 0 and signed:
        return "+" + text
    return MINUS + text if value < 0 and (signed or float(text)) else text
