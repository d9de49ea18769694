from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from ectool.models.registry import create
from ectool.training.batch import BatchLoss, Position
from ectool.training.objectives.cgc import contrast, draw_moves, move

SETTINGS = {"share": 0.3, "strength": 0.5, "temperature": 0.5}


def place(seed=0):
    return Position(0, 0, 0.0, torch.Generator().manual_seed(seed))


def moved_slowly(image, each):
    """Return the crop of an image, resized by torch's own crop, and mirrored."""
    left, top, right, bottom = each.box
    crop = F.interpolate(image[None, :, top:bottom, left:right], size=16, mode="bilinear")[0]
    return torch.flip(crop, [2]) if each.mirrored else crop


def heatmap_slowly(activations, weights):
    """Return the heatmap of a pooled linear head: sum of activations times weights, scaled."""
    grid = sum(w * a for w, a in zip(weights, activations, strict=True)) / activations[0].numel()
    large = F.interpolate(grid.clamp(min=0)[None, None], size=(16, 16), mode="bilinear")[0, 0]
    return large / (large.sum() + 1e-8) + 1e-8


def test_the_loss_is_its_definition(classifier, make, batch):
    network = copy.deepcopy(classifier).train()
    moves = draw_moves(batch.pixels, 0.3, torch.Generator().manual_seed(0))
    assert len({each.box for each in moves}) == 6
    assert {each.mirrored for each in moves} == {True, False}
    pairs = zip(batch.pixels, moves, strict=True)
    images = torch.stack([moved_slowly(image, each) for image, each in pairs])
    grids, logits = [], []
    for pixels in (batch.pixels, images):
        normalised = (pixels - network.mean) / network.std
        grids.append(network.network.features(normalised).detach())
        logits.append(network.network.head(grids[-1].mean((2, 3))))
    classes = logits[0].argmax(1)
    weights = network.network.head.weight.detach()
    own, moved = [
        [heatmap_slowly(grid, weights[k]) for grid, k in zip(each, classes, strict=True)]
        for each in grids
    ]
    total = 0.0
    for i in range(6):
        expected = moved_slowly(own[i][None], moves[i])[0]
        positive = F.cosine_similarity(moved[i].flatten(), expected.flatten(), dim=0) / 0.5
        others = [
            F.cosine_similarity(moved[i].flatten(), moved[j].flatten(), dim=0) / 0.5
            for j in range(6)
            if j != i
        ]
        total += math.log(sum(map(math.exp, [positive, *others]))) - positive
    losses = sum(F.cross_entropy(each, batch.labels, reduction="none") for each in logits)
    expected = (batch.weights * losses).mean() / 2 + 0.5 * total / 6
    found = make("cgc", **SETTINGS)(classifier.train(), batch, place())
    torch.testing.assert_close(found.loss, expected, rtol=1e-4, atol=1e-5)


def test_the_consistency_term_trains_the_trunk(classifier, make, batch):
    with_term, without = (
        make("cgc", **{**SETTINGS, "strength": strength})(
            copy.deepcopy(classifier).train(), batch, place()
        ).loss
        for strength in (2.0, 0.0)
    )
    assert with_term > without
    objective = make("cgc", **SETTINGS)
    found: BatchLoss = objective(classifier.train(), batch, place())
    found.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in classifier.parameters())


def test_a_deep_head_is_differentiated_twice(make, batch, multilabel):
    layer = "features.0"  # behind it: normalisation, convolutions, the linear layer
    model = create("smallcnn", ("a", "b", "c"), seed=0, input_size=(16, 16), layer=layer)
    objective = make("cgc", **SETTINGS)
    for each in (batch, multilabel):
        found = objective(model.train(), each, place())
        found.loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_equal_heatmaps_of_different_samples_are_the_best():
    maps = torch.zeros(3, 4, 4)
    maps[0, 0], maps[1, 1], maps[2, 2] = 1.0, 1.0, 1.0
    best = contrast(maps, maps, 0.5)
    assert best.item() == pytest.approx(math.log(math.exp(2) + 2) - 2)
    assert contrast(maps, maps.roll(1, 0), 0.5) > best
    assert contrast(maps[:1], maps[:1], 0.5) == 0


def test_a_whole_box_moves_nothing():
    images = torch.rand(2, 3, 8, 8)
    moves = draw_moves(images, 1.0, torch.Generator().manual_seed(0))
    whole = [type(each)((0, 0, 8, 8), mirrored=False) for each in moves]
    torch.testing.assert_close(move(images, whole), images)
