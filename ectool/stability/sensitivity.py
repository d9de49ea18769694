"""Max-sensitivity: the greatest relative change of an explanation in a small ball."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "n *k rows columns"]
Explain = Callable[[Float[Tensor, "n ch h w"]], Tensor]
"""Draws the heatmaps of images, the classes being fixed."""


def sensitivity_max(
    explain: Explain, heatmaps: Maps, neighbours: Iterable[Float[Tensor, "n ch h w"]]
) -> Float[Tensor, "n *k"]:
    """Return ``max over x' of norm2(h(x') - h(x)) / norm2(h(x))`` for every heatmap.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", arXiv 1901.09392: the
    maximum over a ball around the image, estimated by that over random points of it, so a bound
    from below. Divided by the norm of the clean map, as in the authors' program and in captum.

    Args:
        explain: Explains changed images for the classes of the clean ones.
        heatmaps: h(x), of the clean images.
        neighbours: Batches of images near the clean ones, one after the other.

    Returns:
        At least 0, where 0 means that nothing changes; NaN where the clean map is zero.

    Cost: one explanation of every neighbour.
    """
    length = _length(heatmaps)
    greatest = torch.zeros_like(length)
    for images in neighbours:
        greatest = torch.maximum(greatest, _length(explain(images) - heatmaps))
    return (greatest / length).where(length > 0, torch.nan)


def _length(maps: Tensor) -> Tensor:
    return maps.float().square().sum((-2, -1)).sqrt()
