"""Networks whose outputs are probabilities: detected, and wrapped to return logits."""

from __future__ import annotations

from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.models.classifier import Classifier
from ectool.models.modes import frozen

Output = Literal["logits", "probabilities", "presences"]
TOLERANCE = 1e-3
"""Maximum deviation of probabilities from the sum 1, or from [0, 1]."""
MIN_PROBABILITY = 1e-7
"""Probabilities of labels are clamped to this distance from 0 and from 1."""
PROBES = 4


class AsLogits(nn.Module):
    """Return logits whose softmax, or sigmoid, are the probabilities of a network.

    ``log(p)`` for classes, whose softmax is p because p adds up to 1; ``log(p / (1 - p))`` for
    multi-label outputs. The logits before the network's softmax may differ from ``log(p)`` by a
    constant for each image, which changes no probability, loss or prediction. Probabilities that
    were rounded to 0 or 1 cannot be recovered.

    Args:
        network: Maps normalised images to probabilities.
        output: `probabilities` of classes, or `presences` of labels (multi-label).
    """

    def __init__(self, network: nn.Module, output: Output) -> None:
        super().__init__()
        self.network = network
        self.output = output

    def forward(self, images: Float[Tensor, "n ch h w"]) -> Float[Tensor, "n c"]:
        """Return logits.

        Args:
            images: Input of the network.

        Returns:
            One logit per class, finite.
        """
        probabilities = cast(Tensor, self.network(images))
        if self.output == "presences":
            return probabilities.logit(MIN_PROBABILITY)
        return probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log()


def output_of(values: Float[Tensor, "n c"], *, multilabel: bool) -> Output:
    """Return the kind of a network's outputs.

    Args:
        values: Its outputs for a few different images.
        multilabel: Whether the data are multi-label.

    Returns:
        `probabilities` if none is negative and those of each image add up to 1; for multi-label
        data `presences` if all are in [0, 1]; else `logits`, such as logarithms of probabilities.
    """
    values = values.float()
    if not bool(((values >= -TOLERANCE) & (values <= 1 + TOLERANCE)).all()):
        return "logits"
    if multilabel:
        return "presences" if bool((values > 0).any()) else "logits"
    is_whole = ((values.sum(1) - 1).abs() <= TOLERANCE).all()
    return "probabilities" if bool(is_whole) else "logits"


def with_logits(model: Classifier, size: tuple[int, int], *, multilabel: bool) -> Classifier:
    """Return a classifier whose outputs are logits; the same one if they already are.

    Args:
        model: Probed in evaluation mode; unchanged.
        size: (height, width) of the images.
        multilabel: Whether the data are multi-label.

    Returns:
        The classifier, or one around the same network.

    Cost: one forward pass of 4 images.
    """
    generator = torch.Generator().manual_seed(0)
    shades = torch.linspace(0, 1, PROBES)[:, None, None, None]
    images = torch.rand(PROBES, 3, *size, generator=generator) * shades
    with frozen(model), torch.no_grad():
        try:
            output = output_of(model(images.to(model.mean.device)), multilabel=multilabel)
        except (RuntimeError, ValueError, AssertionError):
            return model  # it does not accept this size, which is checked elsewhere
    if output == "logits":
        return model
    wrapped = model.wrapped(AsLogits(model.network, output))
    return wrapped.train(model.training).to(model.mean.device)


def gives_probabilities(model: Classifier) -> bool:
    """Return whether the outputs of a classifier's network are probabilities."""
    return any(isinstance(module, AsLogits) for module in model.modules())
