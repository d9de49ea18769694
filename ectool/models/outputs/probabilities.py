"""Networks that answer with probabilities, made to answer with logits as all else expects."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.models.classifier import Classifier
from ectool.models.layers.target_layer import TargetLayer
from ectool.models.modes import frozen

Output = Literal["logits", "probabilities", "presences"]
TOLERANCE = 1e-3
"""Most by which probabilities may miss the sum 1, or leave [0, 1]."""
LEAST_ODDS = 1e-7
"""Probability of a label below which, and next to 1 above which, its odds are no longer told."""
PROBES = 4


class AsLogits(nn.Module):
    """Return logits of which a network's probabilities are the softmax, or the sigmoid.

    ``log(p)``, whose softmax is p where p adds up to 1; and of labels each by itself
    ``log(p / (1 - p))``. The network's own logits would differ by one number for each image, which
    no probability, loss or prediction sees; but what the softmax has rounded to 0 or 1 is lost.

    Args:
        network: Maps normalised images to probabilities.
        output: What its probabilities are: of one class each, or of each label by itself.
    """

    def __init__(self, network: nn.Module, output: Output) -> None:
        super().__init__()
        self.network = network
        self.output = output

    def forward(self, images: Float[Tensor, "n ch h w"]) -> Float[Tensor, "n c"]:
        """Answer with logits.

        Args:
            images: What the network takes.

        Returns:
            One logit per class, finite.
        """
        shares = cast(Tensor, self.network(images))
        if self.output == "presences":
            return shares.logit(LEAST_ODDS)
        return shares.clamp(min=torch.finfo(shares.dtype).tiny).log()


def output_of(values: Float[Tensor, "n c"], *, several: bool) -> Output:
    """Tell what a network answers with.

    Args:
        values: Its answers to a few different images.
        several: Whether samples have several labels.

    Returns:
        `probabilities` where none is negative and each image's add up to 1; for several labels
        `presences` where all lie in [0, 1]; else `logits`. Logarithms of probabilities are logits.
    """
    values = values.float()
    if not bool(((values >= -TOLERANCE) & (values <= 1 + TOLERANCE)).all()):
        return "logits"
    if several:
        return "presences" if bool((values > 0).any()) else "logits"
    is_whole = ((values.sum(1) - 1).abs() <= TOLERANCE).all()
    return "probabilities" if bool(is_whole) else "logits"


def with_logits(model: Classifier, size: tuple[int, int], *, several: bool) -> Classifier:
    """Return a classifier that answers with logits, the same one where it does already.

    Args:
        model: Looked at in evaluation mode; left as it is.
        size: (height, width) of the images it will be asked about.
        several: Whether samples have several labels.

    Returns:
        The classifier, or one around the same network.

    Cost: one forward pass of 4 images.
    """
    generator = torch.Generator().manual_seed(0)
    shades = torch.linspace(0, 1, PROBES)[:, None, None, None]
    images = torch.rand(PROBES, 3, *size, generator=generator) * shades
    with frozen(model), torch.no_grad():
        try:
            output = output_of(model(images.to(model.mean.device)), several=several)
        except (RuntimeError, ValueError, AssertionError):
            return model  # it takes no images of this size, which is told elsewhere
    if output == "logits":
        return model
    spec, layer = model.spec, model.spec.target_layer
    if layer is not None:
        spec = replace(spec, target_layer=_inner(layer))
    further = [TargetLayer(_inner(other.name), other.layout) for other in model.further_layers]
    wrapped = Classifier(AsLogits(model.network, output), spec, further)
    return wrapped.train(model.training).to(model.mean.device)


def gives_probabilities(model: Classifier) -> bool:
    """Tell whether the network of a classifier answers with probabilities."""
    return any(isinstance(module, AsLogits) for module in model.modules())


def _inner(layer: str) -> str:
    """Return a layer's name as seen from outside of :class:`AsLogits`."""
    return f"network.{layer}"
