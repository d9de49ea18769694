"""Rows that are compressed one by one: those of zarr, in any order, and no damaged one."""

import numpy as np
import pytest
import zarr

from ectool.artifacts import zarr_store
from ectool.artifacts.chunks.seal import ChunkError
from ectool.artifacts.chunks.single_rows import SingleRows
from ectool.artifacts.hashing import digest_arrays
from ectool.artifacts.raw_rows import Seal
from ectool.artifacts.schema import spec_of

LENGTH, ROWS, WIDTH = 11, 4, 300


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(0, 9, (LENGTH, WIDTH)).astype(np.uint8)


@pytest.fixture
def folder(values, tmp_path):
    zarr_store.create_group(tmp_path, {})
    spec = spec_of("samples", "difference")
    zarr_store.create_array(tmp_path, "difference", values, length=LENGTH, rows=ROWS, spec=spec)
    for start in range(0, LENGTH, ROWS):
        zarr_store.write_rows(tmp_path, "difference", start, values[start : start + ROWS])
    return tmp_path


def seals_of(values):
    parts = [values[start : start + ROWS] for start in range(0, LENGTH, ROWS)]
    return tuple(Seal(len(part), digest_arrays({"difference": part})) for part in parts)


def files(folder):
    return sorted(path for path in (folder / "difference/c").rglob("*") if path.is_file())


def test_zarr_reads_the_same_rows(folder, values):
    np.testing.assert_array_equal(zarr.open_array(folder / "difference")[:], values, strict=True)
    assert len(files(folder)) == 3, "a file for each shard"
    assert sum(file.stat().st_size for file in files(folder)) < 0.6 * values.nbytes


@pytest.mark.parametrize("sealed", [True, False])
def test_rows_in_any_order(folder, values, sealed):
    rows = SingleRows.of(folder, "difference", seals_of(values) if sealed else None)
    order = np.array([10, 0, 3, 3, 7, 4])
    np.testing.assert_array_equal(rows(order), values[order], strict=True)
    np.testing.assert_array_equal(rows.read(2, 9), values[2:9])
    assert rows.read(5, 5).shape == (0, WIDTH)


def test_a_row_that_was_written_again_with_a_valid_checksum(folder, values):
    seals = seals_of(values)
    zarr.open_array(folder / "difference")[5] = 3
    rows = SingleRows.of(folder, "difference", seals)
    np.testing.assert_array_equal(rows(np.array([2, 9])), values[[2, 9]])
    with pytest.raises(ChunkError, match="chunk 1 does not match its digest"):
        rows(np.array([4]))


@pytest.mark.parametrize("place", [20, -30])
def test_a_flipped_byte(folder, flip_byte, place):
    flip_byte(files(folder)[1], place)
    with pytest.raises(ChunkError, match="chunk 1 does not match its checksum"):
        SingleRows.of(folder, "difference").read(4, 8)


@pytest.fixture
def flip_byte():
    def flip(path, place):
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(bytes(data))

    return flip


def test_a_short_and_a_missing_file(folder):
    first, second, _ = files(folder)
    first.write_bytes(first.read_bytes()[-40:])
    second.unlink()
    rows = SingleRows.of(folder, "difference")
    for row, problem in ((0, "chunk 0 does not match its checksum"), (4, "chunk 1 is missing")):
        with pytest.raises(ChunkError, match=problem):
            rows.read(row, row + 1)


def test_a_row_that_was_never_written(folder, values):
    other = zarr.create_array(
        folder / "other",
        shape=values.shape,
        dtype="uint8",
        chunks=(1, WIDTH),
        shards=(ROWS, WIDTH),
        compressors=zarr_store.CODECS,
    )
    other[1] = 1
    with pytest.raises(ChunkError, match="chunk 0 lacks a row"):
        SingleRows.of(folder, "other").read(0, 2)


@pytest.mark.parametrize(
    "options",
    [{"chunks": (2, WIDTH)}, {"dtype": "int8"}, {"shards": None}, {"compressors": ()}],
    ids=["two rows", "int8", "chunks", "not compressed"],
)
def test_other_forms(options, tmp_path):
    given = {"dtype": "uint8", "chunks": (1, WIDTH), "shards": (ROWS, WIDTH)}
    given["compressors"] = zarr_store.CODECS
    zarr.create_array(tmp_path / "a", shape=(8, WIDTH), **{**given, **options})
    assert SingleRows.of(tmp_path, "a") is None
