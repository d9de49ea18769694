from __future__ import annotations

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from ectool.explainers.cam.ablation_cam import AblationCAM
from ectool.models.classifier import Classifier

LAYOUTS = ["nchw", "nhwc", "tokens", "cls_tokens"]
KINDS = ["pooled", "deep", "in-place"]
CHANNELS, CLASSES = 6, 5


def oracle(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Redo Ablation-CAM by its definition, one image and channel at a time."""
    model = model.eval().requires_grad_(False)
    size = images.shape[2], images.shape[3]
    heatmaps = []
    for image, target in zip(images, targets, strict=True):
        output = model.network.trunk((image[None] - model.mean) / model.std)
        grid = model.target_layer.to_nchw(output, size)[0].clone()
        score = model.network.head(output.clone())[0, target]
        heatmap = torch.zeros(grid.shape[1:])
        for channel in range(len(grid)):
            ablated = output.clone()
            model.target_layer.to_nchw(ablated, size)[0, channel] = 0
            weight = (score - model.network.head(ablated)[0, target]) / score
            heatmap += weight * grid[channel]
        heatmaps.append(heatmap.clamp(min=0))
    return torch.stack(heatmaps)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_definition(make, images, targets, kind, layout):
    model = make(kind, layout)
    explain = AblationCAM(model)
    explanation = explain(images, targets)
    is_free = kind == "pooled" and layout != "cls_tokens"
    assert (explain.linear_head.find(images) is not None) == is_free
    expected = oracle(model, images, targets)
    assert (expected.amax((1, 2)) > 0).sum() > 1
    torch.testing.assert_close(explanation.heatmaps, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(explanation.logits, model(images))


@pytest.mark.parametrize("kind", ["pooled", "deep"])
def test_pytorch_grad_cam(wrap, images, targets, kind):
    torch.manual_seed(0)
    # Rectified, with zeros everywhere: there pytorch-grad-cam ablates to zero as well.
    trunk = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), nn.ReLU())
    hidden = [nn.Conv2d(CHANNELS, CHANNELS, 3), nn.Tanh()] if kind == "deep" else []
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES)]
    model = wrap(trunk, nn.Sequential(*hidden, *head))
    heatmaps = AblationCAM(model)(images, targets).heatmaps
    peer = pytorch_grad_cam.AblationCAM(model, [model.target_module])
    expected = peer(images, [ClassifierOutputTarget(target) for target in targets.tolist()])
    assert (heatmaps.amax((1, 2)) > 0).sum() > 1
    size = (images.shape[3], images.shape[2])
    found = scale_cam_image(scale_cam_image(heatmaps.numpy(), size))
    np.testing.assert_allclose(found, expected, atol=1e-4)


class Gate(nn.Module):
    """Rectify, and let only some channels through."""

    def __init__(self, alive: int) -> None:
        super().__init__()
        self.alive = alive

    def forward(self, grid: Tensor) -> Tensor:
        return grid.abs() * (torch.arange(CHANNELS) < self.alive)[:, None, None]


@pytest.mark.parametrize("alive", [0, 1, 4])
def test_costs_one_image_of_the_head_for_each_channel_that_is_not_zero(wrap, images, alive):
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, CHANNELS, 3), Gate(alive))
    head = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * 60, CLASSES))
    model = wrap(trunk, head)
    explain = AblationCAM(model)
    explain(images)
    rows = {"trunk": 0, "head": 0}
    for name in rows:

        def count(_module, _arguments, output, name=name):
            rows[name] += len(output)

        model.network.get_submodule(f"{name}.0").register_forward_hook(count)
    pairs = torch.tensor([[1, 3, 4]] * 2 + [[-1, -1, -1]])
    found = explain(images[:3], pairs)
    assert rows == {"trunk": 2 * 3, "head": 2 * 3 + 2 * alive}
    expected = [oracle(model, images[:2], column) for column in pairs[:2].T]
    torch.testing.assert_close(found.heatmaps[:2], torch.stack(expected, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hidden", [[], [nn.Conv2d(CHANNELS, CHANNELS, 1), nn.Tanh()]])
def test_a_score_of_zero_has_no_shares(wrap, images, hidden):
    linear = nn.Linear(CHANNELS, CLASSES)
    nn.init.zeros_(linear.weight[1].detach())
    nn.init.zeros_(linear.bias.detach())
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = wrap(nn.Conv2d(3, CHANNELS, 3), nn.Sequential(*hidden, *pool, linear))
    heatmaps = AblationCAM(model)(images[:2], torch.tensor([[1, 0], [1, 2]])).heatmaps
    assert not heatmaps[:, 0].any()
    assert heatmaps.isfinite().all()
    assert heatmaps[:, 1].any()
