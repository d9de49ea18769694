"""Perturbed images of samples, which hold them whole or as differences to the data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.chunks.image_differences import decode, encode, row_length
from ectool.artifacts.schema import Arrays
from ectool.config.perturb import DIFFERENCES
from ectool.datasets.base import Dataset, Indices
from ectool.errors import InputError

Images = UInt8[np.ndarray, "b 3 h w"]
Mask = Bool[np.ndarray, "b h w"]
IMAGE, DIFFERENCE = "image", "difference"
"""Arrays of samples: one of them holds the perturbed images."""
SHAPE = "image_shape"
"""Root attribute of samples with differences: channels, height and width."""


def sample_attributes(dataset: Dataset, store: str) -> dict[str, Any]:
    """Return the root attributes of samples of a data set."""
    shape = {SHAPE: [3, *dataset.size]} if store == DIFFERENCES else {}
    return {"classes": list(dataset.classes), **shape}


def stored(images: Images, originals: Images, background: Mask, store: str) -> Arrays:
    """Return the array that holds perturbed images.

    Args:
        images: The perturbed images.
        originals: The clean images.
        background: Pixels that may differ.
        store: `images` or `differences`.
    """
    if store == DIFFERENCES:
        return {DIFFERENCE: encode(images, originals, background)}
    return {IMAGE: images}


class PerturbedImages:
    """Reads the perturbed images of samples.

    Args:
        samples: The artifact.
        dataset: The data set that it was made from.
        where: Beginning of error messages.

    Raises:
        InputError: The images have another type or size than those of the data set.
    """

    def __init__(self, samples: Artifact, dataset: Dataset, where: str) -> None:
        check_images(samples, dataset, where)
        self.samples = samples
        self.dataset = dataset
        self.where = where
        self.array = IMAGE if IMAGE in samples.arrays else DIFFERENCE

    @property
    def is_quick(self) -> bool:
        """Return whether single images can be read without their neighbours."""
        return self.samples.is_raw(self.array)

    def __call__(self, rows: Indices, originals: Callable[[], Images]) -> Images:
        """Return images in any order.

        Args:
            rows: Rows of the samples.
            originals: Returns the clean images of these rows; called if they are needed.

        Raises:
            InputError: The clean images are not those that the differences were made from.
            IntegrityError: The samples have changed since they were written.
        """
        found: np.ndarray = self.samples.take(self.array, rows)
        if self.array == IMAGE:
            return found
        images, matches = decode(found, originals())
        if not matches.all():
            first = int(rows[int(np.argmin(matches))])
            name = self.samples.read("sample_id", first, first + 1)[0]
            raise InputError(
                self.where,
                expected="the data set whose images the differences were made from",
                got=f"another image for {name!r}",
                fix="restore the data, or perturb them again",
            )
        return images


def check_images(samples: Artifact, dataset: Dataset, where: str) -> None:
    """Check that the images of samples can replace those of a data set.

    Raises:
        InputError: They have another type or size.
    """
    dtype, found = _form(samples)
    shape = (3, *dataset.size)
    if dtype != "uint8" or found != shape:
        raise InputError(
            where,
            expected=f"uint8 images of shape {shape} as in {dataset.name}",
            got=f"{dtype} of shape {found}",
            fix="give samples that were made from the same --data and --size",
        )


def _form(samples: Artifact) -> tuple[str, tuple[int, ...]]:
    """Return type and shape of the perturbed images.

    Raises:
        InputError: Differences do not have the length that their shape requires.
    """
    if IMAGE in samples.arrays:
        info = samples.arrays[IMAGE]
        return info.dtype, info.shape[1:]
    info, shape = samples.arrays[DIFFERENCE], _shape(samples.store.attributes)
    if len(shape) != 3 or info.shape[1] != row_length((shape[0], shape[1], shape[2])):
        raise InputError(
            f"{samples.path}: {DIFFERENCE}",
            expected=f"a root attribute `{SHAPE}` of three numbers, and rows of their length",
            got=f"{shape or 'none'}, and rows of {info.shape[1]} bytes",
            fix="write it as docs/artifacts.md describes",
        )
    return info.dtype, shape


def _shape(attributes: Mapping[str, Any]) -> tuple[int, ...]:
    found = attributes.get(SHAPE)
    is_known = isinstance(found, list) and all(isinstance(side, int) for side in found)
    return tuple(found) if is_known and isinstance(found, list) else ()
