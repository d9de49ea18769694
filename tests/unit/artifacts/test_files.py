from __future__ import annotations

import pytest

from ectool.artifacts import files
from ectool.errors import FinishedMeanwhileError, InputError


def test_publishing_a_folder_and_a_file(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("c")
    files.publish(tmp_path / "a", tmp_path / "z")
    assert (tmp_path / "z" / "b" / "c").read_text() == "c"
    files.publish(tmp_path / "z" / "b" / "c", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "c"


@pytest.mark.parametrize("mine", ["file", "folder"])
@pytest.mark.parametrize("theirs", ["file", "folder", "empty", "link"])
def test_an_output_of_another_process_is_not_overwritten(tmp_path, mine, theirs):
    for name, kind in {"mine": mine, "theirs": theirs}.items():
        if kind == "file":
            (tmp_path / name).write_text(name)
        elif kind == "link":
            (tmp_path / name).symlink_to("nothing")
        else:
            (tmp_path / name).mkdir()
            if kind == "folder":
                (tmp_path / name / name).touch()
    before = (tmp_path / "theirs").lstat()
    with pytest.raises(FinishedMeanwhileError, match="the output of another process"):
        files.publish(tmp_path / "mine", tmp_path / "theirs")
    assert (tmp_path / "theirs").lstat() == before
    assert (tmp_path / "mine").exists()


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


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file: expected a folder to write into, got Not a dir"):
        files.make_folder(tmp_path / "file" / "partial")


def test_folders_that_lie_elsewhere_are_refused(tmp_path):
    folder, other = tmp_path / "out", tmp_path / "other"
    (folder / "a/b").mkdir(parents=True)
    other.mkdir()
    (folder / "inner").symlink_to(folder / "a")
    (folder / "adv.zarr").symlink_to(other)  # replaced, and never written into
    (folder / "circle").symlink_to("circle")
    files.check_inside(folder)
    (folder / "a/tables").symlink_to(other)
    with pytest.raises(InputError, match=r"a/tables: expected a folder in .*, got a link to"):
        files.check_inside(folder)
