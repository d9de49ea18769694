"""The loss of filters beside an objective: which maps it gets, and what it adds."""

from __future__ import annotations

import pytest
import torch

from ectool.errors import InputError
from ectool.models.classifier import Classifier
from ectool.models.layers.template_masks import add_template_masks
from ectool.models.modes import frozen
from ectool.models.registry import create
from ectool.training.batch import BatchLoss, TrainingBatch
from ectool.training.interpretable import INTERPRETABLE, beside
from ectool.training.interpretable.base import FilterLoss
from ectool.training.interpretable.beside import BesideFilters
from ectool.training.objectives.base import Objective
from ectool.training.objectives.erm import ERM
from tests.tiny_transformers import torchvision_vit, transformer

SIDE = 16
SETTINGS = {
    "interpretable_strength": 0.5,
    "interpretable_groups": 4,
    "interpretable_every": 1,
}


class Sum(FilterLoss):
    """Sum the maps, and keep what it got."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, maps, labels):
        self.seen.append((maps.detach(), labels))
        return maps.sum()


class Several(Objective):
    """Look at the images in evaluation mode, at other images, and learn from half of them."""

    def __init__(self, *, learns):
        super().__init__()
        self.learns = learns

    def forward(self, model, batch, position):
        if self.learns:
            loss = model(batch.pixels / 2).mean()
        else:
            loss = model(torch.cat([batch.pixels, batch.pixels])).mean()
        with frozen(model):
            logits = model(batch.pixels.clone().requires_grad_())
        return BatchLoss(loss, logits)


@pytest.fixture
def model() -> Classifier:
    return create("smallcnn", ("a", "b", "c"), seed=0, input_size=(SIDE, SIDE)).train()


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    return TrainingBatch(
        pixels=torch.rand(6, 3, SIDE, SIDE, generator=draw),
        labels=torch.tensor([0, 1, 2, 2, 1, 0]),
        weights=torch.ones(6),
        rows=torch.arange(6),
    )


def maps_of(model, pixels):
    normalised = (pixels - model.mean) / model.std
    return model.network.features(normalised).detach()


def test_the_loss_is_that_of_the_objective_plus_that_of_the_maps(model, batch, place):
    plain, logits = ERM()(model, batch, place(0))
    both = BesideFilters(ERM(), Sum(), "features", 0.5)
    loss, found = both(model, batch, place(0))
    expected = plain + 0.5 * maps_of(model, batch.pixels).sum()
    torch.testing.assert_close(loss, expected)
    assert (found == logits).all()
    assert both.filters.seen[0][1] is batch.labels


def test_the_maps_are_those_that_the_objective_learns_from(model, batch, place):
    both = BesideFilters(Several(learns=True), Sum(), "features", 1.0)
    both(model, batch, place(0))
    torch.testing.assert_close(both.filters.seen[0][0], maps_of(model, batch.pixels / 2))


def test_without_a_fitting_pass_there_is_one_more(model, batch, place):
    both = BesideFilters(Several(learns=False), Sum(), "features", 1.0)
    both(model, batch, place(0))
    torch.testing.assert_close(both.filters.seen[0][0], maps_of(model, batch.pixels))


def test_the_maps_are_those_before_the_mask(model, batch, place):
    add_template_masks(model.network, "features.11")
    both = BesideFilters(ERM(), Sum(), "features.11", 1.0)
    both(model, batch, place(0))
    modules = list(model.network.features)
    values = (batch.pixels - model.mean) / model.std
    for module in modules[:-1]:
        values = module(values)
    torch.testing.assert_close(both.filters.seen[0][0], values.relu().detach())


def test_hooks_are_removed_and_the_mode_stays(model, batch, place):
    both = BesideFilters(ERM(), Sum(), "features", 1.0)
    both.begin(model, torch.optim.SGD(model.parameters()), lambda: [batch], place(0))
    both(model, batch, place(0))
    both.after(model, batch, place(0))
    assert not model.network.features._forward_hooks
    assert model.training


@pytest.mark.parametrize("name", INTERPRETABLE)
def test_objectives_share_the_state_of_the_filters(name, model, batch, place):
    put = beside(name, model, layer=None, settings=SETTINGS)
    first, second = put(ERM()), put(ERM())
    assert first.filters is second.filters
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(2):
        first.begin(model, optimizer, lambda: [batch], place(epoch))
        loss, _ = first(model, batch, place(epoch))
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    assert all(p.grad is not None for p in model.parameters())
    state = first.state_dict()
    again = beside(name, model, layer=None, settings=SETTINGS)(ERM())
    again.load_state_dict(state)
    assert (again(model, batch, place(2)).loss == second(model, batch, place(2)).loss).all()


def test_only_the_method_with_masks_masks_the_layer(model):
    beside("iccnn", model, layer="features.8", settings=SETTINGS)
    assert model.spec.masked_layer is None
    beside("icnn", model, layer="features.8", settings=SETTINGS)
    assert model.spec.masked_layer == "features.8"
    assert model.network.features[8]._forward_hooks


def test_the_filters_of_a_transformer_are_refused():
    with pytest.raises(InputError, match=r"layer .*: expected a convolutional layer"):
        beside("icnn", transformer(torchvision_vit), layer=None, settings=SETTINGS)


@pytest.mark.parametrize("name", INTERPRETABLE)
@pytest.mark.parametrize(
    "architecture", ["resnet18", pytest.param("densenet121", marks=pytest.mark.slow)]
)
def test_any_convolutional_network_can_be_trained(architecture, name, place):
    """Also those that overwrite the output of the layer in place."""
    side = 64
    model = create(architecture, ("a", "b", "c"), seed=0, input_size=(side, side)).train()
    draw = torch.Generator().manual_seed(0)
    pixels = torch.rand(4, 3, side, side, generator=draw)
    batch = TrainingBatch(pixels, torch.tensor([0, 1, 2, 0]), torch.ones(4), torch.arange(4))
    both = beside(name, model, layer=None, settings=SETTINGS)(ERM())
    for epoch in range(2):
        both.begin(model, torch.optim.SGD(model.parameters()), lambda: [batch], place(epoch))
        plain = ERM()(model, batch, place(epoch)).loss
        loss = both(model, batch, place(epoch)).loss
    loss.backward()
    assert loss.item() != plain.item()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
