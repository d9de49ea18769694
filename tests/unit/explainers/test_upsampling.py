from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ectool.explainers import upsample


def slow_bilinear(heatmap: Tensor, height: int, width: int) -> Tensor:
    """Interpolate one map by the definition, pixel centres aligned."""
    rows, columns = heatmap.shape
    result = torch.empty(height, width)
    for i in range(height):
        for j in range(width):
            y = max((i + 0.5) * rows / height - 0.5, 0)
            x = max((j + 0.5) * columns / width - 0.5, 0)
            top, left = math.floor(y), math.floor(x)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            upper = heatmap[top, left] * (1 - x + left) + heatmap[top, right] * (x - left)
            lower = heatmap[bottom, left] * (1 - x + left) + heatmap[bottom, right] * (x - left)
            result[i, j] = upper * (1 - y + top) + lower * (y - top)
    return result


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (3, 4)])
def test_agrees_with_the_definition(size):
    heatmaps = torch.rand(2, 3, 4)
    expected = torch.stack([slow_bilinear(heatmap, *size) for heatmap in heatmaps])
    torch.testing.assert_close(upsample(heatmaps, size), expected)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32))
def test_values_stay_within_the_range_of_each_map(rows, columns, seed):
    heatmaps = torch.randn(3, rows, columns, generator=torch.Generator().manual_seed(seed))
    result = upsample(heatmaps, (rows * 3, columns * 2))
    slack = 1e-5
    assert (result.amax((1, 2)) <= heatmaps.amax((1, 2)) + slack).all()
    assert (result.amin((1, 2)) >= heatmaps.amin((1, 2)) - slack).all()


def test_the_same_size_changes_nothing():
    heatmaps = torch.rand(2, 5, 4)
    assert torch.equal(upsample(heatmaps, (5, 4)), heatmaps)
