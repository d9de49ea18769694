from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from ectool.errors import InputError
from ectool.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_table,
)


def draw(samples=500, classes=6, seed=0, sharpness=2.0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, samples)
    logits = generator.normal(size=(samples, classes))
    logits[np.arange(samples), labels] += 1
    return sharpness * logits, labels


def test_likelihood_is_scikit_learns():
    logits, labels = draw()
    expected = log_loss(labels, softmax(logits, axis=1))
    assert negative_log_likelihood(logits, labels).mean() == pytest.approx(expected)


def test_likelihood_of_a_confident_error_is_the_distance_of_its_logits():
    logits = np.array([[0, 1000], [1000, 0]], np.float32)
    assert negative_log_likelihood(logits, np.array([0, 0])).tolist() == [1000, 0]


@pytest.mark.parametrize("classes", [2, 6])
def test_brier_score_is_scikit_learns_over_all_classes(classes):
    logits, labels = draw(classes=classes)
    chances = softmax(logits, axis=1)
    expected = brier_score_loss(labels, chances, labels=np.arange(classes), scale_by_half=False)
    assert brier_score(logits, labels).mean() == pytest.approx(expected)


@given(st.integers(0, 10**6), st.floats(0, 50))
def test_scores_are_in_their_ranges(seed, sharpness):
    logits, labels = draw(20, 3, seed, sharpness)
    brier = brier_score(logits, labels)
    assert ((brier >= 0) & (brier <= 2)).all()
    assert (negative_log_likelihood(logits, labels) >= 0).all()
    assert 0 <= expected_calibration_error(logits, labels, resamples=2).value <= 1


def ece_by_hand(logits, labels, bins):
    total = 0.0
    chances = softmax(logits.astype(float), axis=1)
    for number in range(bins):
        inside = [
            row
            for row in range(len(labels))
            if number / bins < chances[row].max() <= (number + 1) / bins
        ]
        if inside:
            accuracy = np.mean([chances[row].argmax() == labels[row] for row in inside])
            confidence = np.mean([chances[row].max() for row in inside])
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("sharpness", [0.3, 1, 5])
def test_calibration_error_is_torchmetrics_and_the_definition(bins, sharpness):
    logits, labels = draw(sharpness=sharpness)
    found = expected_calibration_error(logits, labels, bins=bins)
    chances = torch.from_numpy(softmax(logits, axis=1))
    peer = multiclass_calibration_error(chances, torch.from_numpy(labels), 6, n_bins=bins)
    assert found.value == pytest.approx(float(peer), abs=1e-6)
    assert found.value == pytest.approx(ece_by_hand(logits, labels, bins))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.n == 500


def test_interval_of_a_calibrated_model_contains_its_value():
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(300, 4))
    chances = softmax(logits, axis=1)
    labels = np.array([generator.choice(4, p=row) for row in chances])
    found = expected_calibration_error(logits, labels)
    assert found.low <= found.value <= found.high


def gaps_by_hand(logits, labels, bins):
    """Return the parts of the samples, whose mean is the error."""
    chances = softmax(logits, axis=1)
    confidence, correct = chances.max(axis=1), chances.argmax(axis=1) == labels
    number = np.ceil(confidence * bins)
    gaps = correct - confidence
    return np.array(
        [np.sign(gaps[number == own].sum()) * gap for own, gap in zip(number, gaps, strict=True)]
    )


def test_interval_is_of_the_gaps_resampled():
    logits, labels = draw()
    gaps, generator = gaps_by_hand(logits, labels, 15), np.random.default_rng(9)
    assert expected_calibration_error(logits, labels).value == pytest.approx(gaps.mean())
    means = [gaps[generator.integers(500, size=500)].mean() for _ in range(4000)]
    found = expected_calibration_error(logits, labels)
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.high == pytest.approx(high, abs=0.005)
    assert low - 0.03 < found.low < low  # without the bins whose gap may be chance


def test_lower_end_of_a_clear_gap_is_of_the_gaps_resampled():
    generator = np.random.default_rng(4)
    logits = np.tile(np.log([0.95, 0.05]), (500, 1))  # all in one bin
    labels = (generator.random(500) > 0.6).astype(int)
    gaps = gaps_by_hand(logits, labels, 15)
    means = [gaps[generator.integers(500, size=500)].mean() for _ in range(4000)]
    found = expected_calibration_error(logits, labels)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.005)


def test_the_error_is_the_sum_over_the_table():
    logits, labels = draw()
    lines = reliability_table(logits, labels)
    assert [line.low for line in lines] == pytest.approx([i / 15 for i in range(15)])
    assert [line.high for line in lines[:-1]] == [line.low for line in lines[1:]]
    filled = [line for line in lines if line.n]
    assert all(line.low < line.confidence <= line.high for line in filled)
    assert all(math.isnan(line.accuracy) for line in lines if not line.n)
    error = sum(line.n / 500 * abs(line.accuracy - line.confidence) for line in filled)
    assert error == pytest.approx(expected_calibration_error(logits, labels).value)


def test_bins_contain_their_upper_end():
    logits = np.log(np.array([[0.5, 0.5], [0.75, 0.25], [1, 1e-300]]))
    lines = reliability_table(logits, np.array([0, 0, 0]), bins=4)
    assert [line.n for line in lines] == [0, 1, 1, 1]


def test_no_samples_have_no_error():
    assert math.isnan(expected_calibration_error(np.empty((0, 3)), np.empty(0, int)).value)


@pytest.mark.parametrize("score", [negative_log_likelihood, brier_score])
def test_a_label_outside_the_classes_is_an_error(score):
    with pytest.raises(InputError, match=r"classes 0 to 2.*got -1"):
        score(np.zeros((2, 3)), np.array([0, -1]))
