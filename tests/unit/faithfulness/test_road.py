from __future__ import annotations

import pytest
import torch

from ectool.errors import InputError
from ectool.faithfulness.predictions import Explained
from ectool.faithfulness.road import road


@pytest.mark.parametrize("order", ["morf", "lerf"])
def test_road_redone_image_by_image(
    order, explained, model, images, heatmaps, targets, sample_ids, solve_exactly
):
    shares = (0.0, 0.3, 0.8)
    curves = road(explained, heatmaps, sample_ids, order=order, shares=shares, noise=0.0)
    relevance = heatmaps.flatten(1)
    for row in range(len(images)):
        for column, share in enumerate(shares):
            kept = torch.ones(16 * 24, dtype=torch.bool)
            ranked = relevance[row].argsort(descending=order == "morf")
            kept[ranked[: int(share * 16 * 24)]] = False
            image = solve_exactly(images[row], kept.view(16, 24)) if share else images[row]
            predicted = model(image[None]).softmax(1)[0]
            found = curves.probabilities[row, column].item()
            assert found == pytest.approx(predicted[targets[row]].item(), abs=2e-3)
            assert curves.correct[row, column].item() == (predicted.argmax() == targets[row]).item()
    torch.testing.assert_close(curves.shares, torch.tensor(shares))


def test_noise_of_the_sample_is_added_to_removed_pixels_only(
    explained, model, images, heatmaps, targets, sample_ids
):
    seen: list[torch.Tensor] = []
    handle = model.register_forward_pre_hook(lambda _m, given: seen.append(given[0]))
    for noise in (0.0, 0.1):
        road(explained, heatmaps, sample_ids, shares=(0.4, 0.5), noise=noise)
    last = Explained(model, images[3:], targets[3:])
    road(last, heatmaps[3:], sample_ids[3:], shares=(0.5,), noise=0.1)
    handle.remove()
    clear, noisy, alone = seen
    added = noisy - clear
    removed = (added != 0).any(1)
    assert removed.sum((1, 2)).tolist() == [int(0.4 * 384), 192] * 5
    assert added[1::2][:, :, :].std() == pytest.approx(0.1 * 0.5**0.5, rel=0.1)
    torch.testing.assert_close(alone, noisy[7::2], rtol=0, atol=1e-3)


@pytest.mark.parametrize("shares", [(), (0.5, 1.0), (-0.1, 0.5), (0.5, 0.2)])
def test_shares_ascend_and_leave_something(shares, explained, heatmaps, sample_ids):
    with pytest.raises(InputError, match="ascending numbers from 0 to below 1"):
        road(explained, heatmaps, sample_ids, shares=shares)
