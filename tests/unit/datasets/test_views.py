from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from ectool.datasets.views import View, boxes_of

SIDES = st.integers(1, 90)
VIEW_SIDES = st.sampled_from([1, 7, 32, 33, 56])
INTERPOLATIONS = {
    Image.Resampling.BILINEAR: InterpolationMode.BILINEAR,
    Image.Resampling.NEAREST: InterpolationMode.NEAREST,
}


def noise(width, height, mode):
    shape = (height, width) if mode == "L" else (height, width, 3)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))


def peer(view, interpolation):
    """Return the same view put together from torchvision's transforms."""
    if view.kind == "squash":
        return transforms.Resize((view.side, view.side), interpolation, antialias=True)
    shorter = transforms.Resize(round(view.side * 256 / 224), interpolation, antialias=True)
    return transforms.Compose([shorter, transforms.CenterCrop(view.side)])


@pytest.mark.parametrize("kind", ["crop", "squash"])
@pytest.mark.parametrize("resampling", INTERPOLATIONS)
@given(SIDES, SIDES, VIEW_SIDES, st.sampled_from(["L", "RGB"]))
@settings(max_examples=40)
def test_the_view_is_torchvisions(kind, resampling, width, height, side, mode):
    view, image = View(side, kind), noise(width, height, mode)
    expected = np.asarray(peer(view, INTERPOLATIONS[resampling])(image))
    ours = view.place(width, height).image(image, resampling)
    assert ours.shape == ((side, side) if mode == "L" else (side, side, 3))
    np.testing.assert_array_equal(ours, expected)


@given(st.data(), SIDES, SIDES, VIEW_SIDES)
def test_a_frame_shows_the_part_and_nothing_else(data, width, height, side):
    left = data.draw(st.integers(0, width - 1))
    top = data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    image = noise(width, height, "RGB")
    part = Image.fromarray(np.asarray(image)[top:bottom, left:right])
    expected = part.resize((side, side), Image.Resampling.BILINEAR)
    shown = View(side).frame((left, top, right, bottom)).image(image)
    np.testing.assert_array_equal(shown, expected)


def source_of(view, width, height, x, y):
    """Return the point of an image that lies at a point of its view, from the definition."""
    if view.kind == "squash":
        return x / view.side * width, y / view.side * height
    short = round(view.side * 256 / 224)
    # The longer side is cut to whole pixels, so both sides have a scale of their own.
    wide = short if width <= height else int(short * width / height)
    high = int(short * height / width) if width <= height else short
    x, y = x + round((wide - view.side) / 2), y + round((high - view.side) / 2)
    return x / wide * width, y / high * height


@given(SIDES, SIDES, VIEW_SIDES, st.sampled_from(["crop", "squash"]))
def test_points_land_where_the_definition_finds_them(width, height, side, kind):
    view = View(side, kind)
    at = np.random.default_rng(0).uniform(-5, side + 5, (6, 2))
    points = np.array([source_of(view, width, height, x, y) for x, y in at])
    landed = view.place(width, height).points(points)
    np.testing.assert_allclose(landed, at, atol=1e-9)


@given(st.data(), SIDES, SIDES, VIEW_SIDES, st.sampled_from(["crop", "squash"]))
def test_a_box_lands_on_every_pixel_it_touches(data, width, height, side, kind):
    x0, x1 = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(
        data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True))
    )
    view = View(side, kind)
    touched = np.zeros((side, side), bool)
    for y in range(side):
        for x in range(side):
            left, top = source_of(view, width, height, x, y)
            right, bottom = source_of(view, width, height, x + 1, y + 1)
            overlap = min(right, x1) - max(left, x0), min(bottom, y1) - max(top, y0)
            touched[y, x] = min(overlap) > 1e-9
    boxes = view.place(width, height).boxes(np.array([[x0, y0, x1, y1]], np.float64))
    filled = np.zeros((side, side), bool)
    for left, top, right, bottom in boxes:
        filled[top:bottom, left:right] = True
    np.testing.assert_array_equal(filled, touched)


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([32, 224, 299]), st.data())
def test_edges_of_pixels_are_met_exactly(width, height, side, data):
    placement = View(side, data.draw(st.sampled_from(["crop", "squash"]))).place(width, height)
    point = data.draw(st.integers(0, width)), data.draw(st.integers(0, height))
    (landed,) = placement.points(np.array([point], np.float64))
    for at, old, new, corner, found in zip(
        point, (width, height), placement.resized, placement.corner, landed, strict=True
    ):
        exact = Fraction(at) * new / old - corner
        assert (floor(found), ceil(found)) == (floor(exact), ceil(exact))


def test_boxes_outside_the_view_are_left_out_and_the_others_cut():
    placement = View(28, "crop").place(32, 320)  # shows rows 144 to 176
    boxes = np.array([[0, 0, 32, 140], [0, 100, 32, 160], [8, 150, 16, 300]], np.float64)
    assert placement.boxes(boxes).tolist() == [[0, 0, 28, 14], [6, 4, 14, 28]]


def test_no_boxes_stay_no_boxes():
    assert View(8).place(5, 6).boxes(np.empty((0, 4))).shape == (0, 4)


def test_views_that_differ_have_other_facts():
    facts = [View(8).facts(), View(9).facts(), View(8, "squash").facts()]
    assert all(facts.count(fact) == 1 for fact in facts)


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))))
def test_boxes_redone_pixel_by_pixel(masks):
    for mask, box in zip(masks, boxes_of(masks), strict=True):
        y, x = np.nonzero(mask)
        tight = [x.min(), y.min(), x.max() + 1, y.max() + 1] if mask.any() else [0, 0, 0, 0]
        assert box.tolist() == tight


def test_boxes_are_whole_numbers_even_of_no_masks():
    assert boxes_of(np.zeros((0, 3, 4), np.bool_)).shape == (0, 4)
    assert boxes_of(np.zeros((2, 3, 4), np.bool_)).dtype == np.int64
