from __future__ import annotations

import pytest
import torch
import torchvision.models

from ectool.errors import InputError
from ectool.models import registry
from ectool.models.classifier import ModelSpec
from ectool.models.registry import build, create

CLASSES = tuple("abcde")


def test_every_torchvision_classifier_is_known():
    names = registry.architectures()
    assert names[0] == "smallcnn"
    assert set(names[1:]) == set(torchvision.models.list_models(module=torchvision.models))
    assert len(names) == len(set(names))
    for name in names:
        assert min(registry.default_input_size(name)) >= 32
        mean, std = registry.normalization(name)
        assert len(mean) == len(std) == 3


@pytest.mark.parametrize(
    ("architecture", "side"),
    [("smallcnn", 32), ("resnet50", 224), ("inception_v3", 299), ("efficientnet_b7", 600)],
)
def test_default_input_size(architecture, side):
    assert registry.default_input_size(architecture) == (side, side)


def test_normalisation_is_that_of_the_public_weights():
    assert registry.normalization("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert registry.normalization("efficientnet_v2_l") == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_symmetric_input_equals_torchvisions_own_rescaling(architecture):
    pixels = torch.rand(2, 3, 5, 5)
    network = torchvision.models.get_model(
        architecture, weights=None, transform_input=True, init_weights=False, aux_logits=False
    )
    imagenet = pixels - torch.tensor(registry.IMAGENET_MEAN).view(3, 1, 1)
    imagenet /= torch.tensor(registry.IMAGENET_STD).view(3, 1, 1)
    mean, std = (torch.tensor(c).view(3, 1, 1) for c in registry.normalization(architecture))
    torch.testing.assert_close((pixels - mean) / std, network._transform_input(imagenet))


@pytest.mark.parametrize(
    ("architecture", "side"),
    [
        ("smallcnn", 32),
        ("resnet18", 64),
        ("googlenet", 64),
        ("inception_v3", 128),
        ("vit_b_32", 64),
    ],
)
def test_create_answers_with_one_logit_per_class_in_either_mode(architecture, side):
    model = create(architecture, CLASSES, seed=0, input_size=(side, side))
    assert model.training
    assert model.class_names == CLASSES
    for _ in range(2):
        assert model(torch.rand(2, 3, side, side)).shape == (2, 5)
        model.eval()


def test_create_uses_the_default_size_and_channels_last_weights():
    model = create("smallcnn", CLASSES, seed=0)
    assert model.input_size == (32, 32)
    for parameter in model.parameters():
        if parameter.ndim == 4:
            assert parameter.is_contiguous(memory_format=torch.channels_last)


def test_the_seed_decides_the_weights_and_touches_no_global_generator():
    before = torch.get_rng_state()
    first, again, other = (create("smallcnn", CLASSES, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.network.head.weight, other.network.head.weight)


def test_build_rebuilds_from_the_json_form():
    model = create("resnet18", CLASSES, seed=1, input_size=(64, 96), layer="layer3")
    twin = build(ModelSpec.from_json(model.spec.to_json()))
    assert twin.spec == model.spec
    assert twin.target_layer.name == "layer3"
    twin.load_state_dict(model.state_dict())
    pixels = torch.rand(1, 3, 64, 96)
    assert torch.equal(twin.eval()(pixels), model.eval()(pixels))


@pytest.mark.parametrize(("name", "near"), [("resnet-18", "resnet18"), ("vit", "vit_"), ("?", "s")])
def test_unknown_architectures_name_near_ones(name, near):
    with pytest.raises(InputError, match=rf"expected one of \d+ architectures, got '.*{near}"):
        create(name, CLASSES, seed=0)


def test_build_refuses_a_target_layer_that_is_gone():
    spec = create("smallcnn", CLASSES, seed=0).spec.to_json() | {"target_layer": "feature"}
    with pytest.raises(InputError, match=r"target layer: .*'feature'; try features"):
        build(ModelSpec.from_json(spec))


@pytest.mark.parametrize(
    ("architecture", "size", "reason"),
    [
        ("vit_b_16", (64, 48), "not square"),
        ("vit_b_16", (65, 65), "indivisible"),
        ("maxvit_t", (64, 64), "not divisible by partition size"),
        ("alexnet", (16, 16), "16x16"),
    ],
)
def test_sizes_the_architecture_refuses(architecture, size, reason):
    with pytest.raises(InputError, match=rf"input size: .*{reason}"):
        create(architecture, CLASSES, seed=0, input_size=size)
