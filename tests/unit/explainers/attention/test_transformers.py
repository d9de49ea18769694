"""What holds for every method that reads a transformer's attention, and for maps of its tokens."""

from __future__ import annotations

import pytest
import torch
from tiny_transformers import GRID, OTHERS, SIZE, TRANSFORMERS, transformer

from ectool.errors import InputError
from ectool.explainers import EXPLAINERS
from ectool.explainers.attention.attention_rollout import AttentionRollout
from ectool.explainers.attention.transformer_relevance import TransformerRelevance

METHODS = [AttentionRollout, TransformerRelevance]
# All methods at the target layer that do not require a pooled linear head or convolutions.
LAYER_METHODS = {name for name, method in EXPLAINERS.items() if method.grid == "layer"}
LAYER_METHODS -= {"cam", "excitation-backprop"}
TARGETS = torch.tensor([[0, 1], [2, -1], [1, 4], [-1, -1]])


@pytest.fixture
def images():
    return torch.rand(4, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_every_kind_of_transformer(method, kind, images):
    model = transformer(TRANSFORMERS[kind])
    expected = model.eval()(images).detach()
    explanation = method(model)(images, TARGETS)
    torch.testing.assert_close(explanation.logits, expected)
    assert explanation.heatmaps.shape == (*TARGETS.shape, *GRID)
    assert explanation.heatmaps.dtype == torch.float32
    assert not explanation.heatmaps.requires_grad
    assert explanation.heatmaps.min() >= 0
    drawn = explanation.heatmaps.flatten(2).any(2)
    assert torch.equal(drawn, TARGETS >= 0)


@pytest.mark.parametrize("method", METHODS)
def test_neither_batch_size_nor_order_matters(method, images):
    explain = method(transformer(TRANSFORMERS["torchvision"]))
    heatmaps = explain(images, TARGETS).heatmaps
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(explain(images[order], TARGETS[order]).heatmaps, heatmaps[order])
    for number in range(4):
        row = slice(number, number + 1)
        torch.testing.assert_close(explain(images[row], TARGETS[row]).heatmaps, heatmaps[row])


@pytest.mark.parametrize("method", METHODS)
def test_the_predicted_class_is_the_default(method, images):
    explain = method(transformer(TRANSFORMERS["timm"]))
    default = explain(images)
    assert default.heatmaps.shape == (4, *GRID)
    asked = explain(images, default.logits.argmax(1))
    assert torch.equal(default.heatmaps, asked.heatmaps)


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16(method, images):
    model = transformer(TRANSFORMERS["torchvision"])
    expected = method(model)(images).heatmaps
    model.to(torch.bfloat16)
    heatmaps = method(model)(images.bfloat16()).heatmaps
    assert heatmaps.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(heatmaps.flatten(1), expected.flatten(1))
    assert cosine.min() > 0.99


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_found(method, fails, images):
    model = transformer(TRANSFORMERS["timm"]).train()
    model.network.norm.eval()
    parameters = dict(model.named_parameters())
    parameters["network.norm.bias"].requires_grad_(False)
    parameters["network.norm.weight"].grad = torch.ones_like(model.network.norm.weight)
    modes = [module.training for module in model.modules()]
    explain = method(model)
    with torch.inference_mode():
        explain(images)
    if fails:
        hook = model.network.norm.register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            explain(images)
        hook.remove()
    assert [module.training for module in model.modules()] == modes
    assert [n for n, p in parameters.items() if not p.requires_grad] == ["network.norm.bias"]
    assert [n for n, p in parameters.items() if p.grad is not None] == ["network.norm.weight"]
    assert not any(module._forward_hooks for module in model.modules())
    assert all(block.attn.fused_attn for block in model.network.blocks)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("method", METHODS)
def test_other_networks_are_refused(method, images):
    make, message = OTHERS["no attention"]
    with pytest.raises(InputError, match=message):
        method(transformer(make))(images)


@pytest.mark.parametrize("method", METHODS)
def test_images_of_several_sizes(method):
    explain = method(transformer(TRANSFORMERS["written out"]))
    for height, width in [(32, 32), (16, 32), (32, 32)]:
        heatmaps = explain(torch.rand(2, 3, height, width)).heatmaps
        assert heatmaps.shape == (2, height // 8, width // 8)


@pytest.mark.parametrize("kind", ["torchvision", "timm", "distilled", "registers", "average"])
@pytest.mark.parametrize("name", sorted(LAYER_METHODS))
def test_maps_of_the_target_layer(name, kind, images):
    model = transformer(TRANSFORMERS[kind])
    heatmaps = EXPLAINERS[name].make(model)(images, TARGETS).heatmaps
    assert heatmaps.shape == (*TARGETS.shape, *GRID)
    assert torch.isfinite(heatmaps).all()
    assert heatmaps.flatten(2).any(2)[TARGETS >= 0].any()
