"""The files of a published archive as they lie on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ectool.datasets.base import DataRequest, Report, raise_fault
from ectool.datasets.catalogue import Archive, missing_file
from ectool.errors import InputError


@dataclass(frozen=True)
class Unpacked:
    """A folder that an archive was unpacked to; whatever is wrong in it names the archive.

    Attributes:
        folder: The data set's own folder.
        archive: What holds its files.
        place: Folder to unpack the archive in.
        report: Is told of faults that leave something of the data set.
    """

    folder: Path
    archive: Archive
    place: Path
    report: Report = raise_fault

    def require(self, names: Iterable[str]) -> None:
        """Report files that are not there; a folder is listed once, however many of them it holds.

        Args:
            names: POSIX paths relative to the folder.

        Raises:
            InputError: One of them is missing, and the report raises it.
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
            InputError: The file is missing, empty, or no text.
        """
        path = self.folder / name
        if not path.is_file():
            raise self.missing(name)
        try:
            lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        except (UnicodeDecodeError, OSError) as error:
            raise self.damaged(name, "text", str(error)) from None
        if not lines:
            raise self.damaged(name, "one line per entry", "an empty file")
        return lines

    def missing(self, name: str) -> InputError:
        """Return the error for a file that is not there."""
        others = self.folder.is_dir()
        return missing_file(self.folder / name, self.archive, self.place, others=others)

    def damaged(self, name: str, expected: str, got: str) -> InputError:
        """Return the error for a file that is not as it was published."""
        fix = f"unpack {self.archive} again"
        return InputError(str(self.folder / name), expected=expected, got=got, fix=fix)


def find_unpacked(
    request: DataRequest, archive: Archive, inside: Sequence[str], landmark: str
) -> Unpacked:
    """Find the folder of a data set: what the request's path names, or what lies in there.

    Args:
        request: ``path`` counts, and ``root`` where it is empty.
        archive: What holds the files.
        inside: Names of the folders in the archive, the outermost first; the last is the data set.
        landmark: A file or folder in the data set's folder, by which it is known when renamed.

    Returns:
        The folder; where nothing is there, the one that ought to be.
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
