from __future__ import annotations

import torch

from ectool.explainers.gradient.reductions import max_magnitude, positive_sum

VALUES = torch.tensor([[1.0, -2.0], [-3.0, 1.0], [0.5, 0.5]]).view(1, 3, 1, 2)


def test_channels_of_a_pixel_count_together():
    assert positive_sum(VALUES).tolist() == [[[0.0, 0.0]]]
    assert positive_sum(-VALUES).tolist() == [[[1.5, 0.5]]]


def test_the_greatest_channel_counts_whatever_its_sign():
    assert max_magnitude(VALUES).tolist() == [[[3.0, 2.0]]]


def test_heatmaps_are_float32():
    for reduce in (positive_sum, max_magnitude):
        assert reduce(VALUES.bfloat16()).dtype == torch.float32
