from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

from ectool.errors import InputError
from ectool.metrics.strata import balanced_accuracy, worst_group_accuracy

CLASSES = np.array([0, 1, 2, 4, 5, 6, 7])


def draw(samples=400, seed=0):
    """Return labels of unequally frequent classes, and predictions, half of them right."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(CLASSES, samples, p=np.arange(1, 8) / 28)
    guesses = generator.choice(CLASSES, samples)
    return labels, np.where(generator.random(samples) < 0.5, labels, guesses)


def resampled_within(correct, groups, statistic, resamples=1500):
    """Redo the stratified bootstrap by drawing samples, group by group."""
    generator = np.random.default_rng(5)
    values = [correct[groups == group] for group in np.unique(groups)]
    return np.array(
        [statistic([generator.choice(v, len(v)).mean() for v in values]) for _ in range(resamples)]
    )


class TestBalanced:
    def test_is_scikit_learns_and_leaves_out_classes_without_samples(self):
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

    @pytest.mark.parametrize(
        ("estimate", "statistic"), [(balanced_accuracy, np.mean), (worst_group_accuracy, np.min)]
    )
    def test_intervals_are_quantiles_of_resamples_within_the_groups(self, estimate, statistic):
        labels, predicted = draw(120, seed=1)
        correct = predicted == labels
        found = estimate(correct, labels, resamples=4000)
        low, high = np.quantile(resampled_within(correct, labels, statistic), [0.025, 0.975])
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.025)

    def test_the_seed_decides(self):
        labels, predicted = draw()
        correct = predicted == labels
        one, same, other = (balanced_accuracy(correct, labels, seed=s) for s in (0, 0, 1))
        assert one == same
        assert one != other


class TestWorstGroup:
    def test_is_the_least_accuracy_of_any_group(self):
        labels, predicted = draw()
        correct, groups = predicted == labels, labels * 1000 - 3
        found = worst_group_accuracy(correct, groups)
        assert found.value == min(recall_score(labels, predicted, labels=CLASSES, average=None))
        assert found.low <= found.value <= found.high

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
