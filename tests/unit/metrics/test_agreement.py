from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from ectool.metrics.agreement import rank_correlation


def pairs(n=12, size=(5, 7), seed=0):
    rng = np.random.default_rng(seed)
    first = np.maximum(rng.normal(size=(n, *size)), 0).astype(np.float32)
    second = np.maximum(first + rng.normal(size=first.shape), 0).astype(np.float32)
    return first, second


def expected(first, second):
    return [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]


def test_rank_correlation_equals_scipy_with_the_many_ties_of_rectified_maps():
    first, second = pairs()
    assert (first == 0).mean() > 0.3
    np.testing.assert_allclose(rank_correlation(first, second), expected(first, second), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.int64, (2, 3, 2, 4), elements=st.integers(0, 3)).filter(
        lambda maps: all(np.ptp(one) for pair in maps for one in pair)
    )
)
def test_rank_correlation_equals_scipy_on_any_pattern_of_ties(maps):
    first, second = maps.astype(np.float64)
    np.testing.assert_allclose(rank_correlation(first, second), expected(first, second), atol=1e-12)


def test_a_rising_change_of_scale_changes_nothing():
    first, second = pairs()
    assert rank_correlation(first, np.exp(3 * first)) == pytest.approx(1)
    np.testing.assert_allclose(
        rank_correlation(first, np.sqrt(second)), rank_correlation(first, second)
    )


def test_the_opposite_order_is_minus_one():
    ramp = np.arange(12.0).reshape(1, 3, 4)
    assert rank_correlation(ramp, -ramp) == pytest.approx(-1)


def test_constant_maps_have_no_order():
    ramp, flat = np.arange(4.0).reshape(1, 2, 2), np.full((1, 2, 2), 3.0)
    assert rank_correlation(ramp, flat) == 0
    assert rank_correlation(flat, ramp) == 0
    assert np.isnan(rank_correlation(flat, 0 * flat))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_has_no_order(value):
    first, second = pairs(3)
    second[1, 0, 0] = value
    found = rank_correlation(first, second)
    assert np.isnan(found).tolist() == [False, True, False]
    np.testing.assert_array_equal(found[[0, 2]], rank_correlation(first[[0, 2]], second[[0, 2]]))


def test_no_maps_have_no_correlations():
    empty = np.zeros((0, 4, 4))
    assert rank_correlation(empty, empty).shape == (0,)
