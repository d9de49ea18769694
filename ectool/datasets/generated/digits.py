"""Handwritten digits over textures that are correlated with the class; generated locally.

The background variants are those of the ImageNet-9 Backgrounds Challenge (Xiao et al., "Noise or
Signal", ICLR 2021), with texture families instead of the backgrounds of other images.
"""

from __future__ import annotations

from ectool.datasets.base import VARIANTS, DataRequest, Dataset
from ectool.datasets.catalogue import DataSetEntry
from ectool.datasets.generated.cached import Generated, Recipe
from ectool.datasets.generated.digit_images import SIDE
from ectool.datasets.generated.digit_records import COUNTS, SOURCE_SHA256, make_records

RECIPE = Recipe(
    name="digits",
    classes=tuple(str(digit) for digit in range(10)),
    counts=COUNTS,
    side=SIDE,
    variants=VARIANTS,
    generator=2,
    source=SOURCE_SHA256,
    make=make_records,
)


def open_digits(request: DataRequest) -> Dataset:
    """Open one split and variant of the embedded data set.

    Args:
        request: ``view`` is ignored, images are 32 pixels wide. ``rho`` is the share of
            ``original`` images (of every split) whose background family equals the class; the
            others have one of the nine other families. ``seed`` determines everything except the
            split.

    Returns:
        The data set; its images are generated on first use and cached in ``request.root``.

    Raises:
        InputError: The path is not empty, the split or variant is unknown, or rho is outside of
            [0, 1].
    """
    return Generated(request, RECIPE)


DIGITS = DataSetEntry(
    open=open_digits,
    summary="Handwritten digits over textures that are correlated with the class; generated.",
    uri="digits",
    variants=VARIANTS,
)
