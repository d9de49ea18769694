"""Backgrounds of training images: found by the input gradient, and swapped within a batch."""

from __future__ import annotations

from jaxtyping import Bool, Int64
from torch import Tensor

from ectool.attacks.ball import Pixels
from ectool.attacks.masks import quantile, smooth
from ectool.attacks.replacement import replaced, without_object
from ectool.training.ranks.part import WHOLE, Part


def gradient_background(
    pixels: Pixels, gradient: Pixels, q: float, sigma: float
) -> Bool[Tensor, "n h w"]:
    """Return the pixels with the smallest contributions to the loss.

    ``background = G(sum_c |x_c * g_c|) <= t`` with g the gradient of the loss, G a Gaussian, and t
    the q-quantile of each image: input × gradient (Shrikumar et al. 2016, arXiv 1605.01713) as a
    mask. It has the resolution of the pixels and needs no pass besides that of the attack. Black
    pixels have no contribution.

    Args:
        pixels: Images in [0, 1].
        gradient: Gradient of the loss with respect to the pixels.
        q: Share of the background, in [0, 1].
        sigma: Standard deviation of the Gaussian as a share of the height; 0 for none.
    """
    saliency = (pixels * gradient).abs().sum(1)
    return quantile(smooth(saliency, sigma * saliency.shape[1]), q)


def swap_backgrounds(
    pixels: Pixels,
    background: Bool[Tensor, "n h w"],
    order: Int64[Tensor, "m"],
    part: Part = WHOLE,
) -> Pixels:
    """Replace the background of each image with that of another image of the batch.

    The object of the other image is filled with the mean colour of its background. An image that
    would be background as a whole stays as it is, for it would lose its object.

    Args:
        pixels: Images in [0, 1].
        background: True on the background.
        order: The other image for each image of the whole batch.
        part: Which part of the batch of all ranks these are.
    """
    whole = background.all((1, 2))[:, None, None]
    others = part.whole(without_object(pixels, background))[part.own(order)]
    return replaced(pixels, background & ~whole, others)
