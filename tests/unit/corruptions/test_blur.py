from __future__ import annotations

import numpy as np
import pytest
from corrupted import corrupted
from scipy import ndimage
from skimage.filters import gaussian as skimage_gaussian

from ectool.corruptions.blur import (
    defocus_blur,
    gaussian_blur,
    glass_blur,
    motion_blur,
    zoom_blur,
)
from ectool.corruptions.filters import gaussian
from ectool.corruptions.pixels import to_levels, to_unit

ANY = np.random.default_rng(0)


def glass_by_loops(image, sigma, reach, passes, generator):
    """Move pixels one after the other, from the last to the first, as the definition says."""
    planes = gaussian(to_unit(image[None]), sigma)[0]
    rows = range(reach + 1, image.shape[1] - reach + 1)
    columns = range(reach + 1, image.shape[2] - reach + 1)
    for _ in range(passes):
        moves = generator.integers(-reach, reach, size=(2, len(rows), len(columns)))
        for row in reversed(rows):
            for column in reversed(columns):
                down, right = moves[:, row - rows.start, column - columns.start]
                planes[:, row, column] = planes[:, row + down, column + right]
    return to_levels(gaussian(planes[None], sigma))[0]


@pytest.mark.parametrize(
    ("height", "width", "severity", "constants"),
    [(30, 37, 5, (0.4, 1, 2)), (46, 50, 5, (0.9, 2, 2)), (120, 121, 5, (1.5, 4, 2))],
)
def test_glass_blur_is_its_loop(photograph, height, width, severity, constants):
    image = photograph(height, width)
    expected = glass_by_loops(image, *constants, np.random.default_rng(4))
    assert np.array_equal(
        corrupted(glass_blur, image, severity, np.random.default_rng(4)), expected
    )


def test_zoom_blur_is_the_mean_of_the_image_and_its_zooms(photograph):
    image = photograph(32)
    total, factors = image.astype(np.float64), np.arange(1, 1.06, 0.01)
    for factor in factors:
        kept = int(np.ceil(32 / factor))
        first = (32 - kept) // 2
        centre = image[:, first : first + kept, first : first + kept].astype(np.float64)
        enlarged = ndimage.zoom(centre, (1, factor, factor), order=1)
        trim = (enlarged.shape[1] - 32) // 2
        total += enlarged[:, trim : trim + 32, trim : trim + 32]
    blurred = corrupted(zoom_blur, image, 1, ANY)
    assert np.abs(blurred - total / (len(factors) + 1)).max() < 0.51


def test_gaussian_blur_is_scikit_images(photograph):
    expected = skimage_gaussian(photograph(32), 1.0, channel_axis=0, preserve_range=True)
    assert np.abs(corrupted(gaussian_blur, photograph(32), 5, ANY) - expected).max() < 0.51


def test_defocus_blur_spreads_a_point_over_a_disk():
    point = np.zeros((3, 121, 121), np.uint8)
    point[:, 60, 60] = 255
    spread = np.argwhere(corrupted(defocus_blur, point, 3, ANY)[0])
    assert np.hypot(*(spread - 60).T).max() == pytest.approx(6, abs=0.8)


def test_motion_blur_spreads_points_in_one_direction():
    point = np.zeros((3, 121, 121), np.uint8)
    point[:, 60, 60] = 255
    rows, columns = np.nonzero(corrupted(motion_blur, point, 1, np.random.default_rng(0))[0])
    assert columns.max() == 60
    assert columns.min() < 55
    assert np.abs(rows - 60).max() <= 60 - columns.min()
