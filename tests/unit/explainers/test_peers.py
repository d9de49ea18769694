"""Side by side with pytorch-grad-cam and captum, on real architectures with random weights."""

from __future__ import annotations

from functools import cache

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from ectool.explainers import GradCAM
from ectool.explainers.grad_cam import pooled_linear_head
from ectool.models.classifier import Classifier
from ectool.models.registry import create

POOLED = {
    "resnet18": True,
    "convnext_tiny": False,
    "vgg11": False,
    "vit_b_16": False,
    "swin_t": True,
}
SIZE = (64, 64)


@cache
def model_of(architecture: str) -> Classifier:
    model = create(architecture, tuple("abcde"), seed=0, input_size=SIZE).eval()
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    # torchvision starts the head of a vision transformer at zero.
    nn.init.normal_(linear.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return model


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def targets() -> Tensor:
    return torch.tensor([4, 0, 2])


def scaled(heatmaps: Tensor) -> np.ndarray:
    """Upsample and scale to [0, 1], twice, as pytorch-grad-cam does."""
    return scale_cam_image(scale_cam_image(heatmaps.numpy(), SIZE))


@pytest.mark.parametrize("architecture", POOLED)
def test_pytorch_grad_cam(architecture, images, targets):
    model = model_of(architecture)

    def to_nchw(tensor: Tensor) -> Tensor:
        return model.target_layer.to_nchw(tensor, SIZE)

    heatmaps = GradCAM(model)(images, targets).heatmaps
    with pytorch_grad_cam.GradCAM(model, [model.target_module], to_nchw) as peer:
        expected = peer(images, [ClassifierOutputTarget(target) for target in targets.tolist()])
    assert (heatmaps.amax((1, 2)) > 0).any()
    np.testing.assert_allclose(scaled(heatmaps), expected, atol=1e-4)


@pytest.mark.parametrize("architecture", ["resnet18", "convnext_tiny", "vgg11", "swin_t"])
def test_captum(architecture, images, targets):
    model = model_of(architecture)
    # captum takes axis 1 for the channels; `permute` brings the same values there.
    layer = model.network.permute if architecture == "swin_t" else model.target_module
    peer = captum.attr.LayerGradCam(model, layer)
    expected = peer.attribute(images, targets, relu_attributions=True).detach()[:, 0]
    heatmaps = GradCAM(model)(images, targets).heatmaps
    scale = expected.max().item()
    assert scale > 0
    torch.testing.assert_close(heatmaps, expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize(("architecture", "is_pooled"), POOLED.items())
def test_the_closed_form_is_used_where_it_holds(architecture, is_pooled, images):
    assert (pooled_linear_head(model_of(architecture), images[:1]) is not None) == is_pooled
