from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.datasets.base import VARIANTS, DataRequest
from ectool.datasets.generated.composition import (
    Draw,
    background_family,
    black_box,
    compose,
    is_own,
    tile_box,
)

SIDE = 32


def test_draws_depend_on_seed_identifier_and_purpose():
    reference = Draw(0, "a")("p", 4)
    assert ((reference >= 0) & (reference < 1)).all()
    np.testing.assert_array_equal(reference, Draw(0, "a")("p", 4))
    for other in (Draw(1, "a")("p", 4), Draw(0, "b")("p", 4)):
        assert not np.array_equal(reference, other)
    assert not np.array_equal(reference, Draw(0, "a")("q", 4))


@given(st.integers(0, 15), st.integers(0, 15), st.integers(1, 16), st.integers(1, 16))
def test_tiling_copies_the_largest_strip_into_the_box(x0, y0, width, height):
    image = np.arange(3 * SIDE * SIDE).reshape(3, SIDE, SIDE) % 251
    image = image.astype(np.uint8)
    x1, y1 = x0 + width, y0 + height
    sizes = {"above": y0, "below": SIDE - y1, "left": x0, "right": SIDE - x1}
    best = max(sizes, key=sizes.get)
    expected = image.copy()
    for y in range(y0, y1):
        for x in range(x0, x1):
            sy, sx = y - y0, x - x0
            if best == "above":
                sy %= y0
            elif best == "below":
                sy = y1 + sy % (SIDE - y1)
            elif best == "left":
                sx %= x0
            else:
                sx = x1 + sx % (SIDE - x1)
            expected[:, y, x] = image[:, sy, sx]
    np.testing.assert_array_equal(tile_box(image, (x0, y0, x1, y1)), expected)


@given(st.integers(0, 15), st.integers(0, 15), st.integers(1, 16), st.integers(1, 16))
def test_a_black_box_hides_the_box_alone(x0, y0, width, height):
    image = np.full((3, SIDE, SIDE), 7, np.uint8)
    filled = black_box(image, (x0, y0, x0 + width, y0 + height))
    for y in range(SIDE):
        for x in range(SIDE):
            inside = x0 <= x < x0 + width and y0 <= y < y0 + height
            assert (filled[:, y, x] == (0 if inside else 7)).all()


def test_no_variant_changes_what_it_is_made_of():
    generator = np.random.default_rng(0)
    background = generator.integers(0, 256, (3, SIDE, SIDE)).astype(np.uint8)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[4:9, 5:11] = True
    canvas = np.uint8(99) * mask.astype(np.uint8)[None].repeat(3, 0)
    before = background.copy(), canvas.copy()
    for variant in (*VARIANTS, "only_bg_b"):
        compose(variant, canvas, mask, (5, 4, 11, 9), background)
    np.testing.assert_array_equal(background, before[0])
    np.testing.assert_array_equal(canvas, before[1])


def families(variant, rho, label, count=4000):
    request = DataRequest(path="", split="test", root=Path(), variant=variant, rho=rho)
    draws = [Draw(0, str(number)) for number in range(count)]
    return [background_family(request, label, draw, 12) for draw in draws]


@pytest.mark.parametrize(("variant", "shift"), [("mixed_same", 0), ("mixed_next", 1)])
@pytest.mark.parametrize("label", [0, 11])
def test_mixed_backgrounds_follow_the_class(variant, shift, label):
    found = set(families(variant, 0.5, label, 20))
    assert found == {((label + shift) % 12, "mixed background")}


def test_mixed_rand_draws_all_families_equally_often():
    counts = Counter(family for family, _ in families("mixed_rand", 0.5, 3))
    assert sorted(counts) == list(range(12))
    assert max(counts.values()) < 2 * min(counts.values())


@pytest.mark.parametrize("rho", [0.0, 0.4, 1.0])
def test_rho_is_the_share_of_the_own_family_and_the_others_are_equal(rho):
    found = families("original", rho, 5)
    assert found == families("only_bg_t", rho, 5)
    counts = Counter(family for family, _ in found)
    assert counts[5] / len(found) == pytest.approx(rho, abs=0.03)
    own = [is_own(Draw(0, str(number)), rho) for number in range(len(found))]
    assert own == [family == 5 for family, _ in found]
    others = [counts[family] for family in range(12) if family != 5]
    assert max(others) - min(others) <= 0.06 * len(found)
