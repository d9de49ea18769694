"""Files with a checksum: every change of a bit is found."""

from __future__ import annotations

import google_crc32c
import pytest

from ectool.artifacts.jobs.sealed import (
    read_sealed,
    read_table,
    write_checked,
    write_sealed,
    write_table,
)

CONTENTS = pytest.mark.parametrize("content", [b"", b"{}", b"a\nb\n", bytes(range(256))])


@CONTENTS
def test_what_is_read_is_what_was_written(tmp_path, content):
    write_sealed(tmp_path / "note", content)
    assert read_sealed(tmp_path / "note") == content


@CONTENTS
def test_every_flipped_bit_and_every_cut_is_found(tmp_path, content):
    file = tmp_path / "note"
    write_sealed(file, content)
    whole = file.read_bytes()
    for position in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        file.write_bytes(damaged)
        assert read_sealed(file) is None
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert read_sealed(file) is None


def test_what_is_no_sealed_file(tmp_path):
    assert read_sealed(tmp_path / "missing") is None
    assert read_sealed(tmp_path) is None
    (tmp_path / "note").write_text('{"a": 1}')
    assert read_table(tmp_path / "note") == {}


def test_tables(tmp_path):
    write_table(tmp_path / "table", {"a": [1, "ü"]})
    assert read_table(tmp_path / "table") == {"a": [1, "ü"]}


def test_the_checksum_of_a_file_is_that_of_the_given_bytes(tmp_path):
    assert int.from_bytes(
        bytes.fromhex(write_checked(tmp_path / "a", b"weights")), "little"
    ) == google_crc32c.value(b"weights")
    assert (tmp_path / "a").read_bytes() == b"weights"
