from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import pytest
import torch

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint import load_weights
from ectool.models.classifier import ModelSpec
from ectool.models.registry import build, create, defaults
from ectool.models.sources import timm_zoo
from ectool.models.sources.base import IMAGENET_MEAN, IMAGENET_STD, Defaults

CLASSES = tuple("abcde")


def test_without_timm_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    message = r"model timm:…: expected the package timm, got .*; pip install 'ectool\[timm\]'"
    with pytest.raises(InputError, match=message):
        timm_zoo.defaults("resnet18")
    with pytest.raises(InputError, match=message):
        create("timm:resnet18", CLASSES, seed=0)


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
class TestWithTimm:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("resnet18", Defaults((224, 224), IMAGENET_MEAN, IMAGENET_STD, 1000)),
            ("test_vit.r160_in1k", Defaults((160, 160), (0.5,) * 3, (0.5,) * 3, 1000)),
            ("convnext_atto.d2_in1k", Defaults((224, 224), IMAGENET_MEAN, IMAGENET_STD, 1000)),
            ("beit_base_patch16_224.in22k_ft_in22k", Defaults(classes=21841)),
            ("vit_base_patch14_dinov2", Defaults((518, 518))),
        ],
    )
    def test_defaults_are_those_of_the_public_weights(self, name, expected):
        got = defaults(f"timm:{name}")
        assert (got.input_size, got.classes) == (expected.input_size, expected.classes)
        if expected.classes == 1000:
            assert got == expected

    @pytest.mark.parametrize(
        ("name", "layer", "layout"),
        [
            ("test_resnet", "layer4", "nchw"),
            ("test_efficientnet", "bn2", "nchw"),
            ("test_convnext", "stages", "nchw"),
            ("test_maxvit", "norm", "nchw"),
            ("test_mambaout", "stages", "nhwc"),
            ("test_vit", "blocks.5.norm1", "cls_tokens"),
            ("test_vit4", "blocks", "cls_tokens"),
            ("deit_tiny_distilled_patch16_224", "blocks.11.norm1", "cls_tokens"),
            ("vit_relpos_small_patch16_224", "blocks.11", "tokens"),
            ("swin_tiny_patch4_window7_224", "norm", "nhwc"),
        ],
    )
    def test_layers_of_every_layout(self, name, layer, layout):
        model = create(f"timm:{name}", CLASSES, seed=0)
        assert (model.target_layer.name, model.target_layer.layout) == (layer, layout)
        assert model.eval()(torch.rand(1, 3, *model.input_size)).shape == (1, 5)

    @pytest.mark.parametrize(("name", "size"), [("test_vit", (64, 96)), ("test_resnet", (64, 96))])
    def test_other_sizes(self, name, size):
        model = create(f"timm:{name}", CLASSES, seed=0, input_size=size)
        assert model.input_size == size
        assert model(torch.rand(2, 3, *size)).shape == (2, 5)

    def test_build_rebuilds_from_the_json_form(self, tmp_path):
        model = create("timm:test_vit", CLASSES, seed=1, input_size=(64, 64))
        twin = build(ModelSpec.from_json(json.loads(json.dumps(model.spec.to_json()))))
        assert twin.spec == model.spec
        torch.save({"state_dict_ema": model.network.state_dict()}, tmp_path / "ema.pth.tar")
        load_weights(twin, tmp_path / "ema.pth.tar", entry="ema")
        pixels = torch.rand(1, 3, 64, 64)
        assert torch.equal(twin.eval()(pixels), model.eval()(pixels))

    def test_both_heads_of_a_distilled_transformer_can_stay_fresh(self, tmp_path):
        name = "timm:deit_tiny_distilled_patch16_224"
        first, second = (create(name, CLASSES, seed=seed) for seed in (1, 2))
        head = second.network.head.weight.clone()
        torch.save(first.network.state_dict(), tmp_path / "deit.pth")
        load_weights(second, tmp_path / "deit.pth", reset_head=True)
        assert torch.equal(second.network.head.weight, head)
        assert not torch.equal(second.network.head_dist.weight, first.network.head_dist.weight)
        assert torch.equal(second.network.norm.weight, first.network.norm.weight)
        assert torch.equal(second.network.pos_embed, first.network.pos_embed)

    @pytest.mark.parametrize(
        ("name", "near"),
        [("resnet-18", "try .*resnet18"), ("resnet18.a1_in2k", "try resnet18.a1_in1k")],
    )
    def test_unknown_names_name_near_ones(self, name, near):
        with pytest.raises(InputError, match=rf"model timm:{name}: .* an unknown name; {near}"):
            create(f"timm:{name}", CLASSES, seed=0)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("nest_tiny", "expected a size timm:nest_tiny accepts, got 9x9"),
            ("test_vit", r"got 9x9 \(Input height \(9\) should be divisible by patch size"),
        ],
    )
    def test_sizes_the_network_refuses(self, name, message):
        with pytest.raises(InputError, match=rf"input size: .*{message}"):
            create(f"timm:{name}", CLASSES, seed=0, input_size=(9, 9))
