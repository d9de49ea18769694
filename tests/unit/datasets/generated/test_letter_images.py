from __future__ import annotations

import numpy as np
import pytest

from ectool.datasets.generated.composition import Draw
from ectool.datasets.generated.letter_images import MARGIN, SIDE, fill, place_letter, widen
from ectool.datasets.generated.letter_outlines import LETTERS, load_outlines


def winding(outline, x, y):
    """Sum the angles that the segments of an outline subtend at a point, in turns."""
    turns = 0.0
    for x0, y0, x1, y1 in outline:
        a, b = complex(x0 - x, y0 - y), complex(x1 - x, y1 - y)
        turns += np.angle(b / a) / (2 * np.pi)
    return round(turns)


@pytest.mark.parametrize("letter", ["A", "S", "R"])
def test_filling_follows_the_nonzero_winding_rule(letter):
    outline = load_outlines()["cmti10"][LETTERS.index(letter)] * 17 + 10.3
    slow = [[winding(outline, x + 0.5, y + 0.5) != 0 for x in range(20)] for y in range(20)]
    np.testing.assert_array_equal(fill(outline, 20), slow)


def test_overlapping_contours_are_one_object():
    square = np.array([[1, 1, 1, 6], [1, 6, 6, 6], [6, 6, 6, 1], [6, 1, 1, 1]], float)
    both = np.concatenate([square, square + 2])
    assert fill(both, 10).sum() == 25 + 25 - 9


def test_widening_adds_the_neighbours():
    mask = np.random.default_rng(0).random((9, 9)) < 0.2
    padded = np.pad(mask, 1)
    for y in range(9):
        for x in range(9):
            near = [(y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            assert widen(mask)[y, x] == any(padded[i + 1, j + 1] for i, j in near)


@pytest.mark.parametrize("name", ["DejaVuSans-Bold", "STIXGeneralItalic", "cmr10"])
@pytest.mark.parametrize("number", range(10))
def test_letters_have_a_rim_that_contrasts_and_cover_a_bounded_share(name, number):
    image, mask = place_letter(load_outlines()[name][number], Draw(0, f"{name} {number}"))
    assert image.dtype == np.uint8
    assert image.shape == (3, SIDE, SIDE)
    assert 0.07 < mask.mean() < 0.18
    assert not image[:, ~mask].any()
    near = widen(~mask) & mask
    (rim,) = np.unique(image[:, near])
    inner = mask & ~near
    assert inner.sum() > 0.03 * SIDE * SIDE
    assert rim in (0, 255)
    assert abs(rim - image[:, inner].mean()) > 80
    assert not mask[: MARGIN - 3].any()


def test_another_sample_has_another_letter():
    outline = load_outlines()["DejaVuSans"][0]
    first, again, other = (place_letter(outline, Draw(0, name))[0] for name in "aab")
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
