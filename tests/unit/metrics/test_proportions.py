"""Intervals of shares against scipy and their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest, norm

from ectool.metrics.proportions import jeffreys_bounds, paired_shares_interval, wilson_interval


@given(st.integers(1, 300), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(n, data, confidence):
    hits = data.draw(st.integers(0, n))
    expected = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    found = wilson_interval(hits, n, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_no_samples_have_no_share():
    for found in (wilson_interval(0, 0), paired_shares_interval(np.zeros(0))):
        assert np.isnan([found.value, found.low, found.high]).all()
        assert found.n == 0


def test_jeffreys_bounds_are_quantiles_of_its_posterior():
    hits, n = np.array([0, 3, 20]), np.array([20, 20, 20])
    low, high = jeffreys_bounds(hits, n, below=0.02, above=0.001)
    assert low == pytest.approx([0, beta(3.5, 17.5).ppf(0.02), beta(20.5, 0.5).ppf(0.02)])
    assert high == pytest.approx([beta(0.5, 20.5).ppf(0.999), beta(3.5, 17.5).ppf(0.999), 1])


def test_a_difference_of_shares_is_the_adjusted_wald_interval():
    differences = np.array([1.0] * 12 + [-1.0] * 4 + [0.0] * 84)
    found = paired_shares_interval(differences, confidence=0.9)
    first, second = (12 + 1) / 102, (4 + 1) / 102  # with the samples that the method adds
    half = norm.ppf(0.95) * np.sqrt((first + second - (first - second) ** 2) / 102)
    assert found.value == pytest.approx(0.08)
    assert (found.low, found.high) == pytest.approx((first - second - half, first - second + half))


def test_agreement_on_every_sample_is_not_certainty():
    found = paired_shares_interval(np.zeros(50))
    assert found.low == pytest.approx(-found.high)
    assert 0.03 < found.high < 0.07


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60))
def test_a_difference_lies_in_its_interval_and_range(differences):
    found = paired_shares_interval(np.array(differences, float))
    assert -1 <= found.low <= found.value <= found.high <= 1
