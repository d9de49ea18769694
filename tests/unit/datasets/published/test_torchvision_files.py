"""Files that torchvision reads are checked before it does."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from ectool.datasets.published.torchvision_files import check_files, check_matlab
from ectool.errors import InputError
from ectool.input_files import DATA
from tests.bounded import measured


@pytest.mark.parametrize("place", ["labels.txt", "meta/labels.txt"])
def test_what_is_no_regular_file_is_refused(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(InputError, match="got a named pipe"):
        check_files(tmp_path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(DATA.max_bytes + 1)
    with pytest.raises(InputError, match=r"labels\.txt: .* of at most 536,870,912 bytes"):
        check_files(tmp_path)


def test_folders_that_contain_themselves_and_missing_ones_are_no_error(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to("nowhere")
    check_files(tmp_path)
    check_files(tmp_path / "none")


def test_arrays_of_a_matlab_file_are_counted(tmp_path):
    path = tmp_path / "a.mat"
    for compressed in (False, True):
        savemat(path, {"a": np.zeros(10_000), "b": np.zeros(5)}, do_compression=compressed)
        check_matlab(path)
    with pytest.raises(InputError, match="arrays of at most 50,000 bytes, got more"):
        check_matlab(path, 50_000)


@pytest.mark.slow
def test_a_small_file_of_large_arrays_takes_little_memory(tmp_path):
    path = tmp_path / "a.mat"
    coder = zlib.compressobj(9)
    data = b"".join([*(coder.compress(bytes(2**20)) for _ in range(600)), coder.flush()])
    start = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path.write_bytes(start + struct.pack("<II", 15, len(data)) + data)
    found = measured(lambda: check_files(tmp_path))
    assert "a.mat: expected arrays of at most 536,870,912 bytes" in found.error
    assert found.peak < 2**25


def test_damaged_compression_is_left_to_the_reader(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(bytes(126) + b"IM" + struct.pack("<II", 15, 9) + b"not a zip")
    check_matlab(path)
