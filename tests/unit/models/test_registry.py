from __future__ import annotations

import json
import math

import pytest
import torch

from ectool.errors import InputError
from ectool.models import names
from ectool.models.classifier import ModelSpec
from ectool.models.registry import SOURCES, build, create, defaults
from ectool.models.sources.base import IMAGENET_MEAN, Defaults

CLASSES = tuple("abcde")


@pytest.mark.parametrize(
    ("architecture", "side"),
    [
        ("smallcnn", 32),
        ("resnet18", 64),
        ("googlenet", 64),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("inception_v3", 128), ("vit_b_32", 64))
        ),
    ],
)
def test_create_returns_one_logit_per_class_in_either_mode(architecture, side):
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


def test_normalisation_can_be_given():
    model = create("smallcnn", CLASSES, seed=0, mean=(0.1, 0, 0.3), std=[1, 0.5, 0.25])
    assert (model.spec.mean, model.spec.std) == ((0.1, 0.0, 0.3), (1.0, 0.5, 0.25))
    assert model.std.flatten().tolist() == [1, 0.5, 0.25]
    assert create("smallcnn", CLASSES, seed=0, std=(1, 1, 1)).spec.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (0.5, 0.5)}, r"mean: expected three numbers, got \[0.5, 0.5\]"),
        ({"mean": (0.5, 0.5, math.nan)}, r"mean: expected means of pixels in \[0, 1\], got"),
        (
            {"std": (1, 1, math.inf)},
            r"std: expected standard deviations of pixels in \[0, 1\], from",
        ),
        ({"std": (1, 0, 1)}, r"std: .* from 1/255 to 1, got \[1.0, 0.0, 1.0\]"),
    ],
)
def test_normalisation_out_of_bounds_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        create("smallcnn", CLASSES, seed=0, **options)


def test_build_rebuilds_from_the_json_form():
    model = create("resnet18", CLASSES, seed=1, input_size=(64, 96), layer="layer3", std=(1, 1, 1))
    twin = build(ModelSpec.from_json(json.loads(json.dumps(model.spec.to_json()))))
    assert twin.spec == model.spec
    assert twin.target_layer.name == "layer3"
    twin.load_state_dict(model.state_dict())
    pixels = torch.rand(1, 3, 64, 96)
    assert torch.equal(twin.eval()(pixels), model.eval()(pixels))


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
        ("squeezenet1_1", (8, 8), "8x8"),
    ],
)
def test_sizes_the_architecture_refuses(architecture, size, reason):
    with pytest.raises(InputError, match=rf"input size: .*{reason}"):
        create(architecture, CLASSES, seed=0, input_size=size)


@pytest.mark.parametrize("make", [defaults, lambda name: create(name, CLASSES, seed=0)])
def test_unknown_sources_name_the_known_ones(make):
    with pytest.raises(
        InputError, match="got the source 'keras'; use one of the sources timm, openclip"
    ):
        make("keras:resnet18")


def test_defaults_are_those_of_the_source():
    assert set(SOURCES) == {"", "timm", "openclip", "import", "torchscript", "exported"}
    assert defaults("efficientnet_b7").input_size == (600, 600)
    assert defaults("import:nowhere:make") == Defaults((224, 224), IMAGENET_MEAN)


def test_sources_have_their_names_without_torch():
    assert tuple(SOURCES) == names.SOURCES
