from __future__ import annotations

import torch

from ectool.faithfulness.regions import patch_ranks, pixel_ranks


def test_equal_pixels_are_ranked_row_by_row():
    ranks = pixel_ranks(torch.tensor([[[0.0, 2, 0], [2, 0, 3]]]), (2, 3))
    assert ranks.tolist() == [[[3, 1, 4], [2, 5, 0]]]


def test_patches_at_the_edge_are_cut_off_and_ranked_by_their_mean():
    heatmap = torch.tensor([[[1.0, 1, 2], [1, 1, 2], [3, 3, 0]]])
    ranks = patch_ranks(heatmap, (3, 3), 2)
    assert ranks.tolist() == [[[2, 2, 1], [2, 2, 1], [0, 0, 3]]]
