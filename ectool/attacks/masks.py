"""Background masks: which pixels a semantic-preserving perturbation may move.

Every rule treats each sample on its own, so the batch does not matter. Heatmaps of half precision
are compared as float32: a level rounded to bfloat16 would pass by values that it should hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F

OTSU_BINS = 256


def quantile(heatmaps: Float[Tensor, "n h w"], q: float = 0.5) -> Bool[Tensor, "n h w"]:
    """Take the pixels at or below the q-quantile of their own heatmap.

    ``background = heatmap <= t`` with t the ``ceil(q * h * w)``-th smallest value (the inverted
    distribution function, without interpolation), so at least the share q is background. Pixels
    tied with t all belong to it: an all-zero or constant map makes the whole image background,
    and so does a map with more zeros than q * h * w make all of its zeros background.

    Args:
        heatmaps: Heatmaps upsampled to the size of the images.
        q: Share of the pixels, in [0, 1]; with 0 only the least value.

    Returns:
        True where a pixel may move.
    """
    heatmaps = _precise(heatmaps)
    values = heatmaps.flatten(1)
    # 0.55 * 100 is a hair above 55; the small term keeps such products from rounding up.
    rank = max(1, math.ceil(q * values.shape[1] - 1e-6))
    return heatmaps <= values.kthvalue(rank, dim=1).values[:, None, None]


def fraction(heatmaps: Float[Tensor, "n h w"], share: float = 0.2) -> Bool[Tensor, "n h w"]:
    """Take the pixels at or below a fixed fraction of their own heatmap's maximum.

    ``background = heatmap <= share * max(heatmap)``; 0.2 is the fraction of Zhou et al. 2016
    (class activation mapping). An all-zero map makes the whole image background, a constant
    positive one none of it.

    Args:
        heatmaps: Non-negative heatmaps upsampled to the size of the images.
        share: Fraction of the maximum, in [0, 1].

    Returns:
        True where a pixel may move.
    """
    heatmaps = _precise(heatmaps)
    return heatmaps <= share * heatmaps.amax(dim=(1, 2), keepdim=True)


def threshold(heatmaps: Float[Tensor, "n h w"], level: float) -> Bool[Tensor, "n h w"]:
    """Take the pixels at or below one level for all images: ``background = heatmap <= level``.

    Args:
        heatmaps: Non-negative heatmaps upsampled to the size of the images.
        level: On the heatmaps' raw scale, which belongs to model and method.

    Returns:
        True where a pixel may move.
    """
    return _precise(heatmaps) <= level


def otsu(heatmaps: Float[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Take the lower class of Otsu's two-class split of each heatmap's histogram.

    Among the splits of 256 equal bins between a map's least and greatest value, the one with the
    greatest variance between the classes, ``w0 * w1 * (mean0 - mean1)**2`` (Otsu 1979), the
    lowest of equals. An all-zero or constant map makes the whole image background.

    Args:
        heatmaps: Finite heatmaps upsampled to the size of the images.

    Returns:
        True where a pixel may move.
    """
    bins = _bins(heatmaps)
    split = _between_class_variance(_histogram(bins)).argmax(dim=1)
    return bins <= split[:, None, None]


def inverse(heatmaps: Float[Tensor, "n h w"], q: float = 0.5) -> Bool[Tensor, "n h w"]:
    """Take the pixels above the q-quantile: the ablation that perturbs what matters.

    Args:
        heatmaps: Heatmaps upsampled to the size of the images.
        q: Share of the pixels left alone, in [0, 1].

    Returns:
        The complement of ``quantile``; nothing for a constant map.
    """
    return ~quantile(heatmaps, q)


def outside_object(objects: Bool[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Take the pixels outside the ground-truth object.

    Args:
        objects: True on the object.

    Returns:
        True where a pixel may move.
    """
    return ~objects


def full(like: Shaped[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Take every pixel: the unmasked attack.

    Args:
        like: Any tensor of the masks' shape, on the masks' device.

    Returns:
        True everywhere.
    """
    return torch.ones_like(like, dtype=torch.bool)


def intersect(
    backgrounds: Bool[Tensor, "p h w"], samples: Int64[Tensor, "p"], count: int
) -> Bool[Tensor, "n h w"]:
    """Take the pixels that are background for every explained label of their sample.

    ``background[i] = all(backgrounds[p] for p with samples[p] == i)``, so the union of a sample's
    objects is kept still.

    Args:
        backgrounds: A mask for each pair of a sample and one of its labels.
        samples: Which sample each pair belongs to, 0 to count - 1, in any order.
        count: Number of samples.

    Returns:
        True where a pixel may move; everywhere in a sample without a pair.
    """
    _, height, width = backgrounds.shape
    objects = torch.zeros(count, height, width, dtype=torch.int32, device=backgrounds.device)
    return objects.index_add_(0, samples, (~backgrounds).int()) == 0


def dilate(background: Bool[Tensor, "n h w"], pixels: int) -> Bool[Tensor, "n h w"]:
    """Grow the object, and so shrink the background, by some pixels in every direction.

    A dilation of the object by a square of ``2 * pixels + 1``: what stays background is more than
    ``pixels`` away from the object, in the greater of both coordinates. Nothing lies outside the
    image.

    Args:
        background: True where a pixel may move.
        pixels: At least 0.

    Returns:
        The smaller background.
    """
    # By rows, then by columns: the square is their product.
    kernel = 2 * pixels + 1
    objects = (~background).float()
    objects = F.max_pool2d(objects, (kernel, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(objects, (1, kernel), stride=1, padding=(0, pixels)) == 0


def soften(background: Bool[Tensor, "n h w"], pixels: int) -> Float[Tensor, "n h w"]:
    """Turn the background's edge into a ramp of some pixels.

    ``weight = min(d / (pixels + 1), 1)`` with d the distance to the object in pixels, in the
    greater of both coordinates: 0 on the object, ``1 / (pixels + 1)`` beside it. That is the mean
    of the backgrounds dilated by 0 to ``pixels``.

    Args:
        background: True where a pixel may move.
        pixels: Width of the ramp, at least 0; with 0 the edge stays hard.

    Returns:
        Weights in [0, 1], greater than 0 exactly on the background.
    """
    steps, still = torch.zeros_like(background, dtype=torch.float32), background
    for _ in range(pixels + 1):
        steps += still
        still = dilate(still, 1)
    return steps / (pixels + 1)


@dataclass(frozen=True)
class BackgroundRule:
    """A rule together with what it has to be fed.

    Attributes:
        source: What the mask is made from: upsampled heatmaps, object masks, or only their shape.
        compute: Maps the source and the rule's level to the mask.
        has_level: Whether there is one; the other rules ignore what they are given.
    """

    source: Literal["heatmap", "object", "shape"]
    compute: Callable[[Tensor, float], Tensor]
    has_level: bool = True


BACKGROUND_RULES: dict[str, BackgroundRule] = {
    "quantile": BackgroundRule("heatmap", quantile),
    "fraction": BackgroundRule("heatmap", fraction),
    "threshold": BackgroundRule("heatmap", threshold),
    "otsu": BackgroundRule("heatmap", lambda heatmaps, _: otsu(heatmaps), has_level=False),
    "inverse": BackgroundRule("heatmap", inverse),
    "object": BackgroundRule("object", lambda objects, _: outside_object(objects), has_level=False),
    "full": BackgroundRule("shape", lambda like, _: full(like), has_level=False),
}


def _precise(heatmaps: Float[Tensor, "n h w"]) -> Tensor:
    """Return heatmaps as float32 where they are coarser."""
    return heatmaps.to(torch.promote_types(heatmaps.dtype, torch.float32))


def _bins(heatmaps: Float[Tensor, "n h w"]) -> Tensor:
    """Return the histogram bin of every pixel, 0 to OTSU_BINS - 1."""
    heatmaps = heatmaps.double()  # the span of finite float32 numbers may be no float32
    least = heatmaps.amin(dim=(1, 2), keepdim=True)
    span = heatmaps.amax(dim=(1, 2), keepdim=True) - least
    relative = torch.where(span > 0, (heatmaps - least) / span, 0.0)
    return (relative * OTSU_BINS).long().clamp_(max=OTSU_BINS - 1)


def _histogram(bins: Tensor) -> Tensor:
    """Count the bins of each sample, (n, OTSU_BINS)."""
    samples = bins.shape[0]
    first = torch.arange(samples, device=bins.device)[:, None, None] * OTSU_BINS
    counts = torch.bincount((bins + first).flatten(), minlength=samples * OTSU_BINS)
    return counts.view(samples, OTSU_BINS)


def _between_class_variance(counts: Tensor) -> Tensor:
    """Return the variance between both classes for a split after each bin, (n, OTSU_BINS)."""
    levels = torch.arange(OTSU_BINS, device=counts.device)
    below, moment = counts.cumsum(1), (counts * levels).cumsum(1)
    total, whole = below[:, -1:], moment[:, -1:]
    # w0 * w1 * (mean0 - mean1)**2 without its two divisions by a weight that may be zero.
    difference = (whole * below - total * moment).double()
    return difference.square() / (below * (total - below)).clamp(min=1)
