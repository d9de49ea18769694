"""From an attribution of every channel of a pixel to a heatmap: one function for each kind."""

from __future__ import annotations

from jaxtyping import Float, Float32
from torch import Tensor


def positive_sum(attributions: Float[Tensor, "n c h w"]) -> Float32[Tensor, "n h w"]:
    """Return ``relu(sum_c attributions_c)``: what a pixel adds to the logit.

    For attributions that are shares of the logit, such as integrated gradients: the channels of a
    pixel count together, and what speaks against the class is left out.

    Args:
        attributions: One signed value for each channel.

    Returns:
        Non-negative heatmaps.
    """
    return attributions.float().sum(1).relu_()


def max_magnitude(gradients: Float[Tensor, "n c h w"]) -> Float32[Tensor, "n h w"]:
    """Return ``max_c |gradients_c|``: how much a pixel can move the logit (Simonyan et al. 2014).

    For gradients, the sign of which says only whether a pixel had better be brighter or darker.

    Args:
        gradients: One signed value for each channel.

    Returns:
        Non-negative heatmaps.
    """
    return gradients.float().abs().amax(1)
