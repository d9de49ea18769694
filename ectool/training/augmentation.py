"""Training augmentation: crop, flip, RandAugment.

Every draw depends on (seed, epoch, sample id) only, not on batches, workers or resuming.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from ectool.seeding import stream

Image = UInt8[Tensor, "3 h w"]
Operation = Callable[[Tensor, float, int], Tensor]

RATIO = (3 / 4, 4 / 3)
"""Range of the aspect ratio (width / height) of a random crop, as in torchvision."""
BINS = 31
"""Magnitudes of RandAugment: 0 to 30."""
N_OPERATIONS = 2
_TRIES = 10
_BLACK = [0.0, 0.0, 0.0]


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of training images.

    Attributes:
        crop_scale: Minimum share of the image's area in a random crop; None for no crop.
        flip: Whether to mirror images with probability 1/2.
        magnitude: Magnitude of RandAugment, 0 to 30; 0 for no RandAugment.
        seed: Seed of the run.
    """

    crop_scale: float | None
    flip: bool
    magnitude: int
    seed: int

    @property
    def moves(self) -> bool:
        """Return whether it moves the pixels of an image between epochs."""
        return self.crop_scale is not None or self.flip or self.magnitude > 0

    def box(self, sample_id: str, epoch: int, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the crop (left, top, right, bottom) of an image in an epoch."""
        if self.crop_scale is None:
            return 0, 0, width, height
        draws = stream(self.seed, epoch, sample_id, "crop")
        return random_box(draws, width, height, self.crop_scale)

    def alter(
        self, images: UInt8[np.ndarray, "n 3 h w"], sample_ids: list[str], epoch: int
    ) -> UInt8[np.ndarray, "n 3 h w"]:
        """Mirror cropped images and apply RandAugment.

        Args:
            images: RGB, 0 to 255; not changed.
            sample_ids: Ids of the samples.
            epoch: From 0.
        """
        if not self.flip and not self.magnitude:
            return images
        altered = np.empty_like(images)
        for row, sample_id in enumerate(sample_ids):
            draws = stream(self.seed, epoch, sample_id, "alter")
            mirrored = self.flip and draws.random() < 1 / 2
            image = images[row, :, :, ::-1] if mirrored else images[row]
            if self.magnitude:
                tensor = torch.from_numpy(np.ascontiguousarray(image))
                image = rand_augment(tensor, draws, self.magnitude).numpy()
            altered[row] = image
        return altered


def random_box(
    draws: np.random.Generator, width: int, height: int, min_scale: float
) -> tuple[int, int, int, int]:
    """Draw the box of a random resized crop (Szegedy et al. 2015).

    The share of the area is uniform in [min_scale, 1], and the logarithm of the aspect ratio is
    uniform over ``RATIO``. After ten boxes that do not fit, the largest centred box with a valid
    ratio is used. The same as torchvision's ``RandomResizedCrop.get_params``, with other draws.

    Args:
        draws: Random number generator.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        min_scale: Minimum share of the area, in (0, 1].

    Returns:
        Left, top, right and bottom in pixels, end-exclusive.
    """
    for _ in range(_TRIES):
        area = width * height * draws.uniform(min_scale, 1)
        ratio = math.exp(draws.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(draws.integers(width - w + 1)), int(draws.integers(height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * RATIO[1]))
    h = min(height, round(width / RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def rand_augment(image: Image, draws: np.random.Generator, magnitude: int) -> Image:
    """Apply two operations of RandAugment (Cubuk et al. 2020), drawn with replacement.

    The fourteen operations and magnitudes of torchvision. Its own class draws them from the global
    generator of torch.

    Args:
        image: RGB, 0 to 255.
        draws: Random number generator.
        magnitude: Index of the magnitude, 0 to 30.
    """
    names = list(OPERATIONS)
    for number in draws.integers(len(names), size=N_OPERATIONS):
        sign = 1 if draws.random() < 1 / 2 else -1
        image = OPERATIONS[names[number]](image, magnitude / (BINS - 1), sign)
    return image


def _affine(image: Tensor, *, shear: list[float], translate: list[float]) -> Tensor:
    # Shears are about the corner, as in PIL, which defines these magnitudes.
    center = [0.0, 0.0] if any(shear) else None
    moved: Tensor = F.affine(
        image,
        angle=0.0,
        translate=translate,
        scale=1.0,
        shear=shear,
        interpolation=InterpolationMode.NEAREST,
        center=center,
        fill=_BLACK,
    )
    return moved


def _shear(share: float, sign: int) -> float:
    return math.degrees(math.atan(sign * 0.3 * share))


def _shift(side: int, share: float, sign: int) -> float:
    return float(int(sign * 150 / 331 * side * share))


def _posterize(image: Tensor, share: float, _sign: int) -> Tensor:
    fewer: Tensor = F.posterize(image, 8 - round(4 * share))
    return fewer


OPERATIONS: dict[str, Operation] = {
    "Identity": lambda image, _share, _sign: image,
    "ShearX": lambda image, m, s: _affine(image, shear=[_shear(m, s), 0.0], translate=[0.0, 0.0]),
    "ShearY": lambda image, m, s: _affine(image, shear=[0.0, _shear(m, s)], translate=[0.0, 0.0]),
    "TranslateX": lambda image, m, s: _affine(
        image, shear=[0.0, 0.0], translate=[_shift(image.shape[2], m, s), 0.0]
    ),
    "TranslateY": lambda image, m, s: _affine(
        image, shear=[0.0, 0.0], translate=[0.0, _shift(image.shape[1], m, s)]
    ),
    "Rotate": lambda image, m, s: F.rotate(image, s * 30 * m, fill=_BLACK),
    "Brightness": lambda image, m, s: F.adjust_brightness(image, 1 + s * 0.9 * m),
    "Color": lambda image, m, s: F.adjust_saturation(image, 1 + s * 0.9 * m),
    "Contrast": lambda image, m, s: F.adjust_contrast(image, 1 + s * 0.9 * m),
    "Sharpness": lambda image, m, s: F.adjust_sharpness(image, 1 + s * 0.9 * m),
    "Posterize": _posterize,
    "Solarize": lambda image, m, _sign: F.solarize(image, 255 * (1 - m)),
    "AutoContrast": lambda image, _share, _sign: F.autocontrast(image),
    "Equalize": lambda image, _share, _sign: F.equalize(image),
}
"""Operations by name; each maps (image, magnitude in [0, 1], sign) to an image."""
