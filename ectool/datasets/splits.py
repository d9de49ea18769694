"""Names of splits, and the splits that a hash draws where none are published."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from ectool.datasets.base import Labels, is_multilabel

ALL = "all"
"""The split that holds every image."""


def drawn_split(sample_id: str) -> str:
    """Return the split that the hash of a sample id selects.

    Args:
        sample_id: Identifier of an image in a folder without split folders.

    Returns:
        ``train`` (probability 0.8), ``validation`` (0.1) or ``test`` (0.1).
    """
    digest = hashlib.sha256(os.fsencode(sample_id)).digest()
    tenth = 10 * int.from_bytes(digest[:8], "big") >> 64
    return {8: "validation", 9: "test"}.get(tenth, "train")


def held_out_tenth(labels: Labels, names: Sequence[str]) -> Bool[np.ndarray, "n"]:
    """Mark a tenth of the samples of every class: those whose names have the lowest SHA-256.

    Args:
        labels: True classes; multi-label samples are drawn independently of classes.
        names: Unique texts to hash: sample ids, with the name of the data set in front if they do
            not contain it.

    Returns:
        True for the samples of the validation split; ``len(class) // 10`` of every class.
    """
    held_out = np.zeros(len(labels), np.bool_)
    group = np.zeros(len(labels), np.int64) if is_multilabel(labels) else labels
    for label in np.unique(group):
        members = np.flatnonzero(group == label).tolist()
        members.sort(key=lambda row: hashlib.sha256(names[row].encode()).digest())
        held_out[members[: len(members) // 10]] = True
    return held_out
