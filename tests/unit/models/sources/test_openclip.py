from __future__ import annotations

import json
import sys

import open_clip
import pytest
import torch
from small_clips import RESNET, VIT, configuration

from ectool.errors import InputError
from ectool.explainers.cam.linear_head import pooled_linear_head
from ectool.models.classifier import ModelSpec
from ectool.models.layers.head import head_layers
from ectool.models.registry import build, create, defaults
from ectool.models.sources import openclip

NAMES = ("a", "b", "c")


def made(vision, **options):
    return create(f"openclip:{json.dumps(configuration(vision))}", NAMES, seed=0, **options)


@pytest.mark.parametrize(
    ("vision", "layer", "layout"),
    [
        (VIT, "visual.transformer.resblocks.1.ln_1", "cls_tokens"),
        ({**VIT, "pool_type": "avg"}, "visual.ln_post", "cls_tokens"),
        (RESNET, "visual.layer4", "nchw"),
    ],
    ids=["class token", "mean of the tokens", "convolutions"],
)
def test_target_layers(vision, layer, layout):
    model = made(vision)
    assert (model.target_layer.name, model.target_layer.layout) == (layer, layout)
    assert model.input_size == (vision["image_size"],) * 2


@pytest.mark.parametrize("vision", [VIT, RESNET], ids=["vit", "resnet"])
def test_the_text_features_are_a_frozen_head_of_no_linear_layer(vision):
    model = made(vision)
    assert head_layers(model) == {"head"}
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"network.head.weight", "network.head.logit_scale"}
    # Features are normalised after the pooling, so the closed form of a linear head is wrong here.
    assert pooled_linear_head(model, torch.rand(1, 3, *model.input_size)) is None


def test_a_model_is_rebuilt_from_its_description(tmp_path):
    model = made(VIT)
    (tmp_path / "tiny.json").write_text(json.dumps(configuration(VIT)))
    twin = create(f"openclip:{tmp_path / 'tiny.json'}", NAMES, seed=0)
    (tmp_path / "tiny.json").unlink()
    again = build(ModelSpec.from_json(json.loads(json.dumps(twin.spec.to_json()))))
    assert again.network.load_state_dict(model.network.state_dict())
    assert again.spec == twin.spec
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(again.eval()(images), model.eval()(images))


def test_normalisation_is_that_of_the_public_weights(tmp_path):
    assert defaults("openclip:RN50").mean == open_clip.OPENAI_DATASET_MEAN
    assert defaults("openclip:ViT-L-14").std == open_clip.OPENAI_DATASET_STD  # several, so these
    assert defaults("openclip:MobileCLIP-S1").mean == (0.0, 0.0, 0.0)
    given = {"mean": [0.5] * 3, "std": [0.25] * 3}
    path = tmp_path / "open_clip_config.json"
    path.write_text(json.dumps({"model_cfg": configuration(VIT), "preprocess_cfg": given}))
    assert create(f"openclip:{path}", NAMES, seed=0).spec.std == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("vision", "options", "message"),
    [
        (
            {**VIT, "depth": 3},
            {},
            "got .*unexpected keyword argument 'depth'; use the",
        ),
        (RESNET, {"input_size": (64, 96)}, "open_clip accepts for images of 64x96, got"),
        (
            {**VIT, "head_width": 5},
            {},
            "that open_clip accepts for images of 32x32",
        ),
    ],
    ids=["unknown key", "rectangle", "heads"],
)
def test_what_open_clip_refuses_is_one_line(vision, options, message):
    with pytest.raises(InputError, match=f"model openclip:{{…}}: expected .*{message}"):
        made(vision, **options)


def test_a_failing_import_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(InputError, match=r"got ModuleNotFoundError: .*; pip install 'ectool\[op"):
        openclip.open_clip()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ViT-B-32", "RN50", "convnext_base", "coca_ViT-B-32"])
def test_architectures_of_several_kinds(name):
    model = create(f"openclip:{name}", NAMES, seed=0)
    assert model.spec.target_layer is not None
    with torch.no_grad():
        assert model.eval()(torch.rand(1, 3, *model.input_size)).shape == (1, 3)
