"""A part of the samples of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64, UInt8

from ectool.datasets.base import (
    Annotations,
    Dataset,
    Framing,
    Groups,
    Indices,
    Labels,
    is_multilabel,
)
from ectool.datasets.fingerprint import digest_of
from ectool.datasets.views import Box


@dataclass(frozen=True, eq=False)
class Subset:
    """Some samples of a data set, in its order.

    Attributes:
        whole: The data set.
        rows: Indices into it, ascending.
    """

    whole: Dataset
    rows: Int64[np.ndarray, "m"]

    @property
    def name(self) -> str:
        """Return the name of the whole, and the numbers of samples."""
        return f"{self.whole.name} ({len(self.rows)} of {len(self.whole.sample_ids)})"

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the class names."""
        return self.whole.classes

    @cached_property
    def sample_ids(self) -> Sequence[str]:
        """Return the identifiers, the same as in the whole."""
        return [self.whole.sample_ids[row] for row in self.rows]

    @cached_property
    def labels(self) -> Labels:
        """Return the true classes."""
        labels: Labels = self.whole.labels[self.rows]
        return labels

    @property
    def groups(self) -> Groups | None:
        """Return the groups of the samples, all of those of the whole."""
        whole = self.whole.groups
        return None if whole is None else Groups(whole.names, whole.of_samples[self.rows])

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self.whole.size

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over the whole and the rows."""
        return digest_of({"whole": self.whole.fingerprint, "rows": self.rows.tolist()})

    def images(
        self, indices: Indices, framing: Framing | None = None
    ) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return images; `framing` receives their index in this part."""
        if framing is None:
            return self.whole.images(self.rows[indices])

        def frame(row: int, width: int, height: int) -> Box:
            return framing(int(np.searchsorted(self.rows, row)), width, height)

        return self.whole.images(self.rows[indices], frame)

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:
        """Return the annotations of the objects."""
        return self.whole.annotations(self.rows[indices], targets)


def fraction_of(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Return a share of every class, drawn by the hash of seed and sample id.

    A smaller share is a part of every larger one with the same seed. Added or removed images do
    not change the order of the others. Multi-label samples are drawn independently of classes.

    Args:
        dataset: The data set.
        share: In (0, 1]; at least one sample of every class is kept.
        seed: Seed of the draw.

    Returns:
        The data set itself if the share is 1.
    """
    if share == 1:
        return dataset
    labels = dataset.labels
    group = np.zeros(len(labels), np.int64) if is_multilabel(labels) else labels
    members = [np.flatnonzero(group == one) for one in np.unique(group)]
    kept = [_smallest(dataset, rows, max(1, round(share * len(rows))), seed) for rows in members]
    return Subset(dataset, np.sort(np.concatenate(kept)))


def limited(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    """Return at most `limit` samples, drawn by the hash of seed and sample id.

    Args:
        dataset: The data set.
        limit: Maximum number of samples; None for all.
        seed: Seed of the draw.

    Returns:
        The data set itself if it is not larger.
    """
    count = len(dataset.sample_ids)
    if limit is None or count <= limit:
        return dataset
    return Subset(dataset, np.sort(_smallest(dataset, np.arange(count), limit, seed)))


def in_order_of_hash(dataset: Dataset, seed: int) -> Int64[np.ndarray, "n"]:
    """Return all rows in the order in which `limited` draws them."""
    count = len(dataset.sample_ids)
    return _smallest(dataset, np.arange(count), count, seed)


def _smallest(
    dataset: Dataset, members: Int64[np.ndarray, "k"], count: int, seed: int
) -> Int64[np.ndarray, "m"]:
    """Return the `count` members with the smallest hashes."""

    def rank(row: int) -> bytes:
        return hashlib.sha256(f"{seed}/{dataset.sample_ids[row]}".encode()).digest()

    return np.array(sorted(members.tolist(), key=rank)[:count], np.int64)
