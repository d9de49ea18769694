"""The unpacked files of a published archive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ectool.datasets.base import DataRequest, Report, raise_fault
from ectool.datasets.catalogue import Archive, missing_file
from ectool.errors import InputError
from ectool.input_files import TEXT, check_regular, read_text


@dataclass(frozen=True)
class Unpacked:
    """A folder that an archive was unpacked to; errors name the archive.

    Attributes:
        folder: The data set's own folder.
        archive: The archive that holds its files.
        place: Folder to unpack the archive in.
        report: Receives faults that leave a part of the data set readable.
    """

    folder: Path
    archive: Archive
    place: Path
    report: Report = raise_fault

    def require(self, names: Iterable[str]) -> None:
        """Report missing files; each folder is listed only once.

        Args:
            names: POSIX paths relative to the folder.

        Raises:
            InputError: One of them is missing, and `report` raises errors.
        """
        listed: dict[str, set[str]] = {}
        for name in names:
            parent, _, file = name.rpartition("/")
            if parent not in listed:
                listed[parent] = _names_in(self.folder / parent)
            if file not in listed[parent]:
                self.report(self.missing(name))

    def rows(self, name: str) -> list[list[str]]:
        """Return the words of every line of a text file; see `lines`."""
        return [line.split() for line in self.lines(name)]

    def lines(self, name: str) -> list[str]:
        """Return the lines of a text file, without empty ones.

        Raises:
            InputError: The file is missing, empty, or is not UTF-8.
        """
        lines = [line for line in self.text(name).splitlines() if line.strip()]
        if not lines:
            raise self.damaged(name, "one line per entry", "an empty file")
        return lines

    def text(self, name: str) -> str:
        """Return the contents of a text file.

        Raises:
            InputError: The file is missing, or is not UTF-8.
        """
        try:
            return read_text(self.file(name), TEXT)
        except (UnicodeDecodeError, OSError) as error:
            raise self.damaged(name, "text", str(error)) from None

    def file(self, name: str) -> Path:
        """Return the path of a file.

        Raises:
            InputError: The file is missing or irregular.
        """
        path = self.folder / name
        if path.is_dir() or not path.exists():
            raise self.missing(name)
        check_regular(path)
        return path

    def missing(self, name: str) -> InputError:
        """Return the error for a missing file."""
        others = self.folder.is_dir()
        return missing_file(self.folder / name, self.archive, self.place, others=others)

    def damaged(self, name: str, expected: str, got: str) -> InputError:
        """Return the error for a file that differs from the published one."""
        fix = f"unpack {self.archive} again"
        return InputError(str(self.folder / name), expected=expected, got=got, fix=fix)


def find_unpacked(
    request: DataRequest, archive: Archive, inside: Sequence[str], landmark: str
) -> Unpacked:
    """Find the folder of a data set: the path of the request, or a folder in it.

    Args:
        request: ``path`` counts, and ``root`` where it is empty.
        archive: The archive that holds the files.
        inside: Names of the folders in the archive, the outermost first; the last is the data set.
        landmark: A file or folder in the data set's folder; identifies a renamed one.

    Returns:
        The folder; where there is none, the expected one.
    """
    start = (Path(request.path).expanduser() if request.path else request.root).absolute()
    nested = [start.joinpath(*inside[depth:]) for depth in range(len(inside))]
    found = [folder for folder in nested if folder.is_dir()]
    if found:
        folder = found[0]
    elif (start / landmark).exists():
        folder = start
    else:
        depth = inside.index(start.name) + 1 if start.name in inside else 0
        folder = start.joinpath(*inside[depth:])
    is_whole = folder.parts[-len(inside) :] == tuple(inside)
    place = folder.parents[len(inside) - 1] if is_whole else folder.parent
    return Unpacked(folder, archive, place, request.report)


def _names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
