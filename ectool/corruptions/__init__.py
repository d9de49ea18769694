"""Common corruptions of images (Hendrycks and Dietterich, ICLR 2019), on the CPU.

"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
https://arxiv.org/abs/1903.12261. Every kind is a function of images of one size, a severity
from 1 to 5 and a generator for each image. Formulas and constants are those of the authors'
programs, for three image sizes (see `Severities`). Eighteen of their nineteen kinds are here; frost
needs photographs. Deviations in all kinds: results are rounded to the nearest level once, at the
end (the authors truncate), and are not compressed (ImageNet-C is saved as JPEG of quality 85).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from ectool.corruptions.blur import (
    defocus_blur,
    gaussian_blur,
    glass_blur,
    motion_blur,
    zoom_blur,
)
from ectool.corruptions.digital import (
    contrast,
    elastic_transform,
    jpeg_compression,
    pixelate,
    saturate,
)
from ectool.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from ectool.corruptions.pixels import Generators, Images
from ectool.corruptions.severities import SEVERITIES
from ectool.corruptions.spatter import spatter
from ectool.corruptions.weather import brightness, fog, snow
from ectool.seeding import stream

Corruption = Callable[[Images, int, Generators], Images]

CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "saturate": saturate,
}
HELD_OUT_KINDS = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""Kinds that ImageNet-C keeps for validation; the corruption error is that of the others."""
BENCHMARK_KINDS = tuple(kind for kind in CORRUPTIONS if kind not in HELD_OUT_KINDS)
"""Kinds of the corruption error: ImageNet-C's fifteen without frost."""
TOGETHER = 1 << 15
"""Pixels that are corrupted at a time: many small images, as each call has a constant cost, and one
large image, so that its planes stay in the cache."""


def corrupt(
    images: UInt8[np.ndarray, "n 3 h w"],
    kind: str,
    severity: int,
    *,
    sample_ids: Sequence[str],
    seed: int,
) -> UInt8[np.ndarray, "n 3 h w"]:
    """Corrupt images, with separate random numbers for each image.

    The random numbers are drawn from (seed, sample id, kind). So neither batch nor order changes an
    image, and all severities of a kind use the same draws.

    Args:
        images: Images of one size.
        kind: One of `CORRUPTIONS`.
        severity: 1 (mild) to 5 (strong).
        sample_ids: Stable identifiers of the samples.
        seed: Seed of the whole run.

    Returns:
        The corrupted images.

    Raises:
        KeyError: The kind is unknown.
        ValueError: The numbers of identifiers and images differ.
        InputError: The severity is not 1 to 5.
    """
    if len(images) != len(sample_ids):
        raise ValueError(f"{len(images)} images, {len(sample_ids)} identifiers")
    corrupted = np.empty_like(images)
    step = max(1, TOGETHER // math.prod(images.shape[2:]))
    for start in range(0, len(images), step):
        some = slice(start, start + step)
        generators = (stream(seed, sample_id, kind) for sample_id in sample_ids[some])
        corrupted[some] = CORRUPTIONS[kind](images[some], severity, generators)
    return corrupted


__all__ = [
    "BENCHMARK_KINDS",
    "CORRUPTIONS",
    "HELD_OUT_KINDS",
    "SEVERITIES",
    "Corruption",
    "corrupt",
]
