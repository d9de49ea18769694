"""Labels of tables, which may need much more memory than their file."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.datasets.bounds.tables import MAX_ENTRIES, LabelNames, label_matrix
from ectool.errors import InputError
from tests.bounded import measured


def test_each_name_is_in_memory_once():
    names = LabelNames("a.csv")
    first, second = (names.shared([bytes(name).decode()]) for name in (b"one", b"one"))
    assert first == second == ("one",)
    assert first[0] is second[0]


def test_classes_are_counted():
    names = LabelNames("a.csv", max_classes=3)
    names.shared(["a", "b"])
    names.shared(["b", "c"])
    with pytest.raises(InputError, match=r"a\.csv: expected at most 3 classes, got 4"):
        names.shared(["a", "d"])


def test_labels_of_all_images_are_counted():
    names = LabelNames("a.csv", max_present=4)
    names.shared(["a", "b"])
    names.shared(["a", "b"])
    with pytest.raises(InputError, match="expected at most 4 labels of all images"):
        names.shared(["a"])


def test_rows_have_a_one_for_each_class():
    found = label_matrix("a", [[1], [], [2, 0, 2]], 3)
    np.testing.assert_array_equal(found, [[0, 1, 0], [0, 0, 0], [1, 0, 1]])
    assert found.dtype == np.int8


def test_a_matrix_that_no_file_explains_is_refused():
    rows = [[0]] * (MAX_ENTRIES // 2**12 + 1)
    found = measured(lambda: label_matrix("a", rows, 2**12))
    assert "a: expected at most 268,435,456 labels (images times classes)" in found.error
    assert found.peak < 2**24
