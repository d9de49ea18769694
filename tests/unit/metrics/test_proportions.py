"""Intervals of shares against scipy and their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
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


@pytest.mark.parametrize(("b", "c", "n"), [(12, 4, 100), (4, 12, 100), (9, 0, 30), (1, 1, 40)])
def test_tangos_interval_ends_where_the_score_test_rejects(b, c, n):
    """The score statistic, its nuisance probability maximised numerically."""
    found = paired_shares_interval(np.repeat([1.0, -1.0, 0.0], [b, c, n - b - c]), confidence=0.9)

    def log_likelihood(q, d):
        rest = 1 - 2 * q - d
        return b * np.log(q + d) + c * np.log(max(q, 1e-300)) + (n - b - c) * np.log(rest)

    for d in (found.low, found.high):
        span = (max(0, -d) + 1e-12, (1 - d) / 2 - 1e-12)
        q = minimize_scalar(
            lambda q, d=d: -log_likelihood(q, d),
            bounds=span,
            method="bounded",
            options={"xatol": 1e-12},
        ).x
        statistic = (b - c - n * d) / np.sqrt(n * (2 * q + d * (1 - d)))
        assert abs(statistic) == pytest.approx(norm.ppf(0.95), rel=1e-3)


def test_the_interval_has_a_width_where_both_agree_on_every_sample():
    found = paired_shares_interval(np.zeros(50))
    assert found.low == pytest.approx(-found.high)
    # The score test of no difference in 50 agreeing pairs: n d^2 = z^2 (2 q + d (1 - d)), q = 0.
    z = norm.ppf(0.975)
    assert found.high == pytest.approx(z**2 / (50 + z**2))


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60))
def test_a_difference_lies_in_its_interval_and_range(differences):
    found = paired_shares_interval(np.array(differences, float))
    assert -1 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
