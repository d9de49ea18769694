"""Ask a model about partly masked images, many at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.models.classifier import Classifier
from ectool.models.memory import pass_size
from ectool.models.modes import frozen, graph_free

Draw = Callable[[Int[Tensor, "m"], Int[Tensor, "m"]], Float[Tensor, "m h w"]]
"""Makes masks, given the numbers of the images they are for and their own."""


def fade(
    model: Classifier, images: Float[Tensor, "m ch h w"], masks: Float[Tensor, "#m h w"]
) -> Float[Tensor, "m ch h w"]:
    """Return ``mean + (images - mean) * masks``, with the mean colour the model subtracts.

    In what the network sees, normalised images, that is ``images * masks``.

    Args:
        model: Whose mean colour takes the place of what is masked out.
        images: RGB in [0, 1].
        masks: 1 keeps a pixel, 0 replaces it, both exactly.

    Returns:
        Images of the same type and memory format.
    """
    return torch.lerp(model.mean.to(images.dtype), images, masks[:, None].to(images.dtype))


def score_pairs(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    pairs: Int[Tensor, "p 2"],
    draw: Draw,
    classes: Int[Tensor, "n k"],
) -> Float[Tensor, "p k"]:
    """Return the target logits of masked images, packed over images and masks alike.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].
        pairs: Which image goes with which mask.
        draw: Makes the masks of some pairs, see :func:`fade`.
        classes: The classes each image is asked about; for -1 the result means nothing.

    Returns:
        float32 logits.

    Cost: p forward passes, :func:`pass_size` at a time; only the last may have another shape.
    Memory: that of one such pass.
    """
    size = pass_size(images)
    with graph_free(), frozen(model):
        scores = torch.empty(len(pairs), classes.shape[1], device=classes.device)
        for start in range(0, len(pairs), size):
            image, mask = pairs[start : start + size].unbind(1)
            logits = model(fade(model, images[image], draw(image, mask)))
            scores[start : start + size] = logits.gather(1, classes[image].clamp(min=0))
    return scores
