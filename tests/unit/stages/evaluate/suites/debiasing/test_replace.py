from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ectool.config import DataOptions
from ectool.models.classifier import to_pixels
from ectool.seeding import stream
from ectool.stages.common.inputs import open_data
from ectool.stages.evaluate.suites.debiasing.replace import (
    TILES,
    ReplacedWork,
    replaced_share,
    replacement_order,
)

ROWS = np.array([7, 0, 3])


@pytest.fixture(scope="module")
def variants(data_root):
    return {
        name: open_data(DataOptions(), "validation", name) for name in ("original", "mixed_rand")
    }


def work_of(network, variants, share, seed=0):
    return ReplacedWork(
        network,
        variants["original"],
        variants["mixed_rand"],
        share=share,
        seed=seed,
        condition=f"replaced-{share:g}",
    )


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 9),
)
def test_a_larger_share_contains_the_smaller_one(height, width, shares, seed):
    mask = stream(seed, "mask").random((1, height, width)) < 0.3
    less, more = (replaced_share(mask, ["a"], share, seed)[0] for share in sorted(shares))
    assert not (less & ~more).any()
    assert not (more & mask[0]).any()
    background = int((~mask).sum())
    assert less.sum() == round(min(shares) * background)
    assert more.sum() == round(max(shares) * background)


def test_the_background_is_replaced_tile_by_tile():
    times = replacement_order(np.ones((224, 224), np.bool_), stream(0, "tiles"))
    tiles = times.reshape(TILES, 16, TILES, 16).swapaxes(1, 2).reshape(-1, 256)
    assert (tiles.max(1) - tiles.min(1) == 255).all()
    turn = tiles.min(1) // 256
    assert sorted(turn) == list(range(TILES**2))
    assert turn.tolist() != sorted(turn)
    assert np.array_equal(np.sort(times.ravel()), np.arange(224**2))


def test_draws_depend_on_seed_and_sample():
    masks = np.zeros((3, 32, 32), np.bool_)
    drawn = replaced_share(masks, ["a", "b", "c"], 0.5, 4)
    np.testing.assert_array_equal(replaced_share(masks[:1], ["b"], 0.5, 4)[0], drawn[1])
    assert (drawn[0] != drawn[1]).any()
    assert (replaced_share(masks[:1], ["b"], 0.5, 5)[0] != drawn[1]).any()


def test_with_share_one_the_background_is_that_of_the_other_image(network, variants):
    images = work_of(network, variants, 1.0).load(ROWS).variants["replaced-1"]
    masks = variants["original"].annotations(ROWS).masks[:, None].repeat(3, axis=1)
    np.testing.assert_array_equal(images[masks], variants["original"].images(ROWS)[masks])
    np.testing.assert_array_equal(images[~masks], variants["mixed_rand"].images(ROWS)[~masks])


def test_predictions_are_those_of_images_combined_pixel_by_pixel(network, variants):
    work = work_of(network, variants, 0.4, seed=2)
    found = work.compute(work.load(ROWS))
    images = variants["original"].images(ROWS).copy()
    other, masks = variants["mixed_rand"].images(ROWS), variants["original"].annotations(ROWS).masks
    for row, sample_id in enumerate(found["sample_id"]):
        times = replacement_order(~masks[row], stream(2, sample_id, "replaced background"))
        for y, x in np.argwhere(times < round(0.4 * (~masks[row]).sum())):
            images[row, :, y, x] = other[row, :, y, x]
    with torch.no_grad():
        expected = network(to_pixels(images, torch.device("cpu"))).numpy()
    np.testing.assert_allclose(found["replaced-0.4/logits"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found["label"], variants["original"].labels[ROWS])
