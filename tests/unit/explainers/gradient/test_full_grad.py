from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch
from rectified_networks import SIZE, Rectified, classifier, rectified
from torch import Tensor, nn
from torch.nn import functional as F

from ectool.explainers.gradient.full_grad import FullGrad, full_gradient
from ectool.models.classifier import Classifier
from ectool.models.folding import fold_batch_norm

TARGETS = torch.tensor([4, 0, 2])


@pytest.fixture
def images():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def folded(model: Classifier) -> Classifier:
    model = copy.deepcopy(model).eval()
    assert fold_batch_norm(model.network, torch.rand(1, 3, *SIZE)) == 2
    return model


def pieces_of(model: Classifier, images: Tensor) -> list[Tensor]:
    pieces: list[Tensor] = []
    return [full_gradient(model, images, TARGETS, pieces.append), *pieces]


def oracle(model: Classifier, images: Tensor) -> Tensor:
    """Differentiate by a bias at each position, added by hand behind folded convolutions."""
    model, biases = folded(model), []

    def spread_bias(module: nn.Module, _arguments: object, output: Tensor) -> Tensor:
        module_bias = module.bias.detach()[:, None, None].expand_as(output)
        biases.append(module_bias.clone().requires_grad_())
        return output - module_bias + biases[-1]

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(spread_bias)
    inputs = ((images - model.mean) / model.std).requires_grad_()
    model.network(inputs)[range(3), TARGETS].sum().backward()
    heatmaps = torch.zeros(3, *SIZE)
    for values in [inputs, *biases]:
        for image in range(3):
            for channel in (values * values.grad)[image].detach().abs():
                cells = F.interpolate(channel[None, None], SIZE, mode="bilinear")[0, 0]
                heatmaps[image] += cells * channel.numel() / (SIZE[0] * SIZE[1])
    return heatmaps


@pytest.mark.parametrize("is_folded", [False, True])
def test_pieces_sum_to_the_logit(images, is_folded):
    model = folded(rectified()) if is_folded else rectified()
    pieces = pieces_of(model, images)
    assert len(pieces) == 1 + 3 + 2  # input, convolutions with what follows, linear layers
    with torch.no_grad():
        logits = model.eval()(images)[range(3), TARGETS]
    total = sum(piece.flatten(1).sum(1) for piece in pieces)
    torch.testing.assert_close(total, logits, rtol=1e-4, atol=1e-5)
    # Each has a part in it.
    assert all(piece.abs().sum() > 1e-3 for piece in pieces)


def test_folded_networks_have_the_same_pieces(images):
    model = rectified()
    for found, expected in zip(
        pieces_of(folded(model), images), pieces_of(model, images), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_an_activation_between_convolution_and_normalisation(images):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(4)]
    model = classifier(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 60, 5)))
    total = sum(piece.flatten(1).sum(1) for piece in pieces_of(model, images))
    with torch.no_grad():
        logits = model.eval()(images)[range(3), TARGETS]
    torch.testing.assert_close(total, logits, rtol=1e-4, atol=1e-5)


def strided() -> Classifier:
    """Make a network whose layers have several resolutions."""
    torch.manual_seed(0)
    network = Rectified(F.relu)
    network.stem.stride = (2, 2)
    network.branch, network.pool = nn.Conv2d(4, 3, 1), nn.Conv2d(7, 7, 2, stride=2)
    return classifier(network)


@pytest.mark.parametrize("make", [rectified, strided])
def test_agrees_with_the_definition(images, make):
    model = make()
    expected = oracle(model, images)
    for same in (model, folded(model)):
        heatmaps = FullGrad(same)(images, TARGETS).heatmaps
        torch.testing.assert_close(heatmaps, expected, rtol=1e-4, atol=1e-5)


def test_the_sum_of_a_map_is_what_its_pieces_contribute(images):
    model = strided()
    grids = [piece for piece in pieces_of(model, images) if piece.ndim == 4]
    assert {tuple(piece.shape[2:]) for piece in grids} == {(8, 12), (4, 6), (2, 3)}
    expected = sum(piece.abs().sum((1, 2, 3)) for piece in grids)
    found = FullGrad(model)(images, TARGETS).heatmaps.sum((1, 2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_networks_without_biases_are_explained_by_their_input(images):
    model = rectified()
    model.network = nn.Sequential(nn.Conv2d(3, 5, 8, bias=False), nn.AdaptiveAvgPool2d(1))
    model.network.append(nn.Flatten())
    found = FullGrad(model)(images, TARGETS).heatmaps
    piece = full_gradient(model, images, TARGETS, pytest.fail)
    torch.testing.assert_close(found, piece.abs().sum(1))


def test_nothing_is_kept(images):
    model, alive = rectified(), []

    def watch(_module: nn.Module, _arguments: object, output: Tensor) -> None:
        alive.append(weakref.ref(output))

    handle = model.network.stem.register_forward_hook(watch)
    gc.disable()
    try:
        FullGrad(model)(images, TARGETS)
        assert len(alive) == 2
        assert not any(output() is not None for output in alive)
    finally:
        gc.enable()
        handle.remove()
