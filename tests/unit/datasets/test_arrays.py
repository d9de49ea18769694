from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ectool.datasets.arrays import boxes_of


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))))
def test_boxes_redone_pixel_by_pixel(masks):
    for mask, box in zip(masks, boxes_of(masks), strict=True):
        y, x = np.nonzero(mask)
        tight = [x.min(), y.min(), x.max() + 1, y.max() + 1] if mask.any() else [0, 0, 0, 0]
        assert box.tolist() == tight


def test_boxes_are_whole_numbers_even_of_no_masks():
    assert boxes_of(np.zeros((0, 3, 4), np.bool_)).shape == (0, 4)
    assert boxes_of(np.zeros((2, 3, 4), np.bool_)).dtype == np.int64
