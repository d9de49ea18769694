"""Layouts of self-supervised checkpoints, with the names of real networks and tiny tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torchvision.models import resnet18

from ectool.errors import InputError
from ectool.models.checkpoints.backbones import is_self_supervised, select_backbone
from ectool.models.checkpoints.containers import select_weights

with torch.device("meta"):
    RESNET = list(resnet18(num_classes=3).state_dict())
    VIT = list(timm.create_model("vit_tiny_patch16_224", num_classes=3).state_dict())
HEADS = {"fc": RESNET, "head": VIT}
TRUE, COPY, OTHER = torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([3.0])
MLP = ("0.weight", "0.bias", "2.weight", "2.bias")


def backbone(prefix: str, head: str = "fc", value: torch.Tensor = TRUE) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name in HEADS[head] if not name.startswith(f"{head}.")}


def others(*names: str) -> dict[str, torch.Tensor]:
    return dict.fromkeys(names, OTHER)


def mlp(prefix: str) -> dict[str, torch.Tensor]:
    return others(*(prefix + name for name in MLP))


def moco(head: str, own: str, copy: str, projection: str = "") -> dict[str, torch.Tensor]:
    """Return a query encoder with a projection in place of its head, and its slow copy."""
    parts = {}
    for name, value in ((own, TRUE), (copy, COPY)):
        parts |= backbone(f"state_dict.module.{name}.", head, value)
        parts |= (
            mlp(f"state_dict.module.{name}.{head}.")
            if projection
            else others(*(f"state_dict.module.{name}.{head}.{p}" for p in ("weight", "bias")))
        )
    return parts | others("state_dict.module.queue", "state_dict.module.queue_ptr")


LAYOUTS = {
    "moco v1": ("fc", moco("fc", "encoder_q", "encoder_k")),
    "moco v2": ("fc", moco("fc", "encoder_q", "encoder_k", "mlp")),
    "moco v3": ("fc", moco("fc", "base_encoder", "momentum_encoder", "mlp")),
    "moco v3 vit": ("head", moco("head", "base_encoder", "momentum_encoder", "mlp")),
    "simclr": ("fc", backbone("state_dict.backbone.") | mlp("state_dict.backbone.fc.")),
    "simclr, lightning": ("fc", backbone("state_dict.encoder.") | mlp("state_dict.projector.")),
    "swav": (
        "fc",
        backbone("module.") | mlp("module.projection_head.") | others("module.prototypes.weight"),
    ),
    "dino": (
        "head",
        backbone("student.module.backbone.", "head", COPY)
        | others("student.module.head.mlp.0.weight", "student.module.head.last_layer.weight_g")
        | backbone("teacher.backbone.", "head")
        | others("teacher.head.mlp.0.weight", "dino_loss.center"),
    ),
    "dino, backbone alone": ("head", backbone("", "head")),
    "mae": (
        "head",
        backbone("model.", "head")
        | others(
            "model.mask_token", "model.decoder_pos_embed", "model.decoder_blocks.0.norm1.bias"
        ),
    ),
    "byol": (
        "fc",
        backbone("state_dict.online_network.encoder.")
        | backbone("state_dict.target_network.encoder.", value=COPY)
        | mlp("state_dict.predictor."),
    ),
    "barlow twins": ("fc", backbone("model.module.backbone.") | mlp("model.module.projector.")),
    "simsiam": (
        "fc",
        backbone("state_dict.module.encoder.")
        | mlp("state_dict.module.encoder.fc.")
        | mlp("state_dict.module.predictor."),
    ),
    "solo-learn": (
        "fc",
        backbone("state_dict.backbone.")
        | backbone("state_dict.momentum_backbone.", value=COPY)
        | mlp("state_dict.projector."),
    ),
    "vissl": (
        "fc",
        backbone("classy_state_dict.base_model.model.trunk._feature_blocks.")
        | mlp("classy_state_dict.base_model.model.heads.0.projection_head."),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_backbone_that_is_evaluated_is_found(layout):
    head, tensors = LAYOUTS[layout]
    found = select_backbone(tensors, HEADS[head], {head}, None, Path("ssl.pth"))
    assert found is not None
    in_backbone = {n for n in HEADS[head] if not n.startswith(f"{head}.")}
    assert {name for name, value in found.state.items() if value is TRUE} == in_backbone
    # What is left would replace the head, which is not loaded.
    assert {n.partition(".")[0] for n in found.state.keys() - in_backbone} <= {head}
    assert {*(found.prefix + name for name in found.state), *found.others} == set(tensors)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_without_the_flag(layout):
    """No whole set of weights is found, or one whose prefix says that it has no classes."""
    head, tensors = LAYOUTS[layout]
    found = select_weights(tensors, HEADS[head], None, Path("ssl.pth"))
    lacks = [name for name in HEADS[head] if name not in found.state]
    assert lacks or is_self_supervised(found.prefix)


def test_an_entry_chooses_another_part():
    _, tensors = LAYOUTS["dino"]
    found = select_backbone(tensors, VIT, {"head"}, "student", Path("dino.pth"))
    assert found is not None
    assert found.state["norm.weight"] is COPY


def test_equal_backbones_need_a_choice():
    tensors = backbone("left.") | backbone("right.", value=COPY)
    with pytest.raises(InputError, match="one set of weights, got 2: left, right; give one of"):
        select_backbone(tensors, RESNET, {"fc"}, None, Path("two.pth"))


def test_backbones_of_other_networks_are_not_found():
    tensors = backbone("module.")
    del tensors["module.layer3.0.conv1.weight"]
    assert select_backbone(tensors, RESNET, {"fc"}, None, Path("half.pth")) is None


def test_averages_are_never_taken_for_plain_weights():
    tensors = backbone("state_dict_ema.")
    assert select_backbone(tensors, RESNET, {"fc"}, None, Path("ema.pth")) is None
