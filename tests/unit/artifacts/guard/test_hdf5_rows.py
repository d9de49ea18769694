"""Rows that are read without HDF5 are those that HDF5 reads."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ectool.artifacts.hdf5_store import Hdf5Store

TYPES = ["u1", "<i4", ">i8", "<f2", ">f4", "<f8", "bool", "S7"]


@settings(max_examples=15)
@given(data=st.data())
def test_every_layout(tmp_path_factory, data):
    """Chunks that divide nothing, contiguous values, any filters, both byte orders."""
    shape = tuple(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3)))
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = draw.integers(0, 2, shape).astype(data.draw(st.sampled_from(TYPES)))
    chunked = min(shape) > 0 and data.draw(st.booleans())
    options = {}
    if chunked:
        options["chunks"] = tuple(data.draw(st.integers(1, side)) for side in shape)
        options["compression"] = data.draw(st.sampled_from([None, "gzip", "lzf"]))
        options["shuffle"] = data.draw(st.booleans())
        options["fletcher32"] = data.draw(st.booleans())
    path = tmp_path_factory.mktemp("layout") / "a.h5"
    version = data.draw(st.sampled_from(["earliest", "latest"]))
    block = data.draw(st.sampled_from([0, 512]))
    with h5py.File(path, "w", libver=version, userblock_size=block) as file:
        file.create_dataset("a", data=values, **options)
    start = data.draw(st.integers(0, shape[0]))
    stop = data.draw(st.integers(start, shape[0] + 2))
    store = Hdf5Store(path)
    found = store.read("a", start, stop)
    store.close()
    expected = values[start:stop]
    if values.dtype.kind == "S":
        assert found.tolist() == np.char.decode(expected).tolist()
    else:
        assert found.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, expected)


@pytest.fixture
def plain(tmp_path):
    """Return a file of one array in chunks, and the place of its second chunk."""
    path = tmp_path / "a.h5"
    values = np.random.default_rng(0).normal(size=(20, 5)).astype("f4")
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "a", data=values, chunks=(8, 5), compression="gzip", shuffle=True, fletcher32=True
        )
        place = file["a"].id.get_chunk_info(1)
    return path, values, place


def read(path, start, stop):
    store = Hdf5Store(path)
    try:
        return store.read("a", start, stop)
    finally:
        store.close()


def test_every_flipped_byte_of_a_chunk_is_found(plain, flip):
    path, values, place = plain
    for position in range(place.byte_offset, place.byte_offset + place.size, 7):
        flip(path, position)
        np.testing.assert_array_equal(read(path, 0, 8), values[:8])
        with pytest.raises((RuntimeError, ValueError)):
            read(path, 0, 20)
        flip(path, position)
    np.testing.assert_array_equal(read(path, 0, 20), values)


def test_truth_values_are_0_or_1(tmp_path, flip):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.ones(9, bool)
        place = file["a"].id.get_offset()
    flip(path, place + 3)
    with pytest.raises(ValueError, match="in place of truth values"):
        read(path, 0, 9)


def test_a_file_that_is_cut_while_it_is_read(plain):
    path, _, place = plain
    store = Hdf5Store(path)
    with path.open("r+b") as file:
        file.truncate(place.byte_offset + 10)
    with pytest.raises(OSError, match="ends within a chunk"):
        store.read("a", 0, 20)
    store.close()
