from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from ectool.scores.agreement import (
    AGREEMENTS,
    heatmap_agreement,
    rank_correlation,
    scaled_ssim,
)
from ectool.scores.similarity import ssim


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


@settings(max_examples=40)
@given(
    arrays(np.int64, (2, 3, 2, 4), elements=st.integers(0, 3)).filter(
        lambda maps: all(np.ptp(one) for pair in maps for one in pair)
    )
)
def test_rank_correlation_equals_scipy_on_any_pattern_of_ties(maps):
    first, second = maps.astype(np.float64)
    np.testing.assert_allclose(rank_correlation(first, second), expected(first, second), atol=1e-12)


def test_an_increasing_function_changes_nothing():
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
def test_a_value_that_is_not_finite_has_no_order(value):
    first, second = pairs(3)
    second[1, 0, 0] = value
    found = rank_correlation(first, second)
    assert np.isnan(found).tolist() == [False, True, False]
    np.testing.assert_array_equal(found[[0, 2]], rank_correlation(first[[0, 2]], second[[0, 2]]))


def test_no_maps_have_no_correlations():
    empty = np.zeros((0, 4, 4))
    assert rank_correlation(empty, empty).shape == (0,)


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((2, 6, 5, 5), np.float32)


@pytest.mark.parametrize("name", AGREEMENTS)
def test_a_map_agrees_with_itself_on_any_scale(name, maps):
    targets = np.zeros(6, np.int64)
    found = heatmap_agreement(AGREEMENTS[name], maps[0], 7 * maps[0], targets)
    np.testing.assert_allclose(found, 1, rtol=1e-5)
    assert (heatmap_agreement(AGREEMENTS[name], maps[0], maps[1], targets) < 0.9).all()


def test_scales_do_not_matter_to_scaled_ssim(maps):
    first, second = maps
    peaks = [one.max(axis=(1, 2), keepdims=True) for one in (first, second)]
    expected = ssim(first / peaks[0], second / peaks[1])
    np.testing.assert_allclose(scaled_ssim(9 * first, second), expected, rtol=1e-6)
    assert ssim(9 * first, second).mean() < expected.mean()


@pytest.mark.parametrize("name", AGREEMENTS)
def test_agreement_with_a_constant_map_is_undefined(name, maps):
    first, second = maps[0].copy(), maps[1].copy()
    first[0], second[1], first[2], second[2] = 0, 0, 0, 0
    found = heatmap_agreement(AGREEMENTS[name], first, second, np.zeros(6, np.int64))
    assert np.isnan(found).tolist() == [True, False, True, False, False, False]
    assert found[1] == 0


def test_multi_label_samples_get_the_mean_over_their_defined_targets(maps):
    first, second = (one.reshape(3, 2, 5, 5) for one in maps)
    targets = np.array([[0, 3], [2, -1], [-1, -1]])
    found = heatmap_agreement(rank_correlation, first, second, targets)
    both = rank_correlation(first[0], second[0])
    one = rank_correlation(first[1, :1], second[1, :1])
    np.testing.assert_allclose(found[:2], [both.mean(), one[0]], rtol=1e-6)
    assert np.isnan(found[2])
