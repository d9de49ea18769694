"""Background masks: the pixels that a semantic-preserving perturbation may change.

Every rule works on each sample separately, so results do not depend on the batch. Half-precision
heatmaps are compared as float32, because a threshold rounded to bfloat16 would miss values.
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

from ectool.options import rounded_up

OTSU_BINS = 256
TRUNCATE = 3.0
"""Radius at which the Gaussian of `smooth` is truncated, in standard deviations."""


def quantile(heatmaps: Float[Tensor, "n h w"], q: float = 0.5) -> Bool[Tensor, "n h w"]:
    """Select the pixels at or below the q-quantile of the heatmap.

    ``background = heatmap <= t`` with t the ``ceil(q * h * w)``-th smallest value (the inverted
    distribution function, without interpolation), so at least a share q is background. All pixels
    equal to t are background: an all-zero or constant map makes the whole image background, and
    if more than q * h * w values are zero, all zeros are background.

    Args:
        heatmaps: Heatmaps upsampled to the size of the images.
        q: Share of the pixels, in [0, 1]; 0 selects only the minimum.

    Returns:
        True where a pixel may change.
    """
    heatmaps = _precise(heatmaps)
    values = heatmaps.flatten(1)
    rank = max(1, rounded_up(q, values.shape[1]))
    return heatmaps <= _smallest(values, rank)[:, None, None]


def _smallest(values: Float[Tensor, "n m"], rank: int) -> Float[Tensor, "n"]:
    """Return the value of a rank, from 1, in each row."""
    if torch.are_deterministic_algorithms_enabled():
        # On GPUs `kthvalue` is refused then, because of its second result, the index.
        return values.sort(dim=1).values[:, rank - 1]
    return values.kthvalue(rank, dim=1).values


def fraction(heatmaps: Float[Tensor, "n h w"], share: float = 0.2) -> Bool[Tensor, "n h w"]:
    """Select the pixels at or below a fixed fraction of the heatmap's maximum.

    ``background = heatmap <= share * max(heatmap)``; 0.2 is the fraction of Zhou et al. 2016
    (class activation mapping). For an all-zero map the whole image is background; for a constant
    positive map nothing is.

    Args:
        heatmaps: Non-negative heatmaps upsampled to the size of the images.
        share: Fraction of the maximum, in [0, 1].

    Returns:
        True where a pixel may change.
    """
    heatmaps = _precise(heatmaps)
    return heatmaps <= share * heatmaps.amax(dim=(1, 2), keepdim=True)


def threshold(heatmaps: Float[Tensor, "n h w"], level: float) -> Bool[Tensor, "n h w"]:
    """Select the pixels at or below a fixed threshold: ``background = heatmap <= level``.

    Args:
        heatmaps: Non-negative heatmaps upsampled to the size of the images.
        level: On the raw scale of the heatmaps, which depends on the model and the method.

    Returns:
        True where a pixel may change.
    """
    return _precise(heatmaps) <= level


def otsu(heatmaps: Float[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Select the lower class of Otsu's threshold on each heatmap's histogram.

    The histogram has 256 equal bins between the map's minimum and maximum. The threshold maximizes
    the between-class variance ``w0 * w1 * (mean0 - mean1)**2`` (Otsu 1979); ties go to the lowest.
    For an all-zero or constant map the whole image is background.

    Args:
        heatmaps: Finite heatmaps upsampled to the size of the images.

    Returns:
        True where a pixel may change.
    """
    bins = _bins(heatmaps)
    split = _between_class_variance(_histogram(bins)).argmax(dim=1)
    return bins <= split[:, None, None]


def inverse(heatmaps: Float[Tensor, "n h w"], q: float = 0.5) -> Bool[Tensor, "n h w"]:
    """Select the pixels above the q-quantile: an ablation that perturbs the relevant pixels.

    Args:
        heatmaps: Heatmaps upsampled to the size of the images.
        q: Share of the pixels that stay unchanged, in [0, 1].

    Returns:
        The complement of ``quantile``; False everywhere for a constant map.
    """
    return ~quantile(heatmaps, q)


def outside_object(objects: Bool[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Select the pixels outside the annotated object.

    Args:
        objects: True on the object.

    Returns:
        True where a pixel may change.
    """
    return ~objects


def full(like: Shaped[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Select every pixel, for attacks without a mask.

    Args:
        like: A tensor with the shape and device of the result.

    Returns:
        True everywhere.
    """
    return torch.ones_like(like, dtype=torch.bool)


def intersect(
    backgrounds: Bool[Tensor, "p h w"], samples: Int64[Tensor, "p"], count: int
) -> Bool[Tensor, "n h w"]:
    """Select the pixels that are background for every explained label of a sample.

    ``background[i] = all(backgrounds[p] for p with samples[p] == i)``, so no
    object of a sample changes.

    Args:
        backgrounds: A mask for each pair of a sample and one of its labels.
        samples: Index of each pair's sample, 0 to count - 1, in any order.
        count: Number of samples.

    Returns:
        True where a pixel may change; everywhere in a sample without a pair.
    """
    _, height, width = backgrounds.shape
    objects = torch.zeros(count, height, width, dtype=torch.int32, device=backgrounds.device)
    return objects.index_add_(0, samples, (~backgrounds).int()) == 0


def smooth(maps: Float[Tensor, "n h w"], sigma: float) -> Float[Tensor, "n h w"]:
    """Convolve maps with a Gaussian of `sigma` pixels, truncated at three of them.

    Edges are reflected without repeating the edge.
    """
    reach = min(math.ceil(TRUNCATE * sigma), min(maps.shape[1:]) - 1)
    if reach == 0:
        return maps
    kernel = gaussian(sigma, reach, maps)
    planes = F.pad(maps[:, None], (reach,) * 4, mode="reflect")
    rows = F.conv2d(planes, kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0]


def gaussian(sigma: float, reach: int, like: Tensor) -> Float[Tensor, "k"]:
    """Return a Gaussian of `sigma` pixels with sum 1, truncated at `reach`; as `like` otherwise."""
    offsets = torch.arange(-reach, reach + 1, device=like.device, dtype=like.dtype)
    kernel = (-0.5 * (offsets / sigma).square()).exp()
    return kernel / kernel.sum()


def dilate(background: Bool[Tensor, "n h w"], pixels: int) -> Bool[Tensor, "n h w"]:
    """Dilate the object by some pixels in every direction, which shrinks the background.

    The structuring element is a square of side ``2 * pixels + 1``: the remaining background is more
    than ``pixels`` away from the object in the maximum norm. There is no object outside the image.

    Args:
        background: True where a pixel may change.
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
    """Replace the background's hard edge by a linear ramp.

    ``weight = min(d / (pixels + 1), 1)`` with d the distance to the object in pixels, in the
    maximum norm: 0 on the object, ``1 / (pixels + 1)`` next to it. This equals the mean of the
    backgrounds dilated by 0 to ``pixels``.

    Args:
        background: True where a pixel may change.
        pixels: Width of the ramp, at least 0; 0 keeps the hard edge.

    Returns:
        Weights in [0, 1], positive exactly on the background.
    """
    steps, still = torch.zeros_like(background, dtype=torch.float32), background
    for _ in range(pixels + 1):
        steps += still
        still = dilate(still, 1)
    return steps / (pixels + 1)


def split(
    weight: Bool[Tensor, "n h w"] | Float[Tensor, "n h w"], object_share: float
) -> Float[Tensor, "n h w"]:
    """Give the object a radius of its own: ``object_share + (1 - object_share) * weight``.

    Args:
        weight: Share of the radius at each pixel, 0 on the object.
        object_share: Radius on the object as a share of that on the background, in [0, 1].

    Returns:
        Weights in [object_share, 1]; exactly 1 where the weight is 1.
    """
    soft = weight.float()
    return torch.lerp(torch.full_like(soft, object_share), torch.ones_like(soft), soft)


@dataclass(frozen=True)
class BackgroundRule:
    """A mask rule and what it requires.

    Attributes:
        source: Input of the rule: upsampled heatmaps, object masks, or only the shape.
        compute: Maps the source and the level to the mask.
        has_level: Whether the rule uses the level.
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
    """Return heatmaps in float32 or the higher precision they have."""
    return heatmaps.to(torch.promote_types(heatmaps.dtype, torch.float32))


def _bins(heatmaps: Float[Tensor, "n h w"]) -> Tensor:
    """Return the histogram bin of every pixel, 0 to OTSU_BINS - 1."""
    heatmaps = heatmaps.double()  # the difference of finite float32 numbers may overflow float32
    minimum = heatmaps.amin(dim=(1, 2), keepdim=True)
    span = heatmaps.amax(dim=(1, 2), keepdim=True) - minimum
    relative = torch.where(span > 0, (heatmaps - minimum) / span, 0.0)
    return (relative * OTSU_BINS).long().clamp_(max=OTSU_BINS - 1)


def _histogram(bins: Tensor) -> Tensor:
    """Count the bins of each sample, (n, OTSU_BINS)."""
    samples = bins.shape[0]
    first = torch.arange(samples, device=bins.device)[:, None, None] * OTSU_BINS
    counts = torch.bincount((bins + first).flatten(), minlength=samples * OTSU_BINS)
    return counts.view(samples, OTSU_BINS)


def _between_class_variance(counts: Tensor) -> Tensor:
    """Return the between-class variance for a threshold after each bin, (n, OTSU_BINS)."""
    levels = torch.arange(OTSU_BINS, device=counts.device)
    below, moment = counts.cumsum(1), (counts * levels).cumsum(1)
    total, whole = below[:, -1:], moment[:, -1:]
    # w0 * w1 * (mean0 - mean1)**2, without dividing by w0 or w1, which may be zero.
    difference = (whole * below - total * moment).double()
    return difference.square() / (below * (total - below)).clamp(min=1)
