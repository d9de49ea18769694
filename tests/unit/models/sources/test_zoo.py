from __future__ import annotations

import pytest
import torch
import torchvision.models

from ectool.errors import InputError
from ectool.models.layers.target_layer import find_target_layer
from ectool.models.names import plain_architectures
from ectool.models.sources import zoo
from ectool.models.sources.base import IMAGENET_MEAN, IMAGENET_STD, Defaults, seeded


def test_every_torchvision_classifier_is_known():
    names = zoo.architectures()
    small = names[: len(zoo.SMALL)]
    assert small == ["smallcnn", "smallresnet", "smallvit"]
    assert set(names[len(small) :]) == set(
        torchvision.models.list_models(module=torchvision.models)
    )
    assert len(names) == len(set(names))
    assert sorted(plain_architectures()) == sorted(names)
    for name in names:
        defaults = zoo.defaults(name)
        assert min(defaults.input_size) >= 32
        assert len(defaults.mean) == len(defaults.std) == 3
        assert defaults.classes == (None if name in small else 1000)


@pytest.mark.parametrize(
    ("architecture", "side"),
    [("smallcnn", 32), ("resnet50", 224), ("inception_v3", 299), ("efficientnet_b7", 600)],
)
def test_default_input_size(architecture, side):
    assert zoo.defaults(architecture).input_size == (side, side)


def test_normalisation_is_that_of_the_public_weights():
    assert zoo.defaults("resnet18") == Defaults((224, 224), IMAGENET_MEAN, IMAGENET_STD, 1000)
    assert zoo.defaults("efficientnet_v2_l") == Defaults((480, 480), (0.5,) * 3, (0.5,) * 3, 1000)


@pytest.mark.parametrize("architecture", list(zoo.SMALL))
@pytest.mark.parametrize("side", [32, 64])
def test_small_networks_keep_a_grid_on_small_images(architecture, side):
    network = zoo.network(architecture, 10, (side, side)).eval()
    images = torch.rand(1, 3, side, side)
    target = find_target_layer(network, (side, side))
    maps = []
    hook = network.get_submodule(target.name).register_forward_hook(lambda *a: maps.append(a[2]))
    network(images)
    hook.remove()
    assert min(target.to_nchw(maps[0], (side, side)).shape[2:]) >= 4


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_symmetric_input_equals_torchvisions_own_rescaling(architecture):
    pixels = torch.rand(2, 3, 5, 5)
    network = torchvision.models.get_model(
        architecture, weights=None, transform_input=True, init_weights=False, aux_logits=False
    )
    imagenet = pixels - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    imagenet /= torch.tensor(IMAGENET_STD).view(3, 1, 1)
    defaults = zoo.defaults(architecture)
    mean, std = (torch.tensor(c).view(3, 1, 1) for c in (defaults.mean, defaults.std))
    torch.testing.assert_close((pixels - mean) / std, network._transform_input(imagenet))


def test_imagenet_class_names():
    names = zoo.imagenet_class_names()
    assert len(names) == len(set(names)) == 1000
    assert (names[0], names[285], names[999]) == ("tench", "Egyptian cat", "toilet tissue")


@pytest.mark.parametrize("function", [zoo.defaults, lambda name: zoo.network(name, 5, (32, 32))])
@pytest.mark.parametrize(("name", "near"), [("resnet-18", "resnet18"), ("vit", "vit_"), ("?", "s")])
def test_unknown_names_name_near_ones(function, name, near):
    with pytest.raises(InputError, match=rf"expected one of \d+ architectures, got '.*{near}"):
        function(name)


def test_seeded_puts_back_the_generator_after_an_exception():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="negative dimension"), seeded(3):
        torch.rand(3).new_empty(int(-torch.rand(1).ceil()))
    assert torch.equal(torch.get_rng_state(), before)
