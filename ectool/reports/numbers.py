"""Numbers as people read them: percent, signs, intervals."""

from __future__ import annotations

import math

from ectool.reports.content import Difference, Interval, Verdict

ABSENT = "-"
AT_MOST = "\N{LESS-THAN OR EQUAL TO} "
"""Before a value that is no more than an upper bound."""
MINUS = "\N{MINUS SIGN}"
MARKS: dict[Verdict, str] = {
    "better": "\N{HEAVY CHECK MARK} better",
    "worse": "\N{HEAVY MULTIPLICATION X} worse",
}


def percent(share: float, *, signed: bool = False) -> str:
    """Write a share as percent with one decimal, without `%`.

    Args:
        share: The share; NaN gives `-`.
        signed: Whether to write the sign always, also of what rounds to zero: `-0.0` lies below.
    """
    return _fixed(share * 100, 1, signed=signed)


def quantity(value: float, is_share: bool = True, *, signed: bool = False) -> str:
    """Write a metric's value: a share as `percent`, any other number with three decimals."""
    return percent(value, signed=signed) if is_share else _fixed(value, 3, signed=signed)


def bounds(interval: Interval, is_share: bool = True, *, signed: bool = False) -> str:
    """Write an interval's bounds as `quantity` does; `-` where there are none."""
    if not interval.bounded:
        return ABSENT
    low, high = (quantity(b, is_share, signed=signed) for b in (interval.low, interval.high))
    return f"[{low}, {high}]"


def p_value(value: float) -> str:
    """Write a p-value with three decimals, smaller ones as `<0.001`; `-` where there is none."""
    if not math.isfinite(value):
        return ABSENT
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def mark(difference: Difference) -> str:
    """Return the mark of a difference: nothing unless it is more than chance."""
    return MARKS[difference.verdict] if difference.verdict else ""


def plain(value: float) -> str:
    """Write a number with two decimals, small ones with two digits."""
    if not math.isfinite(value):
        return ABSENT
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"


def _fixed(value: float, decimals: int, *, signed: bool) -> str:
    if not math.isfinite(value):
        return ABSENT
    text = f"{abs(value):.{decimals}f}"
    if value > 0 and signed:
        return "+" + text
    return MINUS + text if value < 0 and (signed or float(text)) else text
