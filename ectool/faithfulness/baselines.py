"""Heatmaps that do not depend on the model, as baselines of all measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ectool.seeding import stream

_SIGMA = 0.25


def random_maps(
    sample_ids: Sequence[str], seed: int, size: tuple[int, int]
) -> Float[Tensor, "n height width"]:
    """Draw maps of independent uniform values.

    Args:
        sample_ids: Identifiers of the samples; a map depends on its identifier and the seed only.
        seed: Seed of the maps.
        size: (height, width); preferably that of the heatmaps they are compared with, as coarse
            maps remove blobs and fine ones remove single pixels.

    Returns:
        float32 maps in [0, 1).
    """
    maps = np.empty((len(sample_ids), *size), np.float32)
    for row, sample_id in zip(maps, sample_ids, strict=True):
        row[...] = stream(seed, sample_id, "random map").random(size, np.float32)
    return torch.from_numpy(maps)


def centre_map(size: tuple[int, int]) -> Float[Tensor, "height width"]:
    """Return a Gaussian at the centre, its sigma a quarter of each side.

    Photographers place objects at the centre, so this map is a strong baseline.

    Args:
        size: (height, width) of the map.

    Returns:
        A float32 map in (0, 1].
    """
    rows, columns = (((torch.arange(side) + 0.5) / side - 0.5) / _SIGMA for side in size)
    return torch.exp(-0.5 * (rows[:, None].square() + columns.square()))
