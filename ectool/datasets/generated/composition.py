"""Random numbers and composition of the images that ectool generates.

Only arithmetic that is rounded correctly on every machine is used.
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from ectool.datasets.base import DataRequest

FAMILY = "family"
"""Purpose of the numbers that choose the family of the background."""

Image = UInt8[np.ndarray, "3 s s"]
Mask = Bool[np.ndarray, "s s"]
Box = tuple[int, int, int, int]
Records = np.ndarray[tuple[int], np.dtype[np.void]]


def record_type(side: int) -> np.dtype[np.void]:
    """Return the type of a generated sample: image, mask, box and label.

    Args:
        side: Side of the images in pixels.
    """
    return np.dtype(
        [
            ("image", np.uint8, (3, side, side)),
            ("mask", np.bool_, (side, side)),
            ("box", np.uint8, 4),
            ("label", np.uint8),
        ]
    )


class Draw:
    """Uniform numbers from (seed, sample id, purpose), the same on every machine.

    ``Philox.random_raw`` is used because numpy promises stable streams for bit generators only.

    Args:
        seed: Seed of the data set.
        sample_id: Identifier of the image.
    """

    def __init__(self, seed: int, sample_id: str) -> None:
        self._name = f"{seed}\0{sample_id}"

    def __call__(self, purpose: str, count: int) -> Float64[np.ndarray, "d"]:
        """Return ``count`` numbers in [0, 1)."""
        digest = hashlib.sha256(f"{self._name}\0{purpose}".encode()).digest()
        philox = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
        bits: Float64[np.ndarray, "d"] = (philox.random_raw(count) >> 11).astype(np.float64)
        return bits / 2.0**53


def background_family(
    request: DataRequest, label: int, draw: Draw, families: int
) -> tuple[int, str]:
    """Choose the family of the background in a variant.

    Args:
        request: ``variant`` and ``rho`` are used.
        label: Class of the object; the family of the same number belongs to it.
        draw: Random numbers of the sample.
        families: Number of families, which is the number of classes.

    Returns:
        The family, and the purpose of the numbers that the background is drawn from: that of
        the ``mixed`` variants differs from that of the others.
    """
    _, other, anyone = draw(FAMILY, 3)
    mixed = {
        "mixed_same": label,
        "mixed_rand": int(families * anyone),
        "mixed_next": (label + 1) % families,
    }
    if request.variant in mixed:
        return mixed[request.variant], "mixed background"
    unlike = (label + 1 + int((families - 1) * other)) % families
    return label if is_own(draw, request.rho) else unlike, "background"


def is_own(draw: Draw, rho: float) -> bool:
    """Return whether the background of the original image has the family of its class."""
    return bool(draw(FAMILY, 3)[0] < rho)


def compose(
    variant: str,
    foreground: Image,
    mask: Mask,
    box: Box,
    background: Image,
) -> Image:
    """Combine object and background as the variant requires.

    Args:
        variant: One of ``VARIANTS``, or ``only_bg_b``.
        foreground: The object on black.
        mask: The object's pixels.
        box: The object's box.
        background: The texture, without a hole.

    Returns:
        The image of this variant.
    """
    if variant == "only_fg":
        return foreground
    if variant == "only_bg_t":
        return tile_box(background, box)
    if variant == "only_bg_b":
        return black_box(background, box)
    if variant == "no_fg":
        return np.where(mask, np.uint8(0), background)
    return np.where(mask, foreground, background)


def black_box(background: Image, box: Box) -> Image:
    """Fill the box with black.

    Args:
        background: The background.
        box: (x0, y0, x1, y1), end-exclusive.
    """
    x0, y0, x1, y1 = box
    filled = background.copy()
    filled[:, y0:y1, x0:x1] = 0
    return filled


def tile_box(background: Image, box: Box) -> Image:
    """Fill the box with copies of the largest strip next to, above or below it.

    Args:
        background: The texture; pixels inside the box are not used.
        box: (x0, y0, x1, y1), end-exclusive, smaller than the image.

    Returns:
        An image that shows neither the object nor its outline.
    """
    x0, y0, x1, y1 = box
    strips = (
        background[:, :y0],
        background[:, y1:],
        background[:, :, :x0],
        background[:, :, x1:],
    )
    strip = max(strips, key=lambda candidate: candidate.size)
    height, width = strip.shape[1:]
    filled = background.copy()
    rows, columns = np.arange(y1 - y0) % height, np.arange(x1 - x0) % width
    filled[:, y0:y1, x0:x1] = strip[:, rows][:, :, columns]
    return filled
