"""Tables: what is written is read, and any other bytes are no table."""

import io

import numpy as np
import pytest

from ectool.errors import IntegrityError
from ectool.stages.validity.tables import Table, has_key, read_table, remove_damaged, write_table

TABLE = Table(
    {"seed": 1, "accuracy": 0.5}, np.arange(3), {"cosine": np.array([1, np.nan, 0], np.float32)}
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tables/table.npz"
    write_table(path, TABLE, "key")
    return path


def test_what_is_written_is_read(path):
    found = read_table(path)
    assert found.record == TABLE.record
    np.testing.assert_array_equal(found.clusters, TABLE.clusters)
    np.testing.assert_array_equal(found.columns["cosine"], TABLE.columns["cosine"])
    assert has_key(path, "key")
    assert not has_key(path, "other")
    assert not remove_damaged(path)


def test_other_programs_read_it(path):
    with np.load(path) as found:
        assert sorted(found) == ["clusters", "cosine", "key", "record"]


def test_no_flipped_byte_goes_unnoticed(path):
    """Names, dates and places of the parts of a zip archive have no sums of their own."""
    written = path.read_bytes()
    for place in range(len(written)):
        path.write_bytes(written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :])
        with pytest.raises(IntegrityError, match="expected a table of this study, got another"):
            read_table(path)
    path.write_bytes(written)
    assert has_key(path, "key")


def plain(data):
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array("key"))
    return buffer.getvalue()


@pytest.mark.parametrize("change", [plain, lambda data: data[:-1], lambda data: b"", bytes.upper])
def test_what_is_no_table_is_removed(path, change):
    path.write_bytes(change(path.read_bytes()))
    assert remove_damaged(path)
    assert not path.exists()
    assert not remove_damaged(path)
    assert not has_key(path, "key")


def test_a_folder_in_its_place_is_removed(path):
    path.unlink()
    path.mkdir()
    assert remove_damaged(path)
    assert not path.exists()
