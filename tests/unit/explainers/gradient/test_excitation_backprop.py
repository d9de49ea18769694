from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from rectified_networks import SIZE, classifier, rectified
from torch import Tensor, nn
from torch.nn import functional as F

from ectool.errors import InputError
from ectool.explainers.gradient.excitation_backprop import ExcitationBackprop
from ectool.models.classifier import Classifier
from ectool.models.folding import fold_batch_norm
from ectool.models.registry import create

TARGETS = torch.tensor([4, 0, 2])


@pytest.fixture
def images():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def at(model: Classifier, layer: str) -> Classifier:
    return Classifier(model.network, replace(model.spec, target_layer=layer))


def matrix(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return the weights from every input to every output, by asking for one at a time."""
    shift = layer(torch.zeros_like(inputs[None]))
    units = torch.eye(inputs.numel()).view(-1, *inputs.shape)
    return torch.stack([(layer(unit[None]) - shift).flatten() for unit in units], 1)


def descend(winning: Tensor, weights: Tensor, activations: Tensor) -> Tensor:
    """Redo the definition of marginal winning probability, one pair of neurons at a time."""
    found = torch.zeros(len(activations))
    for parent, row in enumerate(weights):
        excitations = [max(a, 0) * max(w, 0) for a, w in zip(activations, row, strict=True)]
        total = sum(excitations)
        for child, excitation in enumerate(excitations):
            if total > 0:
                found[child] += winning[parent] * excitation / total
    return found


def oracle(layers: list[nn.Module], activations: Tensor, target: int) -> Tensor:
    """Go down through layers that are linear or, between them, ReLUs."""
    seen = [activations]
    for layer in layers:
        seen.append(layer(seen[-1][None])[0])
    winning = torch.eye(seen[-1].numel())[target]
    for layer, below in zip(reversed(layers), reversed(seen[:-1]), strict=True):
        if not isinstance(layer, nn.ReLU):
            winning = descend(winning, matrix(layer, below), below.flatten())
    return winning.view_as(activations)


def in_a_row() -> tuple[nn.Module, list[nn.Module]]:
    torch.manual_seed(0)
    stem = nn.Conv2d(3, 2, 3, stride=2, padding=1)
    layers = [nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)]
    return stem, [*layers, nn.Flatten(), nn.Linear(18, 4), nn.ReLU(), nn.Linear(4, 5)]


@torch.no_grad()
def test_agrees_with_the_definition(images):
    stem, layers = in_a_row()
    model = classifier(nn.Sequential(stem, *layers), "0")
    found = ExcitationBackprop(model)(images, TARGETS).heatmaps
    for image, target, heatmap in zip(images, TARGETS, found, strict=True):
        activations = stem(((image - model.mean) / model.std)[None])[0]
        expected = oracle(layers, activations, target).sum(0)
        assert expected.any()
        torch.testing.assert_close(heatmap, expected, rtol=1e-4, atol=1e-6)


class Block(nn.Module):
    """Two branches from the stem, joined in a way to be tested."""

    def __init__(self, join) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU())
        self.branch = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
        self.head = nn.Linear(2, 5)
        self.join = join

    def forward(self, images: Tensor) -> Tensor:
        grid = self.stem(images)
        return self.head(self.join(self.branch(grid), grid).mean((2, 3)))


def in_place_sum(left: Tensor, right: Tensor) -> Tensor:
    left += right
    return left


@pytest.mark.parametrize("join", [torch.add, in_place_sum, lambda a, b: a.add_(b)])
@torch.no_grad()
def test_sums_are_shared_in_proportion(images, join):
    images = images[..., :3, :4]
    torch.manual_seed(0)
    model = classifier(Block(join), "stem")
    network = model.network
    nn.init.uniform_(network.head.weight)
    found = ExcitationBackprop(model)(images, TARGETS).heatmaps
    for image, target, heatmap in zip(images, TARGETS, found, strict=True):
        grid = network.stem(((image - model.mean) / model.std)[None])[0]
        branch = network.branch(grid[None])[0]
        pooled = (grid + branch).flatten(1).mean(1)
        winning = descend(torch.eye(5)[target], network.head.weight, pooled)
        winning = (
            winning[:, None, None] * (grid + branch) / (grid + branch).sum((1, 2))[:, None, None]
        )
        share = (grid / (grid + branch)).nan_to_num(0)
        through = (winning * (1 - share)).flatten()
        weights = matrix(network.branch[0], grid)
        expected = winning * share + descend(through, weights, grid.flatten()).view_as(grid)
        torch.testing.assert_close(heatmap, expected.sum(0), rtol=1e-4, atol=1e-6)


def test_the_smaller_factor_is_a_weight(images):
    def gate(branch: Tensor, grid: Tensor) -> Tensor:
        return branch.mean((2, 3), keepdim=True).sigmoid() * grid * 2

    torch.manual_seed(0)
    gated, plain = classifier(Block(gate), "stem"), classifier(Block(lambda _, grid: grid), "stem")
    plain.network.load_state_dict(gated.network.state_dict())
    plain.network.head.weight.data[:, 1] = 0
    gated.network.head.weight.data[:, 1] = 0
    found = ExcitationBackprop(gated)(images, TARGETS).heatmaps
    assert found.any()
    # With one channel alone, a factor of the whole channel changes no share.
    expected = ExcitationBackprop(plain)(images, TARGETS).heatmaps
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("layer", ["stem", "stem_norm", "block", "pool"])
def test_folding_changes_nothing(images, layer):
    model = at(rectified(), layer)
    folded = copy.deepcopy(model).eval()
    assert fold_batch_norm(folded.network, images, keep=[folded.target_module])
    expected = ExcitationBackprop(model)(images, TARGETS).heatmaps
    assert expected.any()
    found = ExcitationBackprop(folded)(images, TARGETS).heatmaps
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [("smallcnn", "features.2"), ("resnet18", "maxpool"), ("squeezenet1_1", "features.1")],
)
def test_probability_is_conserved(architecture, layer):
    model = create(architecture, tuple("abcde"), seed=0, input_size=(32, 32))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for explained in (model, at(model, layer)):
        heatmaps = ExcitationBackprop(explained)(images).heatmaps
        assert (heatmaps >= 0).all()
        torch.testing.assert_close(heatmaps.sum((1, 2)), torch.ones(2), rtol=0, atol=1e-3)


def test_classes_that_nothing_excites_have_no_map(images):
    model = at(rectified(), "pool")
    nn.init.constant_(model.network.head.weight, -1)
    assert not ExcitationBackprop(model)(images, TARGETS).heatmaps.any()


STEPS = {
    "NativeLayerNorm": lambda values: F.layer_norm(values, values.shape[1:]),
    "Softmax": lambda values: values.softmax(1),
    "Mul": lambda values: values * values,
    "Sub": lambda values: values - values.mean(-1, keepdim=True),
}


@pytest.mark.parametrize("step", STEPS)
def test_steps_without_a_rule_are_refused(images, step):
    model = rectified(STEPS[step])
    with pytest.raises(InputError, match=rf"^model tiny: .* got {step}; choose a later layer"):
        ExcitationBackprop(model)(images)


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "tokens"])
def test_layouts_and_heads_that_overwrite_their_input(make, images, layout):
    found = ExcitationBackprop(make("in-place", layout))(images, TARGETS).heatmaps
    assert found.any()
    expected = ExcitationBackprop(make("in-place"))(images, TARGETS).heatmaps
    torch.testing.assert_close(found, expected)


def test_steps_before_the_layer_do_not_matter(images):
    model = rectified()
    network = nn.Sequential(nn.Tanh(), nn.LayerNorm(SIZE[1]), nn.Conv2d(3, 2, 3))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 5))
    model = at(Classifier(nn.Sequential(network, head), model.spec), "0")
    assert ExcitationBackprop(model)(images).heatmaps.shape == (3, 6, 10)
