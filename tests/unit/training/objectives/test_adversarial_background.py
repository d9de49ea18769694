from __future__ import annotations

import copy

import numpy as np
import torch
from torch.nn import functional as F

from ectool.training.batch import Position
from ectool.training.objectives.adversarial_background import AdversarialBackground
from tests.unit.training.objectives.test_adversarial import SETTINGS


def place():
    return Position(0, 0, 0.0, torch.Generator().manual_seed(0))


def background_slowly(classifier, image, label):
    """Return the pixels of the lower half of the heatmap of a class."""
    network = copy.deepcopy(classifier).eval().network
    with torch.no_grad():
        grid = network.features(((image - classifier.mean) / classifier.std)[None])[0]
    weights = network.head.weight[label].detach()
    heatmap = sum(w * channel for w, channel in zip(weights, grid, strict=True)).clamp(min=0)
    large = F.interpolate(heatmap[None, None], size=image.shape[1:], mode="bilinear")[0, 0].numpy()
    threshold = np.sort(large.ravel())[large.size // 2 - 1]
    return large <= threshold + 1e-7


def test_only_the_background_changes(classifier, make, batch):
    objective = make("adversarial-background", mix=1.0, **SETTINGS)
    before = copy.deepcopy(classifier)
    objective(classifier.train(), batch, place())
    for i, row in enumerate(batch.rows.tolist()):
        background = background_slowly(before, batch.pixels[i], batch.labels[i])
        moved = objective.memory.levels[row].numpy().any(axis=0)
        assert not (moved & ~background).any()
        assert moved[background].mean() > 0.9


def test_several_labels_have_the_background_of_all(classifier, make, multilabel):
    objective = make("adversarial-background", mix=1.0, **SETTINGS)
    assert isinstance(objective, AdversarialBackground)
    before = copy.deepcopy(classifier)
    objective(classifier.train(), multilabel, place())
    for i, row in enumerate(multilabel.rows.tolist()):
        background = np.ones((16, 16), bool)
        for label in (multilabel.labels[i] == 1).nonzero()[:, 0].tolist():
            background &= background_slowly(before, multilabel.pixels[i], label)
        assert not (objective.memory.levels[row].numpy().any(axis=0) & ~background).any()
