from __future__ import annotations

import pytest
import torch

from ectool.faithfulness.baselines import centre_map, random_maps


def test_random_maps_belong_to_the_sample_and_the_seed(sample_ids):
    maps = random_maps(sample_ids, 0, (7, 9))
    assert maps.shape == (5, 7, 9)
    assert torch.equal(random_maps(sample_ids[::-1], 0, (7, 9)), maps.flip(0))
    assert not torch.equal(random_maps(sample_ids, 1, (7, 9)), maps)
    assert 0 <= maps.min() < 0.1 < 0.9 < maps.max() < 1


def test_the_centre_map_falls_from_the_centre_and_is_symmetric():
    heatmap = centre_map((5, 8))
    assert heatmap[2, 3] == heatmap.max()
    torch.testing.assert_close(heatmap, heatmap.flip(0, 1))
    assert (heatmap[2, 4:].diff() < 0).all()
    # Half a side from the centre is two standard deviations.
    assert centre_map((1, 2000))[0, 0].item() == pytest.approx(0.135, abs=0.002)
