"""Rows read by offset against Zarr's own reading of the same files."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.artifacts.raw_rows import is_raw
from ectool.artifacts.schema import SCHEMAS
from ectool.errors import IntegrityError

N, SHARD = 23, 8
IMAGE = SCHEMAS["pictures"]["image"]


def images(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (N, 3, 5, 4), np.uint8)


@pytest.fixture
def path(tmp_path):
    recipe = Recipe(kind="pictures", stage="materialize", config={})
    with growing(tmp_path / "x.zarr", recipe, length=N, shard_size=SHARD) as partial:
        for number, (start, stop) in enumerate(partial.ranges):
            arrays = {
                "sample_id": np.array(
                    [f"s{row}" for row in range(start, stop)], np.dtypes.StringDType()
                ),
                "label": np.arange(start, stop),
                "image": images()[start:stop],
            }
            partial.write(number, arrays, {})
        return partial.publish()


ROWS = np.array([22, 0, 7, 8, 7, 16, 3])


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[:0], np.arange(N)])
def test_rows_in_any_order(path, rows):
    with Artifact(path) as artifact:
        np.testing.assert_array_equal(artifact.take("image", rows), images()[rows])


def test_what_is_compressed_or_in_hdf5_reads_the_same(path, tmp_path):
    with Artifact(path) as artifact:
        np.testing.assert_array_equal(artifact.take("label", ROWS), ROWS)
        assert artifact.take("sample_id", ROWS).tolist() == [f"s{row}" for row in ROWS]
        copy(artifact, tmp_path / "x.h5", artifact.manifest)
    with Artifact(tmp_path / "x.h5") as artifact:
        np.testing.assert_array_equal(artifact.take("image", ROWS), images()[ROWS])


def test_only_the_image_is_raw(path):
    group = zarr.open_group(path, mode="r")
    assert is_raw(group["image"], IMAGE)
    assert not is_raw(group["label"], SCHEMAS["pictures"]["label"])
    assert not is_raw(group["image"], None)


@pytest.mark.parametrize(
    "layout",
    [
        {"compressors": zarr.codecs.ZstdCodec()},
        {"compressors": None},
        {"compressors": zarr.codecs.Crc32cCodec(), "chunks": (8, 3, 5, 2)},
    ],
)
def test_other_layouts_are_left_to_zarr(tmp_path, layout):
    options = {"chunks": (8, 3, 5, 4), **layout}
    array = zarr.create_array(tmp_path / "a.zarr", data=images(), **options)
    assert not is_raw(array, IMAGE)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_chunk_is_named(path, damage):
    chunk = path / "image" / "c" / "1" / "0" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[100] ^= 1
    if damage == "remove":
        chunk.unlink()
    else:
        chunk.write_bytes(content if damage == "flip" else content[:200])
    with Artifact(path) as artifact:
        np.testing.assert_array_equal(artifact.take("image", ROWS[:2]), images()[ROWS[:2]])
        with pytest.raises(IntegrityError, match=r"shard 1 of `image`.*--resume"):
            artifact.take("image", np.array([9]))
