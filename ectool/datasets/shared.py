"""Images for several models: decoded once, then read from a temporary file."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ectool.datasets.base import Annotations, Dataset, Framing, Groups, Indices, Labels
from ectool.datasets.image_files import ImageFiles
from ectool.datasets.own.hf_images import TableImages
from ectool.datasets.subset import Subset

SPARE = 2
"""Required free space on the disk, in units of the decoded images: outputs need space too."""


class SharedImages:
    """A data set that decodes each of its images only once.

    Decoded images are stored in a file. It is not memory-mapped: pages that were read would count
    as memory of this process until another one needs it.

    Args:
        source: The data set.
        file: Descriptor of an empty file without other users.
    """

    def __init__(self, source: Dataset, file: int) -> None:
        self._source = source
        self._file = file
        self._row_bytes = image_bytes(source)
        self._known = np.zeros(len(source.sample_ids), np.bool_)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Return the short name for messages."""
        return self._source.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the class names."""
        return self._source.classes

    @property
    def sample_ids(self) -> Sequence[str]:
        """Return the unique identifiers."""
        return self._source.sample_ids

    @property
    def labels(self) -> Labels:
        """Return the true classes."""
        return self._source.labels

    @property
    def groups(self) -> Groups | None:
        """Return the groups of the samples."""
        return self._source.groups

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._source.size

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the data set; the images are equal."""
        return self._source.fingerprint

    def images(
        self, indices: Indices, framing: Framing | None = None
    ) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return images; with `framing`, they are decoded each time."""
        if framing is not None:
            return self._source.images(indices, framing)
        if not self._known[indices].all():
            self._decode(indices)
        images = np.empty((len(indices), 3, *self.size), np.uint8)
        for row, index in enumerate(indices):
            os.preadv(self._file, [images[row].data], int(index) * self._row_bytes)
        return images

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:
        """Return the annotations of the objects."""
        return self._source.annotations(indices, targets)

    def _decode(self, indices: Indices) -> None:
        """Decode and store the images that are missing."""
        with self._lock:
            missing = np.unique(indices[~self._known[indices]])
            for index, image in zip(missing, self._source.images(missing), strict=True):
                offset = int(index) * self._row_bytes
                if os.pwrite(self._file, image.tobytes(), offset) < self._row_bytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._known[missing] = True


@contextmanager
def shared(datasets: Mapping[str, Dataset], folder: Path) -> Iterator[dict[str, Dataset]]:
    """Yield equal data sets that decode each of their images at most once.

    Data sets that decode no files are returned unchanged, and so are all if the disk has too
    little space. Memory: none beyond the data sets; disk: the decoded images, until the block
    ends.

    Args:
        datasets: By name.
        folder: Folder of the files of decoded images, which have no name.
    """
    costly = {name: dataset for name, dataset in datasets.items() if _is_decoded(dataset)}
    needed = sum(image_bytes(one) * len(one.sample_ids) for one in costly.values())
    if needed * SPARE > shutil.disk_usage(folder).free:
        costly = {}
    found = dict(datasets)
    with ExitStack() as stack:
        for name, dataset in costly.items():
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))
            found[name] = SharedImages(dataset, file.fileno())
        yield found


def image_bytes(dataset: Dataset) -> int:
    """Return the size of one decoded image."""
    height, width = dataset.size
    return 3 * height * width


def _is_decoded(dataset: Dataset) -> bool:
    """Return whether images are decoded from files on each access."""
    while isinstance(dataset, Subset):
        dataset = dataset.whole
    return isinstance(dataset, ImageFiles | TableImages)
