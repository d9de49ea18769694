"""ROAD (remove and debias): class probability while pixels are removed and imputed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ectool.errors import InputError
from ectool.faithfulness.curves import Curves
from ectool.faithfulness.imputation import impute
from ectool.faithfulness.predictions import Explained
from ectool.faithfulness.regions import Heatmaps, pixel_ranks
from ectool.faithfulness.substrates import Images
from ectool.seeding import stream

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the pixels that are removed in the paper's benchmark."""
NOISE = 0.01
"""Standard deviation of the noise on imputed pixels in the authors' code."""

Order = Literal["morf", "lerf"]
"""Most relevant first, or least relevant first."""


def road(
    explained: Explained,
    heatmaps: Heatmaps,
    sample_ids: Sequence[str],
    *,
    order: Order = "morf",
    shares: Sequence[float] = SHARES,
    noise: float = NOISE,
    seed: int = 0,
) -> Curves:
    """Remove pixels and impute them, so that the shape of the hole carries no information.

    Rong et al. 2022 (arXiv 2202.00449): of an image the ``int(share * pixels)`` most (MoRF) or
    least (LeRF) relevant pixels are removed, filled by
    :func:`~ectool.faithfulness.imputation.impute`, and normal noise is added to them. The paper
    reports the mean of ``correct`` for each share. Deviations: noise is drawn from (seed, sample
    id), one field for all shares; :func:`~ectool.faithfulness.regions.pixel_ranks` orders equally
    relevant pixels by position, the authors at random.

    Args:
        explained: Images, classes and model.
        heatmaps: On any scale and at any resolution.
        sample_ids: Identifiers of the samples.
        order: Which pixels are removed first.
        shares: Shares of the pixels to remove, from 0 to below 1, ascending.
        noise: Standard deviation of the noise, in pixels of [0, 1].
        seed: Seed of the noise.

    Returns:
        Curves; good heatmaps have low ones in MoRF order and high ones in LeRF order.

    Raises:
        InputError: A share is not in [0, 1), or they do not ascend.

    Cost: one forward pass and one imputation for each image and share.
    """
    _check(shares)
    images, pixels = explained.images, math.prod(explained.size)
    counts = torch.tensor([int(share * pixels) for share in shares], device=images.device)
    ranks = pixel_ranks(heatmaps, explained.size)
    ranks = ranks if order == "morf" else pixels - 1 - ranks
    fields = noise * _normal(images, sample_ids, seed)

    def draw(rows: Int[Tensor, "m"], points: Int[Tensor, "m"]) -> Float[Tensor, "m ch h w"]:
        kept = ranks[rows] >= counts[points, None, None]
        filled = impute(images[rows], kept)
        return torch.where(kept[:, None], filled, filled + fields[rows])

    predictions = explained.predict(len(shares), draw)
    removed = torch.tensor(shares, device=images.device)
    return Curves(removed, predictions.probabilities, predictions.correct)


def _normal(images: Images, sample_ids: Sequence[str], seed: int) -> Images:
    fields = [
        stream(seed, sample_id, "road").standard_normal(images.shape[1:], np.float32)
        for sample_id in sample_ids
    ]
    return torch.from_numpy(np.stack(fields)).to(images)


def _check(shares: Sequence[float]) -> None:
    ascending = all(low < high for low, high in pairwise(shares))
    if not (shares and ascending and shares[0] >= 0 and shares[-1] < 1):
        raise InputError(
            "shares of removed pixels",
            expected="ascending numbers from 0 to below 1",
            got=", ".join(str(share) for share in shares) or "none",
            fix="leave at least one pixel to impute from",
        )
