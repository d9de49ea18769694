from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    recall_score,
    top_k_accuracy_score,
)

from ectool.errors import InputError
from ectool.metrics.classification import (
    accuracy,
    class_accuracies,
    confusion,
    is_correct,
    is_correct_top_k,
)


@given(
    hnp.arrays(np.float32, (17, 5), elements=st.floats(-9, 9, width=16)),
    hnp.arrays(np.int64, 17, elements=st.integers(0, 4)),
)
def test_accuracy_is_scikit_learns_and_the_mean_of_the_samples(logits, labels):
    assert accuracy(logits, labels) == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert accuracy(logits, labels) == pytest.approx(is_correct(logits, labels).mean())


def test_the_first_of_equal_logits_counts():
    logits = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert is_correct(logits, np.array([0, 1])).tolist() == [True, False]


def test_a_row_with_nan_is_incorrect_for_any_label():
    logits = np.array([[np.nan, 5.0], [np.nan, 5.0], [0.0, 5.0]])
    assert is_correct(logits, np.array([0, 1, 1])).tolist() == [False, False, True]


def test_half_precision_logits_and_bytes_as_labels():
    logits = np.array([[0.0, np.inf], [1.0, 0.0]], np.float16)
    assert is_correct(logits, np.array([1, 0], np.uint8)).all()


def test_no_samples_have_no_accuracy():
    assert np.isnan(accuracy(np.empty((0, 3)), np.empty(0, np.int64)))


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_an_error(label):
    with pytest.raises(InputError, match=f"classes 0 to 2.*got {label}"):
        is_correct(np.zeros((2, 3)), np.array([0, label]))


def draw(samples=400, classes=7, seed=0):
    """Return logits and labels of unequally frequent classes, about half of them correct."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(classes, samples, p=np.arange(1, classes + 1) / 28)
    logits = generator.normal(size=(samples, classes))
    logits[np.arange(samples), labels] += 1.2
    return logits, labels


class TestTopK:
    @pytest.mark.parametrize("k", [1, 2, 5, 6])
    def test_is_scikit_learns(self, k):
        logits, labels = draw()
        expected = top_k_accuracy_score(labels, logits, k=k)
        assert is_correct_top_k(logits, labels, k).mean() == pytest.approx(expected)

    @given(
        hnp.arrays(np.float32, (9, 4), elements=st.sampled_from([0, 1, 2, np.nan])),
        hnp.arrays(np.int64, 9, elements=st.integers(0, 3)),
    )
    def test_grows_with_k_from_the_prediction_to_everything_defined(self, logits, labels):
        rows = [is_correct_top_k(logits, labels, k) for k in (1, 2, 3, 4)]
        assert (rows[0] == is_correct(logits, labels)).all()
        assert all((less <= more).all() for less, more in pairwise(rows))
        assert (rows[3] == ~np.isnan(logits).any(axis=1)).all()

    def test_the_first_of_equal_logits_count(self):
        logits = np.zeros((4, 4))
        assert is_correct_top_k(logits, np.arange(4), 2).tolist() == [True, True, False, False]

    def test_a_label_outside_the_classes_is_an_error(self):
        with pytest.raises(InputError, match=r"classes 0 to 2.*got 3"):
            is_correct_top_k(np.zeros((2, 3)), np.array([0, 3]), 2)


class TestClasses:
    def test_accuracy_is_scikit_learns_recall(self):
        logits, labels = draw()
        names = tuple("abcdefg")
        lines = class_accuracies(is_correct(logits, labels), labels, names)
        assert tuple(line.name for line in lines) == names
        expected = recall_score(labels, logits.argmax(1), average=None)
        assert [line.accuracy for line in lines] == pytest.approx(expected.tolist())
        assert [line.n for line in lines] == np.bincount(labels).tolist()
        assert all(line.low < line.accuracy < line.high for line in lines)

    def test_a_class_without_samples_has_no_accuracy(self):
        (_, empty) = class_accuracies(np.array([True]), np.array([0]), ("a", "b"))
        assert np.isnan([empty.accuracy, empty.low, empty.high]).all()
        assert empty.n == 0

    def test_a_label_without_a_name_is_an_error(self):
        with pytest.raises(InputError, match=r"classes 0 to 1.*got 2"):
            class_accuracies(np.array([True]), np.array([2]), ("a", "b"))


class TestConfusion:
    def test_cells_are_scikit_learns_without_the_empty_ones(self):
        logits, labels = draw()
        names = tuple("abcdefg")
        expected = confusion_matrix(labels, logits.argmax(1), labels=range(len(names)))
        found = np.zeros_like(expected)
        for cell in confusion(logits, labels, names):
            assert cell.n > 0
            found[names.index(cell.label), names.index(cell.predicted)] += cell.n
        np.testing.assert_array_equal(found, expected)

    def test_predictions_beyond_the_classes_are_others(self):
        (right, other) = confusion(np.eye(4)[[0, 3, 2]], np.array([0, 1, 1]), ("a", "b"))
        assert (right.label, right.predicted, right.n) == ("a", "a", 1)
        assert (other.label, other.predicted, other.n) == ("b", "(other)", 2)

    def test_a_label_without_a_name_is_an_error(self):
        with pytest.raises(InputError, match=r"classes 0 to 1.*got 2"):
            confusion(np.eye(2)[:1], np.array([2]), ("a", "b"))
