"""A file that HDF5 may write into although the disk is full."""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType


class Sink(io.RawIOBase):
    """A new file that keeps its first error to itself, for `check` to raise.

    HDF5 cannot close a file whose last blocks cannot be written: it leaves the file open, and the
    process crashes when that is collected. So every write seems to succeed, and whoever writes
    checks after each step.

    Args:
        path: The file; it is overwritten.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None
        self._path = path

    def check(self) -> None:
        """Raise what has kept the file from being written.

        Raises:
            OSError: The disk is full, or whatever else it was.
        """
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror, str(self._path))

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Write all of it, or nothing once something has failed."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self._error is None and rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._error = error
        return size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what is there."""
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
