"""Data sets whose images are files; threads decode them on each access."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from ectool.datasets.base import Annotations, Framing, Groups, Indices, Labels
from ectool.datasets.fingerprint import content_digest, digest_of
from ectool.datasets.images import ImageSource, decoded
from ectool.datasets.views import Placement, View, boxes_of

Found = TypeVar("Found")
MAX_THREADS = 8


@dataclass(frozen=True)
class ImageAnnotations:
    """Annotations of the objects of one image, in pixels of the image as displayed.

    Attributes:
        size: (width, height) of the image.
        mask: Mode L, zero outside the object.
        boxes: (x0, y0, x1, y1), end-exclusive.
        parts: (x, y, visible) of every part.
    """

    size: tuple[int, int]
    mask: Image.Image | None = None
    boxes: Float[np.ndarray, "k 4"] | None = None
    parts: Float[np.ndarray, "p 3"] | None = None


class AnnotationReader(Protocol):
    """Reads the annotations of the objects of a data set: for all images the same kinds."""

    @property
    def files(self) -> Sequence[str]:
        """Return the files of annotations, as POSIX paths relative to the data set's folder."""
        ...

    def read(self, index: int, target: int | None, max_pixels: int) -> ImageAnnotations:
        """Return the annotations of an image: of all objects, or of those of one class.

        Images and masks of more than `max_pixels` are refused.
        """
        ...


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """One split of a data set of image files.

    Attributes:
        name: Short name for messages, e.g. ``cub200/test``.
        folder: Folder that all paths are relative to.
        paths: POSIX paths of the images.
        sample_ids: Unique identifier of every image; often its path.
        labels: True classes; see :class:`ectool.datasets.base.Dataset`.
        classes: Names of the classes.
        view: Makes images square.
        root: Folder in which digests of the contents are cached.
        facts: JSON values that determine the data set together with the contents of the files.
        annotation_reader: Reads the annotations of the objects; None if there are none.
        groups: Groups of the samples, or None; `facts` contains them.
    """

    name: str
    folder: Path
    paths: Sequence[str]
    sample_ids: Sequence[str]
    labels: Labels
    classes: tuple[str, ...]
    view: View
    root: Path
    facts: Mapping[str, object]
    annotation_reader: AnnotationReader | None = None
    groups: Groups | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the view in pixels."""
        return self.view.side, self.view.side

    @property
    def annotation_files(self) -> Sequence[str]:
        """Return the files of annotations, as POSIX paths relative to the folder."""
        return self.annotation_reader.files if self.annotation_reader else ()

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over ids, labels, classes, view and all files' contents."""
        files = [*dict.fromkeys([*self.paths, *self.annotation_files])]
        return digest_of(
            {
                **self.facts,
                "view": self.view.facts(),
                "classes": self.classes,
                "sample_ids": list(self.sample_ids),
                "labels": self.labels.tolist(),
                "content": content_digest(self.folder, files, self.root),
            }
        )

    def images(
        self, indices: Indices, framing: Framing | None = None
    ) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return the views of images, or the parts of them that `framing` returns.

        Raises:
            InputError: An image cannot be read.
        """
        return views_of(self.view, lambda row: self.folder / self.paths[row], indices, framing)

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:
        """Return annotations of all objects, or of those of one target class for each image.

        If there are masks but no boxes, the box is the tightest one around the mask in the view:
        four zeros for an object outside of the view.

        Raises:
            InputError: A file of annotations is damaged, or does not fit its image.
        """
        return annotations_of(self.view, self.annotation_reader, indices, targets)


def views_of(
    view: View,
    source: Callable[[int], ImageSource],
    indices: Indices,
    framing: Framing | None,
) -> UInt8[np.ndarray, "b 3 h w"]:
    """Decode images on a few threads and return their views, or the parts `framing` returns.

    Args:
        view: Makes images square.
        source: Returns the file of an image by its index.
        indices: The images.
        framing: Returns the part of each image; None for the view.
    """
    views = np.empty((len(indices), 3, view.side, view.side), np.uint8)

    def fill(row: int) -> None:
        index = int(indices[row])
        scaled = view.scaled if framing is None else view.framed
        with decoded(source(index), view.max_pixels, scaled) as image:
            placement = place(view, index, image.size, framing)
            views[row] = placement.image(image).transpose(2, 0, 1)

    on_threads(fill, range(len(indices)))
    return views


def annotations_of(
    view: View, reader: AnnotationReader | None, indices: Indices, targets: Indices | None
) -> Annotations:
    """Return annotations in the pixels of the view; see :meth:`ImageFiles.annotations`.

    Args:
        view: Makes images square.
        reader: Reads the annotations of one image; None if there are none.
        indices: The images.
        targets: Class of each image whose objects count; None for all objects.
    """
    if reader is None or len(indices) == 0:
        return Annotations()
    chosen = [None] * len(indices) if targets is None else [int(t) for t in targets]

    def read(row: int) -> tuple[Placement, ImageAnnotations]:
        found = reader.read(int(indices[row]), chosen[row], view.max_pixels)
        return view.place(*found.size), found

    return _placed(on_threads(read, range(len(indices))))


def place(view: View, index: int, size: tuple[int, int], framing: Framing | None) -> Placement:
    """Return the placement of an image of a size (width, height) in its view or frame."""
    return view.place(*size) if framing is None else view.frame(framing(index, *size))


def on_threads(read: Callable[[int], Found], rows: Sequence[int]) -> list[Found]:
    """Call `read` for every row on a few threads; PIL decodes outside the interpreter's lock."""
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(read, rows))


def _placed(found: list[tuple[Placement, ImageAnnotations]]) -> Annotations:
    """Bring annotations from the pixels of their images to those of the views."""
    nearest = Image.Resampling.NEAREST
    masks = [at.image(one.mask, nearest) > 0 for at, one in found if one.mask is not None]
    boxes = [at.boxes(one.boxes) for at, one in found if one.boxes is not None]
    parts = [
        np.concatenate([at.points(one.parts[:, :2]), one.parts[:, 2:]], axis=1)
        for at, one in found
        if one.parts is not None
    ]
    stacked = np.stack(masks) if masks else None
    if stacked is not None and not boxes:
        boxes = list(boxes_of(stacked)[:, None])
    return Annotations(stacked, boxes or None, np.stack(parts) if parts else None)
