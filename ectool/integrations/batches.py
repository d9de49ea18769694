"""Batches and samples of other programs: tuples, lists or dicts of images and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from ectool.errors import InputError

IMAGES = ("pixel_values", "image", "images")
LABELS = ("labels", "label")
ROW = "row"
"""Key of the number of a sample in batches that are dicts."""
Batch = Mapping[str, Any] | Sequence[Any]
Key = str | int


class Samples(Protocol):
    """A map-style data set: a number of samples that are read by index."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, row: int, /) -> Any:  # noqa: ANN401 (of other programs)
        """Return a sample: images and labels in a tuple, list or dict."""
        ...


class Rows(Dataset[Any]):
    """A data set whose samples also contain their number, for weights and memory per sample.

    The number comes last in tuples, and under the key ``row`` in dicts.

    Args:
        dataset: A map-style data set.
    """

    def __init__(self, dataset: Samples) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, row: int) -> Any:  # noqa: ANN401 (as the data set)
        sample = self.dataset[row]
        if isinstance(sample, Mapping):
            return {**sample, ROW: row}
        return (*sample, row)


def keys_of(batch: Batch, subject: str = "batch") -> tuple[Key, Key]:
    """Return the keys or positions of images and labels in a batch or sample.

    Args:
        batch: A dict, or a tuple or list with images first and labels second.
        subject: How messages call it.

    Raises:
        InputError: It has no images or no labels.
    """
    if isinstance(batch, Mapping):
        images, labels = (
            next((k for k in known if k in batch), None) for known in (IMAGES, LABELS)
        )
        if images is not None and labels is not None:
            return images, labels
        got = f"the keys {', '.join(map(str, batch))}"
    elif isinstance(batch, tuple | list) and len(batch) >= 2:
        return 0, 1
    else:
        got = f"a {type(batch).__name__}"
    raise InputError(
        subject,
        expected=f"images and labels, as a tuple or under the keys {' | '.join(IMAGES)} and "
        f"{' | '.join(LABELS)}",
        got=got,
        fix="name the entries so, or call ectool.integrations.in_batch.InBatch in your own loop",
    )


def rows_of(batch: Batch) -> Tensor | None:
    """Return the numbers of the samples of a batch of :class:`Rows`, None for others."""
    if isinstance(batch, Mapping):
        return batch.get(ROW)
    last = batch[-1] if len(batch) > 2 else None
    return last if isinstance(last, Tensor) and last.dtype == torch.int64 else None


def missing_rows() -> InputError:
    """Return the error for a batch without the numbers of its samples."""
    return InputError(
        "batch",
        expected="the number of each sample, for what is known per sample",
        got="none",
        fix="train on ectool.integrations.batches.Rows(dataset), and keep all entries of batches",
    )


def check_images(images: Tensor) -> None:
    """Check the shape of the images of a batch.

    Raises:
        InputError: They are no batch of RGB images.
    """
    if images.ndim == 4 and images.shape[1] == 3 and len(images):
        return
    raise InputError(
        "images",
        expected="a batch of RGB images (n, 3, height, width)",
        got=f"shape {tuple(images.shape)}",
        fix="give what the network takes",
    )


def check_labels(labels: Tensor, count: int, classes: int) -> None:
    """Check shape and range of the labels of a batch, which synchronizes with the device.

    Args:
        labels: Labels of a caller.
        count: Number of images.
        classes: Number of classes.

    Raises:
        InputError: They are no labels of these images.
    """
    is_multi = labels.ndim == 2
    shape = (count, classes) if is_multi else (count,)
    low, high = (-1, 1) if is_multi else (0, classes - 1)
    fits = tuple(labels.shape) == shape and not (labels.is_floating_point() and not is_multi)
    if fits and low <= int(labels.min()) <= int(labels.max()) <= high:
        return
    kind = str(labels.dtype).removeprefix("torch.")
    raise InputError(
        "labels",
        expected=f"classes from 0 to {classes - 1}, or multi-label rows of 1, 0 and -1",
        got=f"{kind} of shape {tuple(labels.shape)}"
        + (f" from {labels.min():g} to {labels.max():g}" if labels.numel() else ""),
        fix="give one label for each image",
    )


def check_rows(rows: Tensor | None, samples: int) -> Tensor:
    """Return the numbers of the samples of a batch.

    Args:
        rows: The numbers, or None if the batch has none.
        samples: Number of samples in the data set.

    Raises:
        InputError: There are none, or one is not of the data set.
    """
    if rows is None:
        raise missing_rows()
    low, high = (int(row) for row in rows.aminmax())
    if low >= 0 and high < samples:
        return rows
    raise InputError(
        "rows",
        expected=f"numbers of samples from 0 to {samples - 1}",
        got=f"{low} to {high}",
        fix="train on ectool.integrations.batches.Rows of the same data set",
    )


def to_unit(
    images: Float[Tensor, "n 3 h w"], mean: Tensor, std: Tensor, *, check: bool
) -> Float[Tensor, "n 3 h w"]:
    """Return normalised images as pixels in [0, 1].

    Args:
        images: Inputs of the network.
        mean: Mean of each channel, (3, 1, 1).
        std: Standard deviation of each channel.
        check: Whether to check the range, which synchronizes with the device.

    Raises:
        InputError: The pixels are not in [0, 1], so mean and std are not those of the images.
    """
    pixels = torch.addcmul(mean, images.detach().float(), std)
    if check:
        low, high = (float(edge) for edge in pixels.aminmax())
        if not (-_TOLERANCE <= low <= high <= 1 + _TOLERANCE):
            raise InputError(
                "images",
                expected="pixels in [0, 1] after mean and std are undone",
                got=f"values from {low:.3g} to {high:.3g}",
                fix="give the mean and std of your normalisation to ectool.wrap",
            )
    return pixels.clamp_(0, 1)


_TOLERANCE = 0.01
"""Range beyond [0, 1] that is due to rounding or interpolation."""
