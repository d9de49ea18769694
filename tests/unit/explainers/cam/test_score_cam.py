from __future__ import annotations

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from ectool.explainers import masked_passes as masking
from ectool.explainers.cam.score_cam import ScoreCAM, channel_masks
from ectool.models.classifier import Classifier

CHANNELS, CLASSES = 6, 5


def slow_mask(channel: Tensor, height: int, width: int) -> Tensor:
    """Interpolate bilinearly, corners aligned, and scale to [0, 1]: one pixel at a time."""
    rows, columns = channel.shape
    mask = torch.empty(height, width)
    for i in range(height):
        for j in range(width):
            y, x = i * (rows - 1) / (height - 1), j * (columns - 1) / (width - 1)
            top, left = min(int(y), rows - 2), min(int(x), columns - 2)
            square = channel[top : top + 2, left : left + 2]
            across = square[:, 0] * (1 - x + left) + square[:, 1] * (x - left)
            mask[i, j] = across[0] * (1 - y + top) + across[1] * (y - top)
    return (mask - mask.min()) / (mask.max() - mask.min())


def oracle(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Redo Score-CAM by its definition, one image and channel at a time."""
    model = model.eval().requires_grad_(False)
    size = images.shape[2], images.shape[3]
    heatmaps = []
    for image, target in zip(images, targets, strict=True):
        normalised = (image - model.mean) / model.std
        output = model.network.trunk(normalised[None])
        grid = model.target_layer.to_nchw(output.clone(), size)[0]
        masked = [normalised * slow_mask(channel, *size) for channel in grid]
        scores = torch.stack([model.network(image[None])[0, target] for image in masked])
        heatmap = sum(weight * part for weight, part in zip(scores.softmax(0), grid, strict=True))
        heatmaps.append(heatmap.clamp(min=0))
    return torch.stack(heatmaps)


@pytest.mark.parametrize(
    ("kind", "layout"), [("pooled", "nchw"), ("deep", "cls_tokens"), ("in-place", "nhwc")]
)
def test_agrees_with_the_definition(make, images, targets, kind, layout):
    model = make(kind, layout)
    explanation = ScoreCAM(model)(images[:3], targets[:3])
    expected = oracle(model, images[:3], targets[:3])
    assert (expected.amax((1, 2)) > 0).sum() > 1
    torch.testing.assert_close(explanation.heatmaps, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(explanation.logits, model(images[:3]))


def test_pytorch_grad_cam(make, images, targets):
    model = make("deep")
    heatmaps = ScoreCAM(model)(images, targets).heatmaps
    # Classifier normalises inside, where the peer cannot multiply: it gets the network alone.
    peer = pytorch_grad_cam.ScoreCAM(model.network, [model.target_module])
    labels = [ClassifierOutputTarget(target) for target in targets.tolist()]
    expected = peer((images - model.mean) / model.std, labels)
    assert (heatmaps.amax((1, 2)) > 0).sum() > 1
    size = (images.shape[3], images.shape[2])
    found = scale_cam_image(scale_cam_image(heatmaps.numpy(), size))
    np.testing.assert_allclose(found, expected, atol=1e-4)


class Constant(nn.Module):
    """Keep one channel, hold the others at a value."""

    def forward(self, grid: Tensor) -> Tensor:
        return torch.cat([grid[:, :1].abs(), torch.full_like(grid[:, 1:], 0.3)], 1)


def test_constant_channels_see_the_mean_colour_and_cost_nothing(wrap, images):
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), Constant())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES))
    model = wrap(trunk, head)
    rows: list[int] = []
    hook = model.register_forward_hook(lambda _m, _a, output: rows.append(len(output)))
    found = ScoreCAM(model)(images, torch.tensor([1] * 7)).heatmaps
    hook.remove()
    assert sum(rows) == 7 + 1 + 7  # clean, blank, and the one channel of each

    grid = trunk((images - model.mean) / model.std).detach()
    mask = torch.stack([slow_mask(image[0], *images.shape[2:]) for image in grid])[:, None]
    blank = model.mean.expand_as(images)
    with torch.no_grad():
        seen, unseen = model(blank + (images - blank) * mask)[:, 1], model(blank)[:, 1]
    weight = torch.stack([seen, *[unseen] * (CHANNELS - 1)], 1).softmax(1)
    expected = (weight[:, :, None, None] * grid).sum(1)
    torch.testing.assert_close(found, expected)


def test_passes_are_packed_over_images_and_channels(make, images, monkeypatch):
    model = make("deep")
    explain = ScoreCAM(model)
    expected = explain(images).heatmaps
    monkeypatch.setattr(masking, "pass_size", lambda _: 8)
    rows: list[int] = []
    model.register_forward_hook(lambda _m, _a, output: rows.append(len(output)))
    torch.testing.assert_close(explain(images).heatmaps, expected)
    assert rows == [7, 1, 8, 8, 8, 8, 8, 2]  # 7 images of 6 channels


def test_masks_of_constant_channels_are_finite():
    masks = channel_masks(
        torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]]), (5, 4)
    )
    assert not masks[0].any()
    assert masks[1].max() == 1
    assert masks[1].min() == 0
