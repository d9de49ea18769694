"""The interface of all data sets: uint8 images by index in one view, labels, annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int8, Int64, UInt8

from ectool.config.splits import SPLITS as SPLITS
from ectool.datasets.class_order import ClassOrder
from ectool.datasets.views import Box, View
from ectool.errors import EctoolError

Indices = Int64[np.ndarray, "b"]
Labels = Int64[np.ndarray, "n"] | Int8[np.ndarray, "n c"]
Framing = Callable[[int, int, int], Box]
"""Maps (index, width, height) of an image to the part of it that is shown."""

Report = Callable[[EctoolError], None]
"""Receives a fault that leaves a part of a data set readable; may raise it."""

VARIANTS = (
    "original",
    "mixed_same",
    "mixed_rand",
    "mixed_next",
    "only_fg",
    "only_bg_t",
    "no_fg",
)


def raise_fault(fault: EctoolError) -> None:
    """Raise a fault; the default, unless all faults are collected."""
    raise fault


@dataclass(frozen=True)
class DataRequest:
    """Which images of a data set to open.

    Attributes:
        path: What follows the colon of the data URI; empty where the URI has none.
        split: One of the splits of the data set.
        root: Folder of the data sets and of the cache of generated ones (``ECTOOL_DATA``).
        variant: One of the background variants of the data set; ``original`` always exists.
        view: How images of many sizes become squares of one size.
        rho: Share of images whose background is of the family of their class (digits, letters).
        seed: Seed of all random numbers of generated data (digits, letters).
        fold: Predefined fold of the training images (stl10), or None for all of them.
        class_order: How the classes of folders and tables are sorted, or None for the data set's
            own order: folders as text, as torchvision does, and tables naturally.
        report: Receives every fault that leaves the rest of the data readable; raises it, unless
            all faults are collected.
    """

    path: str
    split: str
    root: Path
    variant: str = "original"
    view: View = field(default_factory=View)
    rho: float = 0.5
    seed: int = 0
    fold: int | None = None
    class_order: ClassOrder | None = None
    report: Report = raise_fault


@dataclass(frozen=True)
class Annotations:
    """Annotations of the objects of a batch, in pixels of the view; None if there are none.

    Attributes:
        masks: True on the object.
        boxes: Boxes (x0, y0, x1, y1) of every image, end-exclusive, clipped to the view.
        parts: Locations (x, y) and visibility (0 or 1) of the parts, all in one order; a location
            may be outside of the view.
    """

    masks: Bool[np.ndarray, "b h w"] | None = None
    boxes: Sequence[Int64[np.ndarray, "k 4"]] | None = None
    parts: Float[np.ndarray, "b p 3"] | None = None


@dataclass(frozen=True)
class Groups:
    """Groups of samples; evaluation reports the accuracy of each group.

    Attributes:
        names: Name of each group.
        of_samples: Group of every sample, an index into `names`.
    """

    names: tuple[str, ...]
    of_samples: Int64[np.ndarray, "n"]


class Dataset(Protocol):
    """One split and variant of a data set, read by index, in whole batches.

    Reading is pure and thread-safe: the same indices give the same bytes in any order, from any
    thread, on any machine.
    """

    @property
    def name(self) -> str:
        """Return a short name for people, e.g. ``digits/test/mixed_rand``."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the class names; labels index into them."""
        ...

    @property
    def sample_ids(self) -> Sequence[str]:
        """Return the unique identifiers, one per sample, stable across machines."""
        ...

    @property
    def labels(self) -> Labels:
        """Return the true class of every sample, -1 where it is unknown.

        Multi-label data have one entry for each class: 1 present, 0 absent, -1 not counted.
        """
        ...

    @property
    def groups(self) -> Groups | None:
        """Return the groups of the samples, or None."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of every image in pixels."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of all that determines ids, labels, images, annotations."""
        ...

    def images(
        self, indices: Indices, framing: Framing | None = None
    ) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return RGB images, 0 to 255: the view, or the part that `framing` returns."""
        ...

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:
        """Return annotations of all objects, or of those of one target class for each image."""
        ...


def is_multilabel(labels: Labels) -> bool:
    """Return whether labels are multi-label: one entry for each class."""
    return labels.ndim == 2
