"""RISE: the mean of random masks, weighted by the probability of the masked image."""

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
"""Number of masks in the paper's experiments with VGG-16; 8000 for ResNet-50."""

_CELLS = 7
_KEPT = 0.5


class RISE:
    """RISE (Petsiuk et al. 2018, arXiv 1806.07421): random masks, weighted by probabilities.

    ``heatmap = sum_i p_y(x * M_i) M_i / (passes * 0.5)``, with p the softmax of the logits and
    ``M_i`` the masks of :func:`random_masks`. The product is with the normalised image x, so
    masked pixels get the mean colour of the model. For multi-label networks p is also the softmax,
    in which labels compete.

    All images get the same masks, which depend only on the seed, so a map depends on neither the
    batch nor the order.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
        passes: Number of masks; the noise of a map decreases with its square root.
        seed: Seed of the masks.
    """

    def __init__(self, model: Classifier, *, passes: int = PASSES, seed: int = 0) -> None:
        self.model = model
        self.passes = passes
        self.seed = seed

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps in probabilities, at the resolution of the images; and the logits.

        Cost: ``passes + 1`` forward passes, for any k. Memory: one more batch of images, or
        :func:`~ectool.models.memory.pass_size` images if that is more.
        """
        with graph_free(), frozen(self.model):
            logits = self.model(images)
            classes = choose_targets(logits, targets)
            columns = classes.view(len(classes), -1)
            heatmaps = torch.zeros(*columns.shape, *images.shape[2:], device=images.device)
            rows = (columns >= 0).any(1)
            if rows.any():
                heatmaps[rows] = self._saliency(images[rows], columns[rows])
            heatmaps.masked_fill_(columns[:, :, None, None] < 0, 0)
        return Explanation(heatmaps.view(*classes.shape, *images.shape[2:]), logits)

    def _saliency(
        self, images: Float[Tensor, "n ch h w"], classes: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k h w"]:
        """Return the mean of the masks, weighted by the probabilities of the masked images."""
        count, size = len(images), (images.shape[2], images.shape[3])
        saliency = torch.zeros(*classes.shape, *size, device=images.device)
        at_once = max(1, pass_size(images) // count)  # a small batch gets several masks per pass
        for masks in random_masks(self.seed, self.passes, size, at_once):
            masks = masks.to(images.device)
            mask, image = _all_pairs(len(masks), count, images.device)
            logits = self.model(fade(self.model, images[image], masks[mask]))
            scores = logits.float().softmax(1).gather(1, classes[image].clamp(min=0))
            scores = scores.view(len(masks), *classes.shape)
            saliency += torch.einsum("mnk,mhw->nkhw", scores, masks)
        return saliency / (self.passes * _KEPT)


def _all_pairs(
    masks: int, images: int, device: torch.device
) -> tuple[Int[Tensor, "p"], Int[Tensor, "p"]]:
    """Return the indices of mask and image for all pairs."""
    pairs = torch.arange(masks * images, device=device)
    return pairs // images, pairs % images


def random_masks(
    seed: int, count: int, size: tuple[int, int], at_once: int
) -> Iterator[Float[Tensor, "m height width"]]:
    """Draw the masks of RISE in batches.

    A grid of 7 x 7 cells, each kept with probability 1/2, is upsampled bilinearly to the size of
    8 x 8 cells and shifted by up to one cell, as in the authors' code.

    Args:
        seed: Seed of the masks.
        count: Number of masks.
        size: (height, width) of the masks in pixels.
        at_once: Number of masks per batch.

    Yields:
        float32 masks in [0, 1], on the CPU; ``at_once`` does not change them.
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
