from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from ectool.training.batch import Position
from ectool.training.objectives.masktune import salient


def place():
    return Position(0, 0, 0.0, torch.Generator())


def masked_slowly(classifier, image):
    """Return an image without its most salient pixels for the predicted class."""
    network = copy.deepcopy(classifier).eval().network
    with torch.no_grad():
        grid = network.features(((image - classifier.mean) / classifier.std)[None])[0]
        weights = network.head.weight[network.head(grid.mean((1, 2))).argmax()]
    heatmap = sum(w * a for w, a in zip(weights, grid, strict=True)).clamp(min=0)
    large = F.interpolate(heatmap[None, None], size=16, mode="bilinear")[0, 0].detach().numpy()
    positive = large[large > 0]
    return image * torch.from_numpy(large <= positive.mean() + 2 * positive.std())


def test_the_most_salient_pixels_are_black(classifier, make, batch):
    objective = make("masktune", strength=0.01)
    before = copy.deepcopy(classifier)
    pixels = batch.pixels.clone()
    pixels[:, :, 4:7, 4:7] = 4.0  # a strong spot, so that heatmaps have a peak
    batch = replace(batch, pixels=pixels)
    masked = torch.stack([masked_slowly(before, image) for image in pixels])
    assert ((masked == 0).all(1) & (pixels > 0).all(1)).any()
    objective.begin(classifier, None, list, place())
    losses = F.cross_entropy(before.train()(masked), batch.labels, reduction="none")
    found = objective(classifier.train(), batch, place())
    torch.testing.assert_close(found.loss, (batch.weights * losses).mean())


def test_the_masks_are_those_of_the_model_before_the_epoch(classifier, make, batch):
    objective = make("masktune", strength=0.01)
    objective.begin(classifier, None, list, place())
    before = objective.explain(batch.pixels).heatmaps
    with torch.no_grad():
        classifier.network.head.weight.normal_()
    assert (objective.explain(batch.pixels).heatmaps == before).all()
    assert not objective.state_dict()


def test_the_threshold_is_two_deviations_above_the_mean_of_the_positive_values():
    draw = np.random.default_rng(0)
    maps = draw.exponential(size=(5, 12, 12)).astype(np.float32) * (draw.random((5, 12, 12)) < 0.7)
    maps[4] = 0
    found = salient(torch.from_numpy(maps.astype(np.float32))).numpy()
    for values, mask in zip(maps[:4], found[:4], strict=True):
        positive = values[values > 0].astype(np.float64)
        assert (mask == (values > positive.mean() + 2 * positive.std())).all()
        assert mask.any()
    assert not found[4].any()
