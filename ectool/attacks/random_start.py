"""A random start for the attack that belongs to the sample, not to the batch it came in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from ectool.seeding import stream


def random_start(
    sample_ids: Sequence[str], seed: int, shape: tuple[int, int, int], eps: float
) -> Float32[Tensor, "n c h w"]:
    """Draw a uniform perturbation in [-eps, eps] for every sample.

    Each sample has the stream of (seed, sample_id, "perturb"), so the draw is the same in any
    batch, order, process or device.

    Args:
        sample_ids: Stable identifiers of the samples.
        seed: Seed of the whole run.
        shape: Channels, height and width of a picture.
        eps: Half width of the interval in pixel units.

    Returns:
        Perturbations on the CPU, to be added to the clean pixels.
    """
    draws = np.empty((len(sample_ids), *shape), dtype=np.float32)
    for draw, sample_id in zip(draws, sample_ids, strict=True):
        stream(seed, sample_id, "perturb").random(out=draw, dtype=np.float32)
    # 2u - 1 is exact in float32, so no value leaves [-eps, eps].
    draws *= 2
    draws -= 1
    draws *= np.float32(eps)
    return torch.from_numpy(draws)
