"""Gradient and heatmaps of one pass, against a pass for each."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ectool.explainers import GradCAM
from ectool.models.registry import create
from ectool.training.explained_gradient import ExplainedGradient
from tests.rectified_networks import rectified


@pytest.fixture(params=["pooled", "head"])
def model(request):
    if request.param == "pooled":
        return create("smallcnn", ("a", "b", "c"), seed=0, input_size=(16, 16))
    return rectified()  # overwrites the output of its target layer


@pytest.fixture
def pixels(model):
    return torch.rand(4, 3, *model.input_size, generator=torch.Generator().manual_seed(0))


def test_one_class_per_image(model, pixels):
    labels = torch.tensor([0, 2, 1, 2])
    found = ExplainedGradient(model)(pixels, labels, labels)
    explanation = GradCAM(model)(pixels, labels)
    torch.testing.assert_close(found.heatmaps, explanation.heatmaps)
    torch.testing.assert_close(found.logits, explanation.logits)
    plain = ExplainedGradient(model)(pixels, labels)
    assert plain.heatmaps is None
    torch.testing.assert_close(plain.gradient, found.gradient)
    leaf = pixels.clone().requires_grad_()
    (expected,) = torch.autograd.grad(
        F.cross_entropy(model.eval()(leaf), labels, reduction="sum"), leaf
    )
    assert (found.gradient.sign() == expected.sign()).float().mean() > 0.999
    cosines = F.cosine_similarity(found.gradient.flatten(1), expected.flatten(1))
    torch.testing.assert_close(cosines, torch.ones(4))


def test_several_labels_per_image(model, pixels):
    labels = torch.zeros(4, len(model.class_names), dtype=torch.int8)
    labels[0, :2] = labels[1, 2] = labels[3, 1] = 1
    labels[2, 0] = -1
    classes = torch.tensor([[0, 1], [2, -1], [-1, -1], [1, -1]])
    found = ExplainedGradient(model)(pixels, labels, classes)
    torch.testing.assert_close(found.heatmaps, GradCAM(model)(pixels, classes).heatmaps)


def test_the_model_is_left_as_found(model, pixels):
    model.train()
    first = next(model.parameters())
    first.requires_grad_(False)
    last = list(model.parameters())[-1]
    last.grad = torch.ones_like(last)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    labels = torch.tensor([0, 1, 2, 0])
    ExplainedGradient(model)(pixels, labels, labels)
    assert all(module.training for module in model.modules())
    assert not first.requires_grad
    assert last.requires_grad
    assert (last.grad == 1).all()
    assert all((before[name] == value).all() for name, value in model.state_dict().items())
    assert not model.target_module._forward_hooks
