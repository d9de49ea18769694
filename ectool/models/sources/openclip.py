"""Zero-shot classifiers of open_clip, an optional package: ``openclip:ARCH``."""

from __future__ import annotations

import copy
import importlib
import math
from types import ModuleType
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ectool.errors import InputError
from ectool.models.classifier import Channels
from ectool.models.layers.probe import check_head, first_line, format_size
from ectool.models.sources.base import Defaults, Size
from ectool.models.zeroshot.configurations import EXTRA, read, shown

MEAN: Channels = (0.48145466, 0.4578275, 0.40821073)
STD: Channels = (0.26862954, 0.26130258, 0.27577711)
"""Normalisation of OpenAI's networks, which most others have taken over."""
_TEMPERATURE = 0.07
"""Initial temperature of Radford et al. 2021 (arXiv 2103.00020, section 2.5)."""
_NO_TEXT = {"context_length": 8, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1}
"""Smallest text tower, in place of one that is not used."""


class TextHead(nn.Module):
    """Compare image features with the text features of each class.

    ``logits = exp(logit_scale) * normalise(features) @ weight.T + bias``, the cosine similarity at
    the temperature of the training. All three are frozen: they come from the text tower and the
    contrastive training, and a fine-tuning changes the image tower only.

    Attributes:
        weight: Text features of each class, of length 1.
        logit_scale: Logarithm of the inverse temperature.
        bias: Of networks that were trained with a sigmoid loss; else None.
    """

    bias: nn.Parameter | None

    def __init__(self, width: int, classes: int, *, has_bias: bool) -> None:
        super().__init__()
        features = F.normalize(torch.randn(classes, width), dim=1)
        self.weight = nn.Parameter(features, requires_grad=False)
        scale = torch.tensor(math.log(1 / _TEMPERATURE))
        self.logit_scale = nn.Parameter(scale, requires_grad=False)
        bias = nn.Parameter(torch.zeros(()), requires_grad=False) if has_bias else None
        self.register_parameter("bias", bias)

    def forward(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Return logits.

        Args:
            features: Output of the image tower.
        """
        logits = self.logit_scale.exp() * F.normalize(features, dim=1) @ self.weight.T
        return logits if self.bias is None else logits + self.bias


class ZeroShot(nn.Module):
    """An image tower with text features as its head.

    Args:
        visual: Maps images to features, or to features and tokens.
        head: Maps features to logits.
    """

    def __init__(self, visual: nn.Module, head: TextHead) -> None:
        super().__init__()
        self.visual = visual
        self.head = head

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Return logits of normalised images."""
        features = self.visual(images)
        if isinstance(features, tuple):  # of a captioner: features and tokens
            features = features[0]
        return cast(Tensor, self.head(features))


def defaults(name: str) -> Defaults:
    """Return the size of the architecture, and the normalisation of its public weights.

    That of OpenAI's networks if public weights have several, or there are none.

    Raises:
        InputError: open_clip is not installed or has no such architecture; the configuration cannot
            be used.
    """
    configuration = read(name)
    mean, std = _public_normalisation(name)
    given = configuration.preprocessing
    return Defaults(
        configuration.image_size,
        tuple(given.get("mean", mean)),
        tuple(given.get("std", std)),
    )


def network(name: str, classes: int, size: Size) -> nn.Module:
    """Make an image tower with random weights, and random text features; nothing is downloaded.

    Args:
        name: Name in open_clip; path of a JSON file of its form; or that JSON.
        classes: Number of logits.
        size: (height, width) of the images.

    Returns:
        The network.

    Raises:
        InputError: As for :func:`towers`, or the network does not accept the size.

    Cost: one forward pass of one image.
    """
    given = read(name).network
    visual = towers(name, size, text=False).visual
    has_bias = given.get("init_logit_bias") is not None
    made = ZeroShot(visual, TextHead(given["embed_dim"], classes, has_bias=has_bias))
    check_head(made, size, classes, f"openclip:{shown(name)}")
    return made


def towers(name: str, size: Size, *, text: bool = True) -> Any:  # noqa: ANN401 (without types)
    """Make image tower and text tower with random weights, in a network of open_clip.

    Args:
        name: As for :func:`network`.
        size: (height, width) of the images.
        text: Whether the text tower is used; else there is a tiny one in its place.

    Raises:
        InputError: open_clip is not installed, has no such architecture, or does not accept the
            configuration or the size.
    """
    configuration, package = read(name), open_clip()
    given: dict[str, Any] = copy.deepcopy(dict(configuration.network))
    has_own_text, captions = given.pop("custom_text", False), "multimodal_cfg" in given
    if size != configuration.image_size:
        given["vision_cfg"]["image_size"] = size[0] if size[0] == size[1] else size
    given["vision_cfg"]["timm_model_pretrained"] = False
    kind = package.CLIP
    if not text:
        given = {n: v for n, v in given.items() if n != "multimodal_cfg"} | {"text_cfg": _NO_TEXT}
    elif has_own_text:
        kind = package.CoCa if captions else package.CustomTextCLIP
    try:
        return kind(**given)
    except Exception as error:  # code of other programs may raise anything
        raise InputError(
            f"model openclip:{shown(name)}",
            expected=f"a configuration that open_clip accepts for images of {format_size(size)}",
            got=first_line(error),
            fix="use the default size, or correct the configuration",
        ) from error


def open_clip() -> ModuleType:
    """Import open_clip.

    Raises:
        InputError: It is not installed, or its import fails.
    """
    try:
        return importlib.import_module("open_clip")
    except ImportError as error:
        raise InputError(
            "model openclip:…",
            expected="the package open_clip_torch",
            got=f"{type(error).__name__}: {first_line(error)}",
            fix=EXTRA,
        ) from error


def _public_normalisation(name: str) -> tuple[Channels, Channels]:
    """Return mean and standard deviation that all public weights of an architecture share."""
    package = open_clip()
    tags = package.list_pretrained_tags_by_model(name)
    settings = [package.get_pretrained_cfg(name, tag) for tag in tags]
    found = {(tuple(one["mean"]), tuple(one["std"])) for one in settings}
    return found.pop() if len(found) == 1 else (MEAN, STD)
