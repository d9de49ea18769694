"""Forward passes on partly masked images, in batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.models.classifier import Classifier
from ectool.models.memory import pass_size
from ectool.models.modes import frozen, graph_free

Draw = Callable[[Int[Tensor, "m"], Int[Tensor, "m"]], Float[Tensor, "m h w"]]
"""Makes masks, given the indices of their images and of the masks."""


def fade(
    model: Classifier, images: Float[Tensor, "m ch h w"], masks: Float[Tensor, "#m h w"]
) -> Float[Tensor, "m ch h w"]:
    """Return ``mean + (images - mean) * masks`` with the mean colour of the model.

    For normalised images, the input of the network, this is ``images * masks``.

    Args:
        model: The classifier; its mean colour replaces masked pixels.
        images: RGB in [0, 1].
        masks: 1 keeps a pixel and 0 replaces it, both exactly.

    Returns:
        Images with the same dtype and memory format.
    """
    return torch.lerp(model.mean.to(images.dtype), images, masks[:, None].to(images.dtype))


def score_pairs(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    pairs: Int[Tensor, "p 2"],
    draw: Draw,
    classes: Int[Tensor, "n k"],
) -> Float[Tensor, "p k"]:
    """Return the target logits of masked images, in batches of (image, mask) pairs.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        pairs: Indices of an image and a mask.
        draw: Makes the masks of some pairs, see :func:`fade`.
        classes: Target classes of each image; for -1 the result is undefined.

    Returns:
        float32 logits.

    Cost: p forward passes, :func:`pass_size` images at a time; only the last batch may be smaller.
    Memory: that of one such batch.
    """
    size = pass_size(images)
    with graph_free(), frozen(model):
        scores = torch.empty(len(pairs), classes.shape[1], device=classes.device)
        for start in range(0, len(pairs), size):
            image, mask = pairs[start : start + size].unbind(1)
            logits = model(fade(model, images[image], draw(image, mask)))
            scores[start : start + size] = logits.gather(1, classes[image].clamp(min=0))
    return scores
