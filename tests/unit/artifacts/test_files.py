from __future__ import annotations

import re

import pytest

from ectool.artifacts import files
from ectool.errors import InputError, OutputExistsError


def test_files_are_replaced_as_a_whole(tmp_path):
    path = tmp_path / "file"
    files.write_atomic(path, b"old")
    files.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_publishing_a_folder_and_a_file(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("c")
    files.publish(tmp_path / "a", tmp_path / "z")
    assert (tmp_path / "z" / "b" / "c").read_text() == "c"
    files.publish(tmp_path / "z" / "b" / "c", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "c"


def test_an_output_of_another_process_is_not_overwritten(tmp_path):
    for name in ("mine", "theirs"):
        (tmp_path / name).write_text(name)
    with pytest.raises(OutputExistsError, match="the output of another process"):
        files.publish(tmp_path / "mine", tmp_path / "theirs")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_moving_aside_takes_a_free_name(tmp_path):
    names = []
    for _ in range(3):
        (tmp_path / "out").write_text("x")
        names.append(files.move_aside(tmp_path / "out", "0123456789").name)
    assert names == ["out.old-01234567", "out.old-01234567-2", "out.old-01234567-3"]


def test_removing(tmp_path):
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    files.remove(tmp_path / "link")
    assert (tmp_path / "folder" / "inside").exists()
    files.remove(tmp_path / "folder")
    files.remove(tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def test_only_one_holds_the_lock(tmp_path):
    folder, output = tmp_path / "partial", tmp_path / "out"
    message = f"^{re.escape(str(output))}: expected one process writing it, got another one at work"
    with (
        files.exclusive(folder, output),
        pytest.raises(InputError, match=message),
        files.exclusive(folder, output),
    ):
        pytest.fail("both hold it")
    with files.exclusive(folder, output):
        pass


def test_a_lock_that_was_removed_by_its_last_holder_does_not_count(tmp_path):
    with (tmp_path / "lock").open("w") as lock:
        (tmp_path / "lock").unlink()
        assert not files.is_held(lock)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file: expected a folder to write into, got Not a dir"):
        files.make_folder(tmp_path / "file" / "partial")
