"""Image artifacts as data sets: written by `ectool data materialize` or `ectool perturb`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from ectool import urls
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.store import HDF5_SUFFIXES, ZARR_SUFFIX, read_manifest
from ectool.datasets.base import (
    SPLITS,
    Annotations,
    DataRequest,
    Dataset,
    Indices,
    Labels,
    is_multilabel,
)
from ectool.datasets.catalogue import DataSetEntry
from ectool.datasets.fingerprint import digest_of
from ectool.datasets.image_arrays import ImageArrays
from ectool.datasets.views import boxes_of
from ectool.errors import AbsentError, InputError, IntegrityError
from ectool.remote.reading import look
from ectool.types import Unnamed

KINDS = ("pictures", "samples")
MAX_CLASSES = 100_000
"""Maximum number of classes that may follow from the maximum label."""
DEPTHS = ("uint8", "uint16")
"""Types of pixels; white is their maximum."""

Images = UInt8[np.ndarray, "b ..."]


@dataclass(frozen=True)
class StoredAnnotations:
    """Masks or boxes of an images artifact.

    Attributes:
        artifact: The artifact.
    """

    artifact: Artifact

    def __call__(self, indices: Indices, targets: Indices | None) -> Annotations:
        """Return annotations of all objects, or of those of one target class for each image."""
        if "mask" in self.artifact.arrays:
            masks = self.artifact.take("mask", indices)
            return Annotations(masks=masks, boxes=list(boxes_of(masks)[:, None]))
        if "box" not in self.artifact.arrays or len(indices) == 0:
            return Annotations()
        boxes = self.artifact.take("box", indices).astype(np.int64)
        classes = self.artifact.take("box_class", indices)
        chosen = classes >= 0 if targets is None else classes == targets[:, None]
        return Annotations(boxes=[box[keep] for box, keep in zip(boxes, chosen, strict=True)])


def open_stored(request: DataRequest) -> Dataset:
    """Open images in an artifact.

    The path is the artifact, or a folder with one per split: ``test.zarr`` for ``test``.

    Args:
        request: ``path`` and ``split`` are used.

    Returns:
        The data set; its classes are the root attribute ``classes``, else numbers.

    Raises:
        InputError: The artifact is missing, is of another split, has images that are not square,
            or labels that cannot be numbers of classes.
    """
    path = _find(request)
    if not path.exists():
        raise AbsentError(
            str(path), expected="an artifact", got="no such file", fix="run the stage that makes it"
        )
    artifact = Artifact(path)
    _check(artifact, request.split)
    labels = _labels(artifact)
    classes = _classes(artifact, labels)
    height, width = artifact.arrays["image"].shape[2:]
    return ImageArrays(
        name=f"{artifact.path.stem}/{request.split}",
        sample_ids=artifact.sample_ids,
        labels=labels,
        classes=classes,
        size=(height, width),
        read=lambda indices: _as_bytes(artifact.take("image", indices)),
        digest=lambda: digest_of({"data": "stored", "id": artifact.id, "classes": classes}),
        read_annotations=StoredAnnotations(artifact),
    )


def _as_bytes(images: UInt8[np.ndarray, "b ..."] | UInt16[np.ndarray, "b ..."]) -> Images:
    """Return images of 8 bits; levels of 16 bits are rounded to 8 bits."""
    if images.dtype == np.uint8:
        return images
    white = np.iinfo(np.uint16).max
    return ((images.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)


def _find(request: DataRequest) -> Path:
    path = urls.place(Path(), request.path).expanduser()
    if path.suffix not in (ZARR_SUFFIX, *HDF5_SUFFIXES) and request.path:
        path = path / f"{request.split}{ZARR_SUFFIX}"
    look(path)
    return path


def _check(artifact: Artifact, split: str) -> None:
    """Check that the artifact has square images of the split."""
    source = artifact.manifest.recipe.source if artifact.manifest else None
    image = artifact.arrays.get("image") if artifact.kind in KINDS else None
    shape = () if image is None else image.shape
    if source is not None and source.split != split:
        raise InputError(
            str(artifact.path),
            expected=f"images of the split {split!r}",
            got=f"those of {source.split!r}",
            fix=f"give --split {source.split}, or the artifact of {split!r}",
        )
    if image is None and "difference" in artifact.arrays:
        raise InputError(
            str(artifact.path),
            expected="whole images",
            got="differences to the images of another data set",
            fix="write whole images with `ectool convert --store images`",
        )
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
        raise InputError(
            str(artifact.path),
            expected=f"a {' or '.join(KINDS)} artifact of square RGB images",
            got=f"{artifact.kind} of shape {shape}" if shape else artifact.kind,
            fix="make it with `ectool data materialize`",
        )
    if image is not None and np.dtype(image.dtype).name not in DEPTHS:
        raise InputError(
            f"{artifact.path}: image",
            expected=f"{' or '.join(DEPTHS)}, whose maximum is white",
            got=image.dtype,
            fix="scale the images to uint8",
        )


def _labels(artifact: Artifact) -> Labels:
    """Return labels as int64, or int8 if multi-label, for any stored type of integers."""
    stored = artifact.read("label")
    if stored.ndim == 1:
        return stored.astype(np.int64)
    limits = np.iinfo(np.int8)  # a cast alone would read 256 as 0
    return stored.clip(max(limits.min, np.iinfo(stored.dtype).min), limits.max).astype(np.int8)


def _classes(artifact: Artifact, labels: Labels) -> tuple[str, ...]:
    names = artifact.store.attributes.get("classes")
    if names is not None:
        return tuple(str(name) for name in names)
    if "logits_clean" in artifact.arrays:
        return Unnamed.of(artifact.arrays["logits_clean"].shape[1])
    if is_multilabel(labels):
        return Unnamed.of(labels.shape[1])
    count = int(labels.max(initial=0)) + 1
    if count > MAX_CLASSES:
        raise InputError(
            f"{artifact.path}: label",
            expected=f"classes below {MAX_CLASSES}, because they have no names",
            got=str(count - 1),
            fix="correct the labels, or write the root attribute `classes`",
        )
    return Unnamed.of(count)


def stored_splits(path: str) -> tuple[str, ...]:
    """Return the split of an artifact, or the splits of the artifacts in a folder.

    Args:
        path: Part of the data URI after the colon.

    Returns:
        Names of splits; the usual ones if they are unknown.
    """
    place = Path(path).expanduser()
    if place.suffix in (ZARR_SUFFIX, *HDF5_SUFFIXES):
        manifest = read_manifest(place)
        source = manifest.recipe.source if manifest else None
        return SPLITS if source is None else (source.split,)
    found = sorted(one.stem for one in place.glob(f"*{ZARR_SUFFIX}"))
    return tuple(found) or SPLITS


def check_digests(request: DataRequest) -> None:
    """Report every shard of an artifact whose contents have changed."""
    path = _find(request)
    if not path.exists():
        return
    with Artifact(path) as artifact:
        for shard in artifact.verify():
            request.report(
                IntegrityError(
                    f"{path}: shard {shard}",
                    expected="the bytes that were written",
                    got="others",
                    fix="run the stage that made it again with --resume",
                )
            )


STORED = DataSetEntry(
    open=open_stored,
    summary="Image artifacts: written by `data materialize` or `perturb`.",
    uri="zarr:PATH",
    splits_at=stored_splits,
    check_more=check_digests,
)
