from __future__ import annotations

import numpy as np
import pytest

from ectool.errors import InputError
from ectool.metrics.debiasing import background_gap, background_gaps
from ectool.metrics.statistics import bootstrap_interval


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


def test_pairing_is_the_bootstrap_of_the_differences():
    generator = np.random.default_rng(1)
    rand = generator.random(200) < 0.5
    same = rand | (generator.random(200) < 0.2)
    paired = background_gap(same, rand, seed=3)
    single = bootstrap_interval(background_gaps(same, rand), seed=3)
    assert (paired.low, paired.high) == pytest.approx((single.low, single.high))


def test_a_classifier_that_ignores_the_background_has_no_gap_and_no_doubt():
    correct = np.arange(50) % 2 == 0
    gap = background_gap(correct, correct)
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    assert not gap.excludes_zero


def test_sides_of_different_length_are_an_error():
    with pytest.raises(InputError, match=r"expected 3 on both sides.*got 2"):
        background_gap(np.ones(3, np.bool_), np.ones(2, np.bool_))
