from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ectool.reports.page.images import tiles
from ectool.reports.page.strip import GAP, HEADER, MARGIN, TILE, pick, strip
from ectool.reports.selection import LEAST, MOST, RANDOM


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_rows_show_the_five_images(make_sample):
    samples = [make_sample(side=32, seed=seed) for seed in range(2)]
    sheet = opened(strip(samples))
    step = TILE // 32
    for row, sample in enumerate(samples):
        top = HEADER + row * (TILE + GAP)
        for column, expected in enumerate(tiles(sample, 63).values()):
            left = MARGIN + column * (TILE + GAP)
            shown = sheet[top : top + TILE : step, left : left + TILE : step]
            assert (shown == expected).all()


def test_strip_is_the_same_each_time(make_sample):
    assert strip([make_sample()]) == strip([make_sample()])


def test_long_names_stay_inside(make_sample):
    long = make_sample(label="n" * 300, predicted=("m" * 300, "字" * 300))
    sheet = opened(strip([long]))
    assert sheet.shape == opened(strip([make_sample()])).shape
    assert (sheet[:, -MARGIN // 2 :] == 255).all()


def test_images_that_are_not_square(make_sample):
    image = np.zeros((3, 20, 40), np.uint8)
    sheet = opened(strip([make_sample(image=image, perturbed=image)]))
    tile = sheet[HEADER : HEADER + TILE, MARGIN : MARGIN + TILE]
    assert (tile[: TILE // 4] == 255).all()
    assert (tile[TILE // 4 : 3 * TILE // 4] == 0).all()


def test_pick_prefers_extremes_of_different_classes(make_sample):
    def make(label, choice, consistency):
        return make_sample(label=label, choice=choice, consistency=consistency)

    least = [make(str(number), LEAST, number / 100) for number in range(5)]
    most = [make(str(number), MOST, 1 - number / 100) for number in range(5)]
    rows = pick([*most, make("9", RANDOM, 0.0), *reversed(least)])
    assert [(row.label, row.choice) for row in rows] == [
        ("0", LEAST),
        ("1", LEAST),
        ("2", LEAST),
        ("3", MOST),
        ("4", MOST),
    ]


def test_pick_of_few(make_sample):
    only = make_sample(choice=LEAST)
    assert pick([only]) == [only]
