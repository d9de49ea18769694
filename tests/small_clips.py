"""Small random networks of open_clip: their configurations, files and own zero-shot logits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from ectool.models.sources.openclip import network

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "patch_size": 8, "width": 16, "head_width": 8, "layers": 2}
RESNET = {"image_size": 64, "patch_size": None, "width": 8, "head_width": 8, "layers": [1, 1, 1, 1]}
TOWERS: dict[str, dict[str, Any]] = {"vit": VIT, "resnet": RESNET}
PROMPTS = """
templates = ["a photo of the {}.", "a drawing of a {}."]

[classes]
cat = ["cat", "kitten"]
"red fox" = "fox"
dog = ["dog"]
"""
CLASSES = ("cat", "red fox", "dog")
NAMES = (("cat", "kitten"), ("fox",), ("dog",))
TEMPLATES = ("a photo of the {}.", "a drawing of a {}.")


def configuration(vision: Mapping[str, Any]) -> dict[str, Any]:
    return {"embed_dim": 12, "vision_cfg": dict(vision), "text_cfg": dict(TEXT)}


def zero_shot_network(vision: Mapping[str, Any], classes: int) -> nn.Module:
    """Make a network of this image tower, and random text features."""
    size = (vision["image_size"],) * 2
    return network(json.dumps(configuration(vision)), classes, size)


def both_towers(vision: Mapping[str, Any], seed: int = 1) -> nn.Module:
    """Make the network of open_clip, with random weights in place of those that begin as zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        both = open_clip.CLIP(**configuration(vision)).eval()
        for name, weight in both.named_parameters():
            if not weight.any():
                weight.data.normal_(1.0 if name.endswith("weight") else 0.0, 0.1)
    return both


def written(folder: Path, tower: str) -> dict[str, Any]:
    """Write configuration, weights and prompts, and return the options of the model."""
    (folder / f"{tower}.json").write_text(json.dumps(configuration(TOWERS[tower])))
    state = {f"module.{n}": v for n, v in both_towers(TOWERS[tower]).state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, folder / f"{tower}.pt")
    (folder / "prompts.toml").write_text(PROMPTS)
    return {
        "model": f"openclip:{folder / f'{tower}.json'}",
        "checkpoint": folder / f"{tower}.pt",
        "prompts": folder / "prompts.toml",
    }


def own_logits(
    both: Any,
    images: Tensor,
    names: Sequence[Sequence[str]] = NAMES,
    templates: Sequence[str] = TEMPLATES,
) -> Tensor:
    """Return open_clip's zero-shot logits of normalised images, one class after the other."""
    tokenizer = open_clip.SimpleTokenizer(context_length=TEXT["context_length"])
    weights = [
        open_clip.build_zero_shot_classifier(
            both, tokenizer, ["class"], [t.format(n) for n in own for t in templates]
        )
        for own in names
    ]
    with torch.no_grad():
        features = both.encode_image(images, normalize=True)
        return both.logit_scale.exp() * features @ torch.cat(weights, 1)
