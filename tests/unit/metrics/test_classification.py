from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score

from ectool.errors import InputError
from ectool.metrics.classification import accuracy, is_correct


@given(
    hnp.arrays(np.float32, (17, 5), elements=st.floats(-9, 9, width=16)),
    hnp.arrays(np.int64, 17, elements=st.integers(0, 4)),
)
def test_accuracy_is_scikit_learns_and_the_mean_of_the_samples(logits, labels):
    assert accuracy(logits, labels) == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert accuracy(logits, labels) == pytest.approx(is_correct(logits, labels).mean())


def test_of_equal_logits_the_first_counts():
    logits = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert is_correct(logits, np.array([0, 1])).tolist() == [True, False]


def test_a_row_with_a_nan_is_wrong_whatever_the_label():
    logits = np.array([[np.nan, 5.0], [np.nan, 5.0], [0.0, 5.0]])
    assert is_correct(logits, np.array([0, 1, 1])).tolist() == [False, False, True]


def test_half_precision_logits_and_bytes_as_labels_do():
    logits = np.array([[0.0, np.inf], [1.0, 0.0]], np.float16)
    assert is_correct(logits, np.array([1, 0], np.uint8)).all()


def test_no_samples_have_no_accuracy():
    assert np.isnan(accuracy(np.empty((0, 3)), np.empty(0, np.int64)))


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_an_error(label):
    with pytest.raises(InputError, match=f"classes 0 to 2.*got {label}"):
        is_correct(np.zeros((2, 3)), np.array([0, label]))
