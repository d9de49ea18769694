from __future__ import annotations

import numpy as np
import pytest
import torch

from ectool.config import DataOptions
from ectool.corruptions.backgrounds import replacement_order
from ectool.models.classifier import to_pixels
from ectool.seeding import stream
from ectool.stages.common.inputs import open_data
from ectool.stages.common.loop.computing import fetched
from ectool.stages.evaluate.suites.debiasing.replace import ReplacedWork

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


def test_with_share_one_the_background_is_that_of_the_other_image(network, variants):
    images = work_of(network, variants, 1.0).load(ROWS).variants["replaced-1"]
    masks = variants["original"].annotations(ROWS).masks[:, None].repeat(3, axis=1)
    np.testing.assert_array_equal(images[masks], variants["original"].images(ROWS)[masks])
    np.testing.assert_array_equal(images[~masks], variants["mixed_rand"].images(ROWS)[~masks])


def test_predictions_are_those_of_images_combined_pixel_by_pixel(network, variants):
    work = work_of(network, variants, 0.4, seed=2)
    found = fetched(work.compute(work.load(ROWS)))
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
