"""Pieces of an artifact: what is written is read, what is not wanted is removed."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.stages.common.loop.pieces import Pieces, Rows


@pytest.fixture
def pieces(tmp_path):
    found = Pieces(tmp_path)
    assert found.keep([]) == []
    return found


def test_a_piece_is_read_as_it_was_written(pieces):
    ids = np.array(["a", "ü" * 40, ""], np.dtypes.StringDType())
    maps = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
    arrays = {"sample_id": ids, "findings": np.zeros(3, np.bool_), "original/logits": maps}
    pieces.write(Rows(3, 6), arrays, {"zero_maps": 2})
    found, findings = pieces.read(Rows(3, 6))
    assert findings == {"zero_maps": 2}
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_other_pieces_and_unfinished_files_are_removed(pieces, tmp_path):
    for rows in (Rows(0, 2), Rows(2, 4), Rows(2, 3)):
        pieces.write(rows, {"label": np.zeros(2)}, {})
    (tmp_path / "pieces" / "x.npz.tmp").touch()
    assert pieces.keep([Rows(0, 2), Rows(2, 4), Rows(4, 5)]) == [Rows(4, 5)]
    assert len(list((tmp_path / "pieces").iterdir())) == 2
    pieces.remove([Rows(0, 2), Rows(2, 4)])
    assert list((tmp_path / "pieces").iterdir()) == []
