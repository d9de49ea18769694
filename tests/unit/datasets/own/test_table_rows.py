"""Tables of any content are read row by row, and refused in one line."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.fingerprint import content_digest
from ectool.datasets.own.table_rows import MAX_COLUMNS, MAX_ROW, read_rows
from ectool.errors import InputError
from tests.bounded import measured

HEAD = b"path,label\n"
BAD = {
    "a long line": (
        HEAD + b"a" * (MAX_ROW + 1),
        "line 2: expected rows of at most 131,072 letters",
    ),
    "a row of many lines": (HEAD + b'"a\n' + b'","b\n' * MAX_ROW, "rows of at most 131,072"),
    "many columns": (b",".join(b"%d" % n for n in range(MAX_COLUMNS + 1)), "at most 1,000 columns"),
    "NUL": (HEAD + b"a\0b,c\n", "line 2: expected text, got a NUL byte"),
    "UTF-16": ("path,label\n".encode("utf-16"), "UnicodeDecodeError"),
}


def read(path):
    return list(read_rows(path, ("path", "label")))


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_one_line(tmp_path, case):
    data, message = BAD[case]
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path / "a.csv")
    assert "\n" not in str(error.value)


def test_a_line_without_end_takes_no_memory(tmp_path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.write(HEAD)
        file.truncate(2**28)
    found = measured(lambda: read(tmp_path / "a.csv"))
    assert "InputError" in found.error
    assert found.peak < 2**23


def test_many_rows_are_read(tmp_path):
    rows = "".join(f"{n},x\n" for n in range(20_000))
    (tmp_path / "a.csv").write_text(HEAD.decode() + rows)
    assert [row.cells["path"] for row in read(tmp_path / "a.csv")] == [*map(str, range(20_000))]


def test_named_pipes_are_neither_tables_nor_images(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(InputError, match="expected a CSV file, got a named pipe"):
        read(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="got a named pipe"):
        content_digest(tmp_path, ["a.png"], tmp_path)
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "b.png")
    assert len(content_digest(tmp_path, ["b.png"], tmp_path)) == 64
