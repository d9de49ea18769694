"""Declared sizes, compared with stored bytes."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.artifacts.guard.bounds import ROOM, inflated, real_bytes, size_fault


@given(st.binary(max_size=2000), st.integers(0, 2500))
def test_inflating_returns_all_or_nothing(data, limit):
    packed = zlib.compress(data)
    if len(data) <= limit:
        assert inflated(packed, limit) == data
    else:
        with pytest.raises(ValueError, match="more than the"):
            inflated(packed, limit)


def test_a_cut_stream_and_another_one_are_refused():
    packed = zlib.compress(os.urandom(500))
    with pytest.raises(ValueError, match="ends within a chunk"):
        inflated(packed[:-10], 500)
    with pytest.raises(ValueError, match="cannot be decompressed"):
        inflated(b"none", 500)


@pytest.mark.parametrize(
    ("shape", "item", "stored", "fault"),
    [
        ((10**12,), 8, 70_000, "8000000000000 bytes declared, 70000 stored"),
        ((100, 10**9), 1, 10**7, "in one block"),
        ((4096, 3, 224, 224), 1, 10**6, None),
        ((10**6, 7, 7), 2, 10**5, None),
        ((), 8, 8, None),
        ((0, 7), 8, 0, None),
    ],
)
def test_sizes_that_the_stored_bytes_do_not_allow(shape, item, stored, fault):
    found = size_fault(shape, item, 4096, stored)
    assert (found is None) if fault is None else fault in (found or "")


def test_ids_differ_and_need_bytes():
    assert size_fault((10**6,), 4, 4096, 50_000, is_id=True) is None
    assert "rows declared" in (size_fault((10**7,), 4, 4096, 50_000, is_id=True) or "")


def test_what_a_sparse_file_lacks_does_not_count(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(b"begin")
        file.truncate(2**40)
    assert real_bytes(path.stat()) <= ROOM
    path.write_bytes(bytes(5000))
    assert real_bytes(path.stat()) == 5000
