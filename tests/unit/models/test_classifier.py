from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.classifier import Classifier, ModelSpec, to_pixels
from ectool.models.layers.target_layer import TargetLayer

SPEC = ModelSpec(
    architecture="tiny",
    class_names=("cat", "dog"),
    input_size=(4, 6),
    mean=(0.1, 0.2, 0.3),
    std=(0.5, 0.25, 1.0),
    target_layer="0",
    layout="nchw",
)


def tiny() -> Classifier:
    return Classifier(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(48, 2)), SPEC)


def test_forward_normalises_each_channel():
    model = tiny()
    pixels = torch.rand(5, 3, 4, 6)
    normalised = torch.empty_like(pixels)
    for channel in range(3):
        normalised[:, channel] = (pixels[:, channel] - SPEC.mean[channel]) / SPEC.std[channel]
    torch.testing.assert_close(model(pixels), model.network(normalised))


def test_the_description_is_at_hand():
    model = tiny()
    assert model.architecture == "tiny"
    assert model.class_names == ("cat", "dog")
    assert model.input_size == (4, 6)
    assert model.target_layer == TargetLayer("0", "nchw")
    assert model.target_module is model.network[0]


def test_normalisation_is_not_in_the_weights_but_moves_with_the_model():
    model = tiny().half()
    assert set(model.state_dict()) == {
        f"network.{name}" for name in ("0.weight", "0.bias", "2.weight", "2.bias")
    }
    assert model.mean.dtype == model.std.dtype == torch.float16


def test_spec_survives_json():
    assert ModelSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_spec_of_unnamed_classes_in_an_order_survives_json():
    spec = replace(SPEC, has_names=False, class_order="text")
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_spec_ignores_further_fields():
    assert ModelSpec.from_json({**SPEC.to_json(), "seed": 3}) == SPEC


@pytest.mark.parametrize(
    "field", [name for name in ModelSpec.__dataclass_fields__ if name in SPEC.to_json()]
)
def test_spec_misses_no_field_silently(field):
    fields = SPEC.to_json()
    del fields[field]
    with pytest.raises(InputError, match=rf"model description: expected the fields .*{field}"):
        ModelSpec.from_json(fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [("layout", "hwc"), ("mean", [0.5, 0.5]), ("input_size", 3), ("std", ["x", 1, 1])],
)
def test_spec_rejects_other_kinds(field, value):
    with pytest.raises(InputError, match="model description"):
        ModelSpec.from_json({**SPEC.to_json(), field: value})


@pytest.mark.parametrize("kind", ["array", "read-only array", "tensor"])
def test_to_pixels_scales_exactly_and_turns_channels_last(kind):
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(4, 3, 8, 8)
    images.flags.writeable = kind != "read-only array"
    pixels = to_pixels(torch.tensor(images) if kind == "tensor" else images)
    assert pixels.dtype == torch.float32
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(pixels.numpy(), images.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal((pixels * 255).round().to(torch.uint8).numpy(), images)
    assert images.max() == 255


@pytest.mark.parametrize(
    ("field", "value"),
    [("mean", [123.675, 116.28, 103.53]), ("std", [58.4, 57.1, 57.4]), ("std", [0.2, 0, 0.2])],
)
def test_a_description_for_pixels_of_another_scale(field, value):
    with pytest.raises(InputError, match=rf"model's {field}: expected .* of pixels in \[0, 1\]"):
        ModelSpec.from_json({**SPEC.to_json(), field: value})
