from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ectool.errors import InputError
from ectool.metrics import statistics
from ectool.metrics.statistics import (
    bootstrap_interval,
    mean_interval,
    mean_of_defined,
    mean_per_sample,
    paired_difference,
    within,
)
from ectool.types import Estimate

finite = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


def bootstrap_of_mean(values, **options):
    """Return the bootstrap interval of a mean."""
    return bootstrap_interval(lambda rows: values[rows].mean(axis=1), len(values), **options)


def test_intervals_of_shares_end_within_their_range():
    found = mean_interval(np.array([0.99, 0.9, 1.0]))
    assert found.high > 1
    assert within(found, 0.0, 1.0) == Estimate(found.value, found.low, 1.0, 3)
    assert within(found, -9.0, 9.0) == found
    assert math.isnan(within(mean_interval(np.array([0.5])), 0.0, 1.0).low)


def excludes_zero(estimate):
    return estimate.low > 0 or estimate.high < 0


def test_the_interval_is_scipys_up_to_resampling_noise():
    values = np.random.default_rng(0).exponential(size=80)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    ours = bootstrap_of_mean(values, resamples=20_000)
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_the_interval_redone_resample_by_resample():
    values = np.random.default_rng(0).random(9)
    generator = np.random.default_rng(5)
    means = [np.mean([values[i] for i in row]) for row in generator.integers(9, size=(50, 9))]
    ours = bootstrap_of_mean(values, confidence=0.8, resamples=50, seed=5)
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(means, [0.1, 0.9])))


def test_the_coverage_of_the_interval_is_the_nominal_one():
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        estimate = bootstrap_of_mean(generator.normal(3, 2, 60), resamples=300, seed=seed)
        covered += estimate.low <= 3 <= estimate.high
    assert 0.90 <= covered / 300 <= 0.98


def test_only_the_seed_determines_the_interval():
    values = np.random.default_rng(0).random(40)
    assert bootstrap_of_mean(values, seed=1) == bootstrap_of_mean(values, seed=1)
    assert bootstrap_of_mean(values, seed=1) != bootstrap_of_mean(values, seed=2)


def test_memory_is_bounded_by_parts_that_do_not_change_the_result():
    values = np.random.default_rng(0).random(50)
    whole = bootstrap_of_mean(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "_VALUES_AT_ONCE", 120)
        assert bootstrap_of_mean(values) == whole


@given(finite)
def test_bounds_enclose_the_value_and_stay_inside_the_data(values):
    estimate = bootstrap_of_mean(np.array(values), resamples=200)
    slack = 1e-9
    assert min(values) - slack <= estimate.low <= estimate.high <= max(values) + slack


@pytest.mark.parametrize("values", [[True, False, True], [1, 0, 1], [1.0, 0.0, 1.0]])
def test_flags_and_counts_are_values_too(values):
    assert mean_interval(np.array(values)).value == pytest.approx(2 / 3)


@pytest.mark.parametrize("interval", [bootstrap_of_mean, mean_interval])
def test_one_value_has_no_interval_and_none_no_value(interval):
    one = interval(np.array([0.7]))
    assert (one.value, one.n) == (0.7, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    none = interval(np.array([]))
    assert math.isnan(none.value)
    assert none.n == 0


@given(finite)
def test_the_interval_over_seeds_is_scipys_t_interval(values):
    runs = np.array(values)
    estimate = mean_interval(runs)
    expected = scipy.stats.t.interval(0.95, len(runs) - 1, runs.mean(), 1.0)
    half = (expected[1] - expected[0]) / 2 * runs.std(ddof=1) / math.sqrt(len(runs))
    bounds = (runs.mean() - half, runs.mean() + half)
    assert (estimate.low, estimate.high) == pytest.approx(bounds, rel=1e-9, abs=1e-12)


def test_a_paired_difference_excludes_zero_when_the_t_test_rejects():
    generator = np.random.default_rng(0)
    verdicts = set()
    for _ in range(100):
        first, second = generator.normal(0.8, 1, 5), generator.normal(0, 1, 5)
        rejected = bool(scipy.stats.ttest_rel(first, second).pvalue < 0.05)
        assert excludes_zero(paired_difference(first, second)) == rejected
        verdicts.add(rejected)
    assert verdicts == {True, False}


def test_a_failed_run_does_not_drop_out_unnoticed():
    estimate = paired_difference(np.array([0.9, np.nan, 0.8]), np.array([0.5, 0.5, 0.5]))
    assert math.isnan(estimate.value)
    assert estimate.n == 3
    assert not excludes_zero(estimate)


def test_sides_of_different_length_are_an_error():
    with pytest.raises(InputError, match=r"expected 3 on both sides.*got 2"):
        paired_difference(np.arange(3.0), np.arange(2.0))


def test_a_statistic_may_need_whole_rows():
    generator = np.random.default_rng(0)
    table = generator.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=200)

    def correlation(rows):
        return np.array([np.corrcoef(table[row].T)[0, 1] for row in rows])

    estimate = bootstrap_interval(correlation, 200, resamples=200)
    assert estimate.value == pytest.approx(np.corrcoef(table.T)[0, 1])
    assert estimate.low < 0.8 < estimate.high


def test_resamples_without_a_value_are_left_out():
    def largest_unless_first_is_missing(rows):
        return np.where((rows == 0).any(axis=1), rows.max(axis=1), np.nan)

    estimate = bootstrap_interval(largest_unless_first_is_missing, 9)
    assert (estimate.value, estimate.n) == (8, 9)
    assert 0 < estimate.low <= estimate.high == 8


def test_a_statistic_without_a_value_has_no_interval():
    estimate = bootstrap_interval(lambda rows: np.full(len(rows), np.nan), 5)
    assert estimate.n == 5
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.low)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1) | st.just(math.nan)), max_size=20))
def test_pairs_are_averaged_per_sample(pairs):
    samples = np.array([owner for owner, _ in pairs], np.int64)
    values = np.array([value for _, value in pairs], np.float64)
    expected = []
    for sample in range(5):
        mine = [value for owner, value in pairs if owner == sample and not math.isnan(value)]
        expected.append(sum(mine) / len(mine) if mine else math.nan)
    np.testing.assert_allclose(mean_per_sample(values, samples, 5), expected)


def test_the_mean_of_a_row_is_over_its_defined_values():
    nan = math.nan
    found = mean_of_defined(np.array([[1.0, 2.0, 6.0], [nan, 3.0, 5.0], [nan, nan, nan]]))
    np.testing.assert_array_equal(found, [3, 4, nan])
