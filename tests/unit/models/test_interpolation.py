from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ectool.attacks.masks import BACKGROUND_RULES
from ectool.metrics.heatmaps import upsample_bilinear
from ectool.models.interpolation import upsample

TYPES = (torch.float32, torch.float16, torch.bfloat16)
SIZES = st.integers(1, 9)


@settings(max_examples=80)
@given(SIZES, SIZES, st.integers(1, 40), st.integers(1, 40), st.floats(-1e4, 1e4, width=16))
def test_constant_maps_stay_constant_bit_by_bit(rows, columns, height, width, value):
    for kind in TYPES:
        maps = torch.full((2, rows, columns), value, dtype=kind)
        assert torch.equal(
            upsample(maps, (height, width)), maps[:, :1, :1].expand(2, height, width)
        )
    array = np.full((2, rows, columns), value, np.float32)
    assert (upsample_bilinear(array, (height, width)) == np.float32(value)).all()


@settings(max_examples=60)
@given(SIZES, SIZES, st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_it_equals_the_interpolation_in_float64(rows, columns, height, width, seed):
    maps = torch.rand(2, rows, columns, generator=torch.Generator().manual_seed(seed))
    exact = F.interpolate(maps.double()[:, None], (height, width), mode="bilinear")[:, 0]
    by_numpy = torch.from_numpy(upsample_bilinear(maps.numpy(), (height, width)))
    for found in (upsample(maps, (height, width)), by_numpy):
        torch.testing.assert_close(found.double(), exact, atol=2e-5, rtol=0)


def test_plateaus_beside_a_spike_stay_flat():
    maps = torch.full((1, 7, 7), 0.3)
    maps[0, 3, 3] = 9.0
    drawn = upsample(maps, (224, 224))
    assert (drawn == maps[0, 0, 0]).float().mean() > 0.9
    np.testing.assert_array_equal((drawn == maps[0, 0, 0])[0, :64], True)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [0.0, 0.3, 6e4])
@pytest.mark.parametrize("side", [1, 7])
def test_background_rules_on_constant_maps(kind, value, side):
    drawn = upsample(torch.full((2, side, side), value, dtype=kind), (33, 47))
    share = {
        name: rule.compute(drawn, 0.5).float().mean().item()
        for name, rule in BACKGROUND_RULES.items()
        if rule.source == "heatmap"
    }
    positive = float(value > 0)
    assert share == {
        "quantile": 1.0,
        "otsu": 1.0,
        "inverse": 0.0,
        "fraction": 1.0 - positive,
        "threshold": float(value <= 0.5),
    }


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
def test_upsampling_agrees_with_the_definition(size):
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
