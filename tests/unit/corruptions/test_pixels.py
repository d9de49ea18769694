from __future__ import annotations

import numpy as np

from ectool.corruptions.pixels import to_levels, to_unit


def test_every_level_survives_both_ways():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16).repeat(3, axis=1)
    assert np.array_equal(to_levels(to_unit(levels)), levels)


def test_values_outside_the_range_are_clipped_and_the_rest_rounded():
    planes = np.array([-0.1, 1.2, 100.4 / 255, 100.6 / 255]).reshape(1, 1, 2, 2).repeat(3, axis=1)
    assert to_levels(planes)[0, 0].ravel().tolist() == [0, 255, 100, 101]
