from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binomtest, norm
from sklearn.metrics import balanced_accuracy_score, recall_score

from ectool.errors import InputError
from ectool.metrics.strata import balanced_accuracy, worst_group_accuracy

CLASSES = np.array([0, 1, 2, 4, 5, 6, 7])


def draw(samples=400, seed=0):
    """Return labels of unequally frequent classes, and predictions, half of them correct."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(CLASSES, samples, p=np.arange(1, 8) / 28)
    guesses = generator.choice(CLASSES, samples)
    return labels, np.where(generator.random(samples) < 0.5, labels, guesses)


class TestBalanced:
    def test_is_scikit_learns_over_classes_with_samples(self):
        labels, predicted = draw()
        assert 3 not in labels
        found = balanced_accuracy(predicted == labels, labels)
        seen = recall_score(labels, predicted, labels=CLASSES, average="macro")
        assert found.value == pytest.approx(seen)
        assert found.n == 400

    def test_is_scikit_learns_balanced_accuracy(self):
        labels, predicted = draw(seed=2)
        found = balanced_accuracy(predicted == labels, labels)
        assert found.value == pytest.approx(balanced_accuracy_score(labels, predicted))

    def test_the_interval_is_wilsons_of_the_effective_number_of_samples(self):
        labels = np.array([0] * 10 + [1] * 40)
        correct = np.array([True] * 6 + [False] * 4 + [True] * 36 + [False] * 4)
        found = balanced_accuracy(correct, labels)
        expected = (beta(6.5, 4.5).mean(), beta(36.5, 4.5).mean())  # of Jeffreys' posteriors
        variance = sum(p * (1 - p) / m for p, m in zip(expected, (10, 40), strict=True)) / 4
        for end in (found.low, found.high):  # Wilson: |value - p| = z sqrt(p (1 - p) / n)
            n = 0.75 * 0.25 / variance
            assert abs(0.75 - end) == pytest.approx(norm.ppf(0.975) * np.sqrt(end * (1 - end) / n))
        assert found.low < 0.75 < found.high

    def test_with_equal_classes_it_is_almost_that_of_the_accuracy(self):
        correct, labels = np.arange(400) % 5 > 0, np.arange(400) % 4
        found = balanced_accuracy(correct, labels)
        plain = binomtest(320, 400).proportion_ci(0.95, method="wilson")
        assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=1e-3)

    @pytest.mark.parametrize("classes", [4, 10])
    def test_a_model_that_predicts_one_class_is_uncertain(self, classes):
        labels = np.arange(100) % classes
        found = balanced_accuracy(labels == 0, labels)
        assert found.value == pytest.approx(1 / classes)
        # A class with 0 of n right may have a share of 3 / n: Wilson's or Jeffreys' upper end.
        assert found.high - found.value > 0.1 / classes
        assert found.value - found.low > 0.1 / classes

    def test_classes_of_one_sample_have_a_variance(self):
        found = balanced_accuracy(np.ones(5, np.bool_), np.arange(5))
        assert (found.value, found.high) == (1, 1)
        assert found.low < 0.75


class TestWorstGroup:
    def test_is_the_lowest_accuracy_of_any_group(self):
        labels, predicted = draw()
        correct, groups = predicted == labels, labels * 1000 - 3
        found = worst_group_accuracy(correct, groups)
        assert found.value == min(recall_score(labels, predicted, labels=CLASSES, average=None))
        assert found.low <= found.value <= found.high

    def test_bounds_hold_for_all_groups_that_may_be_the_worst(self):
        # Of three groups two may be the worst: their upper bounds hold together.
        hits, n = np.array([10, 12, 39]), np.array([20, 20, 40])
        groups = np.repeat([0, 1, 2], n)
        correct = np.concatenate([np.arange(k) < h for h, k in zip(hits, n, strict=True)])
        found = worst_group_accuracy(correct, groups)
        low = beta(10.5, 10.5).ppf(0.4 * 0.05)
        high = beta(10.5, 10.5).ppf((1 - 0.6 * 0.05) ** (1 / 2))
        assert (found.low, found.value, found.high) == pytest.approx((low, 0.5, high))

    def test_one_group_is_the_accuracy(self):
        correct = np.arange(40) % 4 > 0
        assert worst_group_accuracy(correct, np.zeros(40, int)).value == 0.75

    @pytest.mark.parametrize("n", [0, 1])
    def test_too_few_samples_have_no_interval(self, n):
        found = worst_group_accuracy(np.ones(n, np.bool_), np.zeros(n, int))
        assert np.isnan([found.low, found.high]).all()
        assert np.isnan(found.value) if n == 0 else found.value == 1

    def test_groups_of_other_samples_are_an_error(self):
        with pytest.raises(InputError, match="expected 3, one per sample, got 2"):
            worst_group_accuracy(np.ones(3, np.bool_), np.zeros(2, int))
