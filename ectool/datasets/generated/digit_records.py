"""The digits of scikit-learn, their splits, and how the images of one split are drawn."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import UInt8

from ectool.datasets.base import DataRequest
from ectool.datasets.generated.composition import (
    Draw,
    Image,
    Records,
    background_family,
    compose,
    record_type,
)
from ectool.datasets.generated.digit_images import (
    FAMILIES,
    PAINT_DRAWS,
    SIDE,
    paint,
    place_object,
)
from ectool.datasets.views import boxes_of
from ectool.errors import IntegrityError

COUNTS = {"train": 997, "validation": 200, "test": 600}
"""Number of images of each split."""
SOURCE_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
RECORD = record_type(SIDE)


def make_records(request: DataRequest) -> Records:
    """Draw every image of a split and variant.

    Args:
        request: A checked request.

    Returns:
        Structured array with the fields of ``RECORD``.

    Raises:
        IntegrityError: If the installed scikit-learn carries other digits.
    """
    digits, labels = _load_source()
    records = np.zeros(COUNTS[request.split], dtype=RECORD)
    for number, source in enumerate(split_members(labels, request.split)):
        draw = Draw(request.seed, f"digits/{request.split}/{number:04d}")
        label = int(labels[source])
        canvas, mask = place_object(digits[source], draw)
        background = _background(request, label, draw)
        x0, y0, x1, y1 = boxes_of(mask[None])[0].tolist()
        box = x0, y0, x1, y1
        image = compose(request.variant, canvas, mask, box, background)
        records[number] = (image, mask, box, label)
    return records


def _load_source() -> tuple[UInt8[np.ndarray, "n 8 8"], UInt8[np.ndarray, "n"]]:
    """Return scikit-learn's digits, 0 to 16, and their labels, verified."""
    from sklearn.datasets import load_digits

    source = load_digits()
    digits, labels = source.images.astype(np.uint8), source.target.astype(np.uint8)
    digest = hashlib.sha256(digits.tobytes() + labels.tobytes()).hexdigest()
    if digest != SOURCE_SHA256:
        raise IntegrityError(
            "scikit-learn's digits",
            expected=f"SHA-256 {SOURCE_SHA256}",
            got=digest,
            fix="reinstall scikit-learn",
        )
    return digits, labels


def split_members(labels: UInt8[np.ndarray, "n"], split: str) -> list[int]:
    """Return the source images of a split: of each class 60 for test, 20 for validation.

    Args:
        labels: Class of every source image.
        split: One of ``SPLITS``.

    Returns:
        Indices in an order that mixes the classes; it depends only on the source.
    """
    order = sorted(range(len(labels)), key=lambda i: hashlib.sha256(b"digits/%d" % i).digest())
    cut = {"test": slice(0, 60), "validation": slice(60, 80), "train": slice(80, None)}[split]
    chosen = {i for c in range(10) for i in [j for j in order if labels[j] == c][cut]}
    return [i for i in order if i in chosen]


def _background(request: DataRequest, label: int, draw: Draw) -> Image:
    """Draw the texture behind the object in a variant."""
    family, purpose = background_family(request, label, draw, len(FAMILIES))
    return paint(family, draw(purpose, PAINT_DRAWS))
