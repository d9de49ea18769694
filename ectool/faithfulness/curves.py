"""Insertion, deletion and pixel flipping: the class's probability while pixels come or go."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ectool.errors import InputError
from ectool.faithfulness.answers import ask
from ectool.faithfulness.regions import Heatmaps, patch_ranks, pixel_ranks
from ectool.faithfulness.substrates import Images, blurred, mean_colour
from ectool.models.classifier import Classifier

STEPS = 224
"""The paper's: one row's worth of pixels at a time, of pictures of 224."""
PATCH, PATCH_STEPS = 9, 100
"""Side and number of the patches in the experiments of Samek et al."""


@dataclass(frozen=True)
class Curves:
    """What a model answers to each picture while more and more of it is changed.

    Attributes:
        shares: Share of the pixels, or patches, that have been changed at each point.
        probabilities: Softmax probability of each picture's class there.
        correct: Whether that class is the most probable one.
    """

    shares: Float[Tensor, "points"]
    probabilities: Float[Tensor, "n points"]
    correct: Bool[Tensor, "n points"]

    @property
    def auc(self) -> Float[Tensor, "n"]:
        """Return the area under each curve, by trapezoids, over the width: in [0, 1]."""
        width = self.shares[-1] - self.shares[0]
        return torch.trapezoid(self.probabilities, self.shares) / width

    @property
    def aopc(self) -> Float[Tensor, "n"]:
        """Return the area over each perturbation curve, in [-1, 1].

        ``mean_k p(x_0) - p(x_k)`` over all points k (Samek et al. 2017, eq. 12).
        """
        return (self.probabilities[:, :1] - self.probabilities).mean(1)


def deletion(
    model: Classifier,
    images: Images,
    heatmaps: Heatmaps,
    targets: Int[Tensor, "n"],
    *,
    steps: int = STEPS,
    substrate: Images | None = None,
) -> Curves:
    """Delete the most relevant pixels first (Petsiuk et al. 2018, RISE, arXiv 1806.07421).

    At point k of ``steps`` the ``k * pixels // steps`` most relevant pixels are those of
    ``substrate``. Where ``steps`` divides the number of pixels that is the authors'
    ``CausalMetric(mode="del", step=pixels / steps)``, but for the order of equally relevant pixels,
    see :func:`~ectool.faithfulness.regions.pixel_ranks`; elsewhere the rest is spread over all
    steps, not left to the last. They explain the predicted class; here it is given.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1], on the model's device.
        heatmaps: On any scale and at any resolution.
        targets: The class of each picture; of several labels each is a row of its own.
        steps: How many times pixels are deleted.
        substrate: What takes their place. Default: the model's mean colour, as in the paper.

    Returns:
        Curves; the lower ``auc`` the better.

    Cost: ``steps + 1`` forward passes for each picture.
    """
    finish = mean_colour(model, images) if substrate is None else substrate
    return _replace(model, images, finish, heatmaps, targets, steps)


def insertion(
    model: Classifier,
    images: Images,
    heatmaps: Heatmaps,
    targets: Int[Tensor, "n"],
    *,
    steps: int = STEPS,
    substrate: Images | None = None,
) -> Curves:
    """Insert the most relevant pixels first into a blurred picture (Petsiuk et al. 2018).

    :func:`deletion` the other way round: it begins with ``substrate`` and ends with the picture,
    as the authors' ``CausalMetric(mode="ins")``.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1], on the model's device.
        heatmaps: On any scale and at any resolution.
        targets: The class of each picture; of several labels each is a row of its own.
        steps: How many times pixels are inserted.
        substrate: What it begins with. Default: :func:`~ectool.faithfulness.substrates.blurred`.

    Returns:
        Curves; the higher ``auc`` the better.

    Cost: ``steps + 1`` forward passes for each picture.
    """
    start = blurred(model, images) if substrate is None else substrate
    return _replace(model, start, images, heatmaps, targets, steps)


def pixel_flipping(
    model: Classifier,
    images: Images,
    heatmaps: Heatmaps,
    targets: Int[Tensor, "n"],
    *,
    patch: int = PATCH,
    steps: int = PATCH_STEPS,
    substrate: Images | None = None,
) -> Curves:
    """Replace the most relevant patches one by one (Bach et al. 2015; Samek et al. 2017).

    Region perturbation in the order of the patches' mean relevance (Samek et al., eq. 11); with
    ``patch`` 1 the pixel flipping of Bach et al. Patches lie on a grid. Samek et al. replace them
    by uniform noise (:func:`~ectool.faithfulness.substrates.uniform_noise`), and follow the class's
    logit; here it is its probability.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1], on the model's device.
        heatmaps: On any scale and at any resolution.
        targets: The class of each picture; of several labels each is a row of its own.
        patch: Side of the patches in pixels.
        steps: How many patches are replaced; at most all there are.
        substrate: What takes their place. Default: the model's mean colour.

    Returns:
        Curves; the higher ``aopc`` the better.

    Raises:
        InputError: A patch is larger than the pictures.

    Cost: ``steps + 1`` forward passes for each picture.
    """
    if not 1 <= patch <= min(images.shape[2:]):
        raise InputError(
            "patch",
            expected=f"1 to {min(images.shape[2:])} pixels, the pictures' shorter side",
            got=str(patch),
            fix="take a smaller patch",
        )
    finish = mean_colour(model, images) if substrate is None else substrate
    ranks = patch_ranks(heatmaps, _size(images), patch)
    patches = int(ranks[:1].max()) + 1 if len(ranks) else 1
    counts = torch.arange(min(steps, patches) + 1, device=images.device)
    return _follow(model, images, finish, ranks, counts, patches, targets)


def _replace(
    model: Classifier,
    start: Images,
    finish: Images,
    heatmaps: Heatmaps,
    targets: Int[Tensor, "n"],
    steps: int,
) -> Curves:
    """Go from ``start`` to ``finish`` in steps of equally many pixels."""
    height, width = _size(start)
    counts = torch.arange(steps + 1, device=start.device) * (height * width) // steps
    ranks = pixel_ranks(heatmaps, (height, width))
    return _follow(model, start, finish, ranks, counts, height * width, targets)


def _follow(
    model: Classifier,
    start: Images,
    finish: Images,
    ranks: Int[Tensor, "n h w"],
    counts: Int[Tensor, "points"],
    regions: int,
    targets: Int[Tensor, "n"],
) -> Curves:
    """Ask about the pictures in which the first ``counts`` of all ``regions`` are replaced."""

    def draw(rows: Int[Tensor, "m"], points: Int[Tensor, "m"]) -> Float[Tensor, "m ch h w"]:
        is_replaced = ranks[rows] < counts[points, None, None]
        return torch.where(is_replaced[:, None], finish[rows], start[rows])

    answers = ask(model, start, len(counts), draw, targets)
    return Curves(counts / regions, answers.probabilities, answers.correct)


def _size(images: Images) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
