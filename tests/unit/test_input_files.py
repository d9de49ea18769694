"""Only regular files are opened; nothing waits, and no more is read than allowed."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ectool.errors import InputError
from ectool.input_files import (
    ANY,
    FileKind,
    check_regular,
    open_regular,
    read_bytes,
    read_text,
    real_path,
)

TINY = FileKind("a note", 10)
READERS: list[Callable[..., Any]] = [check_regular, open_regular, read_bytes]


@pytest.fixture(params=READERS, ids=lambda reader: reader.__name__)
def reader(request):
    return request.param


def test_contents_are_those_of_the_file(tmp_path):
    path = tmp_path / "a"
    for size in (0, 1, 9, 10):
        path.write_bytes(os.urandom(size))
        assert read_bytes(path, TINY) == path.read_bytes()
    path.write_bytes(os.urandom(300_000))
    assert read_bytes(path, ANY) == path.read_bytes()
    with open_regular(path) as file:
        assert file.read() == path.read_bytes()
    path.write_text("ä", encoding="utf-8-sig")
    assert read_text(path, TINY, "utf-8-sig") == "ä"
    with pytest.raises(UnicodeDecodeError):
        read_text(path, TINY, "ascii")


def test_links_are_followed(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").symlink_to("a")
    assert read_bytes(tmp_path / "b", TINY) == b"1"


@pytest.mark.parametrize("link", [False, True])
def test_a_named_pipe_is_refused_at_once_and_its_writer_goes_on_waiting(tmp_path, reader, link):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = tmp_path / "link" if link else pipe
    if link:
        path.symlink_to(pipe)
    opened: list[int] = []
    writer = threading.Thread(target=lambda: opened.append(os.open(pipe, os.O_WRONLY)))
    writer.start()
    with pytest.raises(InputError, match="expected a note, got a named pipe; give a regular"):
        reader(path, TINY)
    time.sleep(0.05)
    assert opened == []
    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
    writer.join()
    os.close(opened[0])


def test_devices_sockets_and_folders_are_refused(tmp_path, reader, monkeypatch):
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(InputError, match=f"{device}: expected a note, got a device"):
            reader(Path(device), TINY)
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(InputError, match="got a socket"):
            reader(Path("socket"), TINY)
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        reader(tmp_path, TINY)


def test_missing_files_and_circular_links_stay_errors_of_the_system(tmp_path, reader):
    with pytest.raises(FileNotFoundError):
        reader(tmp_path / "none", TINY)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        reader(tmp_path / "loop", TINY)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, reader):
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no space on the disk
    with pytest.raises(InputError, match=f"a note of at most 10 bytes, got {2**40:,} bytes"):
        reader(path, TINY)


def test_a_file_that_has_more_than_its_size_says_is_read_to_the_limit():
    path = Path("/proc/self/status")
    assert path.stat().st_size == 0
    assert b"VmRSS" in read_bytes(path, FileKind("a status", 2**20))
    with pytest.raises(InputError, match="at most 10 bytes, got more"):
        read_bytes(path, TINY)


def test_no_descriptor_is_left_open(tmp_path):
    (tmp_path / "a").write_bytes(b"more than ten bytes")
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    for _ in range(5):
        with pytest.raises(InputError):
            read_bytes(tmp_path / "a", TINY)
        open_regular(tmp_path / "a").close()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_the_real_path_follows_links_unless_they_are_a_circle(tmp_path):
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "circle").symlink_to("circle")
    assert real_path(tmp_path / "link") == tmp_path.resolve() / "file"
    assert real_path(tmp_path / "circle") == tmp_path.resolve() / "circle"
