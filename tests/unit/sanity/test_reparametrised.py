"""Weights from which others are computed: never folded, but randomised."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.folding import fold_batch_norm
from ectool.models.modes import frozen
from ectool.sanity import draw_weights, find_blocks, with_weights

SIZE = (12, 12)


def old_weight_norm(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(layer)


CHANGES = {
    "plain": lambda layer: None,
    "prune": lambda layer: prune.random_unstructured(layer, "weight", 0.3),
    "old weight_norm": old_weight_norm,
    "weight_norm": parametrizations.weight_norm,
    "old spectral_norm": nn.utils.spectral_norm,
    "spectral_norm": parametrizations.spectral_norm,
}


def made(change):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )
    for place in (0, 3, 6):
        CHANGES[change](network[place])
    spec = ModelSpec("own", tuple("abcd"), SIZE, (0.5,) * 3, (0.5,) * 3, "3", "nchw")
    return Classifier(network, spec)


@pytest.mark.parametrize("change", CHANGES)
def test_folding_leaves_computed_weights_unchanged(change):
    model, images = made(change), torch.rand(2, 3, *SIZE)
    with frozen(model), torch.no_grad():
        before = model(images)
        assert fold_batch_norm(model, images) == (change == "plain")
        torch.testing.assert_close(model(images), before)


@pytest.mark.parametrize("change", CHANGES)
def test_every_block_becomes_random(change):
    model, images = made(change), torch.rand(2, 3, *SIZE)
    with frozen(model), torch.no_grad():
        before = model(images)
        for block in find_blocks(model.network, SIZE):
            if block.name == "1":
                continue  # a normalisation as it was initialised has nothing to lose
            weights = draw_weights(model.network, block.modules, seed=0)
            other = with_weights(model, weights)(images)
            assert not torch.equal(other, before), block
            assert torch.isfinite(other).all()
        assert torch.equal(model(images), before)


def test_a_spectral_norm_is_that_of_the_new_weights():
    for change in ("old spectral_norm", "spectral_norm"):
        model = made(change)
        with frozen(model), torch.no_grad():
            model(torch.rand(1, 3, *SIZE))
            name = "3" if change.startswith("old") else "3.parametrizations.weight"
            other = with_weights(model, draw_weights(model.network, [name], seed=0))
            other(torch.rand(1, 3, *SIZE))
            matrix = other.network[3].weight.flatten(1)
            assert torch.linalg.svdvals(matrix)[0].item() == pytest.approx(1, rel=0.02)
