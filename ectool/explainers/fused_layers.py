"""One heatmap out of those of several layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ectool.explainers.base import Explainer, Explanation, Targets
from ectool.explainers.upsampling import upsample

Fusion = Literal["mean", "max"]


class FusedLayers:
    """Fuse the heatmaps that one method draws at several layers.

    ``heatmap = mean_l or max_l of upsample(h_l / max h_l)`` at the resolution of the finest layer.
    Activations of different layers have no common scale, so each map is divided by its maximum
    first (Jiang et al. 2021 scale likewise before they take the maximum); an all-zero map stays
    zero. A fused map's scale therefore says nothing about the strength of the evidence.

    Args:
        explainers: One for each layer, of the same model.
        how: Mean or maximum.
    """

    def __init__(self, explainers: Sequence[Explainer], how: Fusion = "mean") -> None:
        self.explainers = explainers
        self.how = how

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; see :class:`ectool.explainers.base.Explainer`.

        Cost: that of the method for each layer.
        """
        first, *others = self.explainers
        explanation = first(images, targets)
        if targets is None:  # all layers explain what the first one explained
            targets = explanation.logits.argmax(1)
        drawn = [explanation.heatmaps, *(other(images, targets).heatmaps for other in others)]
        size = max((maps.shape[-2:] for maps in drawn), key=torch.Size.numel)
        scaled = torch.stack([upsample(_by_maximum(maps), (size[0], size[1])) for maps in drawn])
        fused = scaled.mean(0) if self.how == "mean" else scaled.amax(0)
        return Explanation(fused, explanation.logits)


def _by_maximum(heatmaps: Float[Tensor, "n *k h w"]) -> Float[Tensor, "n *k h w"]:
    highest = heatmaps.amax((-2, -1), keepdim=True)
    return heatmaps / highest.where(highest > 0, 1)
