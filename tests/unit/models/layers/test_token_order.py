"""Token layouts are checked by gradients: correct, or refused."""

from __future__ import annotations

import pytest
import torch
from timm.models import vision_transformer as timm_vit
from tiny_transformers import CLASSES, PATCH, WIDTH, timm_network
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.layers.target_layer import (
    NoFeatureMapError,
    find_target_layer,
    named_target_layer,
)

SIZE = (32, 32)


class Tokens(nn.Module):
    """A transformer with additional tokens at given positions."""

    def __init__(self, before: int, between: int, after: int, patch=(PATCH, PATCH), turn=False):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, patch, patch)
        self.extra = nn.Parameter(torch.randn(before + between + after, WIDTH))
        self.counts, self.turn = (before, between, after), turn
        self.block = nn.TransformerEncoderLayer(WIDTH, 2, WIDTH, batch_first=True)
        self.last = nn.TransformerEncoderLayer(WIDTH, 2, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        made = self.patches(images)
        grid = (made.mT if self.turn else made).flatten(2).mT
        half = grid.shape[1] // 2
        first, middle, last = (
            part.expand(len(images), -1, -1) for part in self.extra.split(self.counts)
        )
        tokens = torch.cat([first, grid[:, :half], middle, grid[:, half:], last], 1)
        return self.head(self.last(self.block(tokens)).mean(1))


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_tokens_in_front_are_found(before):
    target = named_target_layer(Tokens(before, 0, 0), SIZE, "block")
    assert target.layout == ("cls_tokens" if before else "tokens")
    numbers = torch.arange(16.0 + before)[None, :, None]
    grid = target.to_nchw(numbers, SIZE)[0, 0]
    assert torch.equal(grid, torch.arange(16.0).view(4, 4) + before)


@pytest.mark.parametrize(
    "network",
    [
        Tokens(0, 0, 1),
        Tokens(0, 1, 0),
        Tokens(1, 0, 4),
        Tokens(1, 2, 0),
        Tokens(0, 0, 0, turn=True),
    ],
    ids=["last", "middle", "registers last", "registers inside", "by columns"],
)
def test_other_orders_are_refused(network):
    with pytest.raises(InputError, match="expected an output with a spatial grid"):
        named_target_layer(network, SIZE, "block")
    assert find_target_layer(network, SIZE).layout == "nchw"


def test_a_grid_that_does_not_follow_from_the_number_of_tokens_is_refused():
    network = Tokens(0, 0, 0, patch=(4, 16))
    with pytest.raises(InputError, match="expected an output with a spatial grid"):
        named_target_layer(network, SIZE, "block")
    with pytest.raises(NoFeatureMapError, match="no layer with a spatial grid"):
        find_target_layer(network, SIZE)


@pytest.mark.parametrize(
    "options",
    [
        {"reg_tokens": 4},
        {"reg_tokens": 4, "no_embed_class": True},
        {"class_token": False, "global_pool": "avg"},
        {"class_token": False, "reg_tokens": 3, "global_pool": "avg", "no_embed_class": True},
    ],
)
def test_prefix_is_that_of_timm(options):
    network = timm_network(timm_vit.VisionTransformer, **options)
    target = find_target_layer(network, SIZE)
    tokens = network.num_prefix_tokens + 16
    grid = target.to_nchw(torch.arange(float(tokens))[None, :, None], SIZE)
    assert grid.flatten().tolist() == list(range(network.num_prefix_tokens, tokens))
