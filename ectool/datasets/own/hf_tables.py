"""The tables of a Hugging Face data set in a folder: saved by `datasets`, or Parquet files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from ectool.config.splits import SPLIT_NAMES
from ectool.datasets.fingerprint import content_digest
from ectool.datasets.own.arrow_files import check_arrow, copy_parquet
from ectool.errors import AbsentError, EctoolError, InputError
from ectool.parsing import read_object
from ectool.writing import remove_unfinished, written

DICTIONARY, STATE = "dataset_dict.json", "state.json"
PARQUET = ".parquet"
CACHE = ".huggingface"
"""Folder below ``ECTOOL_DATA`` for the rows of Parquet files, in a form that is read by index."""
_AGAIN = "save the data set again with save_to_disk"
_MAX_MESSAGE = 200

Rows = Any
"""A `datasets.Dataset`; the package has no types."""


@dataclass(frozen=True)
class Table:
    """Rows that were saved together.

    Attributes:
        folder: The data set's folder.
        key: Name of the split in the data set; empty if the rows have no split.
        files: POSIX paths of the files of the rows, relative to the folder.
        is_parquet: Whether these are Parquet files.
    """

    folder: Path
    key: str
    files: tuple[str, ...]
    is_parquet: bool = False

    @property
    def split(self) -> str:
        """Return the name of the split, e.g. ``validation`` for ``val``; empty without one."""
        return SPLIT_NAMES.get(self.key.lower(), self.key)

    def __str__(self) -> str:
        return f"{self.folder}: {self.key}" if self.key else str(self.folder)


def find_tables(path: str) -> list[Table]:
    """Return the tables in a folder, one for each split.

    Args:
        path: A folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote, or one that
            contains Parquet files, or one such file. Parquet files belong to the split that a word
            of their name names, or of the folders below `path`.

    Raises:
        InputError: There is no such folder, or a description of it is missing or damaged.
    """
    folder = Path(path).expanduser()
    if folder.is_file() and folder.suffix == PARQUET:
        return _of_parquet(folder.parent, [Path(folder.name)])
    if not path or not folder.is_dir():
        raise AbsentError(
            f"hf:{path}",
            expected="an existing folder of Dataset.save_to_disk, or with Parquet files",
            got="a file" if folder.is_file() else "no such folder" if path else "no path",
            fix="write hf:PATH; nothing is downloaded: save data sets of a hub with save_to_disk",
        )
    if (folder / DICTIONARY).exists():
        keys = _field(folder / DICTIONARY, "splits")
        if not isinstance(keys, list) or not keys or not all(isinstance(k, str) for k in keys):
            raise _damaged(folder / DICTIONARY, f"splits {keys!r}")
        tables = [_saved(folder, key, key) for key in keys]
    elif (folder / STATE).exists():
        tables = [_saved(folder, "", None)]
    else:
        tables = _parquet(folder)
    _check_splits_once(folder, tables)
    return tables


def load(table: Table, root: Path) -> Rows:
    """Open the rows of a table, memory-mapped.

    Parquet files cannot be read by index, so their rows are first copied into ``root/.huggingface``
    under the digest of their contents.

    Args:
        table: The table.
        root: Folder of the data sets (``ECTOOL_DATA``).

    Raises:
        AbsentError: The package `datasets` is not installed.
        InputError: A file is missing or damaged.
    """
    if find_spec("datasets") is None:
        raise AbsentError(
            f"hf:{table.folder}",
            expected="the package datasets",
            got="no such package",
            fix="pip install 'ectool[huggingface]'",
        )
    with _one_line(table):
        import datasets

        with _no_progress(datasets):
            if table.is_parquet:
                return datasets.Dataset.from_file(str(_copied(table, root)))
            check_arrow([table.folder / name for name in table.files])
            return datasets.load_from_disk(str(table.folder / Path(table.files[0]).parent))


def _copied(table: Table, root: Path) -> Path:
    """Return the rows of Parquet files as one Arrow file, which is written on first use.

    Not by `Dataset.from_parquet`: it reads the files that cells name, also from the network.
    """
    target = root / CACHE / f"{content_digest(table.folder, table.files, root)}.arrow"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(target.parent)
    with written(target, is_flushed=False) as file:
        copy_parquet([table.folder / name for name in table.files], file)
    return target


@contextmanager
def _no_progress(datasets: Any) -> Iterator[None]:  # noqa: ANN401 (a module)
    """Print no progress bars, whose lines are not ours."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


@contextmanager
def _one_line(table: Table) -> Iterator[None]:
    """Turn what `datasets` raises, which may be anything, into one line."""
    try:
        yield
    except EctoolError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the machine, such as a full disk
        text = " ".join(str(error).split())[:_MAX_MESSAGE]
        raise InputError(
            str(table),
            expected="rows that the package datasets can read",
            got=f"{type(error).__name__} ({text})",
            fix=_AGAIN,
        ) from error


def _saved(folder: Path, place: str, key: str | None) -> Table:
    """Return the table that `Dataset.save_to_disk` wrote into a folder below the data set's.

    Args:
        folder: The data set's folder.
        place: Folder of the table, relative to it; empty for itself.
        key: Name of the split; None for the one that the table records, if it is a usual one.
    """
    state = folder / place / STATE
    files = _field(state, "_data_files")
    try:
        names = tuple((Path(place) / file["filename"]).as_posix() for file in files)
    except (KeyError, TypeError) as error:
        raise _damaged(state, f"_data_files {files!r}") from error
    if not names:
        raise InputError(
            str(state.parent),
            expected="rows",
            got="none",
            fix="leave the split out, or save it with rows",
        )
    for name in names:
        if not is_inside(folder, name):
            raise InputError(
                str(folder / name),
                expected=f"a file of rows, which {state} lists",
                got="no such file",
                fix="restore it, or save the data set again",
            )
    if key is None:
        recorded = str(_field(state, "_split"))
        key = recorded if recorded.lower() in SPLIT_NAMES else ""
    return Table(folder, key, names)


def is_inside(folder: Path, path: str) -> bool:
    """Return whether a path names a regular file in a folder, and is relative to it."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts:
        return False
    try:
        return (folder / pure).is_file()
    except (OSError, ValueError):  # no file can have such a name
        return False


def _field(file: Path, name: str) -> Any:  # noqa: ANN401 (JSON)
    """Return a field of a JSON file, None without it."""
    try:
        return read_object(file, fix=_AGAIN).get(name)
    except OSError as error:
        got = "no such file" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise _damaged(file, got) from error


def _damaged(file: Path, got: str) -> InputError:
    return InputError(
        str(file),
        expected="the file that save_to_disk writes",
        got=" ".join(got.split())[:_MAX_MESSAGE],
        fix=_AGAIN,
    )


def _parquet(folder: Path) -> list[Table]:
    """Return the tables of the Parquet files in a folder: one for each split, or one of all."""
    found = sorted(path.relative_to(folder) for path in folder.rglob(f"*{PARQUET}"))
    files = [path for path in found if not any(part.startswith(".") for part in path.parts)]
    if not files:
        raise AbsentError(
            str(folder),
            expected=f"{DICTIONARY} or {STATE} of save_to_disk, or Parquet files",
            got="none of them",
            fix="save the data set there with save_to_disk; for image files, write "
            f"imagefolder:{folder}",
        )
    return _of_parquet(folder, files)


def _of_parquet(folder: Path, files: Sequence[Path]) -> list[Table]:
    """Return the tables of some Parquet files, by paths relative to a folder."""
    splits: dict[str, list[str]] = {}
    for path in files:
        splits.setdefault(_split_of(folder, path), []).append(path.as_posix())
    if "" in splits and len(splits) > 1:
        raise InputError(
            str(folder / splits[""][0]),
            expected="the name of a split in its name, as in those of other Parquet files",
            got="none",
            fix="rename it, e.g. to train-2.parquet, or move it away",
        )
    return [Table(folder, key, tuple(names), is_parquet=True) for key, names in splits.items()]


def _split_of(folder: Path, path: Path) -> str:
    """Return the split that a file belongs to by a word of its name, or of its folders."""
    for part in reversed(path.with_suffix("").parts):
        words = re.split(r"[^a-z]+", part.lower())
        splits = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
        if len(splits) > 1:
            raise InputError(
                str(folder / path),
                expected="the name of one split in its name",
                got=", ".join(sorted(splits)),
                fix="rename it",
            )
        if splits:
            return splits.pop()
    return ""


def _check_splits_once(folder: Path, tables: Sequence[Table]) -> None:
    splits = [table.split for table in tables]
    twice = next((split for split in splits if splits.count(split) > 1), None)
    if twice is not None:
        raise InputError(
            str(folder),
            expected="each split once",
            got=", ".join(table.key for table in tables if table.split == twice),
            fix="rename or remove one of them",
        )
