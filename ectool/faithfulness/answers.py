"""What a model answers to many changed versions of each picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ectool.models.modes import frozen, graph_free
from ectool.models.passes import pass_size

Draw = Callable[[Int[Tensor, "m"], Int[Tensor, "m"]], Float[Tensor, "m ch h w"]]
"""Makes changed pictures, given the numbers of the pictures and of the versions of them."""


@dataclass(frozen=True)
class Answers:
    """Answers to every version of every picture.

    Attributes:
        probabilities: Softmax probability of each picture's class, float32.
        correct: Whether that class is the most probable one.
    """

    probabilities: Float[Tensor, "n versions"]
    correct: Bool[Tensor, "n versions"]


def ask(
    model: nn.Module,
    images: Float[Tensor, "n ch h w"],
    versions: int,
    draw: Draw,
    targets: Int[Tensor, "n"],
) -> Answers:
    """Ask a model about versions of pictures, packed over pictures and versions alike.

    Args:
        model: Maps pixels in [0, 1] to logits; left as found.
        images: The pictures, which tell how many fit into a pass.
        versions: How many of each picture.
        draw: Makes them.
        targets: The class of each picture.

    Returns:
        The answers, on the device of the pictures.

    Cost: ``n * versions`` forward passes, :func:`~ectool.models.passes.pass_size` at a time; only
    the last may have another shape. Memory: that of one such pass.
    """
    count, size = len(images) * versions, pass_size(images)
    classes = targets.to(images.device, torch.int64)
    probabilities = torch.empty(count, device=images.device)
    correct = torch.empty(count, dtype=torch.bool, device=images.device)
    with graph_free(), frozen(model):
        for start in range(0, count, size):
            pairs = torch.arange(start, min(start + size, count), device=images.device)
            rows = pairs // versions
            answers = model(draw(rows, pairs % versions)).float().softmax(1)
            asked = classes[rows]
            probabilities[pairs] = answers.gather(1, asked[:, None])[:, 0]
            correct[pairs] = answers.argmax(1) == asked
    return Answers(probabilities.view(-1, versions), correct.view(-1, versions))
