from __future__ import annotations

import h5py
import numpy as np
import pytest
import zarr

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.copying import copy
from ectool.artifacts.schema import FOREIGN
from ectool.errors import InputError, IntegrityError

FORMATS = pytest.mark.parametrize("name", ["b.zarr", "b.h5"])


def copied(source, target, manifest=None):
    with Artifact(source) as artifact:
        return copy(artifact, target, manifest or artifact.manifest)


def test_there_and_back_again(write, make_arrays, tree, tmp_path):
    first = write(tmp_path / "a.zarr", make_arrays())
    second = copied(first, tmp_path / "b.h5")
    assert tree(copied(second, tmp_path / "c.zarr")) == tree(first)
    assert tree(second).popitem()[1] == tree(copied(first, tmp_path / "d.h5")).popitem()[1]
    with Artifact(second) as artifact:
        assert artifact.verify() == []


def test_hdf5_chunks_are_shards_with_checksums_and_names(write, make_arrays, tmp_path):
    with h5py.File(write(tmp_path / "a.h5", make_arrays())) as file:
        assert file["clean"].chunks == (8, 4, 5)
        assert file["clean"].fletcher32
        labels = [file["clean"].dims[axis].label for axis in range(3)]
        assert labels == ["sample", "map_height", "map_width"]


def test_zarr_chunks_are_shards_with_checksums_and_names(write, make_arrays, tmp_path):
    array = zarr.open_array(str(write(tmp_path / "a.zarr", make_arrays()) / "clean"), mode="r")
    assert array.chunks == (8, 4, 5)
    assert array.metadata.dimension_names == ("sample", "map_height", "map_width")
    assert [type(codec).__name__ for codec in array.compressors] == ["ZstdCodec", "Crc32cCodec"]


@FORMATS
def test_foreign_artifacts_with_arrays_and_attributes_of_their_own(make_arrays, tmp_path, name):
    extra = {
        "mask": np.arange(20) % 3 == 0,
        "tags": np.array([f"t{row}" for row in range(20)], np.dtypes.StringDType()),
        "inside/embedding": np.random.default_rng(0).normal(size=(20, 2, 3, 1)),
        "big": np.arange(20, dtype=np.uint64) + 2**63,
    }
    arrays = make_arrays() | extra
    group = zarr.create_group(
        str(tmp_path / "a.zarr"), attributes={"schema": "heatmaps", "program": "theirs", "n": 3}
    )
    for key, values in arrays.items():
        group.create_array(key, data=values)
    target = copied(tmp_path / "a.zarr", tmp_path / name)
    with Artifact(tmp_path / "a.zarr") as before, Artifact(target) as after:
        assert after.manifest is None
        mark = {FOREIGN: True} if name.endswith(".zarr") else {}
        assert after.store.attributes == {"schema": "heatmaps", "program": "theirs", "n": 3, **mark}
        assert after.arrays.keys() == arrays.keys()
        for key, values in arrays.items():
            assert after.read(key).dtype == values.dtype
            np.testing.assert_array_equal(after.read(key), values)
        assert after.id == before.id


@FORMATS
def test_arrays_without_a_row_per_sample_are_carried_along(make_arrays, tmp_path, name):
    own = {
        "classes": np.arange(3, dtype=">i2"),
        "names": np.array(["ä", ""], np.dtypes.StringDType()),
        "rate": np.array(0.5),
        "none": np.zeros((0, 2), np.float32),
        "own/grid": np.arange(6.0).reshape(2, 3),
    }
    group = zarr.create_group(str(tmp_path / "a.zarr"), attributes={"schema": "heatmaps"})
    for key, values in (make_arrays() | own).items():
        group.create_array(key, data=values)
    with Artifact(copied(tmp_path / "a.zarr", tmp_path / name)) as after:
        for key, values in own.items():
            assert after.arrays[key].shape == values.shape
            np.testing.assert_array_equal(after.store.read(key, 0, 20), values)


@FORMATS
def test_a_damaged_source_is_not_copied(write, make_arrays, flip, tmp_path, name):
    """Neither where a checksum tells, nor where only the manifest does."""
    source = write(tmp_path / "a.zarr", make_arrays())
    label = zarr.open_array(str(source / "label"), mode="r+")
    label[9] = 2 - label[9]
    with pytest.raises(IntegrityError, match=r"a.zarr: shard 1 of `label`: expected the bytes"):
        copied(source, tmp_path / name)
    label[9] = 2 - label[9]
    flip(source / "target/c/1", 9)
    with pytest.raises(IntegrityError, match=r"a.zarr: shard 1 of `target`: expected the bytes"):
        copied(source, tmp_path / f"2{name}")


@FORMATS
def test_an_artifact_without_samples_is_refused(make_arrays, tmp_path, name):
    group = zarr.create_group(str(tmp_path / "a.zarr"), attributes={"schema": "weights"})
    group.create_array("sample_id", shape=(0,), dtype="string")
    for key in ("similarity", "stability", "explanation_consistency", "weight"):
        group.create_array(key, shape=(0,), dtype="float32")
    with pytest.raises(InputError, match=r"a.zarr: expected at least one sample, got none"):
        copied(tmp_path / "a.zarr", tmp_path / name)
