"""Changes of the background without gradients: noise, blur, fill and swap."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ectool.attacks.ball import Ball, Pixels, enter
from ectool.attacks.masks import gaussian
from ectool.attacks.objectives import Objective
from ectool.attacks.pgd import Settings
from ectool.attacks.replacement import mean_colour

BLUR_SHARE = 1 / 16
"""Standard deviation of the blur as a share of the image's height."""
TRUNCATE = 4.0
"""Radius at which the Gaussian is truncated, in standard deviations."""


def noise(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:  # noqa: ARG001 (one signature for all)
    """Return the start, a random point of the ball.

    Args:
        ball: The feasible set.
        objective: Not used.
        start: A point drawn uniformly in the ball.
        settings: Not used.

    Returns:
        Pixels in the ball.

    Cost: none.
    """
    return enter(ball, start)


def blur(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:  # noqa: ARG001 (one signature for all)
    """Blur the background with a Gaussian that excludes all pixels of the object.

    ``x + weight * (G(b * x) / G(b) - x)`` with b the background and G the convolution with a
    Gaussian of ``sigma`` pixels, truncated at 4 sigma: a weighted mean over nearby background.

    Args:
        ball: The clean images and the background, with radius 1, because eps does not bound a
            blur.
        objective: Not used.
        start: Not used.
        settings: ``sigma``.

    Returns:
        Pixels in the ball.

    Cost: none.
    """
    background = _background(ball)
    sigma = settings.sigma or BLUR_SHARE * background.shape[2]
    total, share = _smooth(ball.clean * background, sigma), _smooth(background, sigma)
    # Without background nearby the weight is 0, and the quotient is not used.
    return _blend(ball, total / share.where(share > 0, 1))


def fill(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:  # noqa: ARG001 (one signature for all)
    """Fill the background with a constant colour: ``x + weight * (color - x)``.

    Args:
        ball: The clean images and the background, with radius 1.
        objective: Not used.
        start: Not used.
        settings: ``color``; None for the mean of each image's background.

    Returns:
        Pixels in the ball.

    Cost: none.
    """
    if settings.color is not None:
        return _blend(ball, ball.clean.new_tensor(settings.color).view(1, -1, 1, 1))
    return _blend(ball, mean_colour(ball.clean, ball.weight > 0))


def swap(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:  # noqa: ARG001 (one signature for all)
    """Replace the background with that of another image: ``x + weight * (start - x)``.

    The pixels of the other image at the same places. `perturb` fills the object of the other image
    with the mean colour of its background first (`replacement.without_object`).

    Args:
        ball: The clean images and the background, with radius 1.
        objective: Not used.
        start: Another image for each image, without its object.
        settings: Not used.

    Returns:
        Pixels in the ball.

    Cost: none.
    """
    return _blend(ball, start)


def _background(ball: Ball) -> Float[Tensor, "n 1 h w"]:
    return (ball.weight[:, None] > 0).to(ball.clean.dtype)


def _blend(ball: Ball, replacement: Float[Tensor, "_ c _ _"]) -> Pixels:
    share = ball.weight[:, None].to(ball.clean.dtype)
    return enter(ball, ball.clean + share * (replacement - ball.clean))


def _smooth(images: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """Convolve with a Gaussian, with zero padding."""
    reach = math.ceil(TRUNCATE * sigma)
    kernel = gaussian(sigma, reach, images)
    n, c, h, w = images.shape
    planes = images.reshape(n * c, 1, h, w)
    planes = F.conv2d(planes, kernel.view(1, 1, -1, 1), padding=(reach, 0))
    return F.conv2d(planes, kernel.view(1, 1, 1, -1), padding=(0, reach)).view(n, c, h, w)
