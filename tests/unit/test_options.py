"""Numbers of options against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

from ectool.options import rounded_up


def test_a_share_of_a_count_is_rounded_up_as_in_exact_arithmetic():
    for percent in range(101):
        for count in range(1, 200):
            exact = math.ceil(Fraction(percent, 100) * count)
            assert rounded_up(percent / 100, count) == exact
