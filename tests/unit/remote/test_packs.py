"""Packs hold files, and tell whether they are whole."""

from __future__ import annotations

import pytest

from ectool.remote.packs import packed, unpacked

FILES = {"a/c/0": b"first", "b": b"", "a/zarr.json": b"{}"}


def test_files_come_back():
    pack = unpacked(packed(FILES).data)
    assert {name: pack.file(name) for name in pack.places} == FILES


def test_every_cut_and_every_changed_byte_is_found():
    data = packed(FILES).data
    for end in range(len(data)):
        assert unpacked(data[:end]) is None
    body = sum(map(len, FILES.values()))
    for position in range(body):
        changed = bytearray(data)
        changed[position] ^= 1
        assert unpacked(bytes(changed)) is None


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"[]" + (2).to_bytes(8, "little"), b"x" * 100])
def test_other_bytes_are_no_pack(data):
    assert unpacked(data) is None
