from __future__ import annotations

import pytest
import torch
from tiny_transformers import GRID, SIZE, TRANSFORMERS, slowly, transformer

from ectool.explainers.attention.attention_rollout import AttentionRollout


def rollout(layers: list[list[torch.Tensor]]) -> torch.Tensor:
    """Multiply the layers out as published, normalising each row."""
    joint = torch.eye(len(layers[0][0]))
    for heads in layers:
        mixed = sum(heads) / len(heads) + torch.eye(len(joint))
        joint = mixed / mixed.sum(1, keepdim=True) @ joint
    return joint


@pytest.mark.parametrize("kind", ["torchvision", "timm", "openclip"])
def test_agrees_with_the_definition(kind):
    model = transformer(TRANSFORMERS[kind]).eval()
    images = torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    explanation = AttentionRollout(model)(images)
    for number, image in enumerate(images):
        layers, logits = slowly(model, image)
        expected = rollout(layers)[0, 1:].view(GRID)
        torch.testing.assert_close(explanation.heatmaps[number], expected.detach())
        torch.testing.assert_close(explanation.logits[number], logits.detach())


def test_every_class_gets_the_same_map():
    explain = AttentionRollout(transformer(TRANSFORMERS["timm"]))
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    several = explain(images, torch.tensor([[0, 4], [1, -1]])).heatmaps
    assert torch.equal(several[:, 0], explain(images).heatmaps)
    assert torch.equal(several[0, 0], several[0, 1])
    assert not several[1, 1].any()


def test_the_map_of_averaged_tokens_adds_up_to_one():
    explain = AttentionRollout(transformer(TRANSFORMERS["average"]))
    heatmaps = explain(torch.rand(2, 3, *SIZE)).heatmaps
    torch.testing.assert_close(heatmaps.sum((1, 2)), torch.ones(2))
