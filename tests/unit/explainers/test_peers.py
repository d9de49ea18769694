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
from ectool.explainers.cam.gradient_cam import gradient_cam
from ectool.explainers.cam.linear_head import pooled_linear_head
from ectool.models.classifier import Classifier
from ectool.models.registry import create

POOLED = {
    "resnet18": True,
    "convnext_tiny": False,
    "import:narrow_networks:vgg11": False,
    "import:narrow_networks:vit": False,
    "swin_t": True,
}
LONG = {"convnext_tiny", "swin_t"}
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


@pytest.mark.parametrize(
    "architecture",
    [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in POOLED],
)
def test_pytorch_grad_cam(architecture, images, targets):
    model = model_of(architecture)

    def to_nchw(tensor: Tensor) -> Tensor:
        return model.target_layer.to_nchw(tensor, SIZE)

    heatmaps = GradCAM(model)(images, targets).heatmaps
    with pytorch_grad_cam.GradCAM(model, [model.target_module], to_nchw) as peer:
        expected = peer(images, [ClassifierOutputTarget(target) for target in targets.tolist()])
    assert (heatmaps.amax((1, 2)) > 0).any()
    np.testing.assert_allclose(scaled(heatmaps), expected, atol=1e-4)


PEERS = {
    "gradcam++": pytorch_grad_cam.GradCAMPlusPlus,
    "xgradcam": pytorch_grad_cam.XGradCAM,
    "hirescam": pytorch_grad_cam.HiResCAM,
    "layercam": pytorch_grad_cam.LayerCAM,
    "gradcam-elementwise": pytorch_grad_cam.GradCAMElementWise,
    "eigengradcam": pytorch_grad_cam.EigenGradCAM,
    "eigencam": pytorch_grad_cam.EigenCAM,
}


@pytest.mark.parametrize("eigen", [False, True])
@pytest.mark.parametrize("method", PEERS)
@pytest.mark.parametrize("head", ["pooled", "deep"])
def test_the_family_in_pytorch_grad_cam_before_it_scales(make, head, method, eigen, targets):
    model, images = make(head), torch.rand(3, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    heatmaps = gradient_cam(method, model, compat=True, eigen=eigen)(images, targets).heatmaps
    classes = [ClassifierOutputTarget(target) for target in targets.tolist()]
    with PEERS[method](model.eval(), [model.target_module]) as peer:
        peer(images, classes)
        held = peer.activations_and_grads
        activations, gradients = (
            part[0].numpy() if part else None for part in (held.activations, held.gradients)
        )
        found = (images, model.target_module, classes, activations, gradients, eigen)
        expected = torch.tensor(peer.get_cam_image(*found))
    if eigen or "eigen" in method:  # theirs has any sign
        agrees = (expected * heatmaps).sum((1, 2), keepdim=True) >= 0
        expected = expected.where(agrees, -expected)
    scale = expected.abs().max().item()
    assert scale > 0
    torch.testing.assert_close(heatmaps, expected.relu(), rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("architecture", [name for name in POOLED if "vit" not in name])
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
