"""Max-sensitivity: the max relative change of a heatmap in a small ball around the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "n *k rows columns"]
Explain = Callable[[Float[Tensor, "n ch h w"]], Tensor]
"""Returns heatmaps of images for fixed classes."""


def sensitivity_max(
    explain: Explain, heatmaps: Maps, neighbours: Iterable[Float[Tensor, "n ch h w"]]
) -> Float[Tensor, "n *k"]:
    """Return ``max over x' of norm2(h(x') - h(x)) / norm2(h(x))`` for every heatmap.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", arXiv 1901.09392: the
    maximum over a ball around the image. The maximum over random points of the ball is a lower
    bound of it. Divided by the norm of the clean map, as in the authors' program and in captum.

    Args:
        explain: Explains changed images for the classes of the clean ones.
        heatmaps: h(x), of the clean images.
        neighbours: Batches of images close to the clean ones.

    Returns:
        At least 0; 0 where no heatmap changes, NaN where the clean map is zero.

    Cost: one explanation of every neighbour.
    """
    norm = _norm(heatmaps)
    change = torch.zeros_like(norm)
    for images in neighbours:
        change = torch.maximum(change, _norm(explain(images) - heatmaps))
    return (change / norm).where(norm > 0, torch.nan)


def _norm(maps: Tensor) -> Tensor:
    return maps.float().square().sum((-2, -1)).sqrt()
