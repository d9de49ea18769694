"""The images of a Hugging Face data set, decoded from the rows of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from ectool.datasets.base import Annotations, Framing, Groups, Indices, Labels
from ectool.datasets.fingerprint import content_digest, digest_of
from ectool.datasets.image_files import ImageAnnotations, annotations_of, views_of
from ectool.datasets.images import EncodedImage, ImageSource, read_size
from ectool.datasets.own.drawn_annotations import check_boxes, mask_of
from ectool.datasets.own.hf_columns import Columns
from ectool.datasets.own.hf_tables import Rows, Table
from ectool.datasets.views import View


@dataclass(frozen=True, eq=False)
class OpenTable:
    """A table whose rows are open.

    Attributes:
        table: The table.
        rows: Its rows.
        columns: What its columns are.
    """

    table: Table
    rows: Rows
    columns: Columns

    def cell(self, column: str, row: int) -> ImageSource:
        """Return the encoded image in a cell, or the file that the cell names."""
        value: Mapping[str, Any] = self.rows.data.fast_slice(row, 1).column(column)[0].as_py() or {}
        if value.get("bytes") is None and value.get("path"):
            return self.table.folder / str(value["path"])
        name = f"{self.table}, row {row}, column {column}"
        return EncodedImage(name, value.get("bytes") or b"", str(value.get("path") or ""))

    def files_of(self, column: str) -> list[str | None]:
        """Return the path of the file that each cell names; None for cells with an image.

        An empty cell has an empty path.
        """
        cells = self.rows.data.column(column)
        if not any(part.null_count or part.field("bytes").null_count for part in cells.chunks):
            return [None] * len(cells)
        found: list[str | None] = []
        for cell in cells:
            is_encoded = cell.is_valid and cell["bytes"].is_valid
            path = cell["path"].as_py() if cell.is_valid and not is_encoded else None
            found.append(None if is_encoded else path or "")
        return found


@dataclass(frozen=True, eq=False)
class TableImages:
    """One split of a Hugging Face data set.

    Attributes:
        name: Short name for people.
        places: The table and the row of each sample.
        files: Files of rows, images and masks, as POSIX paths relative to the folder.
        sample_ids: Unique identifier of every image.
        labels: True classes; see :class:`ectool.datasets.base.Dataset`.
        classes: Names of the classes.
        view: Makes images square.
        root: Folder in which digests of the contents are cached.
        boxes: A box of each sample, NaN where there is none; None without boxes.
        groups: Groups of the samples, or None.
    """

    name: str
    places: Sequence[tuple[OpenTable, int]]
    files: Sequence[str]
    sample_ids: Sequence[str]
    labels: Labels
    classes: tuple[str, ...]
    view: View
    root: Path
    boxes: Float[np.ndarray, "n 4"] | None = None
    groups: Groups | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the view in pixels."""
        return self.view.side, self.view.side

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over ids, labels, classes, view, columns and the files' contents."""
        found = {place[0].table.key: place[0] for place in self.places}
        groups = self.groups
        return digest_of(
            {
                "data": "hf",
                "view": self.view.facts(),
                "classes": self.classes,
                "sample_ids": list(self.sample_ids),
                "labels": self.labels.tolist(),
                "columns": {key: [t.columns.image, t.columns.mask] for key, t in found.items()},
                "rows": [row for _, row in self.places],
                "boxes": None if self.boxes is None else self.boxes.tolist(),
                "groups": groups and [groups.names[group] for group in groups.of_samples],
                "content": content_digest(self._folder, self.files, self.root),
            }
        )

    def images(
        self, indices: Indices, framing: Framing | None = None
    ) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return the views of images, or the parts of them that `framing` returns.

        Raises:
            InputError: An image cannot be read.
        """
        return views_of(self.view, self._image, indices, framing)

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:
        """Return annotations of the object of each image; see ``ImageFiles.annotations``.

        Raises:
            InputError: A mask cannot be read, or does not fit its image, or a box is outside.
        """
        has_masks = any(place[0].columns.mask for place in self.places)
        reader = self if has_masks or self.boxes is not None else None
        return annotations_of(self.view, reader, indices, targets)

    def read(self, index: int, target: int | None, max_pixels: int) -> ImageAnnotations:  # noqa: ARG002 (one class each)
        """Return an image's mask and box."""
        (table, row), name = self.places[index], str(self.sample_ids[index])
        size = read_size(self._image(index), max_pixels)
        column = table.columns.mask
        mask = None if column is None else mask_of(table.cell(column, row), name, size, max_pixels)
        boxes = None
        if self.boxes is not None:
            box = self.boxes[index : index + 1]
            boxes = check_boxes(box[~np.isnan(box).any(axis=1)], name, size)
        return ImageAnnotations(size=size, mask=mask, boxes=boxes)

    @property
    def _folder(self) -> Path:
        return self.places[0][0].table.folder

    def _image(self, index: int) -> ImageSource:
        table, row = self.places[index]
        return table.cell(table.columns.image, row)
