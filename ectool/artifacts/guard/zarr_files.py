"""The files of a Zarr folder, as zarr-python reads them: checked, and none of other folders."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import zarr
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from ectool.artifacts.guard.bounds import BLOCK_ROWS, ID, real_bytes, size_fault
from ectool.artifacts.guard.within import OutsideError, open_within
from ectool.artifacts.guard.zarr_documents import check_chunk, check_document
from ectool.artifacts.schema import kind_of
from ectool.input_files import JSON
from ectool.parsing import parse_json

DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
_ADDRESS = 4


class CheckedStore(LocalStore):
    """A folder whose metadata and chunks are checked before zarr decodes them."""

    _known: dict[str, dict[str, Any]]

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return bytes of a file; None if it does not exist.

        Raises:
            ValueError: It lies elsewhere, is not valid, or grows beyond its chunk.
        """
        path = Path(self.root) / key
        is_document = path.name in DOCUMENTS
        with suppress(FileNotFoundError, NotADirectoryError):
            file = open_within(Path(self.root), path)
            size = os.fstat(file).st_size
            os.close(file)
            if is_document and size > (JSON.max_bytes or 0):
                raise OutsideError("metadata of more bytes than any that are meant")
        found = await super().get(key, prototype, byte_range)
        if found is not None and byte_range is None:
            self._check(key, found.to_bytes(), is_document=is_document)
        return found

    def _check(self, key: str, data: bytes, *, is_document: bool) -> None:
        known = self.__dict__.setdefault("_known", {})
        if is_document:
            document = parse_json(data)
            check_document(document)
            if "shape" in document:  # not attributes of version 2
                known[key.rpartition("/")[0]] = document
            return
        names = [name for name in known if name and key.startswith(name + "/")]
        if names:
            check_chunk(known[max(names, key=len)], data)


def array_fault(folder: Path, array: zarr.Array[Any], *, is_ours: bool) -> str | None:
    """Return what is wrong with the size that an array declares; None if it is plausible."""
    item = _ADDRESS if kind_of(array.dtype) == "T" else array.dtype.itemsize
    rows = (array.shards or array.chunks or (1,))[0]
    block, is_id = rows if is_ours else max(rows, BLOCK_ROWS), folder.name == ID
    # Counting the stored bytes takes time, and most arrays are plausible without any.
    if not is_id and size_fault(array.shape, item, block, 0) is None:
        return None
    return size_fault(array.shape, item, block, _stored(folder), is_id=is_id)


def _stored(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        total += sum(real_bytes(os.lstat(os.path.join(place, name))) for name in names)  # noqa: PTH118
    return total
