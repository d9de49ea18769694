"""Perturbed images of samples: whole, or as differences to a data set."""

import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.datasets.perturbed_images import PerturbedImages, sample_attributes, stored
from ectool.errors import InputError

N, SIDE = 5, 6


class Data:
    """A data set of random images."""

    name = "random"
    size = (SIDE, SIDE)
    classes = ("a", "b")

    def __init__(self):
        draw = np.random.default_rng(0)
        self.all = draw.integers(0, 256, (N, 3, SIDE, SIDE)).astype(np.uint8)

    def images(self, rows):
        return self.all[rows]


@pytest.fixture
def data():
    return Data()


@pytest.fixture
def images(data):
    return data.all + np.random.default_rng(1).integers(0, 5, data.all.shape).astype(np.uint8)


@pytest.fixture
def made(data, images, tmp_path):
    """Return a function that writes the images as samples."""

    def make(store, attributes=None):
        background = np.ones((N, SIDE, SIDE), bool)
        arrays = {
            "sample_id": np.array([f"s{n}" for n in range(N)], np.dtypes.StringDType()),
            "label": np.zeros(N, np.int64),
            **stored(images, data.all, background, store),
            "background": background,
            "logits_clean": np.zeros((N, 2), np.float32),
            "logits_adversarial": np.zeros((N, 2), np.float32),
        }
        recipe = Recipe(kind="samples", stage="perturb", config={})
        given = sample_attributes(data, store) if attributes is None else attributes
        path = tmp_path / "adv.zarr"
        with growing(path, recipe, length=N, shard_size=2, attributes=given) as partial:
            for number, (start, stop) in enumerate(partial.ranges):
                rows = {name: values[start:stop] for name, values in arrays.items()}
                partial.write(number, rows, {})
            return partial.publish()

    return make


@pytest.mark.parametrize("store", ["images", "differences"])
def test_images_in_any_order(made, data, images, store):
    rows = np.array([4, 0, 0, 3])
    with Artifact(made(store)) as samples:
        read = PerturbedImages(samples, data, "--samples")
        assert read.is_quick
        found = read(rows, lambda: data.images(rows))
    np.testing.assert_array_equal(found, images[rows], strict=True)


def test_whole_images_need_no_originals(made, data, images):
    with Artifact(made("images")) as samples:
        found = PerturbedImages(samples, data, "--samples")(np.array([1]), pytest.fail)
    np.testing.assert_array_equal(found, images[[1]])


def test_another_original_is_named(made, data):
    data.all = data.all.copy()
    with Artifact(made("differences")) as samples:
        read = PerturbedImages(samples, data, "--samples adv.zarr")
        data.all[3, 0, 0, 0] += 1
        rows = np.arange(N)
        with pytest.raises(InputError, match=r"--samples adv.zarr: .* got another image for 's3'"):
            read(rows, lambda: data.images(rows))


@pytest.mark.parametrize("shape", [None, [3, SIDE], [3, SIDE, SIDE + 1], "large"])
def test_a_shape_that_is_missing_or_wrong(made, data, shape):
    attributes = {} if shape is None else {"image_shape": shape}
    with (
        Artifact(made("differences", attributes)) as samples,
        pytest.raises(InputError, match=r"expected a root attribute `image_shape`.*rows of 404 "),
    ):
        PerturbedImages(samples, data, "--samples")
