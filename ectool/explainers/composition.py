"""Make explainers from options, combine several layers, and average over augmented images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.errors import UsageError
from ectool.explainers.base import Explainer, Explanation, Method, Targets
from ectool.models.classifier import Classifier
from ectool.models.interpolation import upsample
from ectool.models.wrappers import unwrap

Fusion = Literal["mean", "max"]

CONTRASTS = (1.0, 0.9, 1.1)


def make_explainer(
    name: str,
    method: Method,
    model: nn.Module,
    options: Mapping[str, object],
    fuse: Fusion = "mean",
) -> Explainer:
    """Make an explainer of a classifier.

    Args:
        name: Name of the method, for error messages.
        method: The method.
        model: The classifier, possibly wrapped; with several target layers, their heatmaps are
            combined.
        options: Options of the user, by the names of the method's keyword parameters.
        fuse: How to combine the heatmaps of several layers.

    Returns:
        The explainer.

    Raises:
        UsageError: The method has no such option, or several layers are given for a method that
            has no target layer.
        InputError: The model is not a classifier.
    """
    for option in options:
        if option not in method.options:
            raise UsageError(
                f"--{option}",
                expected=f"an option that --method {name} has",
                got=f"--{option}",
                fix="leave it out, or choose another --method (docs/explainers.md)",
            )
    classifier = unwrap(model)
    if not classifier.further_layers:
        return method.make(classifier, **options)
    if method.grid != "layer":
        raise UsageError(
            "--layer",
            expected=f"none for --method {name}, which has no target layer",
            got=f"{1 + len(classifier.further_layers)} layers",
            fix="leave it out, or choose a method of the CAM family",
        )
    return FusedLayers([method.make(view, **options) for view in classifier.each_layer()], fuse)


class FusedLayers:
    """Combine the heatmaps of one method at several layers.

    ``heatmap = mean_l or max_l of upsample(h_l / max h_l)`` at the resolution of the finest layer.
    Activations of different layers have no common scale, so each map is first divided by its
    maximum (as Jiang et al. 2021 do before they take the maximum); an all-zero map stays zero.
    Therefore the scale of a combined map does not measure the strength of the evidence.

    Args:
        explainers: One explainer per layer, of the same model.
        how: Mean or maximum.
    """

    def __init__(self, explainers: Sequence[Explainer], how: Fusion = "mean") -> None:
        self.explainers = explainers
        self.how = how

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Cost: that of the method, once per layer.
        """
        first, *others = self.explainers
        explanation = first(images, targets)
        if targets is None:  # all layers explain the same class
            targets = explanation.logits.argmax(1)
        drawn = [explanation.heatmaps, *(other(images, targets).heatmaps for other in others)]
        size = max((maps.shape[-2:] for maps in drawn), key=torch.Size.numel)
        scaled = torch.stack([upsample(_by_maximum(maps), (size[0], size[1])) for maps in drawn])
        fused = scaled.mean(0) if self.how == "mean" else scaled.amax(0)
        return Explanation(fused, explanation.logits)


class Augmented:
    """Average an explainer's heatmaps over three contrasts and their mirror images.

    ``x' = mean + contrast (x - mean)`` with the model's mean colour, for contrasts 1, 0.9 and 1.1,
    each also mirrored; mirrored maps are mirrored back. These are the six transforms of
    pytorch-grad-cam's ``aug_smooth``. Deviation: raw maps are averaged, theirs are first scaled to
    [0, 1].

    Args:
        model: The classifier.
        explainer: An explainer of the classifier.
    """

    def __init__(self, model: Classifier, explainer: Explainer) -> None:
        self.model = model
        self.explainer = explainer

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            Mean heatmaps, and the logits of the unchanged images.

        Cost: six times that of the method.
        """
        plain = self.explainer(images, targets)
        if targets is None:
            targets = plain.logits.argmax(1)
        total = plain.heatmaps.clone()
        for contrast in CONTRASTS:
            changed = self.model.mean + contrast * (images - self.model.mean)
            if contrast != 1:
                total += self.explainer(changed, targets).heatmaps
            total += self.explainer(changed.flip(3), targets).heatmaps.flip(-1)
        return Explanation(total / (2 * len(CONTRASTS)), plain.logits)


def _by_maximum(heatmaps: Float[Tensor, "n *k h w"]) -> Float[Tensor, "n *k h w"]:
    highest = heatmaps.amax((-2, -1), keepdim=True)
    return heatmaps / highest.where(highest > 0, 1)
