from __future__ import annotations

import os
import shutil

import pytest

from ectool.datasets import fingerprint
from ectool.datasets.fingerprint import content_digest, digest_of
from ectool.errors import InputError

NAMES = ["a/one.bin", "a b/two.bin"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "files"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def settled(monkeypatch):
    """Have files that were written just now be remembered."""
    monkeypatch.setattr(fingerprint, "SETTLED_NS", 0)


def overwrite(path, content):
    path.write_bytes(content)


def swap_in(path, content):
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)


def test_the_digest_is_that_of_names_and_contents_wherever_they_lie(folder, tmp_path):
    digest = content_digest(folder, NAMES, tmp_path / "root")
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    assert content_digest(elsewhere, NAMES, tmp_path / "other root") == digest
    (elsewhere / NAMES[0]).write_bytes(b"another")
    assert content_digest(elsewhere, NAMES, tmp_path / "other root") != digest
    (folder / NAMES[0]).rename(folder / "a/renamed.bin")
    assert content_digest(folder, ["a/renamed.bin", NAMES[1]], tmp_path / "root") != digest
    assert content_digest(folder, NAMES[1:], tmp_path / "root") != digest


@pytest.mark.usefixtures("settled")
def test_unchanged_files_are_not_read_twice(folder, tmp_path):
    content_digest(folder, NAMES, tmp_path)
    (note,) = (tmp_path / ".fingerprints").iterdir()
    note.write_text("0" * 64)  # what nobody can have read from the files
    assert content_digest(folder, NAMES, tmp_path) == "0" * 64


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [overwrite, swap_in])
def test_a_file_replaced_by_one_of_the_same_size_and_time_is_read_again(folder, tmp_path, change):
    digest = content_digest(folder, NAMES, tmp_path)
    path = folder / NAMES[0]
    before = path.stat()
    change(path, b"A/ONE.BIN")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert content_digest(folder, NAMES, tmp_path) != digest
    assert content_digest(folder, NAMES, tmp_path) == content_digest(folder, NAMES, tmp_path / "b")


def test_files_that_may_still_change_under_the_same_time_are_not_remembered(folder, tmp_path):
    content_digest(folder, NAMES, tmp_path)
    assert not (tmp_path / ".fingerprints").exists()


@pytest.mark.usefixtures("settled")
def test_a_new_time_makes_files_be_read_again(folder, tmp_path):
    digest = content_digest(folder, NAMES, tmp_path)
    (folder / NAMES[0]).write_bytes(b"A/ONE.BIN")
    os.utime(folder / NAMES[0], ns=(1, 1))
    assert content_digest(folder, NAMES, tmp_path) != digest


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", ["", "0123", "é" * 64])
def test_a_damaged_memory_is_not_believed(folder, tmp_path, damage):
    digest = content_digest(folder, NAMES, tmp_path)
    (note,) = (tmp_path / ".fingerprints").iterdir()
    note.write_text(damage, "utf-8")
    assert content_digest(folder, NAMES, tmp_path) == digest
    assert note.read_text() == digest


@pytest.mark.usefixtures("settled")
def test_a_memory_that_cannot_be_read_is_done_without(folder, tmp_path):
    digest = content_digest(folder, NAMES, tmp_path)
    (note,) = (tmp_path / ".fingerprints").iterdir()
    note.unlink()
    note.mkdir()
    assert content_digest(folder, NAMES, tmp_path) == digest


def test_a_root_that_cannot_be_written_only_forgets(folder, tmp_path):
    occupied = tmp_path / "occupied"
    occupied.write_text("a file where the folder should be")
    assert content_digest(folder, NAMES, occupied) == content_digest(folder, NAMES, tmp_path)


def test_a_missing_file_is_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"gone\.bin: expected a readable file, got No such file"):
        content_digest(folder, ["gone.bin"], tmp_path)


def test_the_digest_of_parts_does_not_depend_on_their_order():
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
