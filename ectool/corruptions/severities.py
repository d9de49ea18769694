"""Constants of corruptions: those published for the image size that is most similar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from ectool.corruptions.pixels import Images
from ectool.errors import InputError

SEVERITIES = (1, 2, 3, 4, 5)

C = TypeVar("C")


@dataclass(frozen=True)
class Severities(Generic[C]):
    """The constants of one kind, five for each published size, as in the authors' programs.

    https://github.com/hendrycks/robustness, ImageNet-C/create_c.

    Attributes:
        cifar_c: For 32 px (CIFAR-10-C).
        tiny_imagenet_c: For 64 px (Tiny-ImageNet-C).
        imagenet_c: For 224 px (ImageNet-C).
    """

    cifar_c: tuple[C, C, C, C, C]
    tiny_imagenet_c: tuple[C, C, C, C, C]
    imagenet_c: tuple[C, C, C, C, C]

    def of(self, images: Images, severity: int) -> C:
        """Return the constants of a severity for images.

        They are those of the published size with the ratio closest to 1 to the shorter side of the
        images, so the limits are 45 and 120 px. Constants are not interpolated.

        Args:
            images: The images; only their size matters.
            severity: 1 (mild) to 5 (strong).

        Raises:
            InputError: The severity is not 1 to 5.
        """
        if severity not in SEVERITIES:
            raise InputError(
                "severity", expected="1 to 5", got=str(severity), fix="choose one of the five"
            )
        published = {32: self.cifar_c, 64: self.tiny_imagenet_c, 224: self.imagenet_c}
        side = min(images.shape[2:])
        nearest = min(published, key=lambda known: abs(math.log(side / known)))
        return published[nearest][severity - 1]
