"""What every data set offers: indexed uint8 pictures in the deterministic evaluation view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Int64, UInt8

Indices = Int64[np.ndarray, "b"]

SPLITS = ("train", "validation", "test")
VARIANTS = (
    "original",
    "mixed_same",
    "mixed_rand",
    "mixed_next",
    "only_fg",
    "only_bg_t",
    "no_fg",
)


@dataclass(frozen=True)
class DataRequest:
    """Which pictures of a data set to open.

    Attributes:
        path: What follows the colon of the data URI; empty where the URI has none.
        split: One of the splits of the data set.
        variant: One of the background variants of the data set; ``original`` always exists.
        size: Side of the square view in pixels, for data sets of pictures of many sizes.
        rho: Share of training pictures whose background family equals the class (digits).
        seed: Seed of everything that is drawn while the data are made (digits).
        root: Folder under which data sets lie and made ones are cached (``ECTOOL_DATA``).
    """

    path: str
    split: str
    variant: str
    size: int
    rho: float
    seed: int
    root: Path


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
    def labels(self) -> Int64[np.ndarray, "n"]:
        """Return the true class of every sample."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of every picture in pixels."""
        ...

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of everything that determines ids, labels, pictures, masks."""
        ...

    def images(self, indices: Indices) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return RGB pictures, 0 to 255."""
        ...

    def masks(self, indices: Indices) -> Bool[np.ndarray, "b h w"] | None:
        """Return object masks (True on the object), or None where the data set has none."""
        ...

    def boxes(self, indices: Indices) -> Int64[np.ndarray, "b 4"] | None:
        """Return object boxes (x0, y0, x1, y1) in pixels, end-exclusive, or None."""
        ...
