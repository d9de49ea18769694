from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ectool.attacks.masks import BACKGROUND_RULES
from ectool.metrics.heatmaps import upsample_bilinear
from ectool.models.interpolation import bilinear

TYPES = (torch.float32, torch.float16, torch.bfloat16)
SIZES = st.integers(1, 9)


@settings(max_examples=80, deadline=None)
@given(SIZES, SIZES, st.integers(1, 40), st.integers(1, 40), st.floats(-1e4, 1e4, width=16))
def test_constant_maps_stay_constant_bit_by_bit(rows, columns, height, width, value):
    for kind in TYPES:
        maps = torch.full((2, rows, columns), value, dtype=kind)
        assert torch.equal(
            bilinear(maps, (height, width)), maps[:, :1, :1].expand(2, height, width)
        )
    array = np.full((2, rows, columns), value, np.float32)
    assert (upsample_bilinear(array, (height, width)) == np.float32(value)).all()


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_it_equals_the_interpolation_in_float64(rows, columns, height, width, seed):
    maps = torch.rand(2, rows, columns, generator=torch.Generator().manual_seed(seed))
    exact = F.interpolate(maps.double()[:, None], (height, width), mode="bilinear")[:, 0]
    by_numpy = torch.from_numpy(upsample_bilinear(maps.numpy(), (height, width)))
    for found in (bilinear(maps, (height, width)), by_numpy):
        torch.testing.assert_close(found.double(), exact, atol=2e-5, rtol=0)


def test_plateaus_beside_a_spike_stay_flat():
    maps = torch.full((1, 7, 7), 0.3)
    maps[0, 3, 3] = 9.0
    drawn = bilinear(maps, (224, 224))
    assert (drawn == maps[0, 0, 0]).float().mean() > 0.9
    np.testing.assert_array_equal((drawn == maps[0, 0, 0])[0, :64], True)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [0.0, 0.3, 6e4])
@pytest.mark.parametrize("side", [1, 7])
def test_rules_keep_their_word_on_constant_maps(kind, value, side):
    drawn = bilinear(torch.full((2, side, side), value, dtype=kind), (33, 47))
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
