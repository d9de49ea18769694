"""Pixels of artifacts that other programs wrote: right, or refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import zarr

from ectool.datasets.base import DataRequest
from ectool.datasets.own.stored import open_stored
from ectool.errors import InputError


def stored(folder, images, suffix="zarr"):
    """Write images as another program would, without a manifest."""
    ids = [f"{number}" for number in range(len(images))]
    labels = np.arange(len(images)) % 2
    path = folder / f"x.{suffix}"
    if suffix == "zarr":
        group = zarr.create_group(path)
        group.create_array("sample_id", data=np.array(ids, np.dtypes.StringDType()))
        group.create_array("label", data=labels)
        group.create_array("image", data=images)
        group.attrs["schema"] = "pictures"
    else:
        with h5py.File(path, "w") as file:
            file["sample_id"], file["label"], file["image"] = ids, labels, images
            file.attrs["schema"] = "pictures"
    return open_stored(DataRequest(path=str(path), split="train", root=folder))


@pytest.mark.parametrize("suffix", ["zarr", "h5"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "|u1"])
def test_the_greatest_number_is_white(tmp_path, suffix, dtype):
    greatest = np.iinfo(np.dtype(dtype)).max
    images = np.linspace(0, greatest, 2 * 3 * 4 * 4).astype(dtype).reshape(2, 3, 4, 4)
    dataset = stored(tmp_path, images, suffix)
    found = dataset.images(np.array([1, 0]))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.rint(images[::-1].astype(np.float64) / greatest * 255))


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        *((dtype, (2, 3, 4, 4)) for dtype in ("f4", "f8", "i4", "i8", "u4", "u8", "i1", "?")),
        *(("u1", shape) for shape in ((2, 4, 4, 3), (2, 1, 4, 4), (2, 4, 4, 4), (2, 4, 4))),
    ],
)
@pytest.mark.filterwarnings("ignore:The data type:zarr.errors.UnstableSpecificationWarning")
def test_types_without_white_and_other_layouts_are_refused(tmp_path, dtype, shape):
    with pytest.raises(InputError, match=r"x\.zarr.*: expected .* got "):
        stored(tmp_path, np.zeros(shape, dtype))
