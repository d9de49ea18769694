"""Reduce attributions of the channels of a pixel to a heatmap."""

from __future__ import annotations

from jaxtyping import Float, Float32
from torch import Tensor


def positive_sum(attributions: Float[Tensor, "n c h w"]) -> Float32[Tensor, "n h w"]:
    """Return ``relu(sum_c attributions_c)``: the positive contribution of a pixel to the logit.

    For attributions that are parts of the logit, such as integrated gradients: the channels of a
    pixel are added, and negative evidence is removed.

    Args:
        attributions: One signed value per channel.

    Returns:
        Non-negative heatmaps.
    """
    return attributions.float().sum(1).relu_()


def max_magnitude(gradients: Float[Tensor, "n c h w"]) -> Float32[Tensor, "n h w"]:
    """Return ``max_c |gradients_c|``: the sensitivity to a pixel (Simonyan et al. 2014).

    For gradients, whose sign shows only whether a brighter pixel raises or lowers the logit.

    Args:
        gradients: One signed value per channel.

    Returns:
        Non-negative heatmaps.
    """
    return gradients.float().abs().amax(1)
