"""Intervals of means against their definitions and scipy."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest, norm, skew, t, ttest_1samp

from ectool.metrics.means import (
    clustered_mean,
    estimate_mean,
    estimate_means,
    skewness_adjusted_interval,
    zero_mean_p_value,
)
from ectool.metrics.proportions import paired_shares_interval

DRAWN = np.random.default_rng(0)
LOSSES = DRAWN.lognormal(size=40)


def test_a_share_of_any_type_has_wilsons_interval():
    right = np.random.default_rng(1).random(40) < 0.7
    columns = {"flags": right, "numbers": right.astype(float)}
    found = estimate_means(columns, scales={"numbers": "share"}, confidence=0.9)
    expected = binomtest(int(right.sum()), 40).proportion_ci(0.9, method="wilson")
    for one in found.values():
        assert (one.low, one.high) == pytest.approx((expected.low, expected.high))


def test_the_interval_has_a_width_where_all_are_correct():
    found = estimate_mean(np.ones(40), "share")
    assert (found.value, found.high) == (1, 1)
    assert 0.9 < found.low < 0.95


def test_the_scale_marks_a_difference_of_shares():
    helped = np.array([1.0] * 3 + [0.0] * 97)  # which looks like a share, but may be chance
    found = estimate_means({"gap": helped, "share": helped > 0}, scales={"gap": "difference"})
    assert found["gap"] == paired_shares_interval(helped)
    assert found["gap"].low < 0 < found["share"].low


def test_shares_that_vary_less_than_flags_have_the_interval_of_more_flags():
    values = np.random.default_rng(2).beta(2, 5, 60)
    found = estimate_mean(values, "share")
    n = values.mean() * (1 - values.mean()) / (values.var(ddof=1) / 60)
    for end in (found.low, found.high):
        half = t.ppf(0.975, 59) * np.sqrt(end * (1 - end) / n)
        assert abs(values.mean() - end) == pytest.approx(half)


def test_the_adjusted_interval_ends_where_the_adjusted_t_is_at_its_quantile():
    n, g, s = 40, skew(LOSSES) * (39 / 40) ** 1.5, LOSSES.std(ddof=1)

    def straightened(mu):  # Hall 1992, its transformation of t
        at = np.sqrt(n) * (LOSSES.mean() - mu) / s
        return at + g * at**2 / (3 * n**0.5) + g**2 * at**3 / (27 * n) + g / (6 * n**0.5)

    found = skewness_adjusted_interval(LOSSES, confidence=0.9)
    for end, side in ((found.low, 1), (found.high, -1)):
        aim = side * t.ppf(0.95, n - 1)
        assert end == pytest.approx(brentq(lambda mu, aim=aim: straightened(mu) - aim, -9, 9))
    assert found.high - found.value > found.value - found.low


def test_without_skewness_it_is_the_t_interval():
    values = np.concatenate([LOSSES, -LOSSES])
    found = skewness_adjusted_interval(values)
    expected = ttest_1samp(values, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert zero_mean_p_value(values + 0.2) == pytest.approx(ttest_1samp(values, -0.2).pvalue)


@pytest.mark.parametrize("shift", np.linspace(-1, 3, 21))
def test_the_p_value_is_below_the_level_where_the_interval_excludes_zero(shift):
    values = LOSSES - shift
    found = skewness_adjusted_interval(values)
    assert (zero_mean_p_value(values) < 0.05) == (found.low > 0 or found.high < 0)


def test_equal_values_have_no_width_and_the_p_value_of_their_signs():
    found = estimate_mean(np.full(5, 0.25))
    assert (found.low, found.value, found.high) == (0.25, 0.25, 0.25)
    assert zero_mean_p_value(np.full(5, 0.25)) == 1 / 16
    assert zero_mean_p_value(np.zeros(5)) == 1


def test_clusters_of_one_size_are_a_t_interval_of_their_means():
    values = np.random.default_rng(3).normal(size=(8, 20)) + np.arange(8)[:, None] / 3
    found = clustered_mean(values.ravel(), np.repeat(np.arange(8), 20))
    expected = ttest_1samp(values.mean(axis=1), 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.value, found.n) == (pytest.approx(values.mean()), 160)


def test_one_draw_has_no_interval():
    found = clustered_mean(np.random.default_rng(4).random(50), np.zeros(50, int))
    assert np.isnan([found.low, found.high]).all()
    assert 0 < found.value < 1


def test_the_interval_of_draws_covers_where_that_of_samples_does_not():
    generator, covered = np.random.default_rng(5), {"draws": 0, "samples": 0}
    draw = np.arange(160) % 8
    for _ in range(400):
        values = generator.normal(0, 0.05, 8)[draw] + generator.normal(0, 0.2, 160)
        for kind, found in (
            ("draws", clustered_mean(values, draw)),
            ("samples", estimate_mean(values)),
        ):
            covered[kind] += found.low <= 0 <= found.high
    assert covered["draws"] / 400 == pytest.approx(0.95, abs=0.025)
    assert covered["samples"] / 400 < 0.85


def test_too_few_samples_have_no_interval():
    nothing, one = np.full(3, np.nan), np.array([np.nan, 0.5, np.nan])
    found = estimate_means({"nothing": nothing, "one": one})
    assert (found["one"].value, found["one"].n) == (0.5, 1)
    assert math.isnan(found["one"].low)
    assert (math.isnan(found["nothing"].value), found["nothing"].n) == (True, 0)
    assert math.isnan(zero_mean_p_value(np.ones(1)))


def test_no_columns():
    assert estimate_means({}) == {}


def test_undefined_samples_do_not_count():
    holes = np.array([0.1, np.nan, 0.4, 0.7])
    assert estimate_mean(holes, "share") == estimate_mean(holes[[0, 2, 3]], "share")
    assert norm.ppf(0.975) < t.ppf(0.975, 2)
