"""The signed map equals its definition, and Grad-CAM is its positive part."""

import torch

from ectool.explainers.cam.gradient_cam import GradCAM
from ectool.explainers.cam.signed_cam import SignedGradCAM
from ectool.models.modes import frozen
from ectool.models.registry import create


def test_it_is_the_weighted_sum_whose_positive_part_is_grad_cam():
    model = create("smallcnn", ("a", "b", "c"), seed=0, input_size=(32, 32))
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 2, 1, 1])
    with frozen(model):
        signed = SignedGradCAM(model)(images, targets).heatmaps
        plain = GradCAM(model)(images, targets).heatmaps
        normalised = (images - model.mean) / model.std
        activations = model.network.features(normalised).detach().requires_grad_()
        logits = model.network.head(activations.mean((2, 3)))
        (gradient,) = torch.autograd.grad(logits[range(4), targets].sum(), activations)
    expected = (gradient.mean((2, 3), keepdim=True) * activations.detach()).sum(1)
    torch.testing.assert_close(signed, expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(plain, signed.relu())
    assert (signed < 0).any()
