"""Images and labels of callers: checked, and opened as a data set in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ectool.datasets.base import Annotations, Indices, Labels
from ectool.datasets.image_arrays import ImageArrays, no_annotations
from ectool.datasets.sample_ids import repeated
from ectool.errors import InputError, UsageError
from ectool.models.classifier import to_pixels

Array = Tensor | np.ndarray[Any, Any]
"""A tensor on any device, or an array."""
Ids = Sequence[str] | Sequence[int] | np.ndarray[Any, Any]
WHITE = 255
BATCH_SIZE = 64
"""Images that are computed at once; another number changes results by rounding at most."""
_EXPECTED = "uint8 images of shape (n, 3, height, width), or floats in [0, 1]"


def check_images(images: object, name: str = "images") -> Tensor:
    """Return images as a tensor, uint8 or floating point, without a graph.

    Args:
        images: Images of a caller.
        name: Name of the argument in errors.

    Raises:
        InputError: They have another type, shape or range.
    """
    if not isinstance(images, Tensor | np.ndarray):
        fix = "stack them, with torch.stack or numpy.stack"
        _refuse(name, f"a {type(images).__name__}", fix)
    _check_shape(tuple(images.shape), name)
    if isinstance(images, np.ndarray):
        if images.dtype.kind not in "uif":
            _refuse(name, f"{images.dtype} numbers", "convert them to uint8")
        native = images.astype(images.dtype.newbyteorder("="), copy=False)
        images = torch.tensor(np.ascontiguousarray(native))  # no negative strides
    images = images.detach()
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        kind = str(images.dtype).removeprefix("torch.")
        _refuse(name, f"{kind} numbers", "convert them to uint8")
    _check_range(images, name)
    return images


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) == 4 and shape[1] == 3 and min(shape) > 0:
        return
    if len(shape) == 4 and shape[3] == 3:
        fix = "move the channels before the height: permute(0, 3, 1, 2), transpose(0, 3, 1, 2)"
    elif len(shape) == 3:
        fix = "add an axis for a batch of one: images[None]"
    elif len(shape) == 4 and shape[1] == 1:
        fix = "repeat the grey channel: images.repeat(1, 3, 1, 1)"
    else:
        fix = "give at least one RGB image"
    _refuse(name, f"shape {shape}", fix)


def _check_range(images: Tensor, name: str) -> None:
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1:
        return
    if not (np.isfinite(low) and np.isfinite(high)):
        _refuse(name, "NaN or infinity", "remove these values")
    if low < 0:
        fix = "undo the normalisation, and give its mean and std to ectool.wrap"
    else:
        fix = f"divide them by {WHITE}" if high <= WHITE else "scale them"
    _refuse(name, f"floats from {low:.3g} to {high:.3g}", fix)


def _refuse(name: str, got: str, fix: str) -> NoReturn:
    raise InputError(name, expected=_EXPECTED, got=got, fix=fix)


def as_pixels(images: Tensor, device: torch.device) -> Float[Tensor, "n 3 h w"]:
    """Return checked images as float32 in [0, 1] on a device."""
    if images.dtype == torch.uint8:
        return to_pixels(images, device)
    return images.to(device).to(torch.float32, memory_format=torch.channels_last)


def as_bytes(images: Tensor) -> UInt8[np.ndarray, "n 3 h w"]:
    """Return checked images as uint8; floats are rounded to the nearest of 256 levels."""
    if images.dtype != torch.uint8:
        images = (images.float() * WHITE).round().to(torch.uint8)
    found: np.ndarray[Any, Any] = images.contiguous().cpu().numpy()
    return found


def check_labels(labels: object, count: int, name: str = "labels") -> Labels:
    """Return labels of a caller as int64 (n,), or multi-label int8 (n, c).

    Args:
        labels: One class per image; or multi-label, a row with 1 (present), 0 (absent) or -1 (not
            counted) for each class.
        count: Number of images.
        name: Name of the argument in errors.

    Raises:
        InputError: They are no integers, or have another shape.
    """
    array = as_array(labels)
    expected = f"{count} integers, one class per image, or a row of 0 and 1 per image"
    if array.ndim not in (1, 2) or len(array) != count:
        got = f"shape {tuple(array.shape)}"
        raise InputError(name, expected=expected, got=got, fix="give a label for each image")
    whole = array.astype(np.int64) if array.dtype.kind in "uifb" else None
    if whole is None or (array.ndim == 1 and array.dtype.kind == "f") or (whole != array).any():
        raise InputError(
            name, expected=expected, got=f"{array.dtype} numbers", fix="give the numbers of classes"
        )
    if array.ndim == 1:
        return whole
    multi: Labels = whole.clip(-2, 2).astype(np.int8)  # others stay invalid
    return multi


def check_ids(ids: Ids | None, count: int) -> list[str]:
    """Return unique ids of the images as text; their positions without any.

    Raises:
        InputError: There are more or fewer ids than images, or one occurs twice.
    """
    if ids is None:
        return [str(number) for number in range(count)]
    found = [str(name) for name in as_array(ids).reshape(-1).tolist()]
    twice = next(iter(repeated(found)), None)
    if len(found) != count or twice is not None:
        raise InputError(
            "ids",
            expected=f"{count} different ids, one per image",
            got=f"{len(found)} ids" if twice is None else f"{twice!r} twice",
            fix="give each image its own id",
        )
    return found


def dataset_of(
    images: Array, labels: object, ids: Ids | None, objects: object = None
) -> ImageArrays:
    """Return images and labels of a caller as a data set; the arguments are those of `in_memory`.

    Raises:
        InputError: They are not valid, or do not fit each other.
    """
    bytes_ = as_bytes(check_images(images))
    return in_memory(bytes_, check_labels(labels, len(bytes_)), ids, objects)


def in_memory(
    images: UInt8[np.ndarray, "n 3 h w"],
    labels: Labels,
    ids: Ids | None = None,
    objects: object = None,
) -> ImageArrays:
    """Return images in memory as a data set, whose classes are not known yet.

    Args:
        images: RGB, 0 to 255.
        labels: Checked labels.
        ids: Identifiers, which random numbers depend on.
        objects: True on the object, (n, h, w), for the mask `object`.

    Raises:
        InputError: Ids or object masks do not fit the images.
    """
    masks = None if objects is None else _check_objects(objects, images)

    def annotations(rows: Indices, _targets: Indices | None) -> Annotations:
        return Annotations(masks=None if masks is None else masks[rows])

    height, width = images.shape[2:]
    return ImageArrays(
        name="images",
        sample_ids=check_ids(ids, len(images)),
        labels=labels,
        classes=(),
        size=(height, width),
        read=lambda rows: images[rows],
        digest=lambda: "",
        read_annotations=no_annotations if masks is None else annotations,
    )


def _check_objects(
    objects: object, images: UInt8[np.ndarray, "n 3 h w"]
) -> Bool[np.ndarray, "n h w"]:
    array, shape = as_array(objects), (len(images), *images.shape[2:])
    if array.shape != shape or array.dtype != np.bool_:
        raise InputError(
            "objects",
            expected=f"bool masks of shape {shape}, True on the object",
            got=f"{array.dtype} of shape {array.shape}",
            fix="give a mask of each image, such as `masks > 0`",
        )
    return array


def as_array(values: object) -> np.ndarray[Any, Any]:
    """Return numbers of a caller as an array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def batches(count: int, batch_size: int) -> Iterator[Indices]:
    """Yield the rows of each batch.

    Raises:
        UsageError: The batches are empty.
    """
    if batch_size < 1:
        raise UsageError(
            "batch_size", expected="at least 1", got=str(batch_size), fix="give a positive number"
        )
    for first in range(0, count, batch_size):
        yield np.arange(first, min(first + batch_size, count))
