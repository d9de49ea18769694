"""Images and labels of callers, one by one: torch data sets, loaders and other iterables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from ectool.api.images import Ids, as_bytes, check_ids, check_images, check_labels
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.schema import Arrays
from ectool.config import MapOptions
from ectool.datasets.base import Indices
from ectool.errors import InputError
from ectool.stages.common.shards import map_shards
from ectool.types import SILENT

Item = tuple[object, object]
KEYS = (("image", "label"), ("img", "label"), ("pixel_values", "labels"))
"""Entries of items that are dicts, as in data sets of Hugging Face."""


@dataclass(frozen=True)
class Items:
    """Images and labels, read by index.

    Attributes:
        ids: Identifier of each image.
        read: Returns image and label.
        size: (height, width) of the first image, in pixels.
    """

    ids: list[str]
    read: Callable[[int], Item]
    size: tuple[int, int]

    def load(self, rows: Indices) -> Indices:
        """Return the rows; data sets of callers are read in the main thread only."""
        return rows

    def compute(self, rows: Indices) -> Arrays:
        """Return images and labels as arrays of an images artifact."""
        pairs = [self.read(int(row)) for row in rows]
        images = [_image(pair[0], int(row)) for pair, row in zip(pairs, rows, strict=True)]
        for row, image in zip(rows, images, strict=True):
            self._check_size(image, int(row))
        labels = [_label(label) for _, label in pairs]
        return {
            "sample_id": np.array([self.ids[row] for row in rows], dtype=np.dtypes.StringDType()),
            "label": check_labels(labels, len(rows), "labels of data"),
            "image": np.stack(images),
        }

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Return no findings."""
        return {}

    def _check_size(self, image: UInt8[np.ndarray, "3 h w"], row: int) -> None:
        """Check that images are squares of one size.

        Raises:
            InputError: They are not.
        """
        height, width = self.size
        if image.shape[1:] != self.size or height != width:
            raise InputError(
                f"image {row} of data",
                expected=f"a square of {height} pixels" + ("" if row == 0 else ", as the first"),
                got=f"{image.shape[1]}x{image.shape[2]}",
                fix="resize or crop the images to squares of one size",
            )


def items_of(data: object, ids: Ids | None) -> Items:
    """Return the images and labels of a caller.

    A data set with length and index is read again for each image; other iterables are read once,
    and their images are kept as uint8.

    Args:
        data: A data set, a loader of batches, any iterable of (image, label); or a pair of arrays.
        ids: Identifiers of the images.

    Raises:
        InputError: It is none of these, is empty, or an item is no image with a label.
    """
    read, count = _reader(data)
    if count == 0:
        raise InputError("data", expected="at least one image", got="none", fix="give some")
    first = _image(read(0)[0], 0)
    return Items(check_ids(ids, count), read, (first.shape[1], first.shape[2]))


def write_items(items: Items, class_names: Sequence[str], path: Path) -> Path:
    """Write images and labels as an images artifact.

    Raises:
        InputError: An image or a label is not valid.
    """
    recipe = Recipe(kind="pictures", stage="materialize", config={}, parents=(), source=None)
    attributes = {"classes": [str(name) for name in class_names]}
    return map_shards(
        items, MapOptions(output=path), recipe, len(items.ids), SILENT, attributes
    ).path


def _reader(data: object) -> tuple[Callable[[int], Item], int]:
    """Return a function that reads an item by index, and the number of items."""
    if isinstance(data, tuple | list) and len(data) == 2 and _dims(data[0]) == 4:
        rows = list(_rows(data[0], data[1]))
        return rows.__getitem__, len(rows)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        source: Any = data
        return lambda row: _item(source[row], row), len(source)
    if not isinstance(data, Iterable):
        raise _refused("data", f"a {type(data).__name__}")
    found = list(_flat(data))
    return found.__getitem__, len(found)


def _flat(data: Iterable[object]) -> Iterator[Item]:
    """Yield the items of an iterable of items or batches, their images as uint8."""
    for number, item in enumerate(data):
        images, labels = _item(item, number)
        if _dims(images) == 4:
            yield from _rows(images, labels)
        else:
            yield _image(images, number), labels


def _rows(images: Any, labels: Any) -> Iterator[Item]:  # noqa: ANN401 (of callers)
    """Yield image and label of each row of a batch."""
    checked = as_bytes(check_images(images))
    if len(labels) != len(checked):
        raise InputError(
            "labels of data",
            expected=f"{len(checked)}, one per image",
            got=str(len(labels)),
            fix="give a label for each image",
        )
    yield from zip(checked, labels, strict=True)


def _item(item: object, row: int) -> Item:
    """Return image and label of an item: a pair, or a dict.

    Raises:
        InputError: It is neither.
    """
    if isinstance(item, Mapping):
        for image, label in KEYS:
            if image in item and label in item:
                return item[image], item[label]
        raise _refused(f"item {row} of data", f"a dict with {', '.join(map(repr, item))}")
    if isinstance(item, tuple | list) and len(item) >= 2:
        return item[0], item[1]
    raise _refused(f"item {row} of data", f"a {type(item).__name__}")


def _refused(subject: str, got: str) -> InputError:
    return InputError(
        subject,
        expected="an image with its label: (image, label)",
        got=got,
        fix="give the name of a data set, a torch Dataset, or an iterable of (image, label)",
    )


def _image(image: object, row: int) -> UInt8[np.ndarray, "3 h w"]:
    """Return an image as uint8.

    Raises:
        InputError: It is no RGB image.
    """
    if hasattr(image, "convert"):  # of PIL
        pixels: np.ndarray[Any, Any] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        return pixels
    batch = image[None] if isinstance(image, Tensor | np.ndarray) else image
    found: np.ndarray[Any, Any] = as_bytes(check_images(batch, f"image {row} of data"))[0]
    return found


def _label(label: object) -> object:
    return label.detach().cpu().numpy() if isinstance(label, Tensor) else label


def _dims(values: object) -> int:
    return int(getattr(values, "ndim", 0))
