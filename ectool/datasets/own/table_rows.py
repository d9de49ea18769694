"""Reading of CSV files by rows; errors name the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from math import isfinite
from pathlib import Path, PurePosixPath

from ectool.datasets.base import Report, raise_fault
from ectool.errors import InputError
from ectool.input_files import CSV, open_regular

BOX = ("x0", "y0", "x1", "y1")
MAX_ROW = 2**17
"""Letters of a row."""
MAX_ROWS = 2_000_000
"""Rows of a table, all of which are in memory."""
MAX_COLUMNS = 1000
BoxCells = tuple[float, float, float, float]


@dataclass(frozen=True)
class Row:
    """One row of a CSV file.

    Attributes:
        file: The CSV file.
        line: Number of the last line of the row, from 1.
        cells: The cells by column, without surrounding white space.
    """

    file: Path
    line: int
    cells: Mapping[str, str]

    def fault(self, *, expected: str, got: str, fix: str) -> InputError:
        """Return an error about this row."""
        return line_fault(self.file, self.line, expected=expected, got=got, fix=fix)

    def path(self, column: str) -> str:
        """Return a cell that is a path relative to the folder of the file; it may be empty.

        Raises:
            InputError: The path is absolute, and so would be the sample id.
        """
        cell = self.cells.get(column, "")
        if PurePosixPath(cell).is_absolute():
            raise self.fault(
                expected=f"a {column} relative to {self.file.parent}",
                got=repr(cell),
                fix="write relative paths",
            )
        return PurePosixPath(cell).as_posix() if cell else ""

    def box(self) -> BoxCells | None:
        """Return the cells x0, y0, x1 and y1 as numbers, None if all of them are empty.

        Raises:
            InputError: One of them is not a number, or the box is smaller than a pixel.
        """
        texts = [self.cells.get(column, "") for column in BOX]
        if not any(texts):
            return None
        try:
            x0, y0, x1, y1 = (float(text) for text in texts)
        except ValueError:
            x0 = y0 = x1 = y1 = float("nan")
        if not (all(map(isfinite, (x0, y0, x1, y1))) and x1 - x0 >= 1 and y1 - y0 >= 1):
            raise self.fault(
                expected="a box x0, y0, x1, y1 of at least one pixel",
                got=", ".join(texts),
                fix="give pixels of the image as displayed, right and bottom exclusive",
            )
        return x0, y0, x1, y1


def line_fault(file: Path, line: int, *, expected: str, got: str, fix: str) -> InputError:
    """Return an error about a line of a file."""
    return InputError(f"{file}, line {line}", expected=expected, got=got, fix=fix)


def read_rows(path: Path, needed: Sequence[str], report: Report = raise_fault) -> Iterator[Row]:
    """Read a comma-separated file in UTF-8, with or without BOM, with any line ends.

    The first row is the header, in any case. Empty rows are skipped.

    Args:
        path: The file.
        needed: Required columns; of ``a|b`` exactly one.
        report: Receives the errors of rows with a missing cell.

    Yields:
        Its rows.

    Raises:
        InputError: The file is missing, is not a text in UTF-8, or lacks columns or cells.
    """
    try:
        with TextIOWrapper(open_regular(path, CSV), "utf-8-sig", newline="") as file:
            lines = _Lines(path, file)
            reader = csv.reader(lines, skipinitialspace=True, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            _check_header(path, header, needed)
            for number, cells in enumerate(reader):
                if number >= MAX_ROWS:
                    raise _too_many(path, number + 1)
                lines.begin()
                row = _row(path, reader.line_num, header, cells) if any(cells) else None
                if isinstance(row, Row):
                    yield row
                elif row is not None:
                    report(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            str(path),
            expected="a readable CSV file in UTF-8",
            got=f"{type(error).__name__} ({error})",
            fix="save it as comma-separated values in UTF-8",
        ) from error


class _Lines:
    """The lines of a file, of which only bounded ones are in memory.

    Args:
        path: The file, for errors.
        file: Its text.
    """

    def __init__(self, path: Path, file: TextIOWrapper) -> None:
        self._path = path
        self._file = file
        self._number = 0
        self._length = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            InputError: The lines of a row are too long together, or contain NUL.
        """
        line = self._file.readline(MAX_ROW + 1)
        self._number += 1
        self._length += len(line)
        if self._length > MAX_ROW:
            expected, got = f"rows of at most {MAX_ROW:,} letters", "a longer one"
        elif "\0" in line:
            expected, got = "text", "a NUL byte"
        elif line:
            return line
        else:
            raise StopIteration
        fix = "save it as comma-separated values in UTF-8"
        raise line_fault(self._path, self._number, expected=expected, got=got, fix=fix)

    def begin(self) -> None:
        """Begin a new row."""
        self._length = 0


def _too_many(path: Path, number: int) -> InputError:
    return line_fault(
        path,
        number,
        expected=f"at most {MAX_ROWS:,} rows",
        got="more",
        fix="divide it, or save the data as Parquet (hf:PATH)",
    )


def _check_header(path: Path, header: Sequence[str], needed: Sequence[str]) -> None:
    if len(header) > MAX_COLUMNS:
        raise line_fault(
            path,
            1,
            expected=f"at most {MAX_COLUMNS:,} columns",
            got=f"{len(header):,}",
            fix="correct the header",
        )
    missing = [names for names in needed if sum(n in header for n in names.split("|")) != 1]
    if len(set(header) & set(BOX)) not in (0, len(BOX)):
        missing.append(", ".join(BOX))
    if missing or len(set(header)) < len(header):
        raise line_fault(
            path,
            1,
            expected=f"columns with one {' and one '.join(missing or ['name each'])}",
            got=", ".join(header) or "nothing",
            fix="correct the header",
        )


def _row(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> Row | InputError:
    """Return a row, or the error of its number of cells."""
    row = Row(path, line, dict(zip(header, (cell.strip() for cell in cells), strict=False)))
    if len(cells) != len(header):
        return row.fault(
            expected=f"{len(header)} cells, as in the header",
            got=str(len(cells)),
            fix="put cells that contain a comma in quotes",
        )
    return row
