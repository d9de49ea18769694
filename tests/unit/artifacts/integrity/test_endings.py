from __future__ import annotations

import h5py
import numpy as np
import pytest

from ectool.artifacts.integrity.endings import append, ending
from tests.unit.artifacts.integrity.flips import flipped, positions


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(100)
    return path


def test_hdf5_reads_a_file_with_a_digest_as_before(made):
    assert ending(made) == "missing"
    before = made.read_bytes()
    append(made)
    assert made.read_bytes()[: len(before)] == before
    assert ending(made) == "same"
    with h5py.File(made) as file:
        np.testing.assert_array_equal(file["numbers"][:], np.arange(100))


def test_every_flipped_byte_is_found(made):
    append(made)
    for position in positions(made, 200):
        with flipped(made, position, position % 8):
            assert ending(made) == "changed", position


def test_a_file_that_was_changed_on_purpose_has_no_digest(made):
    append(made)
    with h5py.File(made, "a") as file:
        file["mine"] = 1
    assert ending(made) == "missing"


def test_bytes_after_the_end_are_found(made):
    with made.open("ab") as file:
        file.write(b"more")
    assert ending(made) == "changed"
