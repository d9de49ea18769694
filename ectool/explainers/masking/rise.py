"""RISE: a pixel counts for how sure the model is when it can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from ectool.explainers.base import Explanation, Targets, choose_targets
from ectool.explainers.masked_passes import fade
from ectool.models.classifier import Classifier
from ectool.models.memory import pass_size
from ectool.models.modes import frozen, graph_free
from ectool.seeding import stream

PASSES = 4000
"""The number of masks of the paper's experiments with VGG-16; 8000 for ResNet-50."""

_CELLS = 7
_KEPT = 0.5


class RISE:
    """RISE (Petsiuk et al. 2018, arXiv 1806.07421): random masks, weighted by the answers.

    ``heatmap = sum_i p_y(x * M_i) M_i / (passes * 0.5)``, with p the softmax of the logits and
    ``M_i`` the masks of :func:`random_masks`. The product is that with the normalised image x, so
    what a mask hides takes the model's mean colour. For networks of several labels p is the
    softmax as well: a label competes with the others there.

    Every image sees the same masks, which belong to the seed alone, so a map depends neither on
    the batch nor on the order.

    Args:
        model: The classifier. Each call leaves its modes, gradients and hooks as found.
        passes: Number of masks; the noise of a map falls with its square root.
        seed: Which masks.
    """

    def __init__(self, model: Classifier, *, passes: int = PASSES, seed: int = 0) -> None:
        self.model = model
        self.passes = passes
        self.seed = seed

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; what it takes is in :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps in probabilities, at the resolution of the images; and the logits.

        Cost: ``passes + 1`` forward passes, whatever k is. Memory: one more batch of images, or
        :func:`~ectool.models.memory.pass_size` of them if that is more.
        """
        with graph_free(), frozen(self.model):
            logits = self.model(images)
            classes = choose_targets(logits, targets)
            columns = classes.view(len(classes), -1)
            heatmaps = torch.zeros(*columns.shape, *images.shape[2:], device=images.device)
            asked = (columns >= 0).any(1)
            if asked.any():
                heatmaps[asked] = self._saliency(images[asked], columns[asked])
            heatmaps.masked_fill_(columns[:, :, None, None] < 0, 0)
        return Explanation(heatmaps.view(*classes.shape, *images.shape[2:]), logits)

    def _saliency(
        self, images: Float[Tensor, "n ch h w"], classes: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k h w"]:
        """Return the mean of the masks, each weighted by the probability it leaves."""
        count, size = len(images), (images.shape[2], images.shape[3])
        saliency = torch.zeros(*classes.shape, *size, device=images.device)
        at_once = max(1, pass_size(images) // count)  # a small batch sees several masks in one pass
        for masks in random_masks(self.seed, self.passes, size, at_once):
            masks = masks.to(images.device)
            mask, image = _all_pairs(len(masks), count, images.device)
            logits = self.model(fade(self.model, images[image], masks[mask]))
            answers = logits.float().softmax(1).gather(1, classes[image].clamp(min=0))
            answers = answers.view(len(masks), *classes.shape)
            saliency += torch.einsum("mnk,mhw->nkhw", answers, masks)
        return saliency / (self.passes * _KEPT)


def _all_pairs(
    masks: int, images: int, device: torch.device
) -> tuple[Int[Tensor, "p"], Int[Tensor, "p"]]:
    """Return the numbers of mask and image for every mask with every image."""
    pairs = torch.arange(masks * images, device=device)
    return pairs // images, pairs % images


def random_masks(
    seed: int, count: int, size: tuple[int, int], at_once: int
) -> Iterator[Float[Tensor, "m height width"]]:
    """Draw the masks of RISE, some at a time.

    A grid of 7 x 7 cells, each kept with probability 1/2, upsampled bilinearly to 8 x 8 cells'
    worth of pixels and shifted by up to a cell, as in the authors' code.

    Args:
        seed: Seed of the masks.
        count: How many.
        size: (height, width) of the masks in pixels.
        at_once: How many to yield together.

    Yields:
        float32 masks in [0, 1], on the CPU; together the same, whatever ``at_once`` is.
    """
    generator = stream(seed, "rise")
    grids = torch.from_numpy(generator.random((count, 1, _CELLS, _CELLS)) < _KEPT).float()
    cell = [math.ceil(side / _CELLS) for side in size]
    shifts = generator.integers(0, cell, (count, 2)).tolist()
    large = [side * (_CELLS + 1) for side in cell]
    for start in range(0, count, at_once):
        upsampled = F.interpolate(grids[start : start + at_once], large, mode="bilinear")[:, 0]
        yield torch.stack(
            [
                mask[top : top + size[0], left : left + size[1]]
                for mask, (top, left) in zip(upsampled, shifts[start:], strict=False)
            ]
        )
