"""Part of the background that another image replaces, drawn in tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from ectool.seeding import stream

TILES = 14
"""Approximate number of tiles along a side: 16 pixels wide at 224, 2 at 32."""


def replacement_order(
    background: Bool[np.ndarray, "h w"], draws: np.random.Generator
) -> Int64[np.ndarray, "h w"]:
    """Return the order in which background pixels are replaced: tile by tile, in random order.

    Args:
        background: True outside the object.
        draws: Generator of the order.

    Returns:
        0 for the first pixel, 1 for the next; on the object, whose pixels are never replaced, the
        number of all pixels.
    """
    rows, columns = (np.arange(side) // max(1, side // TILES) for side in background.shape)
    tiles = rows[:, None] * (columns[-1] + 1) + columns
    queue = draws.permutation(int(tiles[-1, -1]) + 1)[tiles]
    times = np.full(background.shape, background.size, np.int64)
    inside = queue[background]
    turns = np.empty(len(inside), np.int64)
    turns[inside.argsort(kind="stable")] = np.arange(len(inside))
    times[background] = turns
    return times


def replaced_share(
    masks: Bool[np.ndarray, "n h w"], sample_ids: Sequence[str], share: float, seed: int
) -> Bool[np.ndarray, "n h w"]:
    """Draw the part of each background that is replaced.

    ``round(share * background pixels)`` pixels in tiles, drawn from (seed, sample id). A larger
    share contains the pixels of every smaller one with the same seed.

    Args:
        masks: True on the object.
        sample_ids: Identifiers of the images.
        share: In [0, 1].
        seed: Seed of the draws.

    Returns:
        True where the background is replaced.
    """
    replaced = np.empty_like(masks)
    for row, (mask, sample_id) in enumerate(zip(masks, sample_ids, strict=True)):
        times = replacement_order(~mask, stream(seed, sample_id, "replaced background"))
        replaced[row] = times < round(share * int((~mask).sum()))
    return replaced
