"""Files under names that nobody can guess: complete or missing, with the mode of the umask."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from contextlib import suppress

import pytest

from ectool import writing


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_mode_follows_the_umask(tmp_path, umask):
    writing.write_atomic(tmp_path / "a", b"x")
    writing.create(tmp_path / "b").close()
    assert mode(tmp_path / "a") == mode(tmp_path / "b") == 0o666 & ~umask


def test_a_link_at_the_path_is_replaced_and_its_target_stays(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "report").symlink_to("victim")
    writing.write_atomic(tmp_path / "report", b"new")
    assert not (tmp_path / "report").is_symlink()
    assert (tmp_path / "victim").read_text() == "precious"


def fail(path, error):
    """Write a part of a file; return the name that it has until then."""
    names = []
    with suppress(type(error)), writing.written(path) as file:
        names += [one.name for one in path.parent.iterdir() if one != path]
        file.write(b"x")
        raise error
    (name,) = names
    return name


def test_names_are_random_and_nothing_is_left_after_an_error(tmp_path):
    seen = {fail(tmp_path / "a", ValueError("stop")) for _ in range(20)}
    assert len(seen) == 20
    assert all(re.fullmatch(r"a\.[0-9a-f]{16}\.tmp", name) for name in seen)
    assert not list(tmp_path.iterdir())


def test_the_old_file_stays_if_the_new_one_cannot_be_written(tmp_path):
    (tmp_path / "a").write_text("old")
    error = OSError(errno.ENOSPC, "No space")
    fail(tmp_path / "a", error)
    assert error.filename == str(tmp_path / "a")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("make", ["symlink_to", "hardlink_to"])
def test_an_existing_name_is_never_opened(tmp_path, make):
    (tmp_path / "victim").write_text("precious")
    getattr(tmp_path / "a", make)(tmp_path / "victim")
    with pytest.raises(FileExistsError, match="exists"):
        writing.create(tmp_path / "a")
    assert (tmp_path / "victim").read_text() == "precious"


def test_long_names(tmp_path):
    for name in ("x" * 255, "é" * 127):
        writing.write_atomic(tmp_path / name, b"1")
        assert (tmp_path / name).read_bytes() == b"1"


def test_files_of_killed_processes_are_removed_and_others_stay(tmp_path):
    code = (
        "import os, sys, pathlib; from ectool import writing\n"
        "with writing.written(pathlib.Path(sys.argv[1])) as f: f.write(b'x'); os._exit(9)"
    )
    for name in ("a", "b"):
        argv = [sys.executable, "-c", code, str(tmp_path / name)]
        assert subprocess.run(argv, check=False).returncode == 9
    (tmp_path / "a.tmp").write_text("of a user")
    with writing.written(tmp_path / "a"):
        before = set(tmp_path.iterdir())
        assert len(before) == 4
        writing.remove_unfinished(tmp_path, ("a",))
        assert len(before - set(tmp_path.iterdir())) == 1
        writing.remove_unfinished(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.tmp"]


def test_private_folders(tmp_path, umask):
    writing.make_private(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700
    writing.make_private(tmp_path / "a" / "b")
