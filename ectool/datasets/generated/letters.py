"""Letters over crops of photographs that are correlated with the class; generated locally.

The background variants are those of the ImageNet-9 Backgrounds Challenge (Xiao et al., "Noise or
Signal", ICLR 2021), with crops of one photograph for each class instead of the backgrounds of
other images.
"""

from __future__ import annotations

from ectool.datasets.base import VARIANTS, DataRequest, Dataset
from ectool.datasets.catalogue import DataSetEntry
from ectool.datasets.generated.cached import Generated, Recipe
from ectool.datasets.generated.letter_images import SIDE
from ectool.datasets.generated.letter_outlines import LETTERS
from ectool.datasets.generated.letter_records import COUNTS, SOURCE_SHA256, make_records
from ectool.datasets.generated.photographs import photograph_folder

RECIPE = Recipe(
    name="letters",
    classes=LETTERS,
    counts=COUNTS,
    side=SIDE,
    variants=(*VARIANTS, "only_bg_b"),
    generator=1,
    source=SOURCE_SHA256,
    make=make_records,
)


def open_letters(request: DataRequest) -> Dataset:
    """Open one split and variant of the letters.

    Args:
        request: ``view`` is ignored, images are 64 pixels wide. ``rho`` is the share of
            ``original`` images (of every split) whose background is a crop of the photograph of
            their class; the others show one of the nine other photographs. ``seed`` determines
            everything except classes and splits.

    Returns:
        The data set; its images are generated on first use and cached in ``request.root``.

    Raises:
        InputError: The path is not empty, the split or variant is unknown, or rho is outside of
            [0, 1].
        AbsentError: scikit-image is not installed.
    """
    photograph_folder()
    return Generated(request, RECIPE)


LETTERS_OVER_PHOTOGRAPHS = DataSetEntry(
    open=open_letters,
    summary="Letters over photographs that are correlated with the class; generated.",
    uri="letters",
    variants=RECIPE.variants,
)
