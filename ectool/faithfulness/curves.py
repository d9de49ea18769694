"""Insertion, deletion and pixel flipping: class probability while pixels are replaced.

All measures take the explained images, and heatmaps on any scale and at any resolution: only the
order of the upsampled pixels matters. `steps` is the number of times that pixels or patches change,
and `substrate` the images that replace or precede the explained ones. Both ends of a curve are
predicted once for all heatmaps. Further cost: one forward pass for each image and point between;
with a `tolerance`, only those by which the area may change by more
(:func:`~ectool.faithfulness.adaptive.adaptive`), and straight lines between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ectool.errors import InputError
from ectool.faithfulness.adaptive import adaptive
from ectool.faithfulness.predictions import Explained, Predictions, Version
from ectool.faithfulness.regions import Heatmaps, patch_ranks, pixel_ranks
from ectool.faithfulness.substrates import Images

PIXEL_STEPS = 28
PATCH, PATCH_STEPS = 9, 100
"""Side and number of the patches in the experiments of Samek et al."""


@dataclass(frozen=True)
class Curves:
    """Predictions for each image while an increasing share of it is changed.

    Attributes:
        shares: Share of the pixels or patches that are changed at each point; where the number of
            steps does not divide that of the pixels, the share of the steps.
        probabilities: Softmax probability of each image's class there.
        correct: Whether that class is the most probable one.
    """

    shares: Float[Tensor, "points"]
    probabilities: Float[Tensor, "n points"]
    correct: Bool[Tensor, "n points"]


def deletion(
    explained: Explained,
    heatmaps: Heatmaps,
    *,
    steps: int = PIXEL_STEPS,
    substrate: Images | None = None,
    tolerance: float | None = None,
) -> Curves:
    """Delete the most relevant pixels first (Petsiuk et al. 2018, RISE, arXiv 1806.07421).

    At point k of ``steps`` the ``k * pixels // steps`` most relevant pixels are those of
    ``substrate``. Where ``steps`` divides the number of pixels that is the authors'
    ``CausalMetric(mode="del", step=pixels / steps)``, but for the order of equally relevant pixels,
    see :func:`~ectool.faithfulness.regions.pixel_ranks`; elsewhere the rest is spread over all
    steps, not left to the last. The authors explain the predicted class; here it is given.

    Args:
        explained: Images, classes and model.
        heatmaps: One for each image.
        steps: Default: 28, those of 224 x 8 pixels in the authors' evaluation of ImageNet.
        substrate: Default: the model's mean colour, as in the paper.
        tolerance: Of the area under each curve. Default: every point is predicted.

    Returns:
        Curves; the lower the area under them, the better.
    """
    finish = explained.mean_coloured if substrate is None else explained.version(substrate)
    return _replace(explained, (explained.clean, finish), heatmaps, steps, tolerance)


def insertion(
    explained: Explained,
    heatmaps: Heatmaps,
    *,
    steps: int = PIXEL_STEPS,
    substrate: Images | None = None,
    tolerance: float | None = None,
) -> Curves:
    """Insert the most relevant pixels first into a blurred image (Petsiuk et al. 2018).

    The reverse of :func:`deletion`: it starts with ``substrate`` and ends with the image, as the
    authors' ``CausalMetric(mode="ins")``.

    Args:
        explained: Images, classes and model.
        heatmaps: One for each image.
        steps: Default: 28, those of 224 x 8 pixels in the authors' evaluation of ImageNet.
        substrate: Default: :func:`~ectool.faithfulness.substrates.blurred`, as in the paper.
        tolerance: Of the area under each curve. Default: every point is predicted.

    Returns:
        Curves; the higher the area under them, the better.
    """
    start = explained.blurred if substrate is None else explained.version(substrate)
    return _replace(explained, (start, explained.clean), heatmaps, steps, tolerance)


def pixel_flipping(
    explained: Explained,
    heatmaps: Heatmaps,
    *,
    patch: int = PATCH,
    steps: int = PATCH_STEPS,
    substrate: Images | None = None,
    tolerance: float | None = None,
) -> Curves:
    """Replace the most relevant patches one by one (Bach et al. 2015; Samek et al. 2017).

    Region perturbation in the order of the patches' mean relevance (Samek et al., eq. 11); with
    ``patch`` 1 the pixel flipping of Bach et al. Patches lie on a grid. Samek et al. replace them
    by uniform noise and follow the logit of the class; here the substrate is given, and its
    probability is followed.

    Args:
        explained: Images, classes and model.
        heatmaps: One for each image.
        patch: Side of the patches in pixels.
        steps: Number of patches that are replaced; at most all of them.
        substrate: Default: the model's mean colour.
        tolerance: Of the area over each curve. Default: every point is predicted.

    Returns:
        Curves; the larger the area over them (AOPC), the better.

    Raises:
        InputError: A patch is larger than the images.
    """
    shorter = min(explained.size)
    if not 1 <= patch <= shorter:
        raise InputError(
            "patch",
            expected=f"1 to {shorter} pixels, the images' shorter side",
            got=str(patch),
            fix="choose a smaller patch",
        )
    finish = explained.mean_coloured if substrate is None else explained.version(substrate)
    ranks = patch_ranks(heatmaps, explained.size, patch)
    patches = math.prod(-(-side // patch) for side in explained.size)
    counts = torch.arange(min(steps, patches) + 1, device=ranks.device)
    ends = explained.clean, finish
    return _follow(explained, ends, ranks, counts, patches, tolerance)


Ends = tuple[Version, Version]
"""The images with which a curve starts, and those with which it finishes."""


def _replace(
    explained: Explained, ends: Ends, heatmaps: Heatmaps, steps: int, tolerance: float | None
) -> Curves:
    """Return the curves between two versions, in steps of the same number of pixels."""
    ranks = pixel_ranks(heatmaps, explained.size)
    pixels = math.prod(explained.size)
    points = torch.arange(steps + 1, device=ranks.device)
    curves = _follow(explained, ends, ranks, points * pixels // steps, pixels, tolerance)
    # The authors integrate over steps, whose numbers of pixels differ by one at most.
    return replace(curves, shares=points / steps)


def _follow(
    explained: Explained,
    ends: Ends,
    ranks: Int[Tensor, "n h w"],
    counts: Int[Tensor, "points"],
    regions: int,
    tolerance: float | None,
) -> Curves:
    """Predict the images in which the first ``counts`` of all ``regions`` are replaced.

    ``counts`` ascend from 0. The predictions of both ends are reused.
    """
    start, finish = ends
    known = {int(p): start.predictions for p in (counts == 0).nonzero()[:, 0]}
    known |= {int(p): finish.predictions for p in (counts == regions).nonzero()[:, 0]}

    def draw(rows: Int[Tensor, "m"], points: Int[Tensor, "m"]) -> Float[Tensor, "m ch h w"]:
        is_replaced = ranks[rows] < counts[points, None, None]
        return torch.where(is_replaced[:, None], finish.images[rows], start.images[rows])

    def predict(rows: Int[Tensor, "m"], points: Int[Tensor, "m"]) -> Predictions:
        return explained.predict_some(rows, points, draw)

    made = adaptive(known, len(counts), predict, tolerance)
    return Curves(counts / regions, made.probabilities, made.correct)
