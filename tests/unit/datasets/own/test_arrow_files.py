"""Arrow and Parquet files that declare more than they hold, against what pyarrow reads."""

from __future__ import annotations

import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ectool.datasets.own import arrow_files
from ectool.datasets.own.arrow_files import check_arrow, check_values, copy_parquet
from ectool.errors import InputError
from tests.bounded import GIB, measured


def copied(*files, target):
    with target.open("w+b") as file:
        copy_parquet(files, file)
    return pa.ipc.open_stream(target.read_bytes()).read_all()


def arrow(path, table, compression=None):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(str(path), table.schema, options=options) as writer:
        writer.write_table(table)
    return path


def test_copies_have_the_rows_of_all_files(tmp_path):
    table = pa.table({"label": [f"name {n}" for n in range(250)], "box": [[n] for n in range(250)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=70)
    pq.write_table(table.slice(3, 5), tmp_path / "b.parquet")
    found = copied(tmp_path / "a.parquet", tmp_path / "b.parquet", target=tmp_path / "c.arrow")
    assert found.equals(pa.concat_tables([table, table.slice(3, 5)]))


def test_a_bomb_of_repeated_values_is_refused_before_it_fills_the_disk(tmp_path):
    cells = pa.DictionaryArray.from_arrays(np.zeros(5_000, np.int32), pa.array(["x" * 2**17]))
    pq.write_table(pa.table({"label": cells}), tmp_path / "a.parquet", store_schema=False)
    assert (tmp_path / "a.parquet").stat().st_size < 2**15
    target = tmp_path / "c.arrow"
    found = measured(lambda: copied(tmp_path / "a.parquet", target=target), memory=2 * GIB)
    assert "expected at most 268," in found.error
    assert "bytes of rows, for the size of its files" in found.error
    assert found.peak < GIB // 4


def test_a_bomb_that_does_not_fit_into_memory_is_refused(tmp_path):
    cells = pa.DictionaryArray.from_arrays(np.zeros(100, np.int32), pa.array(["x" * 2**24]))
    pq.write_table(pa.table({"label": cells}), tmp_path / "a.parquet", store_schema=False)
    assert (tmp_path / "a.parquet").stat().st_size < 2**20
    found = measured(lambda: copied(tmp_path / "a.parquet", target=tmp_path / "c.arrow"))
    assert "OSError" in found.error
    assert found.peak < GIB // 4


@pytest.mark.parametrize("place", range(8, 2000, 97))
def test_damaged_parquet_never_ends_the_process(tmp_path, place):
    pq.write_table(pa.table({"label": [f"name {n}" for n in range(90)]}), tmp_path / "a.parquet")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[place % len(data)] ^= 0xFF
    (tmp_path / "a.parquet").write_bytes(data)
    found = measured(lambda: copied(tmp_path / "a.parquet", target=tmp_path / "c.arrow"))
    assert found.error == "" or found.error.startswith(("OSError", "CrashError", "InputError"))


def test_offsets_out_of_their_buffer_are_refused(tmp_path):
    table = pa.table({"label": ["ab", "cd", "ef"]})
    check_arrow([arrow(tmp_path / "a.arrow", table)])
    data = (tmp_path / "a.arrow").read_bytes()
    offsets = np.array([0, 2, 4, 6], np.int32).tobytes()
    assert data.count(offsets) == 1
    far = np.array([0, 2, 4, 2**30], np.int32).tobytes()
    (tmp_path / "b.arrow").write_bytes(data.replace(offsets, far))
    with pytest.raises(OSError, match="offset"):
        check_arrow([tmp_path / "b.arrow"])


@pytest.mark.slow
def test_compressed_arrow_is_bounded(tmp_path):
    zeros = pa.array(np.zeros(GIB * 5 // 4, np.int8))
    row = pa.ListArray.from_arrays(pa.array([0, len(zeros)], pa.int32()), zeros)
    arrow(tmp_path / "a.arrow", pa.table({"label": row}), "zstd")
    del zeros, row
    assert (tmp_path / "a.arrow").stat().st_size < 2**20
    found = measured(lambda: check_arrow([tmp_path / "a.arrow"]))
    assert "OSError" in found.error
    assert found.peak < GIB // 4


def test_rows_without_bytes_are_counted(tmp_path):
    nothing = pa.table({"label": pa.nulls(arrow_files.MAX_ROWS + 1)})
    with pytest.raises(InputError, match="expected at most 10,000,000 rows, got 10,000,001"):
        check_arrow([arrow(tmp_path / "a.arrow", nothing)])


def test_text_that_rows_share_is_counted():
    views = np.zeros((2**11, 4), np.int32)
    views[:, 0], views[:, 1] = 2**20, np.frombuffer(b"xxxx", np.int32)[0]
    column = pa.Array.from_buffers(
        pa.string_view(), len(views), [None, pa.py_buffer(views), pa.py_buffer(b"x" * 2**20)]
    )
    column.validate(full=True)
    with pytest.raises(InputError, match=r"a: expected at most 1,073,741,824 bytes of text"):
        check_values("a", pa.chunked_array([column]))
    check_values("a", pa.chunked_array([column.slice(3, 2**10)]))


def test_lists_that_rows_share_are_counted():
    values = pa.array(np.zeros(2**20, np.int8))
    sizes, starts = np.full(2**7, 2**20, np.int32), np.zeros(2**7, np.int32)
    column = pa.ListViewArray.from_arrays(pa.array(starts), pa.array(sizes), values)
    with pytest.raises(InputError, match="at most 67,108,864 values in the lists of all rows"):
        check_values("a", pa.chunked_array([column]))
    check_values("a", pa.chunked_array([column.slice(0, 2)]))


def test_usual_columns_pass():
    for values in (["a", None], [["a", "b"], None, []], [1, 2], [[1], [2, 3]]):
        check_values("a", pa.chunked_array([pa.array(values)]))


def test_a_pipe_is_no_arrow_file(tmp_path):
    os.mkfifo(tmp_path / "a.arrow")
    with pytest.raises(InputError, match="a named pipe"):
        check_arrow([tmp_path / "a.arrow"])
    with pytest.raises(InputError, match="a named pipe"):
        copy_parquet([tmp_path / "a.arrow"], io.BytesIO())
