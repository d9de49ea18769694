"""Replace backgrounds: by their mean colour, or by the backgrounds of other images.

Unlike an attack, these changes follow no gradient and are as large as the difference between
images. They measure whether a prediction rests on the background, not how near a decision is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ectool.attacks.random_start import other_rows

Pixels = Float[Tensor, "n c h w"]
Background = Bool[Tensor, "n h w"]


def filled(pixels: Pixels, background: Background) -> Pixels:
    """Fill the background with its own mean colour.

    Args:
        pixels: Images in [0, 1].
        background: True where pixels are replaced.

    Returns:
        The images; all other pixels are unchanged.
    """
    return torch.where(background[:, None], mean_colour(pixels, background), pixels)


def without_object(pixels: Pixels, background: Background) -> Pixels:
    """Fill everything but the background with the background's mean colour.

    Args:
        pixels: Images in [0, 1].
        background: True where pixels stay.

    Returns:
        Images that show their background alone, to put behind other objects.
    """
    return torch.where(background[:, None], pixels, mean_colour(pixels, background))


def replaced(pixels: Pixels, background: Background, others: Pixels) -> Pixels:
    """Put the pixels outside the background on other images.

    Args:
        pixels: Images in [0, 1].
        background: True where pixels are replaced.
        others: The image behind each of them.

    Returns:
        The images; all pixels outside the background are unchanged.
    """
    return torch.where(background[:, None], others, pixels)


def draw_others(sample_ids: Sequence[str], seed: int, draw: int = 0) -> Int64[Tensor, "n"]:
    """Draw another image for each image, uniformly, independent of their batch.

    Args:
        sample_ids: Stable identifiers of all images, at least two.
        seed: Seed of the run.
        draw: Number of the draw, from 0.

    Returns:
        Index of another image for each image.
    """
    n = len(sample_ids)
    purpose = ("background", draw)
    return torch.from_numpy(other_rows(sample_ids, seed, np.arange(n), n, purpose))


def mean_colour(pixels: Pixels, where: Background) -> Float[Tensor, "n c 1 1"]:
    """Return the mean colour of some pixels of each image; black without any."""
    share = where[:, None].to(pixels.dtype)
    return (pixels * share).sum((2, 3), keepdim=True) / share.sum((2, 3), keepdim=True).clamp(min=1)
