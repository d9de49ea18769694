"""Names of chunks, and which of them are opened."""

from __future__ import annotations

import os

import pytest
import zarr

from ectool.artifacts.chunks.chunk_files import chunk_key, opened
from ectool.artifacts.chunks.seal import ChunkError


@pytest.mark.parametrize(("axes", "key"), [(1, "c/7"), (2, "c/7/0"), (4, "c/7/0/0/0")])
def test_the_key_is_that_of_zarr(axes, key, tmp_path):
    row, store = (3,) * (axes - 1), tmp_path / "a.zarr"
    array = zarr.create_array(store, shape=(16, *row), chunks=(2, *row), dtype="u1")
    array[14] = 1
    assert chunk_key(7, axes) == key
    assert (store / key).is_file()


def test_a_chunk_is_opened_and_closed(tmp_path):
    (tmp_path / "0").write_bytes(b"abc")
    with opened(tmp_path, "0", 0) as file:
        assert os.pread(file, 9, 0) == b"abc"
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(file)


def test_missing_ones_and_links_out_of_the_folder_are_errors(tmp_path):
    folder = tmp_path / "array"
    folder.mkdir()
    (tmp_path / "other").write_bytes(b"abc")
    (folder / "5").symlink_to(tmp_path / "other")
    for number, message in ((4, "chunk 4 is missing"), (5, "chunk 5 cannot be read: a link out")):
        with (
            pytest.raises(ChunkError, match=message),
            opened(folder, str(number), number),
        ):
            pass
