"""Rank correlations against scipy on resamples that are written out, and regression residuals."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from ectool.metrics.correlation import (
    cluster_counts,
    correlation,
    midranks,
    once,
    partial_correlation,
    spearman,
)


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    base = rng.normal(size=60)
    return [np.round(base + rng.normal(size=60), 1) for _ in range(3)]  # with ties


@pytest.fixture
def counts():
    rng = np.random.default_rng(1)
    return np.stack([np.bincount(rng.integers(60, size=60), minlength=60) for _ in range(5)])


def written_out(values, row):
    return np.repeat(values, row)


def residuals(a, given):
    slope, shift = np.polyfit(given, a, 1)
    return a - slope * given - shift


def test_ranks_equal_those_of_the_resample_written_out(columns, counts):
    found = midranks(columns[0], counts)
    for ranks, row in zip(found, counts, strict=True):
        np.testing.assert_allclose(
            written_out(ranks, row), rankdata(written_out(columns[0], row)), rtol=0, atol=1e-9
        )


def test_correlation_equals_scipys_on_the_resample_written_out(columns, counts):
    a, b, _ = columns
    found = correlation(midranks(a, counts), midranks(b, counts), counts)
    expected = [spearmanr(written_out(a, row), written_out(b, row)).statistic for row in counts]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_partial_correlation_is_that_of_the_residuals_of_the_ranks(columns, counts):
    found = partial_correlation(*(midranks(column, counts) for column in columns), counts)
    for value, row in zip(found, counts, strict=True):
        a, b, given = (rankdata(written_out(column, row)) for column in columns)
        expected = np.corrcoef(residuals(a, given), residuals(b, given))[0, 1]
        assert value == pytest.approx(expected)


def test_a_monotone_transformation_changes_nothing(columns):
    a, b, _ = columns
    assert spearman(a, b) == pytest.approx(spearman(np.exp(a), b**3))
    assert spearman(a, b) == pytest.approx(-spearman(-a, b))


def test_constant_and_explained_columns_are_undefined(columns):
    a, b, _ = columns
    assert np.isnan(spearman(np.zeros(60), b))
    all_once = once(60)
    ranks = [midranks(column, all_once) for column in (a, b, a)]
    assert np.isnan(partial_correlation(*ranks, all_once)).all()


def test_clusters_are_drawn_as_a_whole():
    clusters = np.array([7, 3, 7, 5, 3, 7])
    counts = cluster_counts(clusters, 50, np.random.default_rng(0))
    for cluster in (3, 5, 7):
        assert (np.ptp(counts[:, clusters == cluster], axis=1) == 0).all()
    drawn = counts[:, [0, 1, 3]]
    assert (drawn.sum(axis=1) == 3).all()
    assert len(np.unique(drawn, axis=0)) > 5
