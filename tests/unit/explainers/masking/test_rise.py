from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ectool.explainers.masking.rise import RISE, random_masks

SIZE = (8, 12)


def masks_of(count: int, seed: int = 0, size: tuple[int, int] = SIZE, at_once: int = 5) -> Tensor:
    return torch.cat(list(random_masks(seed, count, size, at_once)))


def test_agrees_with_the_definition(make, images, targets):
    model = make("deep").eval().requires_grad_(False)
    explanation = RISE(model, passes=9, seed=3)(images[:2], targets[:2])
    normalised = (images[:2] - model.mean) / model.std
    for row, target in enumerate(targets[:2].tolist()):
        saliency = torch.zeros(SIZE)
        for mask in masks_of(9, seed=3):
            saliency += model.network(normalised[row : row + 1] * mask).softmax(1)[0, target] * mask
        torch.testing.assert_close(explanation.heatmaps[row], saliency / (9 * 0.5))
    torch.testing.assert_close(explanation.logits, model(images[:2]))


def test_finds_the_pixels_the_model_looks_at(wrap):
    class Corner(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            contrast = 4 * (images[:, :1, :16, :16].mean((2, 3)) - 1)
            return torch.cat([contrast, -contrast], 1)

    model = wrap(nn.Identity(), Corner())
    images = torch.ones(1, 3, 56, 56)
    heatmap = RISE(model, passes=500)(images, torch.tensor([0])).heatmaps[0]
    inside, outside = heatmap[:16, :16].mean(), heatmap[28:, 28:].mean()
    assert inside > 1.2 * outside


def test_masks_are_those_of_the_definition():
    masks = masks_of(300, size=(14, 21))
    assert masks.shape == (300, 14, 21)
    assert masks.min() == 0
    assert masks.max() == 1
    # Over all grids and shifts, half of each pixel is kept.
    torch.testing.assert_close(masks.mean(0), torch.full((14, 21), 0.5), rtol=0, atol=0.1)
    # A cell is 2 x 3 pixels, so neighbours differ by at most the slope between two cells.
    assert masks.diff(dim=1).abs().max() <= 1 / 2
    assert masks.diff(dim=2).abs().max() <= 1 / 3 + 1e-6


def test_masks_belong_to_the_seed_alone():
    expected = masks_of(10)
    assert torch.equal(masks_of(10, at_once=3), expected)
    assert not torch.equal(masks_of(10, seed=1), expected)


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("pass_size", [4, 32])
def test_small_batches_see_several_masks_in_a_pass(make, images, monkeypatch, count, pass_size):
    model = make("pooled")
    expected = RISE(model, passes=10)(images).heatmaps[:count]
    monkeypatch.setattr("ectool.explainers.masking.rise.pass_size", lambda _: pass_size)
    rows: list[int] = []
    model.register_forward_hook(lambda _m, _a, output: rows.append(len(output)))
    torch.testing.assert_close(RISE(model, passes=10)(images[:count]).heatmaps, expected)
    assert sum(rows) == count * 11
    assert max(rows) <= max(count, pass_size)
