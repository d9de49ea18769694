from __future__ import annotations

import numpy as np
import pytest
import torch

from ectool.consistency.similarity import ssim
from ectool.metrics.agreement import rank_correlation
from ectool.stages.common.map_agreement import AGREEMENTS, agree, scaled_ssim


@pytest.fixture
def maps():
    return torch.rand(2, 6, 5, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", AGREEMENTS)
def test_a_map_agrees_with_itself_on_any_scale(name, maps):
    targets = np.zeros(6, np.int64)
    found = agree(AGREEMENTS[name], maps[0], 7 * maps[0], targets)
    np.testing.assert_allclose(found, 1, rtol=1e-5)
    assert (agree(AGREEMENTS[name], maps[0], maps[1], targets) < 0.9).all()


def test_scales_do_not_count_in_ssim(maps):
    first, second = maps.numpy()
    peaks = [one.max((1, 2), keepdims=True) for one in (first, second)]
    expected = ssim(first / peaks[0], second / peaks[1])
    np.testing.assert_allclose(scaled_ssim(9 * first, second), expected, rtol=1e-6)
    assert ssim(9 * first, second).mean() < expected.mean()


@pytest.mark.parametrize("name", AGREEMENTS)
def test_only_what_shows_something_can_be_resembled(name, maps):
    first, second = maps[0].clone(), maps[1].clone()
    first[0], second[1], first[2], second[2] = 0, 0, 0, 0
    found = agree(AGREEMENTS[name], first, second, np.zeros(6, np.int64))
    assert np.isnan(found).tolist() == [True, False, True, False, False, False]
    assert found[1] == 0


def test_of_several_labels_the_mean_of_the_defined_ones_counts(maps):
    first, second = (one.reshape(3, 2, 5, 5) for one in maps)
    targets = np.array([[0, 3], [2, -1], [-1, -1]])
    found = agree(rank_correlation, first, second, targets)
    both = rank_correlation(first[0].numpy(), second[0].numpy())
    one = rank_correlation(first[1, :1].numpy(), second[1, :1].numpy())
    np.testing.assert_allclose(found[:2], [both.mean(), one[0]], rtol=1e-6)
    assert np.isnan(found[2])
