from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from ectool.errors import InputError
from ectool.metrics.debiasing import background_gap, background_gaps


def test_the_gap_is_the_difference_of_both_accuracies():
    generator = np.random.default_rng(0)
    same, rand = generator.random(300) < 0.9, generator.random(300) < 0.6
    gap = background_gap(same, rand)
    assert gap.value == pytest.approx(same.mean() - rand.mean())
    assert gap.value == pytest.approx(background_gaps(same, rand).mean())
    assert gap.low < gap.value < gap.high
    assert gap.n == 300


def test_every_sample_is_counted_for_what_its_background_changes():
    same = np.array([True, True, False, False])
    rand = np.array([True, False, True, False])
    assert background_gaps(same, rand).tolist() == [0, 1, -1, 0]


def test_a_classifier_that_ignores_the_background_has_no_gap_but_some_doubt():
    correct = np.arange(50) % 2 == 0
    gap = background_gap(correct, correct)
    assert gap.value == 0
    assert gap.low == pytest.approx(-gap.high)
    # The score test of no difference in 50 agreeing pairs: n d^2 = z^2 (2 q + d (1 - d)), q = 0.
    z = norm.ppf(0.975)
    assert gap.high == pytest.approx(z**2 / (50 + z**2))
    assert not gap.excludes_zero


def test_sides_of_different_length_are_an_error():
    with pytest.raises(InputError, match=r"expected 3 on both sides.*got 2"):
        background_gap(np.ones(3, np.bool_), np.ones(2, np.bool_))
