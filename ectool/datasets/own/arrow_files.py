"""Arrow and Parquet files of other people, read in a copy of this process first.

Their library maps values that a damaged file only declares, and a Parquet file of a few hundred
bytes may stand for gigabytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from ectool.artifacts.guard.child import LONG, in_child
from ectool.datasets.bounds.tables import MAX_PRESENT, check_count
from ectool.errors import InputError
from ectool.input_files import check_regular

MAX_ROWS = 10_000_000
"""Rows of a table, which all are in memory without their images."""
MAX_RATIO = 16
"""How much larger than its Parquet files the rows of a table may be; images do not shrink."""
SLACK = 2**28
"""Bytes of rows for which the ratio does not matter."""
MAX_TEXT = 2**30
"""Bytes of the text of a column that is read as a whole."""
_BATCH = 100
"""Rows that are copied at once."""
_BUFFER = 2**20
_PACE = 2**22
"""Bytes that are read in a second even by a slow disk."""


def copy_parquet(files: Sequence[Path], target: IO[bytes]) -> None:
    """Write the rows of Parquet files as one stream of Arrow.

    Args:
        files: The Parquet files; all have the columns of the first one.
        target: The open file, which nothing has been written to.

    Raises:
        InputError: The files have too many rows, or rows that are too large for the files.
        OSError: A file is damaged; on it the library fails, crashes, or needs too much memory.
    """
    size = sum(check_regular(file).st_size for file in files)
    seconds = LONG + size // _PACE
    fault = in_child(lambda: _copy(files, target, size), seconds=seconds, patience=seconds)
    if fault:
        limit, things, count = fault.decode().split("\n")
        check_count(str(files[0].parent), int(count), int(limit), things)


def _copy(files: Sequence[Path], target: IO[bytes], size: int) -> bytes:
    """Copy the rows; return the limit that they exceed, in three lines, or nothing."""
    import pyarrow
    import pyarrow.ipc
    from pyarrow.parquet import ParquetFile

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # the others reserve more than allowed
    limits = {"rows": MAX_ROWS, "bytes of rows, for the size of its files": _allowed(size)}
    found = dict.fromkeys(limits, 0)
    schema, writer = None, None
    for path in files:
        with ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as part:
            if writer is None:
                schema = part.schema_arrow
                writer = pyarrow.ipc.new_stream(target, schema)
            for batch in part.iter_batches(_BATCH, use_threads=False):
                writer.write_batch(pyarrow.record_batch(batch.columns, schema=schema))
                for things, more in zip(limits, (batch.num_rows, batch.nbytes), strict=True):
                    found[things] += more
                    if found[things] > limits[things]:
                        return f"{limits[things]}\n{things}\n{found[things]}".encode()
    if writer is not None:
        writer.close()
    target.flush()
    return b""


def _allowed(size: int) -> int:
    return MAX_RATIO * size + SLACK


def check_arrow(files: Sequence[Path]) -> None:
    """Check the structure of Arrow files, before their rows are mapped into this process.

    Raises:
        InputError: They have too many rows, or a file is no regular file.
        OSError: A file is damaged; on it the library fails, crashes, or needs too much memory.
    """
    rows = sum(_rows(file, _state(file)) for file in files)
    if rows > MAX_ROWS:
        raise InputError(
            str(files[0].parent),
            expected=f"at most {MAX_ROWS:,} rows",
            got=f"{rows:,}",
            fix="divide the data set",
        )


def _state(file: Path) -> tuple[int, ...]:
    """Return what changes when a file does."""
    found = check_regular(file)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=1024)
def _rows(file: Path, state: tuple[int, ...]) -> int:
    """Return the number of rows of a file whose structure is valid."""
    size = state[2]
    seconds = LONG + size // _PACE
    return int(in_child(lambda: _valid(file), seconds=seconds, patience=seconds, more=size))


def _valid(file: Path) -> bytes:
    import pyarrow
    import pyarrow.ipc

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    with pyarrow.memory_map(str(file)) as source, pyarrow.ipc.open_stream(source) as reader:
        rows = 0
        for batch in reader:
            batch.validate(full=True)
            rows += batch.num_rows
    return b"%d" % rows


def check_values(where: str, column: Any) -> None:  # noqa: ANN401 (a pyarrow.ChunkedArray)
    """Check how many values a column has, before all of them are read.

    Several rows may share the bytes of their values.

    Args:
        where: The column, for the message.
        column: Values of one type, or lists of them.

    Raises:
        InputError: It has too many values, or too long ones.
    """
    import pyarrow.compute as pc

    if hasattr(column.type, "value_type") and hasattr(column.type, "value_field"):
        values = pc.sum(pc.list_value_length(column)).as_py() or 0
        check_count(where, values, MAX_PRESENT, "values in the lists of all rows")
        column = pc.list_flatten(column)
    check_count(where, _letters(column), MAX_TEXT, "bytes of text")


def _letters(column: Any) -> int:  # noqa: ANN401 (a pyarrow.ChunkedArray)
    """Return the bytes of the text in a column; 0 for other values."""
    import pyarrow
    import pyarrow.compute as pc

    if column.type == pyarrow.string_view():
        return sum(_viewed(part) for part in column.chunks)
    if column.type in (pyarrow.string(), pyarrow.large_string()):
        return int(pc.sum(pc.binary_length(column)).as_py() or 0)
    return 0


def _viewed(part: Any) -> int:  # noqa: ANN401 (a pyarrow.Array)
    """Return the bytes of text that views refer to; pyarrow has no function for them."""
    if len(part) == 0:
        return 0
    views = np.frombuffer(part.buffers()[1], np.int32).reshape(-1, 4)
    lengths = views[part.offset : part.offset + len(part), 0]
    return int(lengths[part.is_valid().to_numpy(zero_copy_only=False)].sum(dtype=np.int64))
