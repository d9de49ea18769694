"""The splits of the letters, and how the images of one split are drawn."""

from __future__ import annotations

import hashlib

import numpy as np

from ectool.datasets.base import DataRequest
from ectool.datasets.generated.cached import sample_name
from ectool.datasets.generated.composition import (
    Draw,
    Records,
    background_family,
    compose,
    record_type,
)
from ectool.datasets.generated.letter_images import SIDE, place_letter
from ectool.datasets.generated.letter_outlines import (
    LETTERS,
    OUTLINES_SHA256,
    TYPEFACES,
    load_outlines,
)
from ectool.datasets.generated.photographs import (
    CROP_DRAWS,
    PHOTOGRAPHS_SHA256,
    crop,
    load_photographs,
    regions,
)
from ectool.datasets.views import boxes_of

COUNTS = {"train": 1000, "validation": 300, "test": 600}
"""Number of images of each split; all classes have equally many."""
SOURCE_SHA256 = hashlib.sha256(f"{PHOTOGRAPHS_SHA256} {OUTLINES_SHA256}".encode()).hexdigest()
"""Digest of the photographs and the typefaces."""


def make_records(request: DataRequest) -> Records:
    """Draw every image of a split and variant.

    Args:
        request: A checked request.

    Returns:
        Structured array of :func:`record_type`.

    Raises:
        IntegrityError: The installed scikit-image or matplotlib has other photographs or
            typefaces.
    """
    outlines, typefaces = load_outlines(), TYPEFACES[request.split]
    photographs = load_photographs()
    boxes = [regions(len(pixels), pixels.shape[1], request.split) for pixels in photographs]
    records = np.zeros(COUNTS[request.split], dtype=record_type(SIDE))
    for number in range(len(records)):
        label = number % len(LETTERS)
        draw = Draw(request.seed, sample_name("letters", request.split, number))
        typeface = typefaces[int(len(typefaces) * draw("typeface", 1)[0])]
        canvas, mask = place_letter(outlines[typeface][label], draw)
        family, purpose = background_family(request, label, draw, len(photographs))
        background = crop(photographs[family], boxes[family], draw(purpose, CROP_DRAWS), SIDE)
        x0, y0, x1, y1 = boxes_of(mask[None])[0].tolist()
        box = x0, y0, x1, y1
        image = compose(request.variant, canvas, mask, box, background)
        records[number] = (image, mask, box, label)
    return records
