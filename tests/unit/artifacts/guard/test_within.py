"""Files are read only below their folder, wherever that is now."""

from __future__ import annotations

from pathlib import Path

import pytest

from ectool.artifacts.guard.within import OutsideError, read_within


@pytest.fixture
def folders(tmp_path):
    """Return two folders with the same names inside."""
    for name in ("a", "b"):
        (tmp_path / name / "x").mkdir(parents=True)
        (tmp_path / name / "x/file").write_text(name)
    return tmp_path


def test_the_working_folder_may_change(folders, monkeypatch):
    for name in ("a", "b", "a"):
        monkeypatch.chdir(folders / name)
        assert read_within(Path("x"), Path("x/file")) == name.encode()
    Path("x/link").symlink_to("../../b/x/file")
    with pytest.raises(OutsideError, match="a link out of the folder"):
        read_within(Path("x"), Path("x/link"))


def test_a_link_to_the_folder_may_change(folders):
    latest = folders / "latest"
    for name in ("a", "b", "a"):
        latest.unlink(missing_ok=True)
        latest.symlink_to(name)
        assert read_within(latest / "x", latest / "x/file") == name.encode()
