from __future__ import annotations

import numpy as np
import pytest

from ectool.errors import InputError
from ectool.metrics.debiasing import background_gaps


def test_the_gap_is_the_difference_of_both_accuracies():
    generator = np.random.default_rng(0)
    same, rand = generator.random(300) < 0.9, generator.random(300) < 0.6
    assert background_gaps(same, rand).mean() == pytest.approx(same.mean() - rand.mean())


def test_the_part_of_a_sample_is_what_its_background_changes():
    same = np.array([True, True, False, False])
    rand = np.array([True, False, True, False])
    assert background_gaps(same, rand).tolist() == [0, 1, -1, 0]


def test_sides_of_different_length_are_an_error():
    with pytest.raises(InputError, match=r"expected 3 on both sides.*got 2"):
        background_gaps(np.ones(3, np.bool_), np.ones(2, np.bool_))
