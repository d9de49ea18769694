"""Chunks that are written and read without zarr: the same bytes and rows as with it."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from zarr.codecs import BytesCodec

from ectool.artifacts import zarr_store
from ectool.artifacts.chunks.whole import NUMBERS, Chunks
from ectool.artifacts.schema import ArraySpec

ROWS = 4
RAW, PACKED = ArraySpec("fiub", ("sample", "x", "y"), raw=True), ArraySpec("fiub", ("sample", "x"))
TEXT = ArraySpec("T", ("sample",))


def made(folder, values, spec):
    zarr_store.create_group(folder, {})
    zarr_store.create_array(folder, "a", values, length=len(values), rows=ROWS, spec=spec)
    return folder / "a"


def files_of(folder):
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder): path.read_bytes() for path in found}


@pytest.mark.parametrize("spec", [RAW, PACKED], ids=["raw", "compressed"])
@pytest.mark.parametrize("dtype", sorted(NUMBERS))
def test_bytes_and_rows_are_those_of_zarr(dtype, spec, tmp_path):
    values = np.random.default_rng(0).integers(0, 100, (11, 3, 2)).astype(dtype)
    values = values if spec is RAW else values[:, :, 0]
    ours, theirs = made(tmp_path / "ours", values, spec), made(tmp_path / "theirs", values, spec)
    Chunks.of(ours).write(0, values)
    zarr.open_array(theirs).with_config({"write_empty_chunks": True})[...] = values
    assert files_of(ours) == files_of(theirs)
    assert Chunks.of(theirs).read(0, ROWS).flags.writeable
    found = Chunks.of(theirs).read(2, 10)
    np.testing.assert_array_equal(found, values[2:10], strict=True)
    assert found.flags.writeable
    assert found.dtype.isnative


def test_text_is_that_of_zarr(tmp_path):
    texts = ["", "a", "é" * 300, "n01440764/x_1.JPEG", "\n", "🙂", " b "]
    values = np.array(texts, np.dtypes.StringDType())
    ours, theirs = (made(tmp_path / name, values, TEXT) for name in ("ours", "theirs"))
    Chunks.of(ours).write(0, values)
    zarr.open_array(theirs)[...] = values
    assert files_of(ours) == files_of(theirs)
    assert Chunks.of(theirs).read(1, 6).tolist() == texts[1:6]


@given(
    arrays(np.float32, st.tuples(st.integers(1, 13), st.integers(1, 3))),
    st.integers(0, 13),
    st.integers(0, 13),
)
@settings(max_examples=25)
def test_any_rows(tmp_path_factory, values, start, stop):
    folder = made(tmp_path_factory.mktemp("rows"), values, PACKED)
    Chunks.of(folder).write(0, values)
    stop = min(stop, len(values))
    np.testing.assert_array_equal(Chunks.of(folder).read(start, stop), values[start:stop])


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (ROWS, 2)},
        {"compressors": ()},
        {"serializer": BytesCodec(endian="big")},
        {"dtype": "complex64"},
        {"shards": (2 * ROWS, 3), "chunks": (ROWS, 3)},
        {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    ],
    ids=["parts of rows", "no checksum", "big-endian", "complex", "shards", "other keys"],
)
def test_other_forms_are_left_to_zarr(options, tmp_path):
    given = {"chunks": (ROWS, 3), "dtype": "float32", "compressors": zarr_store.CODECS}
    zarr.create_array(tmp_path / "a", shape=(8, 3), **{**given, **options})
    assert Chunks.of(tmp_path / "a") is None


@pytest.mark.parametrize("keep", [0, 3, 20])
def test_a_chunk_that_is_too_short(keep, tmp_path):
    values = np.ones((ROWS, 5), np.float32)
    folder = made(tmp_path, values, PACKED)
    Chunks.of(folder).write(0, values)
    chunk = folder / "c/0/0"
    chunk.write_bytes(chunk.read_bytes()[:keep])
    with pytest.raises(OSError, match="chunk 0 does not match its checksum"):
        Chunks.of(folder).read(0, 1)


def test_a_missing_chunk(tmp_path):
    with pytest.raises(FileNotFoundError, match="no chunk c/0/0"):
        Chunks.of(made(tmp_path, np.ones((ROWS, 5)), PACKED)).read(0, 1)
