"""A file for HDF5 that delays errors, such as a full disk."""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType

from ectool.writing import create


class Sink(io.RawIOBase):
    """A new file that keeps its first error until `check` raises it.

    HDF5 cannot close a file if its last blocks cannot be written: the file stays open, and the
    process crashes when it is collected. Therefore every write seems to succeed, and the caller
    calls `check` after each step.

    Args:
        path: The file; an old one, or a link, is replaced.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        path.unlink(missing_ok=True)
        self._file = create(path)
        self._error: OSError | None = None
        self._path = path

    def check(self) -> None:
        """Raise the first error of writing.

        Raises:
            OSError: The disk is full, or another error.
        """
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror, str(self._path))

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Write all of it; after an error, write nothing."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self._error is None and rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._error = error
        return size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read bytes."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
            return self._file.tell() if size is None else size

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
