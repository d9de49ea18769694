"""Grad-CAM with a graph: the same maps, and gradients that differences confirm."""

from __future__ import annotations

import pytest
import torch
from narrow_networks import vit
from torch import nn

from ectool.explainers.cam.differentiable import DifferentiableGradCAM
from ectool.explainers.cam.gradient_cam import GradCAM
from ectool.models.registry import create

KINDS = ("pooled", "in-place", "smooth")


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "tokens", "cls_tokens"])
@pytest.mark.parametrize("kind", KINDS)
def test_maps_and_logits_are_those_of_grad_cam(kind, layout, make, images, targets):
    model = make(kind, layout)
    several = torch.stack([targets, (targets + 1) % 5, torch.full_like(targets, -1)], 1)
    for wanted in (None, targets, several):
        found = DifferentiableGradCAM(model)(images, wanted)
        expected = GradCAM(model)(images, wanted)
        torch.testing.assert_close(found.heatmaps.detach(), expected.heatmaps, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found.logits.detach(), expected.logits)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_finite_differences(kind, make, images, targets):
    model = make(kind).double()
    explain = DifferentiableGradCAM(model)
    pixels = images[:2, :, :4, :6].double()
    weights = torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0)).double()

    def value(x):
        found = explain(x, targets[:2])
        # The maps are float32: sums of products with a scale keep enough of their digits.
        return (found.heatmaps.double() * weights).sum() + found.logits.square().sum()

    leaf = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(leaf), leaf)
    draw = torch.Generator().manual_seed(1)
    for _ in range(4):
        direction = torch.randn(pixels.shape, generator=draw).double()
        step = 1e-3
        ahead, behind = (value(pixels + sign * step * direction).detach() for sign in (1, -1))
        slope = (ahead - behind) / (2 * step)
        torch.testing.assert_close((gradient * direction).sum(), slope, rtol=2e-2, atol=2e-3)


def test_a_smooth_head_adds_its_second_derivative(make, images, targets):
    """Without it alpha would be a constant; with it the gradient differs."""
    model = make("smooth")
    leaf = images.clone().requires_grad_()
    (whole,) = torch.autograd.grad(DifferentiableGradCAM(model)(leaf, targets).heatmaps.sum(), leaf)
    activations = model.network.trunk((leaf - model.mean) / model.std)
    logits = model.network.head(activations)
    chosen = logits.gather(1, targets[:, None]).sum()
    (gradient,) = torch.autograd.grad(chosen, activations, retain_graph=True)
    alpha = gradient.mean((2, 3)).detach()
    maps = torch.einsum("nc,nchw->nhw", alpha, activations).relu()
    (part,) = torch.autograd.grad(maps.sum(), leaf)
    assert (whole - part).norm() > 0.05 * part.norm()


def test_the_model_is_left_as_found(make, images, targets):
    model = make("in-place").train()
    calls = []
    handle = model.network.trunk.register_forward_hook(lambda *_: calls.append(1))
    weight = next(model.parameters())
    weight.grad = torch.ones_like(weight)
    with torch.no_grad():
        found = DifferentiableGradCAM(model)(images, targets)
    assert found.heatmaps.requires_grad
    assert model.training
    assert calls == [1]
    assert weight.requires_grad
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert len(model.network.trunk._forward_hooks) == 1
    handle.remove()


def test_an_error_leaves_the_model_as_found(make, images, targets):
    model = make("pooled").train()

    def fail(*_):
        raise RuntimeError("on purpose")

    handle = model.network.head.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        DifferentiableGradCAM(model)(images, targets)
    handle.remove()
    assert model.training
    assert not model.network.trunk._forward_hooks


def test_half_precision_and_frozen_models(make, images, targets):
    model = make("smooth").requires_grad_(False)
    expected = DifferentiableGradCAM(model)(images, targets).heatmaps.detach()
    model.network.to(torch.bfloat16)
    leaf = images.clone().requires_grad_()
    found = DifferentiableGradCAM(model)(leaf, targets)
    assert found.heatmaps.dtype == torch.float32
    torch.testing.assert_close(found.heatmaps.detach(), expected, rtol=0.1, atol=0.02)
    (gradient,) = torch.autograd.grad(found.heatmaps.sum(), leaf)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_batch_normalisation_uses_its_running_statistics(wrap, images, targets):
    trunk = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    model = wrap(trunk, head).train()
    before = trunk[1].running_mean.clone()
    whole = DifferentiableGradCAM(model)(images, targets).heatmaps
    one = DifferentiableGradCAM(model)(images[:1], targets[:1]).heatmaps
    torch.testing.assert_close(whole[:1].detach(), one.detach())
    assert torch.equal(trunk[1].running_mean, before)


def test_maps_behind_fused_attention_have_a_gradient():
    model = create(f"import:{vit.__module__}:vit", ("a", "b"), seed=0, input_size=(64, 64))
    draw = torch.Generator().manual_seed(0)
    nn.init.normal_(model.network.heads.head.weight, generator=draw)  # zeros as it comes
    pixels = torch.rand(2, 3, 64, 64, generator=draw).requires_grad_()
    heatmaps = DifferentiableGradCAM(model)(pixels, torch.tensor([0, 1])).heatmaps
    (gradient,) = torch.autograd.grad(heatmaps.square().sum(), pixels)
    assert gradient.flatten(1).any(1).all()
