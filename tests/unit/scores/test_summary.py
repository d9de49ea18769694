"""Means and spreads of scores, against their definitions written as loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ectool.scores.summary import correlation, is_misclassified, moments, relative_spread

N = 50


@pytest.fixture
def scores():
    """Return two related scores of 50 samples, of which some are undefined."""
    rng = np.random.default_rng(0)
    one = rng.uniform(size=N).astype(np.float32)
    other = (0.5 * one + 0.5 * rng.uniform(size=N)).astype(np.float32)
    one[[3, 9]], other[[9, 20]] = np.nan, np.nan
    return one, other


def defined(values):
    return [value for value in values.astype(float).ravel().tolist() if not math.isnan(value)]


def slow_moments(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


@pytest.mark.parametrize("shape", [(N,), (N // 5, 5)])
def test_moments_are_those_of_the_defined_values(scores, shape):
    mean, std = slow_moments(defined(scores[0]))
    found = moments(scores[0].reshape(shape))
    assert (found.mean, found.std) == pytest.approx((mean, std), abs=1e-12)
    assert moments(np.full(4, np.nan, np.float32)) is None


def test_relative_spread_is_that_of_the_weights_of_mean_one(scores):
    lack = [1 - value for value in defined(scores[0])]
    weights = [value / slow_moments(lack)[0] for value in lack]
    mean, std = slow_moments(weights)
    assert mean == pytest.approx(1)
    assert relative_spread(scores[0]) == pytest.approx(std, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0, np.nan])
def test_a_constant_consistency_has_no_spread(value):
    assert relative_spread(np.full(5, value, np.float32)) == 0


def test_correlation_is_over_samples_that_have_both(scores):
    pairs = [(a, b) for a, b in zip(*map(np.float64, scores), strict=True) if not math.isnan(a + b)]
    assert len(pairs) == N - 3
    first, second = zip(*pairs, strict=True)
    (m, s), (n, t) = slow_moments(first), slow_moments(second)
    expected = sum((a - m) * (b - n) for a, b in pairs) / len(pairs) / (s * t)
    assert correlation(*scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("other", [np.ones(3), np.array([np.nan, np.nan, 1])])
def test_a_constant_score_has_no_correlation(other):
    assert correlation(np.array([0.1, 0.5, 0.2]), other) is None


def test_misclassified_are_wrong_predictions_of_known_labels():
    logits = np.array([[2, 1], [1, 2], [1, 2], [2, 1]], np.float32)
    assert is_misclassified(logits, np.array([0, 0, 1, -1])).tolist() == [False, True, False, False]


def test_a_multilabel_sample_is_misclassified_where_no_present_class_is_predicted():
    logits = np.array([[2, -1, 3], [-2, -1, 3], [-2, -1, 3], [-2, -1, -3]], np.float32)
    label = np.array([[1, 1, 0], [1, 1, 0], [-1, 0, 0], [0, 0, 1]], np.int8)
    assert is_misclassified(logits, label).tolist() == [False, True, False, True]
