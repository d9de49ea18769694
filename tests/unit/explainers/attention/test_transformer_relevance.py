from __future__ import annotations

import pytest
import torch
from tiny_transformers import GRID, SIZE, TRANSFORMERS, slowly, transformer

from ectool.explainers.attention.matrices import AttentionRecorder
from ectool.explainers.attention.transformer_relevance import TransformerRelevance


def relevance(layers: list[list[torch.Tensor]], logit: torch.Tensor) -> torch.Tensor:
    """Update R layer by layer as published, one head and one pair of tokens at a time."""
    size = len(layers[0][0])
    result = torch.eye(size)
    for heads in layers:
        step = torch.zeros(size, size)
        for head in heads:
            (gradient,) = torch.autograd.grad(logit, head, retain_graph=True)
            product = (gradient * head.detach()).tolist()
            for i in range(size):
                for j in range(size):
                    step[i, j] += max(0.0, product[i][j]) / len(heads)
        result = result + step @ result
    return result


@pytest.mark.parametrize("kind", ["torchvision", "timm", "openclip"])
def test_agrees_with_the_definition(kind):
    model = transformer(TRANSFORMERS[kind]).eval()
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[0, 3], [2, -1]])
    explanation = TransformerRelevance(model)(images, targets)
    for number, image in enumerate(images):
        layers, logits = slowly(model, image)
        torch.testing.assert_close(explanation.logits[number], logits.detach())
        for column, target in enumerate(targets[number]):
            heatmap = explanation.heatmaps[number, column]
            if target < 0:
                assert not heatmap.any()
                continue
            expected = relevance(layers, logits[target])[0, 1:].view(GRID)
            assert expected.any()
            torch.testing.assert_close(heatmap, expected)


def test_tokens_that_are_averaged_have_the_mean_of_their_rows():
    model = transformer(TRANSFORMERS["average"]).eval()
    image = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with AttentionRecorder() as recorder:
        logits = model(image)
    layers = [list(matrix[0]) for matrix in recorder.kept]
    gradients = torch.autograd.grad(logits[0, 1], recorder.kept)
    expected = torch.eye(16)
    for heads, gradient in zip(layers, gradients, strict=True):
        step = sum((g * h.detach()).relu() for g, h in zip(gradient[0], heads, strict=True))
        expected = expected + step / len(heads) @ expected
    heatmap = TransformerRelevance(model)(image, torch.tensor([1])).heatmaps[0]
    torch.testing.assert_close(heatmap.flatten(), (expected - torch.eye(16)).mean(0))


def test_a_logit_that_depends_on_nothing_has_no_map():
    model = transformer(TRANSFORMERS["torchvision"])
    with torch.no_grad():
        model.network.heads.head.weight[1] = 0
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    heatmaps = TransformerRelevance(model)(images, torch.tensor([1, 2])).heatmaps
    assert heatmaps.flatten(1).any(1).tolist() == [False, True]


def test_nothing_before_the_first_attention_has_a_graph():
    model = transformer(TRANSFORMERS["torchvision"])
    graphs = []
    first = model.network.encoder.layers[0].ln_1
    first.register_forward_hook(lambda _module, _inputs, output: graphs.append(output.grad_fn))
    explain = TransformerRelevance(model)
    images = torch.rand(2, 3, *SIZE, requires_grad=True)
    explain(images)
    graphs.clear()  # of the look at the network
    explain(images)
    assert graphs == [None]


def test_columns_without_targets_cost_no_pass():
    model = transformer(TRANSFORMERS["timm"])
    passes = []

    def watch(_module, _inputs, output):
        output.register_hook(lambda _gradient: passes.append(1))

    explain = TransformerRelevance(model)
    explain(torch.rand(1, 3, *SIZE))
    model.network.norm.register_forward_hook(watch)
    explain(torch.rand(2, 3, *SIZE), torch.tensor([[0, 1, -1], [2, -1, -1]]))
    assert len(passes) == 2
