"""How alike two heatmaps of each sample are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from ectool.consistency.blocks import blockwise
from ectool.consistency.multilabel import average_over_labels, label_similarity
from ectool.consistency.similarity import ssim, top_iou
from ectool.metrics.agreement import rank_correlation
from ectool.stages.common.constant_maps import is_constant

Maps = Float[np.ndarray, "n h w"]
Scores = Float[np.ndarray, "n"]
Agreement = Callable[[Maps, Maps], Scores]


def scaled_ssim(first: Maps, second: Maps) -> Scores:
    """Return the structural similarity of maps in units of their own maximum.

    Different networks and methods draw on different scales.
    """
    return ssim(_scaled(first), _scaled(second))


AGREEMENTS: Mapping[str, Agreement] = {
    "rank_correlation": rank_correlation,
    "ssim": scaled_ssim,
    "top_iou": top_iou,
}


def agree(
    agreement: Agreement, first: Tensor, second: Tensor, targets: Int64[np.ndarray, "n *k"]
) -> Float[np.ndarray, "n"]:
    """Return how alike the second heatmaps are to the first ones, in bounded memory.

    Args:
        agreement: One of `AGREEMENTS`.
        first: Heatmaps (n, h, w), or (n, k, h, w) of samples with several labels.
        second: Heatmaps for the same targets.
        targets: The explained classes, with -1 for none.

    Returns:
        Of each sample, the mean over its targets. Undefined (NaN) where the first map is constant:
        there is nothing that the second one could resemble.
    """

    def defined(a: Maps, b: Maps) -> Scores:
        return np.where(is_constant(a), np.nan, agreement(a, b))

    a, b = (maps.cpu().numpy() for maps in (first, second))
    if targets.ndim == 1:
        return blockwise(defined, a, b)
    return average_over_labels(label_similarity(defined, a, b, targets))


def _scaled(maps: Maps) -> Maps:
    peaks = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(peaks > 0, peaks, 1)
